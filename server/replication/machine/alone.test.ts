import assert from 'node:assert/strict'
import { execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { it } from 'node:test'
import { FakeClock } from '#base/clock-fake.ts'
import { systemClock } from '#base/clock.ts'
import { hasCode } from '#base/errors.ts'
import { HEARTBEAT_FLUSH_MS, LAZY_FLUSH_MS, type Durability, type Op, type Store } from '#server/store/store.ts'
import { WRITE_BACK } from '#server/store/write-back.ts'
import { diskRoom } from '../log/disk-room.ts'
import { openAlone } from './alone.test-support.ts'
import { copyAsKilled } from './killed-copy.test-support.ts'

const open = (dir: string, clock = systemClock) => openAlone(join(dir, 'db'), clock)
const put = (store: Store, key: string, value: string, durability: Durability = 'synced') => store.txn({ compare: [], ops: [{ kind: 'put', key, value: Buffer.from(value) }], durability })

function temporary(): { dir: string; [Symbol.dispose](): void } {
  const dir = mkdtempSync(join(tmpdir(), 'skiff-alone-'))
  return { dir, [Symbol.dispose]: () => rmSync(dir, { recursive: true, force: true }) }
}

/** What LevelDB has appended. */
const logBytes = (dir: string): number => readdirSync(join(dir, 'db')).filter((f) => f.endsWith('.log')).reduce((sum, f) => sum + statSync(join(dir, 'db', f)).size, 0)

it('refuses a data directory that another store has open, naming the mend', async () => {
  using t = temporary()
  const first = await open(t.dir)
  await assert.rejects(open(t.dir), (e: Error) => hasCode(e, 'STORE_LOCKED') && /--data-dir/.test(e.message))
  await first.close()
})

it('refuses a store whose first file is gone, and leaves the others as they are', async () => {
  using t = temporary()
  const store = await open(t.dir)
  await put(store, '/a', '1')
  await store.close()
  rmSync(join(t.dir, 'db', 'CURRENT'))
  const files = readdirSync(join(t.dir, 'db'))
  await assert.rejects(open(t.dir), (e: Error) => hasCode(e, 'STORE_CORRUPT') && e.message.startsWith(`the store is damaged: ${join(t.dir, 'db', 'CURRENT')} is missing: restore a snapshot`))
  assert.deepEqual(readdirSync(join(t.dir, 'db')), files)
})

it('answers a delete that finds nothing with a revision at which the key was not there, whatever came right after it', async () => {
  using t = temporary()
  const store = await open(t.dir)
  const one = (op: Op) => store.txn({ compare: [], ops: [op] })
  const write = (key: string) => one({ kind: 'put', key, value: Buffer.from('1') })
  await write('/k')
  const [removed, nothing, again, other] = await Promise.all([one({ kind: 'delete', key: '/k' }), one({ kind: 'delete', key: '/k' }), write('/k'), write('/other')])
  assert.deepEqual([nothing.revision, again.revision, other.revision].map((r) => r - removed.revision), [0, 1, 2])
  await store.close()
})

it('writes lazy values back after five minutes without a synced write, and then waits for nothing', async () => {
  using t = temporary()
  const clock = new FakeClock()
  const store = await open(t.dir, clock)
  await clock.advance(1_000)
  const atRest = clock.pending
  await put(store, '/lazy', '1', 'lazy')
  assert.deepEqual([atRest, clock.pending], [0, 1])
  await clock.advance(LAZY_FLUSH_MS)
  // Into the log first, which takes the disk's own time; then, when more might have come, into the state.
  for (const untilMs = systemClock.monotonicMs() + 60_000; clock.pending === 0 && systemClock.monotonicMs() < untilMs;) await systemClock.sleep(1)
  await clock.advance(60_000)
  for (const untilMs = systemClock.monotonicMs() + 60_000; clock.pending > 0 && systemClock.monotonicMs() < untilMs;) await systemClock.sleep(1)
  assert.equal(clock.pending, 0)
  await store.close()
  const again = await open(t.dir)
  assert.equal((await again.get('/lazy'))?.value.toString(), '1')
  await again.close()
})

it('writes lazy values before they are many megabytes: one entry of the log has to carry them', async () => {
  using t = temporary()
  const store = await open(t.dir, new FakeClock())
  for (let i = 0; i < 40; i++) {
    await put(store, `/lazy/${i}`, 'x'.repeat(200_000), 'lazy')
    await put(store, '/same', `${i}`, 'lazy')
  }
  const killed = async () => {
    copyAsKilled(join(t.dir, 'db'), join(t.dir, 'killed', 'db'))
    const copy = await open(join(t.dir, 'killed'))
    const { items } = await copy.list({ prefix: '/lazy/' })
    await copy.close()
    return items
  }
  // It has been given to the disk when the last put is answered, and takes the disk's own time.
  let items = await killed()
  for (const untilMs = systemClock.monotonicMs() + 60_000; items.length < 33 && systemClock.monotonicMs() < untilMs;) items = await killed()
  assert.ok(items.length >= 33 && items.length < 40, `${items.length} of 40`)
  assert.deepEqual(items.map((i) => i.value.length), items.map(() => 200_000))
  await store.close()
})

it('writes nothing for the sake of heartbeats for an hour, and takes them along with what is written anyway', async () => {
  using t = temporary()
  const clock = new FakeClock()
  const store = await open(t.dir, clock)
  await put(store, '/lease', '1')
  const logged = () => logBytes(t.dir)
  const withoutState = logged()
  await clock.advance(WRITE_BACK.normal.stateMs)
  // What the log has comes to the state, in the disk's own time.
  for (const untilMs = systemClock.monotonicMs() + 60_000; (logged() === withoutState || clock.pending > 1) && systemClock.monotonicMs() < untilMs;) await systemClock.sleep(1)
  const before = logged()
  for (let at = 10_000; at < HEARTBEAT_FLUSH_MS; at += 10_000) {
    await put(store, '/lease', String(at), 'heartbeat')
    await clock.advance(10_000)
  }
  assert.deepEqual([logged() - before, (await store.get('/lease'))?.value.toString(), clock.pending], [0, '3590000', 1])
  await clock.advance(10_000)
  for (const untilMs = systemClock.monotonicMs() + 60_000; logged() === before && systemClock.monotonicMs() < untilMs;) await systemClock.sleep(1)
  assert.ok(logged() > before)
  await put(store, '/lease', 'last', 'heartbeat')
  await put(store, '/other', '1')
  // As after kill -9: what another process finds in a copy of the files.
  copyAsKilled(join(t.dir, 'db'), join(t.dir, 'copy'))
  const copy = await openAlone(join(t.dir, 'copy'))
  assert.equal((await copy.get('/lease'))?.value.toString(), 'last')
  await copy.close()
  await store.close()
})

it('waits longer with the profile gentle, but never with what is synced', async () => {
  using t = temporary()
  const clock = new FakeClock()
  const { lazyMs, stateMs } = WRITE_BACK.gentle
  const store = await openAlone(join(t.dir, 'db'), clock, undefined, WRITE_BACK.gentle)
  await put(store, '/synced', '1')
  const logged = logBytes(t.dir)
  await put(store, '/event', '1', 'lazy')
  await clock.advance(stateMs - 1_000)
  assert.equal(logBytes(t.dir), logged)
  copyAsKilled(join(t.dir, 'db'), join(t.dir, 'copy'))
  const copy = await openAlone(join(t.dir, 'copy'))
  assert.deepEqual([(await copy.get('/synced'))?.value.toString(), await copy.get('/event')], ['1', undefined])
  await copy.close()
  await clock.advance(1_000)
  const grows = async (than: number) => { for (const untilMs = systemClock.monotonicMs() + 60_000; logBytes(t.dir) === than && systemClock.monotonicMs() < untilMs;) await systemClock.sleep(1) }
  await grows(logged)
  const withState = logBytes(t.dir)
  await clock.advance(lazyMs - stateMs)
  await grows(withState)
  copyAsKilled(join(t.dir, 'db'), join(t.dir, 'later'))
  const later = await openAlone(join(t.dir, 'later'))
  assert.equal((await later.get('/event'))?.value.toString(), '1')
  await later.close()
  await store.close()
})

/** Writes as fast as it can, telling each acknowledged write on stdout, until it is killed. */
const WRITER = `
  const { openAlone } = await import(process.argv[1])
  const store = await openAlone(process.argv[2])
  console.log('open ' + store.revision())
  let i = 0
  await Promise.all(Array.from({ length: 8 }, async (_, w) => { for (;;) {
    const n = i++
    const r = await store.txn({ compare: [], ops: [{ kind: 'put', key: '/k' + w, value: Buffer.from(String(n)) }], durability: n % 5 === 0 ? 'lazy' : 'synced' })
    if (n % 5 !== 0) console.log('/k' + w + ' ' + n + ' ' + r.revision)
  } }))`

it('loses no acknowledged write and reuses no revision when killed with SIGKILL under writes, again and again', async () => {
  using t = temporary()
  const here = (f: string) => new URL(f, import.meta.url).href
  let highest = 1
  for (let round = 0; round < 8; round++) {
    const child = spawn(process.execPath, ['--input-type=module', '-e', WRITER, here('./alone.test-support.ts'), join(t.dir, 'db')], { stdio: ['ignore', 'pipe', 'inherit'] })
    const acknowledged = new Map<string, number>()
    let lines = 0
    for await (const line of createInterface({ input: child.stdout })) {
      const [key = '', n, revision] = line.split(' ')
      if (key === 'open') {
        assert.ok(Number(n) >= highest, `opened at revision ${n} after ${highest} had been acknowledged`)
        continue
      }
      acknowledged.set(key, Math.max(Number(n), acknowledged.get(key) ?? 0))
      highest = Math.max(highest, Number(revision))
      if (++lines === 200 + round * 37) child.kill('SIGKILL')
    }
    const store = await open(t.dir)
    assert.ok(store.revision() >= highest)
    for (const [key, n] of acknowledged) assert.ok(Number((await store.get(key))?.value.toString()) >= n, `${key}: ${n} was acknowledged`)
    highest = store.revision()
    await store.close()
  }
})

it('turns read-only on a full disk, keeps what it acknowledged and recovers when space returns', { skip: process.getuid?.() !== 0 && 'needs root to mount a small file system' }, async () => {
  using t = temporary()
  const small = mkdtempSync(join(t.dir, 'small-'))
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=24m', 'tmpfs', small])
  const clock = new FakeClock()
  const openSmall = (c = systemClock) => openAlone(join(small, 'db'), c, diskRoom(small))
  try {
    const store = await openSmall(clock)
    await put(store, '/kept', 'yes')
    writeFileSync(join(small, 'ballast'), Buffer.alloc(12_000_000))
    const acknowledged: number[] = []
    let refused: unknown
    for (let i = 0; i < 400 && !refused; i++) await put(store, `/fill/${i}`, 'x'.repeat(50_000)).then(() => acknowledged.push(i), (e: unknown) => { refused = e })
    assert.ok(hasCode(refused, 'STORE_READ_ONLY'), String(refused))
    await assert.rejects(put(store, '/more', '1'), (e) => hasCode(e, 'STORE_READ_ONLY'))
    assert.equal((await store.get('/kept'))?.value.toString(), 'yes')
    execFileSync('rm', [join(small, 'ballast')])
    await clock.advance(5_000)
    assert.equal((await put(store, '/more', '1')).ok, true)
    for (const i of acknowledged) assert.equal((await store.get(`/fill/${i}`))?.value.length, 50_000)
    await store.close()
    const again = await openSmall()
    assert.equal((await again.get('/more'))?.value.toString(), '1')
    for (const i of acknowledged) assert.equal((await again.get(`/fill/${i}`))?.value.length, 50_000)
    await again.close()
  } finally {
    execFileSync('umount', [small])
  }
})
