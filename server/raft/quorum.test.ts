import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { cannotHaveQuorum, hasQuorum, quorumValue } from './quorum.ts'
import type { Configuration } from './types.ts'

const members = fc.uniqueArray(fc.integer({ min: 1, max: 9 }), { maxLength: 7 })
const configuration = fc.record({ voters: members, outgoing: members }).map((c): Configuration => ({ ...c, learners: [], joining: [], addresses: {} }))
const values = fc.array(fc.nat({ max: 20 }), { minLength: 10, maxLength: 10 })

/** The same by sorting: what the one in the middle has, more than half have reached. */
function naiveValue(voters: readonly number[], of: readonly number[]): number {
  const sorted = voters.map((v) => of[v] ?? 0).sort((a, b) => b - a)
  return sorted[Math.floor(voters.length / 2)] ?? 0
}

describe('quorum', () => {
  it('value is what the middle one of each half has reached', () => {
    fc.assert(fc.property(configuration, values, (c, of) => {
      const expected = c.outgoing.length === 0 ? naiveValue(c.voters, of) : Math.min(naiveValue(c.voters, of), naiveValue(c.outgoing, of))
      assert.equal(quorumValue(c, (m) => of[m] ?? 0), expected)
    }))
  })

  it('is there for exactly the values up to it', () => {
    fc.assert(fc.property(configuration.filter((c) => c.voters.length > 0), values, fc.integer({ min: 1, max: 20 }), (c, of, value) => {
      assert.equal(hasQuorum(c, (m) => (of[m] ?? 0) >= value), value <= quorumValue(c, (m) => of[m] ?? 0))
    }))
  })

  it('cannot be two that share nobody, and is lost exactly when the others cannot make one', () => {
    fc.assert(fc.property(configuration, fc.array(fc.boolean(), { minLength: 10, maxLength: 10 }), (c, side) => {
      const one = hasQuorum(c, (m) => side[m] === true)
      assert.ok(!(one && hasQuorum(c, (m) => side[m] !== true)))
      assert.equal(cannotHaveQuorum(c, (m) => side[m] !== true), !one)
    }))
  })

  it('is never there without voters', () => {
    const nobody: Configuration = { voters: [], outgoing: [], learners: [1], joining: [], addresses: {} }
    assert.deepEqual([hasQuorum(nobody, () => true), quorumValue(nobody, () => 7)], [false, 0])
  })
})
