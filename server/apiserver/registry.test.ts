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

test('node leases and events are written lazily, other leases are not', () => {
  const lazy = (resource: string, namespace: string) => rows.find((r) => r.ref.resource === resource)?.lazy?.({ metadata: { namespace } }) ?? false
  deepStrictEqual([lazy('leases', 'kube-node-lease'), lazy('leases', 'kube-system'), lazy('events', 'default'), lazy('pods', 'default')], [true, false, true, false])
})

test('an allocator is put on the row it is named for only', () => {
  const allocator = { allocate: () => ({ ok: true as const, reservation: { commit() {}, rollback() {} } }), release() {} }
  deepStrictEqual(withAllocators(rows, { services: allocator }).filter((r) => r.allocator).map(name), ['v1/services'])
})
