import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { systemClock } from '#base/clock.ts'
import { silentLog } from '#base/log.ts'
import { systemRandom } from '#base/random.ts'
import { levelOpener } from '../store/open-level.ts'
import { emptyConfiguration, initialConfiguration } from '../raft/configuration.ts'
import { openLevelLog } from '../replication/log/level-log.ts'
import { readMember } from './member-record.ts'
import { noTransport, openOwnStore, type OwnDataOptions } from './open-own-store.ts'
import { resetToOneServer } from './reset.ts'

const ADDRESS = '192.0.2.1:6443'

describe('a server\'s own data', () => {
  let directory: string
  beforeEach(() => { directory = mkdtempSync(join(tmpdir(), 'own-data-')) })
  afterEach(() => rmSync(directory, { recursive: true }))

  const options = (over: Partial<OwnDataOptions> = {}): OwnDataOptions => ({ directory, open: levelOpener(join(directory, 'db')), clusterInit: false, join: undefined, address: ADDRESS, assertRoom: () => { /* there is */ }, clock: systemClock, random: systemRandom, log: silentLog, ...over })
  const attach = () => Promise.resolve(noTransport)
  const put = (value: string) => ({ compare: [], ops: [{ kind: 'put' as const, key: '/a', value: Buffer.from(value) }] })
  const withDb = async <T>(use: (db: Awaited<ReturnType<ReturnType<typeof levelOpener>>>) => Promise<T>): Promise<T> => {
    const db = await levelOpener(join(directory, 'db'))()
    try {
      return await use(db)
    } finally {
      await db.close()
    }
  }

  it('of a single server become those of a cluster with --cluster-init, and stay so without', async () => {
    const alone = await openOwnStore(options(), attach)
    await alone.store.txn(put('1'))
    assert.equal(alone.member, undefined)
    await alone.store.close()
    const id = (await withDb(readMember))?.id
    for (const clusterInit of [true, false]) {
      const promoted = await openOwnStore(options({ clusterInit }), attach)
      assert.deepEqual([promoted.member?.record.id, promoted.member?.node.id, promoted.member?.record.clustered], [id, id, true])
      assert.equal((await promoted.store.get('/a'))?.value.toString(), '1')
      await promoted.store.close()
    }
  })

  it('cannot be taken into another cluster, and those of a removed server not be used at all', async () => {
    const alone = await openOwnStore(options(), attach)
    await alone.store.close()
    await assert.rejects(openOwnStore(options({ join: '192.0.2.9:6443' }), attach), { code: 'USAGE', message: /^--server: this machine has a cluster of its own/ })
    const { store, member } = await openOwnStore(options({ clusterInit: true }), attach)
    await member?.markRemoved()
    await store.close()
    await assert.rejects(openOwnStore(options(), attach), { code: 'MEMBER_REMOVED', message: /^this server was removed from its cluster: to join again as a new one, move \S+\/db away/ })
  })

  it('of one of three servers become a cluster of one that can be written to, with all that was in its log', async () => {
    const first = await openOwnStore(options({ clusterInit: true }), attach)
    await first.store.txn(put('kept'))
    const { revision } = await first.store.txn(put('newest'))
    await first.store.close()
    // As if two others belonged to it: alone it has no majority.
    const before = await withDb(async (db) => {
      const record = await readMember(db)
      const log = await openLevelLog(db, { initial: emptyConfiguration })
      const { base, lastIndex, terms } = log.recovered
      const reset = { index: lastIndex, term: terms.at(-1)?.term ?? base.term, configuration: initialConfiguration({ [record?.id ?? 1]: ADDRESS, 7: 'b:1', 8: 'c:1' }) }
      await db.batch([...log.resetOps(reset)], { sync: true })
      return record
    })
    const done = await resetToOneServer(options())
    assert.equal(done.servers, 3)
    assert.notEqual(done.member, before?.id)
    const again = await openOwnStore(options(), attach)
    assert.deepEqual([again.member?.record, again.member?.node.status().configuration.voters], [{ id: done.member, clustered: true, removed: false }, [done.member]])
    assert.equal((await again.store.get('/a'))?.value.toString(), 'newest')
    const written = await again.store.txn(put('after'))
    assert.ok(written.ok && written.revision > revision)
    await again.store.close()
  })

  it('are not made up by a reset where there are none', () => assert.rejects(resetToOneServer(options()), { code: 'USAGE', message: /^--cluster-reset: there is nothing of a cluster/ }))
})
