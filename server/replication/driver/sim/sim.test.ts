import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { simulateDrivers, traceOfDrivers } from './simulate.ts'

/** `node server/replication/driver/sim/cli.ts SEEDS FIRST` goes on from here. */
const SEEDS = 120

describe('real drivers in simulated worlds', () => {
  it(`keep their promises in each of ${SEEDS} seeded worlds, and work again when all has healed`, async () => {
    const tally = await simulateDrivers(1, SEEDS)
    // Worlds in which nothing happens would prove nothing.
    assert.ok(tally.wrote > 50 * SEEDS && tally.read > 50 * SEEDS && tally.installed > SEEDS / 2 && tally.changed > SEEDS / 4, JSON.stringify(tally))
  })

  it('replay a seed step by step', async () => {
    assert.deepEqual(await traceOfDrivers(7), await traceOfDrivers(7))
  })
})
