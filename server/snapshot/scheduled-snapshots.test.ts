import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import { FakeClock } from '#base/clock-fake.ts'
import { CodedError } from '#base/errors.ts'
import { silentLog } from '#base/log.ts'
import { seededRandom } from '#base/random.ts'
import { MemoryStore } from '../store/store-memory.ts'
import { directoryStorage } from './directory-storage.ts'
import { keepSnapshots, type ScheduledSnapshots } from './scheduled-snapshots.ts'
import type { SnapshotStorage } from './snapshot-storage.ts'

const HOUR_MS = 3_600_000
const START_MS = Date.parse('2026-11-21T10:30:00Z')
/** On the hour, every six hours. */
const SIX_HOURS = { next: (afterMs: number) => (Math.floor(afterMs / (6 * HOUR_MS)) + 1) * 6 * HOUR_MS }
const at = (iso: string) => `snapshot-h1-${Date.parse(iso) / 1000}`

interface World { clock: FakeClock; directory: string; said: string[]; store: MemoryStore; begin: (more?: Partial<ScheduledSnapshots>) => { done: Promise<void>; stop: () => void }; /** Lets time pass, and what it set off come to its end. */ pass: (ms: number) => Promise<void> }

async function withWorld(run: (world: World) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'skiff-scheduled-'))
  const clock = new FakeClock(START_MS)
  const said: string[] = []
  const store = new MemoryStore()
  const stops: AbortController[] = []
  const world: World = {
    clock, directory, said, store,
    begin(more = {}) {
      const stop = new AbortController()
      stops.push(stop)
      const about = { apiVersion: 'v1', kind: 'Node', name: 'h1', uid: 'h1' }
      const events = { event: (_about: unknown, type: string, reason: string, message: string) => void said.push(`${type} ${reason} ${message}`), flush: async () => { /* nothing waits */ }, close() { /* nothing is held */ } }
      const source = { store, dataDir: directory, node: 'h1', cluster: 'c', secret: () => 's', clock, random: seededRandom(1) }
      const done = keepSnapshots({ schedule: SIX_HOURS, name: 'snapshot', retention: 2, directory: directoryStorage(join(directory, 's')), remote: undefined, ...more }, { source, events, about, log: silentLog }, stop.signal)
      return { done, stop: () => stop.abort() }
    },
    async pass(ms) {
      const before = said.length
      // Files are written in real time: the loop sleeps again when it is done with them.
      const settled = async () => {
        for (let i = 0; i < 12_000 && clock.pending === 0; i++) await new Promise((resolve) => { setTimeout(resolve, 5) })
      }
      await settled()
      for (let left = ms; left > 0; left -= HOUR_MS) {
        await clock.advance(Math.min(left, HOUR_MS))
        await settled()
      }
      assert.ok(said.length >= before)
    },
  }
  try {
    await run(world)
  } finally {
    for (const stop of stops) stop.abort()
    rmSync(directory, { recursive: true, force: true })
  }
}

const names = (directory: string) => readdirSync(join(directory, 's')).sort()

describe('scheduled snapshots', () => {
  it('are taken when they are due, and only the newest few are kept', () => withWorld(async ({ begin, pass, directory, said }) => {
    begin()
    await pass(600_000)
    assert.deepEqual(names(directory), [at('2026-11-21T10:40:00Z')], 'there was none: made up for after the start')
    await pass(20 * HOUR_MS)
    assert.deepEqual(names(directory), [at('2026-11-22T00:00:00Z'), at('2026-11-22T06:00:00Z')])
    assert.deepEqual(said.map((s) => s.split(' ').slice(0, 2).join(' ')), Array(5).fill('Normal SnapshotSaved'))
  }))

  it('a start soon after the last one takes none', () => withWorld(async ({ begin, pass, directory }) => {
    const first = begin()
    await pass(600_000)
    first.stop()
    await first.done
    begin()
    await pass(HOUR_MS)
    assert.equal(names(directory).length, 1)
  }))

  it('a clock that jumps ahead brings the next one at once, one that is set back loses none', () => withWorld(async ({ begin, pass, directory, clock }) => {
    begin()
    await pass(600_000)
    clock.jumpWall(100 * HOUR_MS)
    await pass(HOUR_MS)
    assert.equal(names(directory).length, 2)
    clock.jumpWall(-1000 * HOUR_MS)
    await pass(7 * HOUR_MS)
    assert.equal(names(directory).length, 2)
    assert.ok(Number(names(directory)[0]?.split('-')[2]) * 1000 < START_MS, 'the one just taken is kept, though its name is the oldest')
  }))

  it('a failure is told by an Event, leaves nothing behind and ends nothing', () => withWorld(async ({ begin, pass, directory, said, store }) => {
    writeFileSync(join(directory, 's'), 'in the way')
    begin()
    await pass(600_000)
    assert.match(said[0] ?? '', /^Warning SnapshotFailed a scheduled snapshot could not be taken: .*(EEXIST|ENOTDIR|not a directory)/)
    rmSync(join(directory, 's'))
    await pass(2 * HOUR_MS)
    assert.deepEqual(names(directory), [at('2026-11-21T12:00:00Z')])
    await store.close()
    await pass(6 * HOUR_MS)
    assert.match(said.at(-1) ?? '', /Warning SnapshotFailed .*the store is closed/)
    assert.deepEqual(names(directory), [at('2026-11-21T12:00:00Z')])
  }))

  it('go to S3 as well, which is asked for each time; when that fails the directory has it all the same', () => withWorld(async ({ begin, pass, directory, said }) => {
    const other = directoryStorage(join(directory, 'elsewhere'))
    let asked = 0
    const remote = async (): Promise<SnapshotStorage> => {
      if (asked++ === 1) throw new CodedError('S3_UNREACHABLE', 'the S3 storage s3.example.com cannot be reached')
      return other
    }
    begin({ remote })
    await pass(14 * HOUR_MS)
    assert.deepEqual((await other.list()).map((s) => s.name), [at('2026-11-22T00:00:00Z'), at('2026-11-21T18:00:00Z')])
    assert.deepEqual(names(directory), [at('2026-11-21T18:00:00Z'), at('2026-11-22T00:00:00Z')])
    assert.deepEqual(said.filter((s) => s.startsWith('Warning')), ['Warning SnapshotFailed a scheduled snapshot could not be stored elsewhere; it is in the directory: the S3 storage s3.example.com cannot be reached'])
  }))
})
