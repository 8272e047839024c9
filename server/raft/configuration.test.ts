import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { decodeConfiguration, emptyConfiguration, encodeConfiguration, initialConfiguration, isJoint, leaveJoint, membersOf, nextConfiguration, promoted } from './configuration.ts'
import type { Configuration, MemberChange } from './types.ts'

const three = initialConfiguration({ 1: 'a', 2: 'b', 3: 'c' })
const add = (member: number, address = `s${member}`): MemberChange => ({ kind: 'addVoter', member, address })
const remove = (member: number): MemberChange => ({ kind: 'remove', member })

const change = fc.record({ kind: fc.constantFrom('addVoter', 'addLearner', 'remove'), member: fc.integer({ min: 1, max: 6 }), address: fc.constantFrom('x', 'y') }) as fc.Arbitrary<MemberChange>

/** All that requests and promotions can make of a cluster of three. */
function walk(steps: readonly (readonly MemberChange[] | 'promote')[]): Configuration[] {
  const seen: Configuration[] = [three]
  let now: Configuration = three
  for (const step of steps) {
    if (isJoint(now)) now = leaveJoint(now)
    else now = step === 'promote' ? (now.joining.length > 0 ? promoted(now, now.joining) : now) : (nextConfiguration(now, step) ?? now)
    seen.push(now)
  }
  return seen
}

describe('configuration', () => {
  it('makes new members learners that are to become voters, and voters all together by a joint one', () => {
    const joining = nextConfiguration(three, [add(4), add(5)])
    assert.deepEqual(joining, { voters: [1, 2, 3], outgoing: [], learners: [4, 5], joining: [4, 5], addresses: { 1: 'a', 2: 'b', 3: 'c', 4: 's4', 5: 's5' } })
    const joint = promoted(joining, [4, 5])
    assert.deepEqual(joint, { ...joining, voters: [1, 2, 3, 4, 5], outgoing: [1, 2, 3], learners: [], joining: [] })
    assert.deepEqual(leaveJoint(joint), { ...joint, outgoing: [] })
  })

  it('keeps the address of a voter that leaves until it has left', () => {
    const joint = nextConfiguration(three, [remove(3)])
    assert.deepEqual(joint, { voters: [1, 2], outgoing: [1, 2, 3], learners: [], joining: [], addresses: { 1: 'a', 2: 'b', 3: 'c' } })
    assert.deepEqual(joint && leaveJoint(joint), { voters: [1, 2], outgoing: [], learners: [], joining: [], addresses: { 1: 'a', 2: 'b' } })
  })

  it('changes an address, and takes a vote away, without losing the member', () => {
    assert.deepEqual(nextConfiguration(three, [add(2, 'new')]), { ...three, addresses: { 1: 'a', 2: 'new', 3: 'c' } })
    assert.deepEqual(nextConfiguration(three, [{ kind: 'addLearner', member: 2, address: 'b' }]), { ...three, voters: [1, 3], outgoing: [1, 2, 3], learners: [2] })
  })

  it('refuses what leaves no voter, too many members and ids or addresses that cannot be', () => {
    const many = Array.from({ length: 70 }, (_, i) => add(10 + i))
    for (const changes of [[remove(1), remove(2), remove(3)], many, [add(0)], [add(1.5)], [add(4, 'x'.repeat(2000))]]) assert.equal(nextConfiguration(three, changes), undefined)
  })

  it('holds its lists sorted and apart, with an address for each member, whatever is asked of it; and is read as it was written', () => {
    fc.assert(fc.property(fc.array(fc.oneof(fc.array(change, { maxLength: 4 }), fc.constant('promote' as const)), { maxLength: 12 }), (steps) => {
      for (const c of walk(steps)) {
        for (const list of [c.voters, c.outgoing, c.learners, c.joining]) assert.deepEqual(list, [...new Set(list)].sort((a, b) => a - b))
        assert.ok(c.voters.length > 0)
        assert.ok(c.learners.every((m) => !c.voters.includes(m)) && c.joining.every((m) => c.learners.includes(m)))
        assert.deepEqual(Object.keys(c.addresses).map(Number), membersOf(c))
        assert.deepEqual(decodeConfiguration(encodeConfiguration(c)), c)
      }
    }))
  })

  it('says what is wrong with bytes that are none', () => {
    const bad = { ...emptyConfiguration, voters: ['1'] }
    for (const text of ['', '{', '[]', 'null', '{"addresses":{}}', '{"addresses":{"1":2}}', JSON.stringify(bad)]) {
      assert.throws(() => decodeConfiguration(Buffer.from(text)), { code: 'RAFT_CONFIGURATION_INVALID', message: /^a cluster configuration in the Raft log cannot be read: / })
    }
  })
})
