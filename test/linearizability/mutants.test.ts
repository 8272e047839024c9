/** A right store is never found wrong, a wrong one is found, and the search says what trying all orders would. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { seededRandom } from '#base/random.ts'
import { cellModel } from './cell-model.ts'
import { checkHistory } from './check-history.ts'
import type { Operation } from './history.ts'
import { checkLinearizable } from './linearizable.ts'
import { MUTANTS, simulate } from './store-simulation.test-support.ts'

const SEEDS = 60

describe('the checker over made-up histories', () => {
  it('finds nothing wrong with a right store', () => {
    for (let seed = 1; seed <= SEEDS; seed++) assert.deepEqual(checkHistory(simulate(seededRandom(seed), { clients: 2 + (seed % 5), operations: 100 })).faults, [], `seed ${seed}`)
  })

  it('needs no watch for that', () => {
    for (let seed = 1; seed <= SEEDS; seed++) assert.deepEqual(checkHistory({ ...simulate(seededRandom(seed), { clients: 3, operations: 60 }), watchers: [] }).faults, [], `seed ${seed}`)
  })

  for (const mutant of MUTANTS) {
    it(`finds out a store that is wrong in this way: ${mutant}`, () => {
      let found = 0
      for (let seed = 1; seed <= SEEDS; seed++) if (checkHistory(simulate(seededRandom(seed), { clients: 4, operations: 250, mutant, wrongness: 1.5 })).faults.length > 0) found++
      // A fault that no answer showed cannot be found: a few histories are right by luck.
      assert.ok(found >= SEEDS * 0.9, `${found} of ${SEEDS}`)
    })
  }

  it('agrees with trying every order', () => {
    const counts = { right: 0, wrong: 0 }
    for (let seed = 1; seed <= 1_500; seed++) {
      const random = seededRandom(seed)
      const { operations } = simulate(random, { clients: 3, operations: 12, wrongness: 5, ...(seed % 3 > 0 && { mutant: MUTANTS[seed % 12] as (typeof MUTANTS)[number] }) })
      const judged = operations.filter((op) => !(op.outcome.kind === 'unknown' && (op.action.kind === 'get' || op.action.kind === 'list')))
      const verdict = checkLinearizable(judged.map((op) => ({ op, callMs: op.callMs, returnMs: op.returnMs })), cellModel, 1_000_000)
      const isRight = hasOrder(judged)
      assert.equal(verdict.kind, isRight ? 'linearizable' : 'impossible', `seed ${seed}`)
      counts[isRight ? 'right' : 'wrong']++
    }
    assert.ok(counts.right > 300 && counts.wrong > 100, JSON.stringify(counts))
  })
})

/** The definition, without any cleverness. */
function hasOrder(left: readonly Operation[], state = cellModel.initial): boolean {
  if (left.every((op) => op.returnMs === Infinity)) return true
  return left.some((op) => {
    if (left.some((other) => other !== op && other.returnMs < op.callMs)) return false
    const after = cellModel.step(state, op)
    return after !== undefined && hasOrder(left.filter((o) => o !== op), after)
  })
}
