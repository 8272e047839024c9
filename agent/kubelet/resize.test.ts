import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Container } from '#api/types/index.ts'
import { seededRandom } from '#base/random.ts'
import type { LinuxResources } from '#cri/index.ts'
import type { PodAction } from './pod-action.ts'
import { decidePodActions } from './pod-actions.ts'
import { podStatus } from './pod-status.ts'
import { containerResources } from './resources.ts'
import { allocationOf, isAllocated, pendingResize, resizeMessage, withAllocation } from './resize.ts'
import { aContainer, aPod, aView, NOW, running } from './testing/builders.ts'
import type { PodView } from './view.ts'

const MI = 2 ** 20
const resources = (cpu: string, memory: string, limitCpu = cpu, limitMemory = memory) => ({ requests: { cpu, memory }, limits: { cpu: limitCpu, memory: limitMemory } })
const sized = (name: string, cpu: string, memory: string, more: Partial<Container> = {}) => aContainer(name, { resources: resources(cpu, memory), ...more })
const small = aPod({ containers: [sized('app', '100m', '64Mi')] })
const big = aPod({ containers: [sized('app', '200m', '128Mi')] }, { generation: 2 })
const bare = (pod: typeof small): LinuxResources => containerResources(pod, pod.spec?.containers[0] ?? aContainer('app'), { memoryBytes: 4 * 2 ** 30 })
const ctx = { nowMs: NOW, random: seededRandom(1) }
const decide = (more: Partial<PodView>): { actions: PodAction[]; wakeInMs?: number } => {
  const { actions, wakeAtMs } = decidePodActions(aView(more), ctx)
  return { actions: actions.filter((a) => a.kind !== 'reportStatus'), ...(wakeAtMs !== undefined && { wakeInMs: wakeAtMs - NOW }) }
}
const inPlace = (resources: LinuxResources) => ({ kind: 'resize', containers: [{ id: 'app-0', name: 'app', resources }] })
const restart = aPod({ containers: [sized('app', '200m', '128Mi', { resizePolicy: [{ resourceName: 'memory', restartPolicy: 'RestartContainer' }] })] })
const pending = { reason: 'Deferred', message: 'no room' } as const

const decisions: [string, Partial<PodView>, { actions: unknown[]; wakeInMs?: number }][] = [
  ['what its spec asks for is allocated when it fits', { containers: [running('app', { resources: bare(small) })], pod: small, resize: { spec: big, pending: undefined } }, { actions: [{ kind: 'allocate' }] }],
  ['what does not fit is told once and tried again', { containers: [running('app', { resources: bare(small) })], pod: small, resize: { spec: big, pending } },
    { actions: [{ kind: 'reportResize', of: 'Deferred', mark: 'resize:2:Deferred', message: resizeMessage('Deferred', big, 2, 'no room') }], wakeInMs: 180_000 }],
  ['what was told before a restart of the agent is not told again', { containers: [running('app', { resources: bare(small) })], pod: small, resize: { spec: big, pending: { ...pending, reason: 'Infeasible' } }, reported: { conditions: [{ type: 'PodResizePending', status: 'True', reason: 'Infeasible', observedGeneration: 2, message: 'no room' }] } }, { actions: [] }],
  ['nor what differs in how much others use', { containers: [running('app', { resources: bare(small) })], pod: small, resize: { spec: big, pending: { ...pending, message: 'less room' } }, backOffReported: new Set(['resize:2:Deferred']) }, { actions: [], wakeInMs: 180_000 }],
  ['cgroups follow what is allocated', { containers: [running('app', { resources: bare(small) })], pod: big, resizing: 2, resized: false },
    { actions: [inPlace({ cpuShares: 204, cpuQuota: 20_000, cpuPeriod: 100_000, memoryLimitBytes: 128 * MI })] }],
  ['so they do when an agent was killed between', { containers: [running('app', { resources: bare(small) })], pod: big }, { actions: [inPlace({ cpuShares: 204, cpuQuota: 20_000, cpuPeriod: 100_000, memoryLimitBytes: 128 * MI })] }],
  ['a limit that is gone is taken away', { containers: [running('app', { resources: bare(small) })], pod: aPod({ containers: [aContainer('app', { resources: { requests: { cpu: '100m' } } })] }) },
    { actions: [inPlace({ cpuShares: 102, cpuQuota: -1, memoryLimitBytes: -1 })] }],
  ['what a runtime calls no limit is none', { containers: [running('app', { resources: { cpuShares: 102, cpuQuota: -1, memoryLimitBytes: 0 } })], pod: aPod({ containers: [aContainer('app', { resources: { requests: { cpu: '100m' } } })] }) }, { actions: [] }],
  ['a container is restarted when its policy for the resource that changed says so', { containers: [running('app', { resources: bare(small) })], pod: restart, resizing: 2, resized: false },
    { actions: [{ kind: 'killContainer', id: 'app-0', name: 'app', graceSeconds: 30, because: 'resize', preStop: true }] }],
  ['and not for another resource', { containers: [running('app', { resources: { ...bare(small), memoryLimitBytes: 128 * MI } })], pod: restart, resizing: 2, resized: false },
    { actions: [inPlace({ cpuShares: 204, cpuQuota: 20_000, cpuPeriod: 100_000, memoryLimitBytes: 128 * MI })] }],
  ['for its memory request it is, too, which no cgroup tells', { containers: [running('app', { resources: bare(restart), annotations: { 'skiff.io/memory-request': '64Mi' } })], pod: restart, resizing: 2, resized: false },
    { actions: [{ kind: 'killContainer', id: 'app-0', name: 'app', graceSeconds: 30, because: 'resize', preStop: true }] }],
  ['what changes in place waits for those that have to end first: the pod cannot become smaller than they are', { containers: [running('app', { resources: bare(small) }), running('b', { resources: { cpuShares: 2 } })], pod: aPod({ containers: [...(restart.spec?.containers ?? []), sized('b', '100m', '64Mi')] }), resizing: 2, resized: false },
    { actions: [{ kind: 'killContainer', id: 'app-0', name: 'app', graceSeconds: 30, because: 'resize', preStop: true }] }],
  ['in other words it is the same', { containers: [running('app', { resources: bare(restart), annotations: { 'skiff.io/memory-request': '131072Ki' } })], pod: restart }, { actions: [] }],
  ['the pod\'s own cgroup follows after a restart', { containers: [running('app', { resources: bare(big) })], pod: big, resizing: 2, resized: false }, { actions: [{ kind: 'resize', containers: [] }] }],
  ['then it is done, and told', { containers: [running('app', { resources: bare(big) })], pod: big, resizing: 2, resized: true },
    { actions: [{ kind: 'reportResize', of: 'completed', mark: 'resized:2', message: 'Pod resize completed: {"containers":[{"name":"app","resources":{"limits":{"cpu":"200m","memory":"128Mi"},"requests":{"cpu":"200m","memory":"128Mi"}}}],"generation":2}' }] }],
  ['a failed one is told, rests, and is tried again', { containers: [running('app', { resources: bare(big) })], pod: small, resizing: 3, resized: false, failures: new Map([['resize', { reason: 'resize', message: 'below usage', atMs: NOW, count: 1, retryAtMs: NOW + 900 }]]) },
    { actions: [{ kind: 'reportResize', of: 'error', mark: 'resize-error:3:below usage', message: resizeMessage('error', small, 3, 'below usage') }], wakeInMs: 900 }],
  ['an init container that runs is resized as the others are', { containers: [running('i', { resources: { cpuShares: 102 } })], pod: aPod({ initContainers: [aContainer('i', { resources: { requests: { cpu: '200m' } } })] }) },
    { actions: [{ kind: 'resize', containers: [{ id: 'i-0', name: 'i', resources: { cpuShares: 204 } }] }] }],
  ['those that have ended are left alone', { containers: [running('app', { resources: bare(small) }), running('i', { state: 'exited', resources: {} })], pod: aPod({ ...small.spec, initContainers: [sized('i', '1', '1Gi')] }) }, { actions: [] }],
]
for (const [name, view, expected] of decisions) test(name, () => assert.deepStrictEqual(decide(view), expected))

const shown = (more: Partial<PodView>) => {
  const status = podStatus(aView(more), ctx)
  return { conditions: status.conditions?.filter((c) => c.type.startsWith('PodResize')).map((c) => [c.type, c.reason, c.message]), of: status.containerStatuses?.map((s) => [s.resources, s.allocatedResources]) }
}

test('a status says what is allocated and what a container really has', () => {
  assert.deepStrictEqual(shown({ pod: small, containers: [running('app', { resources: bare(small) })], resize: { spec: big, pending } }),
    { conditions: [['PodResizePending', 'Deferred', 'no room']], of: [[resources('100m', '64Mi'), { cpu: '100m', memory: '64Mi' }]] })
  assert.deepStrictEqual(shown({ pod: big, containers: [running('app', { resources: bare(small) })], resizing: 2, resized: false }),
    { conditions: [['PodResizeInProgress', undefined, undefined]], of: [[{ requests: { cpu: '100m', memory: '128Mi' }, limits: { cpu: '100m', memory: '64Mi' } }, { cpu: '200m', memory: '128Mi' }]] })
  assert.deepStrictEqual(shown({ pod: small, containers: [running('app', { resources: bare(small) })], reported: { conditions: [{ type: 'PodResizeInProgress', status: 'True' }] } }),
    { conditions: [], of: [[resources('100m', '64Mi'), { cpu: '100m', memory: '64Mi' }]] })
})

test('what is about to be allocated is in progress: its generation is observed with it', () => {
  const of = (more: Partial<PodView>) => shown({ pod: small, containers: [running('app', { resources: bare(small) })], resize: { spec: big, pending: undefined }, ...more }).conditions
  assert.deepStrictEqual([of({}), of({ pod: { ...small, metadata: { ...small.metadata, deletionTimestamp: '2026-01-01T00:00:30Z' } } })], [[['PodResizeInProgress', undefined, undefined]], []])
})

test('what is said of a resize keeps the generation it is about, since when that is the reason, and ends with the pod', () => {
  const of = (more: Partial<PodView>) => podStatus(aView({ pod: { ...small, metadata: { ...small.metadata, generation: 5 } }, containers: [running('app', { resources: bare(small) })], ...more }), ctx)
    .conditions?.filter((c) => c.type.startsWith('PodResize')).map((c) => [c.type, c.reason, c.observedGeneration, c.lastTransitionTime])
  const now = '2026-01-01T00:00:00Z'
  const earlier = '2025-12-31T23:00:00Z'
  const told = (type: string, reason?: string) => ({ reported: { conditions: [{ type, status: 'True', lastTransitionTime: earlier, ...(reason !== undefined && { reason }) }] } })
  const failed = { failures: new Map([['resize', { reason: 'resize', message: 'below usage', atMs: NOW, count: 1, retryAtMs: NOW + 900 }]]) }
  assert.deepStrictEqual([
    of({ resizing: 3, resized: false, ...told('PodResizeInProgress') }), of({ resizing: 3, resized: false, ...told('PodResizeInProgress'), ...failed }), of({ resizing: 3, resized: false, ...told('PodResizeInProgress', 'Error'), ...failed }),
    of({ resize: { spec: big, pending }, ...told('PodResizePending', 'Deferred') }), of({ resize: { spec: big, pending }, ...told('PodResizePending', 'Infeasible') }), of({ resizing: 3, resize: { spec: big, pending: undefined } }),
  ], [
    [['PodResizeInProgress', undefined, 3, earlier]], [['PodResizeInProgress', 'Error', 3, now]], [['PodResizeInProgress', 'Error', 3, earlier]],
    [['PodResizePending', 'Deferred', 5, earlier]], [['PodResizePending', 'Deferred', 5, now]], [['PodResizeInProgress', undefined, 2, now]],
  ])
  const gone = { containers: [], sandboxes: [], resizing: 3, resized: false, resize: { spec: big, pending } }
  assert.deepStrictEqual([of({ ...gone, pod: { ...small, metadata: { ...small.metadata, deletionTimestamp: now } } }), of({ ...gone, reported: { phase: 'Failed' } })], [[], []])
})

test('a status says what the pod as a whole is allocated and has: its own, until a resize is real the one before, else its containers\' together', () => {
  const whole = (more: Partial<PodView>) => {
    const { resources: has, allocatedResources } = podStatus(aView(more), ctx)
    return [has, allocatedResources]
  }
  const own = (cpu: string) => aPod({ resources: { requests: { cpu } } })
  const runs = { containers: [running('app')] }
  const partly = aPod({ containers: [sized('app', '100m', '64Mi'), aContainer('b', { resources: { requests: { cpu: '50m', 'ephemeral-storage': '1Gi' }, limits: { cpu: '1' } } })] })
  const asked = { cpu: '150m', memory: '64Mi', 'ephemeral-storage': '1Gi' }
  assert.deepStrictEqual([
    whole({ pod: own('2'), ...runs }), whole({ pod: own('2'), podBefore: { requests: { cpu: '1' } }, ...runs }), whole({ pod: small, ...runs }), whole(runs), whole({}),
    whole({ pod: partly }), whole({ pod: partly, containers: [running('app'), running('b')] }),
    whole({ pod: aPod({ resources: { limits: { cpu: '1' } }, containers: [sized('app', '100m', '64Mi')] }), ...runs }),
  ], [
    [{ requests: { cpu: '2' } }, { cpu: '2' }], [{ requests: { cpu: '1' } }, { cpu: '2' }], [resources('100m', '64Mi'), { cpu: '100m', memory: '64Mi' }], [{}, undefined], [{}, undefined],
    // Before it runs all that is asked for; then what its cgroup has, which has no limit of memory if one container has none.
    [{ requests: asked, limits: { cpu: '1100m', memory: '64Mi' } }, asked], [{ requests: { cpu: '150m', memory: '64Mi' }, limits: { cpu: '1100m' } }, asked],
    [{ requests: { cpu: '100m', memory: '64Mi' }, limits: { cpu: '1', memory: '64Mi' } }, { cpu: '100m', memory: '64Mi' }],
  ])
  assert.deepStrictEqual(allocationOf(own('2'), { requests: { cpu: '1' } }), { pod: { requests: { cpu: '2' } }, podBefore: { requests: { cpu: '1' } }, containers: { app: {} } })
})

const allocatable = { cpu: '2', memory: '4Gi', pods: '10' }
const asks = (cpu: string, memory: string) => aPod({ containers: [sized('app', cpu, memory)] })
const verdicts: [string, Parameters<typeof pendingResize>[0], ReturnType<typeof pendingResize>][] = [
  ['what fits is allocated', { pod: asks('1', '1Gi'), others: [asks('1', '1Gi')], allocatable }, undefined],
  ['so may more than the node has: the API server lets nobody ask for that, unless the node has become less', { pod: asks('3', '1Gi'), others: [], allocatable }, { reason: 'Deferred', message: "Node didn't have enough resource: cpu, requested: 3000, used: 0, capacity: 2000" }],
  ['more than is free may be later', { pod: asks('1500m', '1Gi'), others: [asks('1', '1Gi')], allocatable }, { reason: 'Deferred', message: "Node didn't have enough resource: cpu, requested: 1500, used: 1000, capacity: 2000" }],
  ['static pods are not resized', { pod: aPod({}, { annotations: { 'kubernetes.io/config.source': 'file' } }), others: [], allocatable }, { reason: 'Infeasible', message: 'In-place resize of static-pods is not supported' }],
]
for (const [name, input, expected] of verdicts) test(name, () => assert.deepStrictEqual(pendingResize(input), expected))

test('a pod runs with what was allocated until more is; equal amounts in other words are no change', () => {
  const allocation = allocationOf(small)
  assert.deepStrictEqual(withAllocation(big, allocation).spec?.containers, small.spec?.containers)
  assert.equal(withAllocation(small, allocation), small)
  assert.equal(isAllocated(aPod({ containers: [aContainer('app', { resources: resources('0.1', '65536Ki') })] }), allocation), true)
  assert.equal(isAllocated(aPod({ ...small.spec, resources: { limits: { cpu: '1' } } }), allocation), false)
})
