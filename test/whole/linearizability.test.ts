/** Clients that move between servers under kills, pauses and partitions saw what one store would have shown them. Longer: scripts/linearizability.sh. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { runTrial } from '../linearizability/trial.ts'

const SEED = 4

describe('what clients see on bad days', { timeout: 600_000 }, () => {
  it('is what one store would show: one server', async () => {
    const trial = await runTrial({ servers: 1, seconds: 15, seed: SEED })
    assert.deepEqual(trial.faults, [], trial.historyFile)
    assert.ok(trial.operations > 300 && trial.changes > 100 && trial.happened.length > 2, JSON.stringify(trial))
  })

  it('is what one store would show: three servers', async () => {
    const trial = await runTrial({ servers: 3, seconds: 45, seed: SEED })
    assert.deepEqual(trial.faults, [], trial.historyFile)
    assert.ok(trial.operations > 500 && trial.changes > 150 && trial.happened.length > 5, JSON.stringify(trial))
  })
})
