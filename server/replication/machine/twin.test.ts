import assert from 'node:assert/strict'
import { it } from 'node:test'
import fc from 'fast-check'
import { MemoryStore } from '#server/store/store-memory.ts'
import type { Compare, KeyValue, Op, Store, TxnResult, WatchEvent } from '#server/store/store.ts'
import { StoreCluster } from './store-cluster.test-support.ts'

const KEYS = ['/a', '/a/b', '/b', '/c'] as const
const key = fc.constantFrom(...KEYS)
const op = fc.oneof(fc.record({ kind: fc.constant('put' as const), key, value: fc.string({ maxLength: 3 }).map((s) => Buffer.from(s)) }), fc.record({ kind: fc.constant('delete' as const), key }))
const step = fc.record({
  /** Which member is asked. */
  at: fc.nat({ max: 2 }),
  ops: fc.uniqueArray(op, { maxLength: 3, selector: (o) => o.key }),
  /** What it asserts of which key: what is there, or something else. */
  compare: fc.array(fc.record({ key, right: fc.boolean() }), { maxLength: 2 }),
  lazy: fc.boolean(),
})

const item = (kv: KeyValue | undefined) => kv && [kv.key, kv.value.toString(), kv.createRevision, kv.modRevision, kv.version]
const outcome = (r: TxnResult) => (r.ok ? r : { ...r, current: item(r.current) })
const said = (e: WatchEvent) => [e.kind, e.key, e.revision, item(e.current), item(e.previous)]

for (const members of [1, 3]) {
  it(`${members === 1 ? 'one server answers' : 'three servers answer'} as a store in memory does, whoever is asked, now and as of every revision, and all tell the same changes`, async () => {
    await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 20 }), async (steps) => {
      const cluster = new StoreCluster({ members })
      const twin = new MemoryStore()
      try {
        await cluster.startAll()
        const stores = cluster.up
        for (const store of stores) await store.catchUp()
        const seen = [...stores, twin].map((store: Store) => {
          const events: unknown[] = []
          store.watch({ prefix: '/', afterRevision: 1 }, (es) => events.push(...es.map(said)))
          return events
        })
        for (const { at, ops, compare, lazy } of steps) {
          const compares: Compare[] = await Promise.all(compare.map(async (c) => ({ key: c.key, modRevision: ((await twin.get(c.key))?.modRevision ?? 0) + (c.right ? 0 : 1) })))
          const txn = { compare: compares, ops: ops as Op[], durability: lazy ? 'lazy' as const : 'synced' as const }
          const store = stores[at % stores.length] as Store
          assert.deepEqual(outcome(await store.txn(txn)), outcome(await twin.txn(txn)))
          for (const k of KEYS) assert.deepEqual(item(await store.get(k)), item(await twin.get(k)))
        }
        // What is shown ahead of the log may be on its way to the others still.
        await stores[0]?.txn({ compare: [], ops: [{ kind: 'put', key: '/end', value: Buffer.from('') }] })
        await twin.txn({ compare: [], ops: [{ kind: 'put', key: '/end', value: Buffer.from('') }] })
        for (const [i, store] of stores.entries()) {
          for (let revision = 1; revision <= twin.revision(); revision++) {
            const mine = await store.list({ prefix: '/', revision })
            const its = await twin.list({ prefix: '/', revision })
            assert.deepEqual({ ...mine, items: mine.items.map(item) }, { ...its, items: its.items.map(item) })
          }
          assert.deepEqual(seen[i], seen.at(-1))
        }
      } finally {
        await cluster.close()
      }
    }), { numRuns: members === 1 ? 40 : 12 })
  })
}
