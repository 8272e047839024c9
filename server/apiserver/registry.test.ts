import { deepStrictEqual, ok } from 'node:assert'
import { test } from 'node:test'
import { builtinSchema } from '#api/schema/index.ts'
import { apiVersionOf } from '#api/types/index.ts'
import { seededRandom } from '#base/random.ts'
import { rows, withAllocators } from './registry.ts'

const name = (r: (typeof rows)[number]): string => `${apiVersionOf(r.ref)}/${r.ref.resource}`

test('every row has a model that the schema knows', () => {
  deepStrictEqual(rows.filter((r) => !builtinSchema.model(r.model)).map(name), [])
  deepStrictEqual(rows.flatMap((r) => (r.storedAs && !builtinSchema.model(r.storedAs.model) ? [name(r)] : [])), [])
})

test('no path, and no short name within a version, stands for two rows', () => {
  deepStrictEqual(rows.length, new Set(rows.map(name)).size)
  const shorts = rows.flatMap((r) => r.shortNames.map((s) => `${r.ref.group}/${r.ref.version}/${s}`))
  deepStrictEqual(shorts.length, new Set(shorts).size)
})

test('every row refuses an object without a name', () => {
  for (const r of rows) {
    const object = { metadata: {} }
    r.strategy.defaults?.(object)
    const errors = r.strategy.validate?.(object, { nowMs: 0, random: seededRandom(1), user: { name: 'u', groups: [] } }) ?? []
    ok(errors.some((e) => e.field === 'metadata.name'), name(r))
  }
})

test('what says only that somebody is alive is a heartbeat, nodes\' leases and events are lazy, all else is synced', () => {
  const durability = (resource: string, object: object, old?: object) => rows.find((r) => r.ref.resource === resource)?.durability?.(object, () => old) ?? 'synced'
  const lease = (namespace: string, name: string, renewTime: string, more: object = {}) => ({ metadata: { namespace, name, resourceVersion: renewTime }, spec: { holderIdentity: 'h1', acquireTime: '0', renewTime, ...more } })
  const node = (beat: string, change: string, more: object = {}) => ({
    metadata: { name: 'n', resourceVersion: beat, managedFields: [{ manager: 'kubelet', time: beat }] },
    status: { conditions: [{ type: 'Ready', status: 'True', lastHeartbeatTime: beat, lastTransitionTime: change }], ...more },
  })
  deepStrictEqual({
    aNewNode: durability('nodes', node('1', '1')),
    aNodeThatIsAlive: durability('nodes', node('2', '1'), node('1', '1')),
    aCondition: durability('nodes', node('2', '2'), node('1', '1')),
    anImage: durability('nodes', node('2', '1', { images: [{ names: ['a'] }] }), node('1', '1')),
    aLabel: durability('nodes', { ...node('2', '1'), metadata: { name: 'n', labels: { a: 'b' } } }, node('1', '1')),
    aNewNodeLease: durability('leases', lease('kube-node-lease', 'n', '1')),
    aNodeLeaseRenewed: durability('leases', lease('kube-node-lease', 'n', '2'), lease('kube-node-lease', 'n', '1')),
    aNodeLeaseOfSomebodyElse: durability('leases', lease('kube-node-lease', 'n', '2', { holderIdentity: 'h2' }), lease('kube-node-lease', 'n', '1')),
    aLeaderThatGoesOn: durability('leases', lease('kube-system', 'kube-scheduler', '2'), lease('kube-system', 'kube-scheduler', '1')),
    aNewLeader: durability('leases', lease('kube-system', 'kube-scheduler', '2', { acquireTime: '2' }), lease('kube-system', 'kube-scheduler', '1')),
    aLeaderThatGoes: durability('leases', lease('kube-system', 'kube-scheduler', '2', { holderIdentity: '' }), lease('kube-system', 'kube-scheduler', '1')),
    anotherLease: durability('leases', lease('kube-system', 'cert-manager', '2'), lease('kube-system', 'cert-manager', '1')),
    anEvent: durability('events', {}),
    aPod: durability('pods', {}, {}),
  }, {
    aNewNode: 'synced', aNodeThatIsAlive: 'heartbeat', aCondition: 'synced', anImage: 'synced', aLabel: 'synced',
    aNewNodeLease: 'lazy', aNodeLeaseRenewed: 'heartbeat', aNodeLeaseOfSomebodyElse: 'lazy',
    aLeaderThatGoesOn: 'heartbeat', aNewLeader: 'synced', aLeaderThatGoes: 'synced', anotherLease: 'synced', anEvent: 'lazy', aPod: 'synced',
  })
})

test('an allocator is put on the row it is named for only', () => {
  const allocator = { allocate: () => ({ ok: true as const, reservation: { commit() {}, rollback() {} } }), release() {} }
  deepStrictEqual(withAllocators(rows, { services: allocator }).filter((r) => r.allocator).map(name), ['v1/services'])
})
