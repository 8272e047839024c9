/** Who goes for a tainted device, and when: tables; and through the real API. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { EVENTS, PODS, RESOURCE_CLAIMS, RESOURCE_SLICES, type CoreV1Event, type Device, type DeviceTaint, type DeviceToleration, type KubeObject, type Pod, type ResourceSlice, type ResourceV1ResourceClaim, type Stored } from '#api/types/index.ts'
import { seededRandom } from '#base/random.ts'
import { startCluster } from '../cluster.test-support.ts'
import { decideDeviceTaintEviction } from './decide.ts'
import { TaintedDevices } from './tainted-devices.ts'

const NOW = Date.UTC(2026, 0, 1, 12)
const meta = (name: string) => ({ name, namespace: 'default', uid: name, resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z' })
const HOT: DeviceTaint = { key: 'hot', value: 'yes', effect: 'NoExecute', timeAdded: '2026-01-01T11:59:00Z' }
const hot = (more: Partial<DeviceToleration> = {}): DeviceToleration => ({ key: 'hot', operator: 'Exists', effect: 'NoExecute', ...more })
const result = (device: string, tolerations?: DeviceToleration[]) => ({ request: 'r', driver: 'd', pool: 'p', device, ...(tolerations && { tolerations }) })

function decide(tolerations: DeviceToleration[], { taints = [HOT], isWaiting = false, more = {} }: { taints?: DeviceTaint[]; isWaiting?: boolean; more?: object } = {}) {
  const pod: Stored<Pod> = { metadata: { ...meta('p'), ...more }, spec: { containers: [], nodeName: 'n' } }
  const claim: Stored<ResourceV1ResourceClaim> = { metadata: meta('c'), spec: {}, status: { allocation: { devices: { results: [result('cool'), result('a', tolerations)] } } } }
  const { actions, wakeAtMs } = decideDeviceTaintEviction({ pod, claims: [claim], taintsOf: ({ device }) => (device === 'a' ? taints : []), isWaiting }, { nowMs: NOW, random: seededRandom(1) })
  return `${actions.map((a) => a.kind).join() || 'stays'}${wakeAtMs === undefined ? '' : ` ${(wakeAtMs - NOW) / 1000}`}`
}
const table: [string, string, string][] = [
  ['at once without toleration', decide([]), 'evict'],
  ['never where it is tolerated', decide([hot()]), 'stays'],
  ['later where it is tolerated for a while, from the time of the taint on', decide([hot({ tolerationSeconds: 300 })]), 'wait 240'],
  ['when that is over', decide([hot({ tolerationSeconds: 60 })], { isWaiting: true }), 'evict'],
  ['that it waits is said once', decide([hot({ tolerationSeconds: 300 })], { isWaiting: true }), 'stays 240'],
  ['the toleration that ends first counts', decide([hot({ tolerationSeconds: 300 }), hot({ tolerationSeconds: 70 })]), 'wait 10'],
  ['one without an end counts more', decide([hot({ tolerationSeconds: 1 }), hot()]), 'stays'],
  ['one of any effect does not keep it', decide([{ key: 'hot', operator: 'Exists' }]), 'evict'],
  ['one of another value neither', decide([hot({ operator: 'Equal', value: 'no' })]), 'evict'],
  ['one of the same value does', decide([hot({ operator: 'Equal', value: 'yes' })]), 'stays'],
  ['each taint has to be tolerated', decide([hot()], { taints: [HOT, { ...HOT, key: 'wet' }] }), 'evict'],
  ['it is told that it may stay after all', decide([hot({ tolerationSeconds: 300 })], { taints: [], isWaiting: true }), 'cancel'],
  ['who goes already is left alone', decide([], { more: { deletionTimestamp: 'now' } }), 'stays'],
]
for (const [what, actual, expected] of table) test(what, () => assert.equal(actual, expected))

const slice = (name: string, devices: Device[], generation = 1, pool = 'p'): Stored<ResourceSlice> => ({ metadata: meta(name), spec: { driver: 'd', pool: { name: pool, generation, resourceSliceCount: 1 }, nodeName: 'n', devices } })

test('taints are those of the latest generation; of pools where they stay the same nothing is told', () => {
  const devices = new TaintedDevices()
  const [plain, taintedOne] = [slice('s', [{ name: 'a' }]), slice('s', [{ name: 'a', taints: [HOT, { key: 'x', effect: 'NoSchedule' }] }])]
  const changed = (before: Stored<ResourceSlice> | undefined, after: Stored<ResourceSlice> | undefined) => `${devices.change(before, after).map((c) => c.pool).join()} ${devices.of('d', 'p', 'a').length}`
  const newer = slice('t', [{ name: 'a' }], 2)
  const moved = slice('s', taintedOne.spec.devices ?? [], 1, 'q')
  assert.deepEqual([changed(undefined, plain), changed(plain, taintedOne), changed(taintedOne, taintedOne), changed(undefined, newer), changed(newer, undefined), changed(taintedOne, moved), devices.of('d', 'q', 'a').length, changed(moved, undefined)], [' 0', 'p 1', ' 1', 'p 0', 'p 1', 'p,q 0', 1, 'q 0'])
})

test('a pod whose device is tainted goes, and is told why; one that does not use it stays', { timeout: 120_000 }, async (t) => {
  const cluster = await startCluster()
  t.after(() => cluster[Symbol.asyncDispose]())
  const { client } = cluster
  await cluster.addNode('n')
  const published = await client.create<ResourceSlice>(RESOURCE_SLICES, { apiVersion: 'resource.k8s.io/v1', kind: 'ResourceSlice', metadata: { name: 's' }, spec: slice('s', [{ name: 'a' }, { name: 'b' }]).spec })
  for (const device of ['a', 'b']) {
    await client.create(RESOURCE_CLAIMS, { apiVersion: 'resource.k8s.io/v1', kind: 'ResourceClaim', metadata: { name: device, namespace: 'default' }, spec: { devices: { requests: [{ name: 'r', exactly: { deviceClassName: 'any' } }] } } } as KubeObject)
    await client.patch(RESOURCE_CLAIMS, device, 'default', 'application/merge-patch+json', { status: { allocation: { devices: { results: [result(device)] } } } }, { subresource: 'status' })
    // Its end is told by nobody: what becomes of it is seen.
    await client.create<Pod>(PODS, { apiVersion: 'v1', kind: 'Pod', metadata: { name: device, namespace: 'default', finalizers: ['example.com/seen'] }, spec: { nodeName: 'n', containers: [{ name: 'c', image: 'i' }], resourceClaims: [{ name: 'x', resourceClaimName: device }] } })
    await cluster.until('the claim is kept for it', async () => assert.equal((await client.get<ResourceV1ResourceClaim>(RESOURCE_CLAIMS, device, 'default')).status?.reservedFor?.length, 1))
  }
  await client.update<ResourceSlice>(RESOURCE_SLICES, { ...published, spec: { ...published.spec, devices: [{ name: 'a', taints: [{ key: 'hot', effect: 'NoExecute' }] }, { name: 'b' }] } })
  const get = (name: string) => client.get<Pod>(PODS, name, 'default')
  await cluster.until('the pod goes', async () => assert.ok((await get('a')).metadata.deletionTimestamp))
  const target = (await get('a')).status?.conditions?.find((c) => c.type === 'DisruptionTarget')
  assert.deepEqual([target?.status, target?.reason, target?.message], ['True', 'DeletionByDeviceTaintManager', 'Device Taint manager: deleting due to NoExecute taint'])
  await cluster.until('it is told', async () => assert.deepEqual((await client.list<CoreV1Event>(EVENTS, { namespace: 'default' })).items.filter((e) => e.reason === 'DeviceTaintManagerEviction').map((e) => `${e.involvedObject.name} ${e.message}`), ['a Marking for deletion']))
  assert.equal((await get('b')).metadata.deletionTimestamp, undefined)
})
