import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { CodedError } from '#base/errors.ts'
import { levelOpener } from '#server/store/open-level.ts'
import { openLevelLog, type LogDatabase } from './level-log.ts'
import { entryKey } from './log-codec.ts'
import { entry, logContract, members, persist } from './log.contract.ts'

const root = mkdtempSync(join(tmpdir(), 'level-log-'))
after(() => rmSync(root, { recursive: true }))
let count = 0
const options = { initial: members }

async function openAt(directory: string): Promise<LogDatabase> {
  return levelOpener(directory)()
}

logContract('LevelDB', async () => {
  const directory = join(root, String(count++))
  let db = await openAt(directory)
  return {
    log: await openLevelLog(db, options),
    reopen: async () => {
      await db.close()
      db = await openAt(directory)
      return openLevelLog(db, options)
    },
    reset: async (log, base) => {
      await db.batch([...log.resetOps(base)], { sync: true })
      log.wasReset(base)
    },
    close: () => db.close(),
  }
})

describe('the log on LevelDB', () => {
  async function written(): Promise<{ directory: string; db: LogDatabase }> {
    const directory = join(root, String(count++))
    const db = await openAt(directory)
    const log = await openLevelLog(db, options)
    await log.write([persist([1, 2, 3, 4, 5].map((i) => entry(i, 1)), { term: 1, vote: 1 })])
    return { directory, db }
  }

  it('refuses an entry that changed, names it and says what to do', async () => {
    const { db } = await written()
    const value = Buffer.from(db.getSync(entryKey(3), { valueEncoding: 'buffer' }) ?? '')
    value[value.length - 1] = (value[value.length - 1] ?? 0) ^ 1
    await db.put(entryKey(3), value)
    await assert.rejects(openLevelLog(db, options), (error: CodedError) => error.code === 'RAFT_LOG_DAMAGED' && error.details.index === 3 && /entry 3 fails its checksum.*remove this one \(kubectl delete node\).*restore a snapshot/.test(error.message))
    await db.close()
  })

  it('refuses a log with a gap, a lost end, an entry in the wrong place, and one without its beginning', async () => {
    const damages: [(db: LogDatabase) => Promise<void>, RegExp][] = [
      [(db) => db.del(entryKey(2)), /entry 2 is missing/],
      [(db) => db.del(entryKey(5)), /entry 5 is missing/],
      [async (db) => db.put(entryKey(4), Buffer.from(db.getSync(entryKey(5), { valueEncoding: 'buffer' }) ?? '')), /entry 4 fails its checksum/],
      [(db) => db.del('rb'), /what it begins after is missing/],
      [(db) => db.del('rt'), /where it ends is missing/],
      [(db) => db.del('rh'), /entry 1 is of term 1, which this server has not reached/],
      [(db) => db.put('rh', Buffer.from('nonsense')), /term and vote fails its checksum/],
    ]
    for (const [damage, message] of damages) {
      const { db } = await written()
      await damage(db)
      await assert.rejects(openLevelLog(db, options), (error: CodedError) => error.code === 'RAFT_LOG_DAMAGED' && message.test(error.message), String(message))
      await db.close()
    }
  })

  it('finds a damaged entry when it is read later', async () => {
    const { db } = await written()
    const log = await openLevelLog(db, options)
    await db.put(entryKey(2), Buffer.from('something else'))
    assert.throws(() => log.entries(1, 6, 1e6), { code: 'RAFT_LOG_DAMAGED' })
    await db.close()
  })

  it('cuts what is beyond the end that was synced', async () => {
    const { db } = await written()
    await db.put(entryKey(6), Buffer.from('never acknowledged'))
    const log = await openLevelLog(db, options)
    assert.equal(log.recovered.lastIndex, 5)
    assert.equal(db.getSync(entryKey(6)), undefined)
    await db.close()
  })

  it('removes what a compaction left behind that a power cut lost', async () => {
    const { db } = await written()
    const log = await openLevelLog(db, options)
    const second = db.getSync(entryKey(2), { valueEncoding: 'buffer' })
    await log.compact({ index: 3, term: 1, configuration: members })
    assert.ok(second)
    await db.put(entryKey(2), second)
    const again = await openLevelLog(db, options)
    assert.deepEqual([again.recovered.base.index, again.recovered.lastIndex], [3, 5])
    assert.equal(db.getSync(entryKey(2)), undefined)
    await db.close()
  })

  it('refuses what a newer release wrote', async () => {
    const { db } = await written()
    const { crc32 } = await import('node:zlib')
    const body = Buffer.concat([Buffer.from([2]), Buffer.alloc(12), Buffer.from('?')])
    const value = Buffer.concat([Buffer.alloc(4), body])
    value.writeUInt32BE(crc32(body, crc32('rb')))
    await db.put('rb', value)
    await assert.rejects(openLevelLog(db, options), { code: 'RAFT_LOG_FORMAT' })
    await db.close()
  })

  it('loses a write that was cut off at any byte as a whole, and nothing before it', async () => {
    const { directory, db } = await written()
    const log = await openLevelLog(db, options)
    const file = join(directory, readdirSync(directory).find((f) => f.endsWith('.log')) ?? '')
    const beforeBytes = statSync(file).size
    await log.write([persist([6, 7, 8].map((i) => entry(i, 2)), { term: 2, vote: 0 })])
    await db.close()
    const whole = readFileSync(file)
    const copies = readdirSync(directory).filter((f) => f !== 'LOCK').map((f) => [f, readFileSync(join(directory, f))] as const)
    for (let bytes = beforeBytes; bytes <= whole.length; bytes += bytes + 7 < whole.length ? 7 : 1) {
      const torn = mkdtempSync(join(root, 'torn-'))
      for (const [name, content] of copies) writeFileSync(join(torn, name), content)
      const tornFile = join(torn, file.slice(directory.length + 1))
      truncateSync(tornFile, bytes)
      const again = await openAt(torn)
      const { recovered } = await openLevelLog(again, options)
      const isWhole = bytes === whole.length
      assert.deepEqual({ lastIndex: recovered.lastIndex, term: recovered.hardState.term }, isWhole ? { lastIndex: 8, term: 2 } : { lastIndex: 5, term: 1 }, `cut at ${bytes} of ${whole.length}`)
      await again.close()
    }
  })

  it('writes nothing where there is no room, and goes on when there is', async () => {
    const directory = join(root, String(count++))
    const db = await openAt(directory)
    let isFull = false
    const log = await openLevelLog(db, { ...options, assertRoom: () => { if (isFull) throw new CodedError('DISK_FULL', 'no room') } })
    isFull = true
    await assert.rejects(log.write([persist([entry(1, 1)], { term: 1, vote: 1 })]), { code: 'DISK_FULL' })
    isFull = false
    await log.write([persist([entry(1, 1)], { term: 1, vote: 1 })])
    assert.equal((await openLevelLog(db, options)).recovered.lastIndex, 1)
    await db.close()
  })
})
