import assert from 'node:assert/strict'
import { cpSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { hasCode } from '#base/errors.ts'
import { levelOpener } from '#server/store/open-level.ts'
import type { Store } from '#server/store/store.ts'
import { readState } from './state-database.ts'
import { StoreCluster, type StoreMember } from './store-cluster.test-support.ts'

/** Stores as former releases left them, written by those: `stopped` cleanly, `killed` with SIGKILL under writes. */
const FIXTURES = join(import.meta.dirname, 'testdata', 'format-1')
const FORMAT_2 = join(import.meta.dirname, 'testdata', 'format-2')

async function withFixture(name: string, test: (cluster: StoreCluster, member: StoreMember) => Promise<void>, fixtures = FIXTURES): Promise<void> {
  const cluster = new StoreCluster({ members: 1 })
  try {
    const member = cluster.member(1)
    cpSync(join(fixtures, name), join(member.directory, 'db'), { recursive: true })
    await test(cluster, member)
  } finally {
    await cluster.close()
  }
}

const put = (store: Store, key: string, value: string) => store.txn({ compare: [], ops: [{ kind: 'put', key, value: Buffer.from(value) }] })
const told = async (store: Store) => (await store.list({ prefix: '' })).items.map((i) => [i.key, i.value.toString(), i.createRevision, i.modRevision, i.version])

const STOPPED = [
  ['/registry/configmaps/default/c1', 'write 4', 3, 6, 2],
  ['/registry/configmaps/default/c2', 'write 5', 4, 7, 2],
  ['/registry/leases/kube-node-lease/n1', 'lazy', 9, 9, 1],
]

describe('a store of format 1', () => {
  it('that was stopped is opened as it was, and goes on with the next revision', () => withFixture('stopped', async (cluster, member) => {
    const store = await cluster.start(member)
    assert.deepEqual([await told(store), store.revision()], [STOPPED, 9])
    assert.deepEqual(await put(store, '/registry/configmaps/default/c0', 'new'), { ok: true, revision: 10 })
    await store.close()
    const again = await cluster.start(member)
    assert.deepEqual([await told(again), again.revision()], [[['/registry/configmaps/default/c0', 'new', 10, 10, 1], ...STOPPED], 10])
  }))

  it('that was killed keeps what its own log held, and gives no revision twice', () => withFixture('killed', async (cluster, member) => {
    const { acknowledged } = JSON.parse(readFileSync(join(FIXTURES, 'killed.json'), 'utf8')) as { acknowledged: Record<string, [number, number]> }
    const store = await cluster.start(member)
    for (const [key, [n, revision]] of Object.entries(acknowledged)) {
      const item = await store.get(key)
      assert.ok(item && item.modRevision >= revision && Number(item.value.toString().replace('value ', '')) >= n, `${key}: ${n} at ${revision} was acknowledged, there is ${item?.value.toString()} at ${item?.modRevision}`)
    }
    const maps = (await store.list({ prefix: '/registry/configmaps/' })).items.map((i) => i.value.toString()).sort()
    assert.deepEqual(maps, Array.from({ length: 25 }, (_, i) => `first ${i + 5} é`).sort())
    // Its ceiling: lazy values that a crash took may have had any revision below.
    assert.ok(store.revision() >= 20_001, String(store.revision()))
  }))

  it('is handed to servers that join, though no log led to it', () => withFixture('stopped', async (cluster, member) => {
    const store = await cluster.start(member)
    const joining = cluster.addMember()
    const other = await cluster.start(joining)
    await store.node.changeMembers([{ kind: 'addVoter', member: joining.id, address: 'memory:2' }])
    await put(store, '/registry/pods/default/p', 'x')
    await other.catchUp()
    assert.deepEqual(await told(other), [...STOPPED, ['/registry/pods/default/p', 'x', 10, 10, 1]])
  }))

  it('is changed in one write: a start that is cut off before it finds the same store again', () => withFixture('killed', async (cluster, member) => {
    const directory = join(member.directory, 'db')
    const db = await levelOpener(directory)()
    const before = await db.keys().all()
    await db.close()
    await (await cluster.start(member)).close()
    const later = await levelOpener(directory)()
    const after = await later.keys().all()
    await later.close()
    // The keys of format 1 that are no state are gone, those of the state are the same or come from its log.
    assert.ok(before.some((k) => k.startsWith('l')))
    assert.deepEqual(after.filter((k) => k.startsWith('l') || k === 'mceiling' || k === 'mclean'), [])
    assert.deepEqual(before.filter((k) => k.startsWith('s') && !after.includes(k)), [])
  }))
})

describe('a store of format 2', () => {
  const MAPS = [
    ['/registry/configmaps/default/c1', 'second 1', 3, 5, 2],
    ['/registry/configmaps/default/c2', 'together', 4, 6, 2],
  ]
  const LEASE = ['/registry/leases/kube-node-lease/n1', 'lazy', 7, 7, 1]

  it('that was stopped is opened as it was, goes on with the next revision, and is of the new format then', () => withFixture('stopped', async (cluster, member) => {
    const store = await cluster.start(member)
    assert.deepEqual([await told(store), store.revision()], [[...MAPS, LEASE], 7])
    assert.deepEqual(await put(store, '/registry/configmaps/default/c2', 'new'), { ok: true, revision: 8 })
    await store.close()
    const db = await levelOpener(join(member.directory, 'db'))()
    assert.equal((await db.get('mformat'))?.readBigUInt64BE(0), 3n)
    await db.close()
    const again = await cluster.start(member)
    assert.deepEqual([await told(again), again.revision()], [[MAPS[0], ['/registry/configmaps/default/c2', 'new', 4, 8, 3], LEASE], 8])
  }, FORMAT_2))

  it('that was killed holds what it had acknowledged', () => withFixture('killed', async (cluster, member) => {
    assert.deepEqual(await told(await cluster.start(member)), MAPS)
  }, FORMAT_2))
})

describe('a value that is damaged on the disk', () => {
  it('is refused wherever it is read, by the name of its key, and gets into no snapshot; all others are there', async () => {
    const cluster = new StoreCluster({ members: 1 })
    try {
      const member = cluster.member(1)
      const store = await cluster.start(member)
      for (const name of ['a', 'b', 'c']) await put(store, `/registry/configmaps/default/${name}`, `value of ${name}`)
      await store.close()
      const db = await levelOpener(join(member.directory, 'db'))()
      const key = 's/registry/configmaps/default/b'
      const whole = (await db.get(key)) as Buffer
      for (const at of [1, 7, 13, 18, whole.length - 1]) {
        const bytes = Buffer.from(whole)
        bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at)
        await db.put(key, bytes)
        assert.throws(() => readState(db, key.slice(1)), (e) => hasCode(e, 'STORE_CORRUPT'), `byte ${at}`)
      }
      // Another key's value in its place is damage, too.
      await db.put(key, (await db.get('s/registry/configmaps/default/a')) as Buffer)
      await db.close()
      const again = await cluster.start(member)
      const damaged = (e: Error) => hasCode(e, 'STORE_CORRUPT') && e.message.startsWith('the value of /registry/configmaps/default/b is damaged on this server\'s disk: restore a snapshot, or, ')
      await assert.rejects(again.get('/registry/configmaps/default/b'), damaged)
      await assert.rejects(again.list({ prefix: '/registry/' }), damaged)
      await assert.rejects(async () => { for await (const chunk of again.snapshot()) assert.ok(chunk) }, damaged)
      assert.equal((await again.get('/registry/configmaps/default/c'))?.value.toString(), 'value of c')
    } finally {
      await cluster.close()
    }
  })
})

describe('a store of a newer format', () => {
  it('is refused in a sentence, and left as it is', async () => {
    const cluster = new StoreCluster({ members: 1 })
    const member = cluster.member(1)
    try {
      const store = await cluster.start(member)
      await put(store, '/a', '1')
      await store.close()
      const db = await levelOpener(join(member.directory, 'db'))()
      const format = Buffer.alloc(8)
      format.writeBigUInt64BE(4n)
      await db.put('mformat', format)
      const before = await db.iterator().all()
      await db.close()
      await assert.rejects(cluster.start(member), (e: Error) => hasCode(e, 'STORE_FORMAT') && e.message === 'the store was written by a newer skiff (format 4, this one reads up to 3): install that release again, or restore a snapshot')
      const same = await levelOpener(join(member.directory, 'db'))()
      assert.deepEqual(await same.iterator().all(), before)
      await same.close()
    } finally {
      member.store = undefined
      await cluster.close()
    }
  })
})
