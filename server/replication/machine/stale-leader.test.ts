import assert from 'node:assert/strict'
import { it } from 'node:test'
import { systemClock } from '#base/clock.ts'
import type { Revision, Store } from '#server/store/store.ts'
import { StoreCluster } from './store-cluster.test-support.ts'

const ROUNDS = 6
/** Longer than a leader takes to notice that nobody follows it. */
const PARTED_MS = 300

const put = (store: Store | undefined, value: string, modRevision?: Revision) => {
  assert.ok(store)
  return store.txn({ compare: modRevision === undefined ? [] : [{ key: '/k', modRevision }], ops: [{ kind: 'put', key: '/k', value: Buffer.from(value) }] })
}

it('a leader that the others have left does not answer a comparison by what it knew last', { timeout: 180_000 }, async () => {
  const cluster = new StoreCluster({ members: 3 })
  try {
    await cluster.startAll()
    for (let round = 0; round < ROUNDS; round++) {
      const old = await cluster.leader()
      await put(old.store, 'before')
      cluster.network.partition(new Set([old.id]))
      const others = cluster.members.filter((m) => m !== old)
      let next = others.find((m) => m.store?.node.status().role === 'leader')
      for (const untilMs = systemClock.monotonicMs() + 60_000; !next && systemClock.monotonicMs() < untilMs; await systemClock.sleep(1)) next = others.find((m) => m.store?.node.status().role === 'leader')
      const { revision } = await put(next?.store, 'by the new leader')
      const answer = put(old.store, 'after that', revision).catch((error: unknown) => error)
      await systemClock.sleep(PARTED_MS)
      cluster.network.heal()
      const said = await answer
      assert.ok(!(said as { why?: string }).why, 'it said that the key is not at the revision that the other leader gave it')
    }
  } finally {
    await cluster.close()
  }
})
