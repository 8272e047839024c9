import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { fuzzRound, printFailure } from './fuzz.ts'

const SECONDS = 8
const ROUND_REQUESTS = 200
/** Held after a round, with garbage not yet collected. */
const HEAP_GROWTH_BYTES_MAX = 400_000_000

describe('made-up requests', () => {
  it('never get a 500, never hang and never fill the memory', async () => {
    const untilMs = performance.now() + SECONDS * 1000
    const heapBefore = process.memoryUsage().heapUsed
    // The same rounds every time; scripts/fuzz.sh looks further.
    for (let seed = 1; performance.now() < untilMs; seed++) {
      const failure = await fuzzRound(seed, ROUND_REQUESTS, AbortSignal.timeout(Math.max(1, Math.round(untilMs - performance.now()))))
      assert.equal(failure && printFailure(failure), undefined)
    }
    const grown = process.memoryUsage().heapUsed - heapBefore
    assert.ok(grown < HEAP_GROWTH_BYTES_MAX, `the heap grew by ${grown} bytes`)
  })
})
