import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { hasCode } from '#base/errors.ts'
import type { Configuration, Message } from '../../raft/types.ts'
import { decodeFrame, encodeFrame, FRAME_HEAD_BYTES, type Frame } from './codec.ts'
import { createFrameReader } from './frame-reader.ts'

const between = { from: 11, to: 22 }

const whole = fc.oneof(fc.nat(300), fc.maxSafeNat())
const bytes = fc.uint8Array({ maxLength: 6000 }).map((a) => Buffer.from(a))
const member = fc.integer({ min: 1, max: Number.MAX_SAFE_INTEGER })
const refused = fc.constantFrom(undefined, 'noLeader' as const, 'transferring' as const, 'overloaded' as const, 'diskFull' as const, 'changing' as const, 'invalidChange' as const, 'unknown' as const)
const members = fc.array(member, { maxLength: 5 })
const configuration: fc.Arbitrary<Configuration> = fc.record({ voters: members, outgoing: members, learners: members, joining: members, addresses: fc.dictionary(fc.constantFrom('1', '2', '77'), fc.string()) }, { noNullPrototype: true })
  .map((c) => ({ ...c, addresses: { ...c.addresses } }))
const head = { from: fc.constant(11), to: fc.constant(22), term: whole }
const message: fc.Arbitrary<Message> = fc.oneof(
  fc.record({ kind: fc.constant('append' as const), ...head, prevIndex: fc.nat(2 ** 31), prevTerm: whole, commit: whole, round: whole, entries: fc.array(fc.record({ term: whole, kind: fc.constantFrom('normal' as const, 'configuration' as const, 'empty' as const), data: bytes }), { maxLength: 4 }) })
    .map((m) => ({ ...m, entries: m.entries.map((e, i) => ({ ...e, index: m.prevIndex + 1 + i })) })),
  fc.record({ kind: fc.constant('appendAnswer' as const), ...head, accepted: fc.boolean(), index: whole, hintIndex: whole, hintTerm: whole, round: whole }),
  fc.record({ kind: fc.constant('vote' as const), ...head, pre: fc.boolean(), transfer: fc.boolean(), lastIndex: whole, lastTerm: whole }),
  fc.record({ kind: fc.constant('voteAnswer' as const), ...head, pre: fc.boolean(), granted: fc.boolean(), removed: fc.boolean() }),
  fc.record({ kind: fc.constant('timeoutNow' as const), ...head }),
  fc.record({ kind: fc.constant('forward' as const), ...head, id: whole, data: fc.array(bytes, { maxLength: 4 }) }),
  fc.record({ kind: fc.constant('forwardAnswer' as const), ...head, id: whole, refused, entryTerm: whole, index: whole }),
  fc.record({ kind: fc.constant('readIndex' as const), ...head, id: whole }),
  fc.record({ kind: fc.constant('readIndexAnswer' as const), ...head, id: whole, refused, index: whole }),
  fc.record({ kind: fc.constant('snapshot' as const), ...head, snapshot: fc.record({ id: fc.string({ maxLength: 128 }), index: whole, term: whole, configuration }), offsetBytes: whole, data: bytes, last: fc.boolean() }),
  fc.record({ kind: fc.constant('snapshotAnswer' as const), ...head, snapshotId: fc.string({ maxLength: 128 }), offsetBytes: whole }),
)
const frame: fc.Arbitrary<Frame> = fc.oneof(
  { weight: 8, arbitrary: message.map((m): Frame => ({ kind: 'message', message: m })) },
  bytes.map((data): Frame => ({ kind: 'volatile', data })),
  fc.constantFrom<Frame>({ kind: 'ping' }, { kind: 'pong' }, { kind: 'hello', version: 1, from: 3, to: 4, incarnation: 5 }),
)

/** All bytes of it. */
function wire(sent: Frame): Buffer {
  const { pieces, length } = encodeFrame(sent)
  const all = Buffer.concat(pieces)
  assert.equal(all.length, length)
  return all
}

/** Only what was said, without how its objects were made. */
const plain = (frames: readonly Frame[]): unknown => structuredClone(frames)

test('frames arrive as they were sent, however the stream cuts them', () => {
  fc.assert(fc.property(fc.array(frame, { maxLength: 6 }), fc.array(fc.integer({ min: 1, max: 3000 }), { minLength: 1, maxLength: 20 }), (sent, cuts) => {
    const stream = Buffer.concat(sent.map(wire))
    const got: Frame[] = []
    const reader = createFrameReader((kind, body) => got.push(decodeFrame(kind, body, between)))
    for (let at = 0, i = 0; at < stream.length; i++) {
      const size = cuts[i % cuts.length] ?? 1
      reader.push(stream.subarray(at, at + size))
      at += size
    }
    assert.deepStrictEqual(plain(got), plain(sent))
  }), { numRuns: 300 })
})

test('whatever bytes come, a frame is decoded or refused by its code, and nothing else is thrown', () => {
  fc.assert(fc.property(fc.nat(40), fc.uint8Array({ maxLength: 200 }), (kind, body) => {
    try {
      decodeFrame(kind, Buffer.from(body), between)
    } catch (error) {
      assert.ok(hasCode(error, 'PEER_MALFORMED'), String(error))
    }
  }), { numRuns: 2000 })
})

test('a frame that was damaged is decoded or refused by its code', () => {
  fc.assert(fc.property(frame, fc.nat(), fc.nat(255), (sent, where, value) => {
    const all = wire(sent)
    const at = FRAME_HEAD_BYTES - 1 + (where % (all.length - FRAME_HEAD_BYTES + 1))
    all[at] = value
    try {
      decodeFrame(all[FRAME_HEAD_BYTES - 1] ?? 0, all.subarray(FRAME_HEAD_BYTES), between)
    } catch (error) {
      assert.ok(hasCode(error, 'PEER_MALFORMED'), String(error))
    }
  }), { numRuns: 1000 })
})

test('a frame that says it is longer than allowed is refused before any of it is kept', () => {
  const reader = createFrameReader(() => assert.fail('it must not come'), 1000)
  assert.throws(() => reader.push(Buffer.from([0, 0, 0x04, 0, 3])), { code: 'PEER_MALFORMED' })
})

test('a list that counts more than its message could hold is refused', () => {
  // An append with 2^40 entries and no bytes for them.
  const body = Buffer.from([1, 0, 0, 0, 0, 0x80, 0x80, 0x80, 0x80, 0x80, 0x20])
  assert.throws(() => decodeFrame(16, body, between), { code: 'PEER_MALFORMED' })
})

test('a large entry is sent from where it is, without a copy', () => {
  const data = Buffer.alloc(100_000, 7)
  const { pieces } = encodeFrame({ kind: 'volatile', data })
  assert.ok(pieces.includes(data))
})
