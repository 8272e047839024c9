import assert from 'node:assert/strict'
import { it } from 'node:test'
import fc from 'fast-check'
import { decodeMessage, encodeMessage, frame, GrpcError, Unframer } from './grpc-status.ts'

it('messages come out as they went in, however the stream is cut', () => {
  fc.assert(fc.property(fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 8 }), fc.array(fc.integer({ min: 1, max: 30 }), { minLength: 1 }), (messages, cuts) => {
    const bytes = Buffer.concat(messages.map((m) => frame(Buffer.from(m))))
    const unframer = new Unframer()
    const out: Buffer[] = []
    for (let at = 0, i = 0; at < bytes.length; i++) {
      const size = cuts[i % cuts.length] ?? 1
      out.push(...unframer.push(bytes.subarray(at, at + size)))
      at += size
    }
    assert.deepEqual(out.map((m) => m.toString('hex')), messages.map((m) => Buffer.from(m).toString('hex')))
  }))
})

it('a message of many megabytes in small pieces costs no more than its bytes', () => {
  const message = Buffer.alloc(32 * 1024 * 1024, 7)
  const bytes = frame(message)
  const unframer = new Unframer(64 * 1024 * 1024)
  const began = process.cpuUsage()
  const out: Buffer[] = []
  for (let at = 0; at < bytes.length; at += 16_384) out.push(...unframer.push(bytes.subarray(at, at + 16_384)))
  assert.ok(out[0]?.equals(message))
  // Joined with every piece it would be 30 GB of copies. The processor's time, not the machine's, which others use as well.
  const { user, system } = process.cpuUsage(began)
  assert.ok(user + system < 4_000_000, `${user + system} us`)
})

it('what is compressed or too large is refused before it is gathered', () => {
  const compressed = frame(Buffer.from('x'))
  compressed[0] = 1
  assert.throws(() => new Unframer().push(compressed), (e) => e instanceof GrpcError && e.status === 12)
  const huge = Buffer.alloc(5)
  huge.writeUInt32BE(101, 1)
  assert.throws(() => new Unframer(100).push(huge), (e) => e instanceof GrpcError && e.status === 8 && /101 bytes, more than the 100 allowed/.test(e.message))
})

it('texts of errors survive their encoding', () => {
  fc.assert(fc.property(fc.string({ unit: 'grapheme' }), (text) => assert.equal(decodeMessage(encodeMessage(text)), text)))
})
