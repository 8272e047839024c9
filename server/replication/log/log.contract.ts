/** What every log storage must do; run by each implementation's test. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { encodeConfiguration, initialConfiguration } from '../../raft/configuration.ts'
import type { Entry, EntryKind, HardState, LogBase, Persist, Term } from '../../raft/types.ts'
import type { LogStorage } from '../contract.ts'
import { emptyLogState, MemoryLog } from './memory-log.ts'

export const members = initialConfiguration({ 1: 'one:6443', 2: 'two:6443' })

export function entry(index: number, term: Term, text = `entry ${index} of ${term}`, kind: EntryKind = 'normal'): Entry {
  return { index, term, kind, data: Buffer.from(text) }
}

export function persist(entries: readonly Entry[], hardState?: HardState): Persist {
  return { sequence: 1, hardState, snapshot: undefined, entries, nothing: false, messages: [] }
}

export interface LogUnderTest {
  readonly log: LogStorage
  /** Closes and opens it again. */
  readonly reopen: () => Promise<LogStorage>
  /** Does what the state machine's last batch of an installation does. */
  readonly reset: (log: LogStorage, base: LogBase) => Promise<void>
  readonly close: () => Promise<void>
}

export function logContract(name: string, open: () => Promise<LogUnderTest>): void {
  const withLog = async (test: (under: LogUnderTest) => Promise<void>) => {
    const under = await open()
    try {
      await test(under)
    } finally {
      await under.close()
    }
  }

  describe(`log storage: ${name}`, () => {
    it('begins empty, with the members it was made for', () => withLog(async ({ log }) => {
      assert.deepEqual(log.recovered, { hardState: { term: 0, vote: 0 }, base: { index: 0, term: 0, configuration: members }, lastIndex: 0, terms: [], configurations: [] })
      assert.equal(log.sizeBytes, 0)
    }))

    it('finds all that was written when it is opened again', () => withLog(async ({ log, reopen }) => {
      const other = initialConfiguration({ 1: 'elsewhere:6443' })
      const change: Entry = { index: 3, term: 2, kind: 'configuration', data: encodeConfiguration(other) }
      await log.write([persist([entry(1, 1, '', 'empty'), entry(2, 1)], { term: 1, vote: 2 }), persist([change], { term: 2, vote: 0 })])
      const again = await reopen()
      assert.deepEqual(again.recovered, {
        hardState: { term: 2, vote: 0 },
        base: { index: 0, term: 0, configuration: members },
        lastIndex: 3,
        terms: [{ term: 1, firstIndex: 1 }, { term: 2, firstIndex: 3 }],
        configurations: [{ index: 3, configuration: other }],
      })
      assert.deepEqual(again.entries(1, 4, 1e6), [entry(1, 1, '', 'empty'), entry(2, 1), change])
      assert.equal(again.sizeBytes, log.sizeBytes)
    }))

    it('keeps the vote that was written alone', () => withLog(async ({ log, reopen }) => {
      await log.write([persist([], { term: 7, vote: Number.MAX_SAFE_INTEGER })])
      assert.deepEqual((await reopen()).recovered.hardState, { term: 7, vote: Number.MAX_SAFE_INTEGER })
    }))

    it('gives at least one entry, and then as many as fit', () => withLog(async ({ log }) => {
      await log.write([persist([entry(1, 1, 'aaaa'), entry(2, 1, 'bbbb'), entry(3, 1, 'cccc')], { term: 1, vote: 1 })])
      assert.deepEqual(log.entries(1, 4, 0).map((e) => e.index), [1])
      assert.deepEqual(log.entries(1, 4, 8).map((e) => e.index), [1, 2])
      assert.deepEqual(log.entries(2, 3, 100).map((e) => e.index), [2])
      assert.throws(() => log.entries(4, 5, 100))
    }))

    it('drops the old tail when entries are replaced, within one write and across', () => withLog(async ({ log, reopen }) => {
      await log.write([persist([1, 2, 3, 4, 5].map((i) => entry(i, 1)), { term: 1, vote: 1 })])
      await log.write([persist([entry(3, 2), entry(4, 2), entry(5, 2)], { term: 2, vote: 0 }), persist([entry(4, 3)], { term: 3, vote: 0 })])
      const again = await reopen()
      assert.deepEqual(again.entries(1, 5, 1e6), [entry(1, 1), entry(2, 1), entry(3, 2), entry(4, 3)])
      assert.deepEqual(again.recovered.terms, [{ term: 1, firstIndex: 1 }, { term: 2, firstIndex: 3 }, { term: 3, firstIndex: 4 }])
      assert.equal(again.sizeBytes, log.sizeBytes)
    }))

    it('forgets what it is compacted to, and goes on after it', () => withLog(async ({ log, reopen }) => {
      await log.write([persist([1, 2, 3, 4].map((i) => entry(i, 1)), { term: 1, vote: 1 })])
      const base = { index: 3, term: 1, configuration: members }
      await log.compact(base)
      await log.compact({ ...base, index: 2 })
      await log.write([persist([entry(5, 1)])])
      const again = await reopen()
      assert.deepEqual(again.recovered, { hardState: { term: 1, vote: 1 }, base, lastIndex: 5, terms: [{ term: 1, firstIndex: 4 }], configurations: [] })
      assert.deepEqual(again.entries(4, 6, 1e6), [entry(4, 1), entry(5, 1)])
    }))

    it('says what to drop so that so much stays', () => withLog(async ({ log }) => {
      const entries = Array.from({ length: 200 }, (_, i) => entry(i + 1, 1, 'x'.repeat(952)))
      await log.write([persist(entries, { term: 1, vote: 1 })])
      assert.equal(log.sizeBytes, 200_000)
      const index = log.indexKeeping(50_000, 200) ?? 0
      assert.ok(index > 110 && index <= 150, `keeps what is after ${index}`)
      assert.ok((log.indexKeeping(0, 100) ?? 0) <= 100)
      assert.equal(log.indexKeeping(0, 0), undefined)
      await log.compact({ index, term: 1, configuration: members })
      assert.equal(log.sizeBytes, (200 - index) * 1000)
    }))

    it('is what a received snapshot makes of it', () => withLog(async ({ log, reopen, reset }) => {
      await log.write([persist([1, 2, 3].map((i) => entry(i, 1)), { term: 4, vote: 1 })])
      const base = { index: 10, term: 3, configuration: members }
      await reset(log, base)
      assert.equal(log.sizeBytes, 0)
      await log.write([persist([entry(11, 4)])])
      const again = await reopen()
      assert.deepEqual(again.recovered, { hardState: { term: 4, vote: 1 }, base, lastIndex: 11, terms: [{ term: 4, firstIndex: 11 }], configurations: [] })
      assert.deepEqual(again.entries(11, 12, 1e6), [entry(11, 4)])
    }))

    it('does as the naive one does, whatever is written, replaced, compacted and opened again', async () => {
      const step = fc.oneof(
        { weight: 6, arbitrary: fc.record({ kind: fc.constant('write' as const), parts: fc.array(fc.record({ back: fc.nat(5), count: fc.nat(40), size: fc.nat(100), later: fc.boolean() }), { minLength: 1, maxLength: 3 }) }) },
        { weight: 2, arbitrary: fc.record({ kind: fc.constant('compact' as const), keep: fc.nat(3000) }) },
        { weight: 1, arbitrary: fc.record({ kind: fc.constant('reset' as const), ahead: fc.nat(10) }) },
        { weight: 1, arbitrary: fc.record({ kind: fc.constant('reopen' as const) }) },
      )
      await fc.assert(fc.asyncProperty(fc.array(step, { maxLength: 15 }), (steps) => withLog(async (under) => {
        let { log } = under
        const naive = new MemoryLog(emptyLogState(members))
        const { state } = naive
        const base = (index: number): LogBase => ({ index, term: state.entries.find((e) => e.index === index)?.term ?? state.base.term, configuration: members })
        let term = 1
        for (const s of steps) {
          if (s.kind === 'write') {
            let last = state.base.index + state.entries.length
            const persists = s.parts.map((part) => {
              if (part.later || part.back > 0) term++
              const first = Math.max(state.base.index + 1, last + 1 - part.back)
              if (part.count > 0) last = first + part.count - 1
              return persist(Array.from({ length: part.count }, (_, i) => entry(first + i, term, 'd'.repeat(part.size))), { term, vote: 1 })
            })
            await log.write(persists)
            await naive.write(persists)
          } else if (s.kind === 'compact') {
            const index = log.indexKeeping(s.keep, state.base.index + state.entries.length)
            if (index !== undefined && index > state.base.index) {
              const to = base(index)
              await Promise.all([log.compact(to), naive.compact(to)])
            }
          } else if (s.kind === 'reset') {
            const to = { ...base(0), index: state.base.index + state.entries.length + s.ahead, term }
            await under.reset(log, to)
            naive.wasReset(to)
          } else log = await under.reopen()
        }
        log = await under.reopen()
        assert.deepEqual(log.recovered, new MemoryLog(state).recovered)
        const low = state.base.index + 1
        if (state.entries.length > 0) assert.deepEqual(log.entries(low, low + state.entries.length, 1e9), state.entries)
        assert.ok(Math.abs(log.sizeBytes - naive.sizeBytes) <= 32 * 148, `${log.sizeBytes} bytes, ${naive.sizeBytes} of the naive one`)
      })), { numRuns: 25 })
    })
  })
}
