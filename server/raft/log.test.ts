import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { emptyConfiguration } from './configuration.ts'
import { RaftLog } from './log.ts'
import type { Entry } from './types.ts'

type Step =
  | { do: 'append'; count: number; termUp: number; bytes: number }
  | { do: 'truncate'; at: number }
  | { do: 'persist' }
  | { do: 'compact'; at: number }
  | { do: 'shrink'; at: number; bytes: number }

const fraction = fc.double({ min: 0, max: 1, noNaN: true })
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ do: fc.constant('append' as const), count: fc.integer({ min: 1, max: 5 }), termUp: fc.integer({ min: 0, max: 2 }), bytes: fc.nat({ max: 20 }) }),
  fc.record({ do: fc.constant('truncate' as const), at: fraction }),
  fc.record({ do: fc.constant('persist' as const) }),
  fc.record({ do: fc.constant('compact' as const), at: fraction }),
  fc.record({ do: fc.constant('shrink' as const), at: fraction, bytes: fc.nat({ max: 60 }) }),
)

/** All entries in one array, and another for the disk. */
class NaiveLog {
  entries: Entry[] = []
  disk: Entry[] = []
  base = { index: 0, term: 0 }

  get last(): number {
    return this.base.index + this.entries.length
  }

  term(index: number): number | undefined {
    return index === this.base.index ? this.base.term : this.entries[index - this.base.index - 1]?.term
  }
}

describe('the log', () => {
  it('knows terms, entries and configurations like one that keeps everything in memory', () => {
    fc.assert(fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const naive = new NaiveLog()
      const read = (low: number, high: number, bytesMax: number) => within(naive.disk.filter((e) => e.index >= low && e.index < high), bytesMax)
      const log = new RaftLog({ hardState: { term: 0, vote: 0 }, base: { index: 0, term: 0, configuration: emptyConfiguration }, lastIndex: 0, terms: [], configurations: [], applied: 0, partialSnapshot: undefined }, { entries: read })
      let term = 1
      for (const s of steps) {
        const at = 'at' in s ? naive.base.index + 1 + Math.floor(s.at * naive.entries.length) : 0
        if (s.do === 'append') {
          term += s.termUp
          const entries = Array.from({ length: s.count }, (_, i): Entry => ({ term, index: naive.last + 1 + i, kind: 'normal', data: Buffer.alloc(s.bytes) }))
          log.append(entries)
          naive.entries.push(...entries)
        } else if (s.do === 'truncate' && at <= naive.last) {
          log.truncateFrom(at)
          naive.entries.length = at - naive.base.index - 1
          term++
        } else if (s.do === 'persist') {
          naive.disk = [...naive.entries]
          log.queued = log.lastIndex
          log.persisted = log.lastIndex
        } else if (s.do === 'compact' && at <= log.persisted) {
          naive.base = { index: at, term: naive.term(at) ?? 0 }
          naive.entries = naive.entries.filter((e) => e.index > at)
          naive.disk = naive.disk.filter((e) => e.index > at)
          log.compactTo(at)
        } else if (s.do === 'shrink') log.shrink(at, s.bytes)
        same(log, naive)
      }
    }))
  })

  it('finds where two logs may agree by whole terms', () => {
    const log = new RaftLog({ hardState: { term: 0, vote: 0 }, base: { index: 4, term: 2, configuration: emptyConfiguration }, lastIndex: 20, terms: [{ term: 3, firstIndex: 5 }, { term: 5, firstIndex: 10 }, { term: 8, firstIndex: 15 }], configurations: [], applied: 4, partialSnapshot: undefined }, { entries: () => [] })
    const cases = [[30, 9, 20], [20, 8, 20], [20, 7, 14], [20, 4, 9], [12, 5, 12], [12, 2, 4], [20, 1, 4], [3, 9, 3]] as const
    for (const [index, term, found] of cases) assert.equal(log.lastIndexWithTermUpTo(index, term), found, `up to ${index} with term ${term}`)
  })
})

function within(entries: readonly Entry[], bytesMax: number): Entry[] {
  const found: Entry[] = []
  let bytes = 0
  for (const entry of entries) {
    bytes += entry.data.length
    if (found.length > 0 && bytes > bytesMax) break
    found.push(entry)
  }
  return found
}

function same(log: RaftLog, naive: NaiveLog): void {
  assert.deepEqual([log.lastIndex, log.base.index, log.lastTerm], [naive.last, naive.base.index, naive.term(naive.last)])
  for (let i = Math.max(0, naive.base.index - 1); i <= naive.last + 1; i++) assert.equal(log.term(i), i < naive.base.index ? undefined : naive.term(i), `term of ${i}`)
  for (let low = naive.base.index + 1; low <= naive.last; low++) {
    const got: Entry[] = []
    // As much as fits, again and again, is everything once.
    while (low + got.length <= naive.last) got.push(...log.slice(low + got.length, naive.last, 25))
    assert.deepEqual(got.map((e) => `${e.index}.${e.term}`), naive.entries.filter((e) => e.index >= low).map((e) => `${e.index}.${e.term}`))
  }
}
