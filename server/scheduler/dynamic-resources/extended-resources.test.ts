/** Which claim a pod is given for extended resources that a class of devices has, and where it may go: tables. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Container, DeviceClass, PodSpec, ResourceSlice, Stored } from '#api/types/index.ts'
import { seededRandom } from '#base/random.ts'
import { node, pod, snapshot } from '../build.test-support.ts'
import { schedule, unschedulableMessage } from '../schedule.ts'
import type { Claim, DeviceLookup } from './device-lookup.ts'
import { classFor, extendedClaim, extendedResources } from './extended-resources.ts'

const meta = (name: string, creationTimestamp = '2026-01-01T00:00:00Z') => ({ name, uid: `uid-${name}`, resourceVersion: '1', creationTimestamp })
const deviceClass = (name: string, extendedResourceName?: string, made?: string): Stored<DeviceClass> => ({ metadata: meta(name, made), spec: { ...(extendedResourceName !== undefined && { extendedResourceName }) } })
const CLASSES = [deviceClass('gpus', 'example.com/gpu'), deviceClass('radios', 'example.com/radio'), deviceClass('plain')]
const lookupOf = (classes = CLASSES, claims: readonly Claim[] = [], slices: readonly Stored<ResourceSlice>[] = []): DeviceLookup => ({
  claim: () => undefined, claims: () => claims, pending: () => new Map(), deviceClass: (name) => classes.find((c) => c.metadata.name === name), deviceClasses: () => classes, slices: () => slices, nowMs: () => 0,
  selectors: { matches: () => ({ ok: true, matches: true }) },
})
const asking = (name: string, requests: Record<string, string>, more: Partial<Container> = {}): Container => ({ name, image: 'i', resources: { requests }, ...more })
const ALWAYS = { restartPolicy: 'Always' as const }
/** `request: count`, then `container: request, ...`. */
function made(spec: PodSpec, extra: Record<string, string> = {}): string {
  const info = pod('p', { spec })
  const wanted = extendedResources(info, lookupOf())
  const claim = wanted && extendedClaim(info.pod, node('n1', { extra }), wanted)
  if (!claim) return 'none'
  const requests = claim.spec.devices?.requests?.map((r) => `${r.name} ${r.exactly?.deviceClassName ?? ''}: ${r.exactly?.count ?? 0}`) ?? []
  return [...requests, '|', ...claim.mappings.map((m) => `${m.containerName} ${m.resourceName.replace('example.com/', '')}: ${m.requestName}`)].join(' ')
}
const gpu = (count: string) => ({ 'example.com/gpu': count })
const table: [string, string, string][] = [
  ['none for who asks for nothing that a class has', made({ containers: [asking('a', { cpu: '1', 'example.com/other': '1' })] }), 'none'],
  ['none for who asks for no piece', made({ containers: [asking('a', gpu('0'))] }), 'none'],
  ['none where the node has it itself', made({ containers: [asking('a', gpu('1'))] }, gpu('2')), 'none'],
  ['one request for a container', made({ containers: [asking('a', gpu('2'))] }), 'container-0-request-0 gpus: 2 | a gpu: container-0-request-0'],
  ['by the place of its name among what the container asks for', made({ containers: [asking('a', { cpu: '1', 'example.com/radio': '1', ...gpu('2') })] }), 'container-0-request-1 gpus: 2 container-0-request-2 radios: 1 | a gpu: container-0-request-1 a radio: container-0-request-2'],
  ['any class by its own name', made({ containers: [asking('a', { 'deviceclass.resource.kubernetes.io/plain': '1' })] }), 'container-0-request-0 plain: 1 | a deviceclass.resource.kubernetes.io/plain: container-0-request-0'],
  ['what the node does not have itself', made({ containers: [asking('a', { 'example.com/radio': '1', ...gpu('2') })] }, gpu('2')), 'container-0-request-1 radios: 1 | a radio: container-0-request-1'],
  ['devices of its own for each that runs beside others', made({ initContainers: [asking('s', gpu('1'), ALWAYS)], containers: [asking('a', gpu('1')), asking('b', gpu('3'))] }), 'container-0-request-0 gpus: 1 container-1-request-0 gpus: 1 container-2-request-0 gpus: 3 | s gpu: container-0-request-0 a gpu: container-1-request-0 b gpu: container-2-request-0'],
  ['those of later ones for who ends before', made({ initContainers: [asking('i', gpu('2'))], containers: [asking('a', gpu('1')), asking('b', gpu('3'))] }), 'container-1-request-0 gpus: 1 container-2-request-0 gpus: 3 | a gpu: container-1-request-0 b gpu: container-2-request-0 i gpu: container-1-request-0 i gpu: container-2-request-0'],
  ['what is wanting for those who end, once', made({ initContainers: [asking('i', gpu('3')), asking('j', gpu('5'))], containers: [asking('a', gpu('1'))] }), 'container-1-request-0 gpus: 4 container-2-request-0 gpus: 1 | a gpu: container-2-request-0 i gpu: container-2-request-0 i gpu: container-1-request-0 j gpu: container-2-request-0 j gpu: container-1-request-0'],
  ['none of a sidecar that runs already', made({ initContainers: [asking('s', gpu('2'), ALWAYS), asking('i', gpu('1'))], containers: [asking('a', {})] }), 'container-0-request-0 gpus: 2 container-1-request-0 gpus: 1 | s gpu: container-0-request-0 i gpu: container-1-request-0'],
]
for (const [what, actual, expected] of table) test(what, () => assert.equal(actual, expected))

test('of classes that have the same resource the one made last has it, then the first by name', () => {
  const named = (...classes: Stored<DeviceClass>[]) => classFor('example.com/gpu', lookupOf(classes))?.metadata.name
  assert.deepEqual([named(deviceClass('b', 'example.com/gpu'), deviceClass('a', 'example.com/gpu')), named(deviceClass('a', 'example.com/gpu'), deviceClass('b', 'example.com/gpu', '2026-01-02T00:00:00Z')), named(deviceClass('a', 'example.com/radio'))], ['a', 'b', undefined])
})

test('a pod goes where the node has it or a device is free, and nowhere while an earlier claim of its own is there', () => {
  const slice: Stored<ResourceSlice> = { metadata: meta('s'), spec: { driver: 'd', nodeName: 'n2', pool: { name: 'p', generation: 1, resourceSliceCount: 1 }, devices: [{ name: 'a' }] } }
  const place = (extra: Record<string, string>, devices: DeviceLookup, count = '1') => {
    const result = schedule({ ...snapshot(node('n1', { extra }), node('n2')), devices }, pod('p', { requests: gpu(count) }), seededRandom(1))
    return result.ok ? result.node : unschedulableMessage(result)
  }
  const earlier: Claim = { metadata: { ...meta('earlier'), annotations: { 'resource.kubernetes.io/extended-resource-claim': 'true' }, ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', name: 'p', uid: 'uid-p', controller: true }] }, spec: { devices: { requests: [] } } }
  assert.deepEqual([
    place(gpu('4'), lookupOf(), '4'), place({}, lookupOf(CLASSES, [], [slice])), place({}, lookupOf(CLASSES, [], [slice]), '2'), place({}, lookupOf(CLASSES, [earlier], [slice])), place({}, lookupOf([])), place(gpu('1'), lookupOf(), '2'),
  ], ['n1', 'n2', '0/2 nodes are available: 2 cannot allocate all claims.', '0/2 nodes are available: 2 cannot schedule extended resource claim.', '0/2 nodes are available: 2 Insufficient example.com/gpu.', '0/2 nodes are available: 1 Insufficient example.com/gpu, 1 cannot allocate all claims.'])
})
