/** What is not in the log yet is read by everyone once it was acknowledged to anyone, whatever was lost on the way. */
import assert from 'node:assert/strict'
import { it } from 'node:test'
import type { WatchEvent } from '#server/store/store.ts'
import { StoreCluster } from './store-cluster.test-support.ts'
import type { ReplicatedStore } from './replicated-store.ts'

const put = async (store: ReplicatedStore, key: string, value: string): Promise<number> => {
  const result = await store.txn({ compare: [], ops: [{ kind: 'put', key, value: Buffer.from(value) }], durability: 'heartbeat' })
  assert.ok(result.ok)
  return result.revision
}
const read = async (store: ReplicatedStore, key: string): Promise<string | undefined> => (await store.get(key))?.value.toString()

async function three(test: (parts: { cluster: StoreCluster; leader: ReplicatedStore; follower: ReplicatedStore; id: number }) => Promise<void>): Promise<void> {
  const cluster = new StoreCluster({ members: 3 })
  try {
    await cluster.startAll()
    const led = await cluster.leader()
    const other = cluster.members.find((m) => m !== led)
    assert.ok(led.store && other?.store)
    // Something synced first: a leader shows nothing ahead of the log before its own first entry is there.
    await led.store.txn({ compare: [], ops: [{ kind: 'put', key: '/first', value: Buffer.from('1') }] })
    await test({ cluster, leader: led.store, follower: other.store, id: other.id })
  } finally {
    await cluster.close()
  }
}

it('a follower reads what the leader acknowledged and keeps to itself, at once', () => three(async ({ leader, follower }) => {
  const before = leader.node.status().lastIndex
  for (let n = 0; n < 50; n++) {
    const revision = await put(leader, '/lease', String(n))
    assert.equal(await read(follower, '/lease'), String(n))
    assert.ok(follower.revision() >= revision)
  }
  assert.equal(leader.node.status().lastIndex, before, 'none of it went into the log')
}))

it('a follower that was cut off reads what was said meanwhile, none of which is in the log; of each key its watches hear what came last', () => three(async ({ cluster, leader, follower, id }) => {
  const heard: string[] = []
  const tell = (events: readonly WatchEvent[], revision: number) => { for (const e of events) heard.push(`${revision} ${e.key}=${e.current?.value.toString() ?? 'gone'}`) }
  await put(leader, '/gone', '1')
  assert.equal(await read(follower, '/gone'), '1')
  const before = leader.node.status()
  follower.watch({ prefix: '/', afterRevision: follower.revision() }, tell)

  cluster.network.partition(new Set([id]))
  await put(leader, '/a', '1')
  const a = await put(leader, '/a', '2')
  const b = await put(leader, '/b', '1')
  const gone = await leader.txn({ compare: [], ops: [{ kind: 'delete', key: '/gone' }], durability: 'lazy' })
  cluster.network.heal()

  assert.deepEqual([await read(follower, '/a'), await read(follower, '/b'), await read(follower, '/gone')], ['2', '1', undefined])
  assert.deepEqual(heard, [`${a} /a=2`, `${b} /b=1`, `${gone.revision} /gone=gone`])
  const after = await put(leader, '/a', '3')
  assert.equal(await read(follower, '/a'), '3')
  assert.equal(heard.at(-1), `${after} /a=3`)
  assert.deepEqual([leader.node.status().lastIndex, leader.node.status().term], [before.lastIndex, before.term], 'nothing of it went into the log, and nobody else was elected')
}))

it('a server that starts again reads them, too', () => three(async ({ cluster, leader, id }) => {
  const member = cluster.member(id)
  await put(leader, '/lease', '1')
  const before = leader.node.status().lastIndex
  await cluster.crash(member)
  await put(leader, '/lease', '2')
  const again = await cluster.start(member)
  assert.equal(await read(again, '/lease'), '2')
  assert.equal(leader.node.status().lastIndex, before)
}))
