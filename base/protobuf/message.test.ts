import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { bool, bytes, decode, encode, int, ints, list, map, message, one, string, strings } from './message.ts'
import { WireError } from './wire.ts'

const Inner = message({ name: string(1), number: int(7) })
const Outer = message({ text: string(1), yes: bool(2), data: bytes(3), words: strings(4), numbers: ints(5), labels: map(6), inner: one(16, Inner), inners: list(17, Inner) })
const EMPTY = { text: '', yes: false, data: Buffer.alloc(0), words: [], numbers: [], labels: {}, inner: undefined, inners: [] }

const text = fc.string({ unit: 'grapheme' })
const number = fc.maxSafeInteger()
const inner = fc.record({ name: text, number }, { noNullPrototype: true })
const outer = fc.record({
  text, yes: fc.boolean(), data: fc.uint8Array().map((b) => Buffer.from(b)), words: fc.array(text), numbers: fc.array(number), labels: fc.dictionary(text, text), inner: fc.option(inner, { nil: undefined }), inners: fc.array(inner),
}, { noNullPrototype: true })

test('what is written is read again', () => {
  fc.assert(fc.property(outer, (value) => {
    const read = decode(Outer, encode(Outer, value))
    assert.deepEqual({ ...read, labels: Object.entries(read.labels) }, { ...value, labels: Object.entries(value.labels) })
  }))
})

test('the bytes are protobuf\'s; zero values are not written, and read where nothing is', () => {
  assert.equal(encode(Outer, { text: 'hi', yes: true, labels: { a: 'b' }, inner: { number: -1 }, words: ['', 'x'] }).toString('hex'), '0a02686910012200220178' + '32060a0161120162' + '82010b38ffffffffffffffffff01')
  assert.equal(encode(Outer, EMPTY).length, 0)
  assert.deepEqual(decode(Outer, Buffer.alloc(0)), EMPTY)
})

test('unknown fields are passed over, packed numbers are read, the last of a single field counts', () => {
  assert.deepEqual(decode(Outer, Buffer.from('9a0603616263' + '2a03010203' + '0a0161' + '0a0162', 'hex')), { ...EMPTY, numbers: [1, 2, 3], text: 'b' })
})

test('bytes that are no message are a WireError, never something else', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 64 }), (data) => {
    try {
      decode(Outer, Buffer.from(data))
    } catch (error) {
      assert.ok(error instanceof WireError, String(error))
    }
  }), { numRuns: 2_000 })
})
