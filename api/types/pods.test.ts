import { deepStrictEqual } from 'node:assert'
import { test } from 'node:test'
import type { Container, Pod, PodSpec } from './index.ts'
import { computeQosClass, isPodActive, isPodAvailable, isPodReady, podCpuMemory, podLimits, podRequests } from './pods.ts'
import { scaledValue } from './int-or-percent.ts'

const container = (requests?: Record<string, string>, limits?: Record<string, string>, extra: Partial<Container> = {}): Container => ({ name: 'c', resources: { ...(requests && { requests }), ...(limits && { limits }) }, ...extra })
const pod = (spec: Partial<PodSpec>): Pod => ({ spec: { containers: [], ...spec } })

test('requests are the sum of the containers or the height of the init phase, sidecars counted in both, plus overhead', () => {
  const always = { restartPolicy: 'Always' }
  const table: [Partial<PodSpec>, Record<string, string>][] = [
    [{ containers: [container({ cpu: '100m', memory: '1Gi' }), container({ cpu: '900m' })] }, { cpu: '1', memory: '1Gi' }],
    [{ containers: [container({ cpu: '1' })], initContainers: [container({ cpu: '3' }), container({ cpu: '2' })] }, { cpu: '3' }],
    [{ containers: [container({ cpu: '1' })], initContainers: [container({ cpu: '1' }, undefined, always)] }, { cpu: '2' }],
    [{ containers: [container({ cpu: '1' })], initContainers: [container({ cpu: '1' }, undefined, always), container({ cpu: '4' })] }, { cpu: '5' }],
    [{ containers: [container({ cpu: '1' })], initContainers: [container({ cpu: '4' }), container({ cpu: '1' }, undefined, always)] }, { cpu: '4' }],
    [{ containers: [container({ cpu: '1' })], overhead: { cpu: '250m', memory: '10Mi' } }, { cpu: '1250m', memory: '10Mi' }],
    [{ containers: [container({ cpu: '1', memory: '1Gi' })], resources: { requests: { cpu: '4' } } }, { cpu: '4', memory: '1Gi' }],
  ]
  deepStrictEqual(table.map(([spec]) => podRequests(pod(spec))), table.map(([, wanted]) => wanted))
  deepStrictEqual(podLimits(pod({ containers: [container({}, { cpu: '1' })], overhead: { cpu: '1', memory: '1Mi' } })), { cpu: '2' })
  deepStrictEqual(podCpuMemory(pod({ containers: [container({ cpu: '0.5', memory: '1Ki' })] })), { cpuMilli: 500, memoryBytes: 1024 })
})

test('quality of service follows requests and limits of all containers', () => {
  const both = { cpu: '1', memory: '1Gi' }
  const table: [Partial<PodSpec>, string][] = [
    [{ containers: [container()] }, 'BestEffort'],
    [{ containers: [container({ cpu: '0' })] }, 'BestEffort'],
    [{ containers: [container({ cpu: '1' })] }, 'Burstable'],
    [{ containers: [container(both, both)] }, 'Guaranteed'],
    [{ containers: [container(both, both), container()] }, 'Burstable'],
    [{ containers: [container(both, both)], initContainers: [container()] }, 'Burstable'],
    [{ containers: [container({ cpu: '1', memory: '512Mi' }, both)] }, 'Burstable'],
    [{ containers: [container({ cpu: '1000m', memory: '1024Mi' }, both)] }, 'Guaranteed'],
    [{ containers: [container()], resources: { requests: both, limits: both } }, 'Guaranteed'],
  ]
  deepStrictEqual(table.map(([spec]) => computeQosClass({ containers: [], ...spec })), table.map(([, wanted]) => wanted))
})

test('ready, available and active read conditions, time and deletion', () => {
  const ready: Pod = { metadata: {}, status: { phase: 'Running', conditions: [{ type: 'Ready', status: 'True', lastTransitionTime: '2026-01-01T00:00:00Z' }] } }
  const at = Date.UTC(2026, 0, 1)
  deepStrictEqual([isPodReady(ready), isPodReady({}), isPodActive(ready), isPodActive({ ...ready, metadata: { deletionTimestamp: 'x' } }), isPodActive({ status: { phase: 'Failed' } })], [true, false, true, false, false])
  deepStrictEqual([isPodAvailable(ready, 0, at), isPodAvailable(ready, 10, at + 9_999), isPodAvailable(ready, 10, at + 10_000), isPodAvailable({}, 0, at)], [true, false, true, false])
})

test('percentages are taken of the total and rounded as asked', () => {
  deepStrictEqual([scaledValue('25%', 10, 'up'), scaledValue('25%', 10, 'down'), scaledValue(3, 10, 'up'), scaledValue('x', 10, 'up'), scaledValue(undefined, 10, 'up')], [3, 2, 3, undefined, undefined])
})

test('of a pod that is being resized counts what it holds: the most of what is asked, allocated and real, unless it can never be had', () => {
  const asks = (cpu: string) => ({ requests: { cpu } })
  const statusOf = (name: string, allocated: string, real: string) => ({ name, image: '', imageID: '', ready: true, restartCount: 0, resources: asks(real), allocatedResources: { cpu: allocated } })
  const held = (spec: string, allocated: string, real: string, reason?: string) => podRequests({
    ...pod({ containers: [{ ...container({ cpu: spec }), name: 'c' }], initContainers: [{ ...container({ cpu: '1' }, undefined, { restartPolicy: 'Always' }), name: 's' }] }),
    status: { ...(reason && { conditions: [{ type: 'PodResizePending', status: 'True', reason }] }), containerStatuses: [statusOf('c', allocated, real)], initContainerStatuses: [statusOf('s', '1', '2')] },
  }, { withStatus: true }).cpu
  deepStrictEqual([held('1', '1', '1'), held('5', '1', '1'), held('1', '5', '1'), held('1', '1', '5'), held('5', '3', '1', 'Deferred'), held('5', '3', '1', 'Infeasible')], ['3', '7', '7', '7', '7', '5'])
  const whole = { ...pod({ containers: [{ ...container({ cpu: '1' }), name: 'c' }], resources: asks('2') }), status: { resources: asks('4'), allocatedResources: { cpu: '3' } } }
  deepStrictEqual([podRequests(whole, { withStatus: true }), podRequests(whole), podLimits(whole, { withStatus: true })], [{ cpu: '4' }, { cpu: '2' }, {}])
})
