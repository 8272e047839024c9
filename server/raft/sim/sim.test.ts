import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { simulate, traceOf } from './simulate.ts'

/** `scripts/simulate-raft.sh SEEDS FIRST` goes on from here. */
const SEEDS = 2500

describe('Raft in simulated worlds', () => {
  it(`keeps its promises in each of ${SEEDS} seeded worlds, and works again when all has healed`, () => {
    const tally = simulate(1, SEEDS)
    assert.equal(tally.seeds, SEEDS)
    // Worlds in which nothing is ever written or read would prove nothing.
    assert.ok(tally.accepted > 50 * SEEDS && tally.reads > 30 * SEEDS, JSON.stringify(tally))
  })

  it('replays a seed step by step', () => {
    assert.deepEqual(traceOf(7), traceOf(7))
  })
})
