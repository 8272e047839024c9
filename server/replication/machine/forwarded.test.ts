import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { FakeClock } from '#base/clock-fake.ts'
import type { Txn } from '#server/store/store.ts'
import { ForwardedWishes, type Asked } from './forwarded.ts'

const LEADER = 7
const put = (key: string, durability: Txn['durability'] = 'synced'): Asked['wish'] => ({ kind: 'txn', txn: { compare: [], ops: [{ kind: 'put', key, value: Buffer.from('1') }], durability } })

/** Notes each outcome: `a done 5`, `a unknown`, `a again`. */
function forwarder() {
  const clock = new FakeClock()
  const seen: string[] = []
  let isConnected = true
  const wishes = new ForwardedWishes({
    clock, firstId: 1, doubtMs: 1_000,
    send: () => isConnected,
    again: ({ wish }) => seen.push(`${nameOf(wish)} again`),
    unknown: () => new Error('unknown'),
  })
  const send = (wish: Asked['wish'], term = 3) => wishes.send({
    wish, untilMs: clock.monotonicMs() + 8_000,
    resolve: ({ revision }) => seen.push(`${nameOf(wish)} done ${revision}`),
    reject: (error) => seen.push(`${nameOf(wish)} ${error.message}`),
  }, LEADER, term)
  return { wishes, seen, clock, send, cut: () => { isConnected = false } }
}

const nameOf = (wish: Asked['wish']) => (wish.kind === 'txn' ? wish.txn.ops[0]?.key : wish.kind)

describe('what was handed to a leader', () => {
  it('is done when the log brings it, and never happened when the next leader begins without it', () => {
    const { wishes, seen, send } = forwarder()
    for (const key of ['a', 'b', 'c']) assert.ok(send(put(key)))
    wishes.logged([{ member: 1, id: 1, revision: 5 }], 3)
    // An entry that an earlier term left, of who had this number then.
    wishes.logged([{ member: 1, id: 2, revision: 6 }], 2)
    wishes.disconnected(LEADER)
    wishes.logged([{ member: 1, id: 3, revision: 7 }], 3)
    assert.deepEqual(seen, ['a done 5', 'c done 7'])
    wishes.termBegan(4)
    assert.deepEqual([seen.slice(2), wishes.isEmpty], [['b again'], true])
  })

  it('is unknown where no log tells: values ahead of it, parts of snapshots', () => {
    const { wishes, seen, send } = forwarder()
    send(put('lease', 'lazy'))
    send({ kind: 'place', items: [], revision: 9 })
    wishes.termBegan(3)
    assert.deepEqual(seen, [])
    wishes.termBegan(4)
    assert.deepEqual(seen, ['lease unknown', 'place unknown'])
  })

  it('is unknown when the connection is lost and no other leader comes in time, without waiting for the end of its patience', () => {
    const { wishes, seen, send, clock } = forwarder()
    send(put('a'))
    wishes.disconnected(8)
    wishes.expire(clock.monotonicMs() + 2_000)
    assert.deepEqual(seen, [])
    wishes.disconnected(LEADER)
    wishes.expire(clock.monotonicMs() + 999)
    assert.deepEqual(seen, [])
    wishes.expire(clock.monotonicMs() + 1_000)
    assert.deepEqual(seen, ['a unknown'])
  })

  it('is not kept where there is no way to the leader', () => {
    const { wishes, seen, send, cut } = forwarder()
    cut()
    assert.deepEqual([send(put('a')), wishes.isEmpty, seen], [false, true, []])
  })
})
