import assert from 'node:assert/strict'
import { it } from 'node:test'
import { systemClock } from '#base/clock.ts'
import { hasCode } from '#base/errors.ts'
import type { Store, TxnResult } from '#server/store/store.ts'
import { NOBODY } from '../../raft/types.ts'
import type { ReplicatedStore } from './replicated-store.ts'
import { StoreCluster } from './store-cluster.test-support.ts'

const create = (store: Store, key: string) => store.txn({ compare: [{ key, modRevision: 0 }], ops: [{ kind: 'put', key, value: Buffer.from(key) }] })

it('creates that were asked of a follower when the leader died succeed, each once: what it left in the log is known, the rest is asked of the next one', { timeout: 180_000 }, async () => {
  const cluster = new StoreCluster({ members: 3 })
  try {
    await cluster.startAll()
    for (let round = 0; round < 4; round++) {
      const leader = await cluster.leader()
      const asked = cluster.members.find((m) => m !== leader)?.store as Store
      await asked.catchUp()
      const results: Promise<TxnResult>[] = []
      for (let i = 0; i < 60; i++) {
        results.push(create(asked, `/${round}/${i}`))
        // On their way there, being evaluated, in the log, and on their way back.
        if (i % 3 === 2) await new Promise((resolve) => setImmediate(resolve))
      }
      await cluster.crash(leader)
      const outcomes = await Promise.all(results)
      assert.deepEqual(outcomes.filter((r) => !r.ok), [], 'none has met itself')
      const items = (await asked.list({ prefix: `/${round}/` })).items
      assert.deepEqual(new Map(items.map((i) => [i.key, i.modRevision])), new Map(outcomes.map((r, i): [string, number] => [`/${round}/${i}`, r.revision]).sort(([a], [b]) => (a < b ? -1 : 1))))
      await cluster.start(leader)
    }
  } finally {
    await cluster.close()
  }
})

it('a read that waits for a leader when its server stops is told so', { timeout: 180_000 }, async () => {
  const cluster = new StoreCluster({ members: 3 })
  try {
    await cluster.startAll()
    const [first, second, third] = cluster.members as [typeof cluster.members[0], typeof cluster.members[0], typeof cluster.members[0]]
    await Promise.all([cluster.crash(first), cluster.crash(second)])
    const store = third.store as ReplicatedStore
    for (const untilMs = systemClock.monotonicMs() + 60_000; store.node.status().leader !== NOBODY && systemClock.monotonicMs() < untilMs;) await systemClock.sleep(1)
    const isClosed = (e: unknown) => hasCode(e, 'STORE_CLOSED')
    const waiting = assert.rejects(create(store, '/a'), isClosed)
    // It asks who leads, and hears that nobody does only when the server is stopping.
    const read = assert.rejects(store.get('/a'), isClosed)
    await store.close()
    await Promise.all([waiting, read])
  } finally {
    await cluster.close()
  }
})

it('without a majority writes and reads are refused when two elections have passed, and at once from then on, until it is back', { timeout: 180_000 }, async () => {
  const leaderlessMsMax = 400
  const cluster = new StoreCluster({ members: 3, leaderlessMsMax })
  try {
    await cluster.startAll()
    const [first, second, third] = cluster.members as [typeof cluster.members[0], typeof cluster.members[0], typeof cluster.members[0]]
    await create(third.store as Store, '/a')
    await Promise.all([cluster.crash(first), cluster.crash(second)])
    const store = third.store as Store
    const refused = (promise: Promise<unknown>) => assert.rejects(promise, (e) => hasCode(e, 'STORE_UNAVAILABLE'))
    await Promise.all([refused(create(store, '/b')), refused(store.get('/a')), refused(store.catchUp() as Promise<void>)])
    // Nothing has to be waited for: each would take a timer otherwise.
    const order: string[] = []
    const timer = new Promise<void>((resolve) => setTimeout(() => { order.push('timer'); resolve() }, leaderlessMsMax / 2))
    await Promise.all([timer, ...[create(store, '/b'), store.get('/a')].map((p) => refused(p).then(() => order.push('refused')))])
    assert.deepEqual(order, ['refused', 'refused', 'timer'])
    await Promise.all([cluster.start(first), cluster.start(second)])
    await cluster.leader()
    assert.ok((await create(store, '/b')).ok)
  } finally {
    await cluster.close()
  }
})
