import assert from 'node:assert/strict'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { FakeClock } from '#base/clock-fake.ts'
import { silentLog } from '#base/log.ts'
import { openHistoryDirectory } from './history-directory.ts'
import { History, HISTORY_LIMITS } from './history.ts'
import type { HistorySpill } from './spilled-events.ts'
import type { KeyValue, Revision, WatchEvent } from './store.ts'

const item = (key: string, revision: number, bytes: number): KeyValue => ({ key, value: Buffer.alloc(bytes, `${revision} `), createRevision: 1, modRevision: revision, version: 1 })
const change = (key: string, revision: number, bytes: number, before?: number): WatchEvent => ({ kind: 'put', key, revision, current: item(key, revision, bytes), previous: before === undefined || before <= 0 ? undefined : item(key, before, bytes) })
/** As a cluster of a hundred objects has it: each changed again and again. */
const KEYS = 100
const keyOf = (revision: number): string => `/registry/core/configmaps/default/object-${revision % KEYS}`

describe('history in memory alone', () => {
  it('reaches back 10,000 changes of objects of half a kilobyte, and 20,000 creations', () => {
    const changes = new History(0)
    for (let r = 1; r <= 30_000; r++) changes.append([change(keyOf(r), r, 500, r - KEYS)])
    assert.ok(30_000 - changes.compactRevision >= 10_000, String(30_000 - changes.compactRevision))
    const creations = new History(0)
    for (let r = 1; r <= 30_000; r++) creations.append([change(`/registry/pods/default/pod-${r}`, r, 5_000)])
    assert.equal(creations.compactRevision, 10_000)
    assert.equal([...creations.since('/registry/pods/', 10_000)].length, 20_000)
  })

  it('never cuts a transaction in two: what is asked for before the cut is refused, after it all is there', () => {
    const history = new History(0, { ...HISTORY_LIMITS, eventsMax: 10, bytesMax: 1e9 })
    for (let r = 1; r <= 20; r++) history.append([change('/a', r, 1), change('/b', r, 1), change('/c', r, 1)])
    const { compactRevision } = history
    assert.equal(compactRevision, 17)
    assert.throws(() => history.since('/', compactRevision - 1).next(), { code: 'STORE_COMPACTED', details: { compactRevision } })
    assert.deepEqual([...history.since('/', compactRevision)].map((g) => [g.revision, g.events.length]), [[18, 3], [19, 3], [20, 3]])
  })
})

/** The disk as a map. */
class FakeSpill implements HistorySpill {
  readonly clock = new FakeClock()
  readonly files = new Map<number, Buffer>()
  readonly failures: string[] = []
  bytesMax = Infinity
  refuses: string | undefined
  /** Writes wait for it. */
  gate: Promise<void> | undefined
  #nextId = 1

  newId(): number { return this.#nextId++ }
  async write(id: number, segment: Buffer): Promise<{ bytesMax: number }> {
    await this.gate
    if (this.refuses !== undefined) throw new Error(this.refuses)
    this.files.set(id, segment)
    return { bytesMax: this.bytesMax }
  }
  read(id: number): Buffer {
    const found = this.files.get(id)
    if (!found) throw new Error(`there is no ${id}`)
    return found
  }
  remove(id: number): void { this.files.delete(id) }
  failed(error: Error): void { this.failures.push(error.message) }
}

describe('history with a place on the disk', () => {
  /** So many changes of so large objects, as fast as the disk takes them. */
  async function changed(history: History, from: Revision, to: Revision, bytes: number, each?: (r: Revision) => void): Promise<void> {
    for (let r = from; r <= to; r++) {
      history.append([change(keyOf(r), r, bytes, r - KEYS)])
      each?.(r)
      await history.spilling
    }
  }
  const seen = (history: History, prefix: string, after: Revision) => [...history.since(prefix, after)].flatMap((g) => g.events)

  it('reaches back 10,000 changes of large objects, whatever their size', async () => {
    const spill = new FakeSpill()
    const history = new History(0, HISTORY_LIMITS, spill)
    await changed(history, 1, 11_000, 2_000)
    assert.ok(11_000 - history.compactRevision >= 10_000, String(history.compactRevision))
    const events = seen(history, '/registry/core/configmaps/default/object-7', history.compactRevision).filter((e) => e.key === keyOf(7))
    assert.ok(events.length >= 100)
    for (const event of events) assert.deepEqual(event, change(event.key, event.revision, 2_000, event.revision - KEYS))
    assert.deepEqual(history.before(keyOf(7), 10_900).get(keyOf(7)), item(keyOf(7), 10_907 - KEYS, 2_000))
    assert.ok(spill.files.size > 0)
  })

  it('reaches back ten minutes where that is less, and does not keep what is older', async () => {
    const spill = new FakeSpill()
    const history = new History(0, HISTORY_LIMITS, spill)
    const perSecond = 4
    let old = 0
    for (let second = 0; second < 1_500; second++) {
      await changed(history, second * perSecond + 1, (second + 1) * perSecond, 10_000)
      await spill.clock.advance(1_000)
      const promised = (second - 600) * perSecond
      assert.ok(history.compactRevision <= Math.max(0, promised), `after ${second} s it reaches back to ${history.compactRevision}, ten minutes ago was ${promised}`)
      old = promised - history.compactRevision
    }
    assert.ok(old < 60 * perSecond, `${old} events are older`)
  })

  it('writes nothing to the disk while memory has room, or what is there is old', async () => {
    const spill = new FakeSpill()
    const history = new History(0, HISTORY_LIMITS, spill)
    await changed(history, 1, 700, 11_000)
    await spill.clock.advance(611_000)
    await changed(history, 701, 1_400, 11_000)
    assert.deepEqual([spill.files.size, spill.failures], [0, []])
    assert.ok(history.compactRevision > 0)
  })

  it('tells what a naive one tells, whatever comes, is compacted, or finds no room', async () => {
    const limits = { eventsMax: 60, bytesMax: 3_000, promisedEvents: 40, promisedMs: 60_000 }
    const step = fc.oneof(
      { weight: 10, arbitrary: fc.record({ keys: fc.uniqueArray(fc.integer({ min: 0, max: 5 }), { minLength: 1, maxLength: 3 }), bytes: fc.integer({ min: 0, max: 2_000 }), gone: fc.boolean() }) },
      fc.record({ compact: fc.integer({ min: 0, max: 10 }) }),
      fc.record({ advanceMs: fc.integer({ min: 0, max: 40_000 }) }),
      fc.record({ bytesMax: fc.integer({ min: 0, max: 4_000 }) }),
      fc.record({ refuses: fc.boolean() }),
      fc.constant('settle' as const),
    )
    await fc.assert(fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 150 }), async (steps) => {
      const spill = new FakeSpill()
      const history = new History(0, limits, spill)
      const all: WatchEvent[] = []
      const present = new Map<string, KeyValue>()
      let revision = 0
      const check = () => {
        for (let after = history.compactRevision; after <= revision; after++) {
          assert.deepEqual(seen(history, '/k', after), all.filter((e) => e.revision > after && e.key.startsWith('/k')))
          const then = new Map<string, KeyValue | undefined>()
          for (const e of all) if (e.revision > after && !then.has(e.key)) then.set(e.key, e.previous)
          assert.deepEqual(history.before('', after), then)
        }
        if (history.compactRevision > 0) assert.throws(() => history.before('', history.compactRevision - 1), { code: 'STORE_COMPACTED' })
      }
      for (const s of steps) {
        if (s === 'settle') {
          await history.spilling
          check()
        } else if ('compact' in s) history.compact(Math.min(revision, history.compactRevision + s.compact))
        else if ('advanceMs' in s) await spill.clock.advance(s.advanceMs)
        else if ('bytesMax' in s) spill.bytesMax = s.bytesMax
        else if ('refuses' in s) spill.refuses = s.refuses ? 'no room' : undefined
        else {
          revision++
          const events = s.keys.map((k): WatchEvent => {
            const key = `/${k % 2 ? 'k' : 'o'}${k}`
            const current = s.gone ? undefined : item(key, revision, s.bytes)
            return { kind: current ? 'put' : 'delete', key, revision, current, previous: present.get(key) }
          })
          for (const { key, current } of events) {
            if (current) present.set(key, current)
            else present.delete(key)
          }
          all.push(...events)
          history.append(events)
          for (const [key, kv] of present) assert.ok([undefined, kv].includes(history.newest(key)?.current), key)
        }
      }
      await history.spilling
      check()
      history.discard()
      await history.spilling
      assert.equal(spill.files.size, 0)
    }), { numRuns: 150 })
  })

  it('holds a bounded part of it in memory while the disk is slow, and drops the oldest', async () => {
    const spill = new FakeSpill()
    const { promise, resolve } = Promise.withResolvers<void>()
    spill.gate = promise
    const history = new History(0, HISTORY_LIMITS, spill)
    for (let r = 1; r <= 9_000; r++) history.append([change(keyOf(r), r, 10_000, r - KEYS)])
    const kept = 9_000 - history.compactRevision
    assert.ok(kept * 10_000 <= 33 * 1024 * 1024 && kept * 10_000 > 30 * 1024 * 1024, `${kept} events`)
    resolve()
    await history.spilling
    assert.equal(9_000 - history.compactRevision, kept)
    assert.equal(seen(history, '', history.compactRevision).length, kept)
  })

  it('forgets what the disk has lost, and all before it', async () => {
    const spill = new FakeSpill()
    const history = new History(0, HISTORY_LIMITS, spill)
    await changed(history, 1, 3_000, 10_000)
    const [, second = 0] = spill.files.keys()
    const bytes = spill.files.get(second) as Buffer
    bytes.writeUInt8(bytes.readUInt8(40) ^ 1, 40)
    assert.throws(() => seen(history, '', 0), { code: 'STORE_COMPACTED' })
    assert.ok(history.compactRevision > 0)
    assert.equal(seen(history, '', history.compactRevision).length, 3_000 - history.compactRevision)
    assert.equal(spill.failures.length, 1)
  })
})

describe('the directory of history', () => {
  const events = Array.from({ length: 3_000 }, (_, i) => change(keyOf(i + 1), i + 1, 10_000, i + 1 - KEYS))
  async function withDirectory(use: (directory: string) => Promise<void>): Promise<void> {
    const parent = mkdtempSync(join(tmpdir(), 'history-'))
    try {
      await use(join(parent, 'history'))
    } finally {
      rmSync(parent, { recursive: true })
    }
  }
  async function filled(directory: string): Promise<History> {
    const history = new History(0, HISTORY_LIMITS, await openHistoryDirectory({ directory, clock: new FakeClock(), log: silentLog }))
    for (const event of events) {
      history.append([event])
      await history.spilling
    }
    return history
  }

  it('keeps what memory has no room for, for nobody else to read, and nothing afterwards', () => withDirectory(async (directory) => {
    const history = await filled(directory)
    assert.equal(history.compactRevision, 0)
    assert.deepEqual([...history.since('', 0)].flatMap((g) => g.events), events)
    const files = readdirSync(directory).map((name) => join(directory, name))
    assert.ok(files.length > 50)
    assert.deepEqual(new Set(files.map((f) => statSync(f).mode & 0o777)), new Set([0o600]))
    assert.equal(statSync(directory).mode & 0o777, 0o700)
    assert.ok(files.reduce((sum, f) => sum + statSync(f).size, 0) < 3_000 * 10_000 / 10, 'versions of an object are much alike')
    history.discard()
    assert.deepEqual(readdirSync(directory), [])
  }))

  it('is empty at each start, and not there before it is needed', () => withDirectory(async (directory) => {
    mkdirSync(directory)
    writeFileSync(join(directory, '1.zst'), 'of an earlier process')
    await openHistoryDirectory({ directory, clock: new FakeClock(), log: silentLog })
    assert.ok(!existsSync(directory))
  }))

  it('a file that was changed or removed is history that was compacted', () => withDirectory(async (directory) => {
    const history = await filled(directory)
    const file = join(directory, '3.zst')
    const bytes = readFileSync(file)
    bytes.writeUInt8(bytes.readUInt8(bytes.length - 1) ^ 1, bytes.length - 1)
    writeFileSync(file, bytes)
    assert.throws(() => [...history.since('', 0)], { code: 'STORE_COMPACTED' })
    rmSync(join(directory, '20.zst'))
    const after = history.compactRevision
    assert.throws(() => [...history.since('', after)], { code: 'STORE_COMPACTED' })
    assert.deepEqual([...history.since('', history.compactRevision)].flatMap((g) => g.events), events.slice(history.compactRevision))
  }))
})
