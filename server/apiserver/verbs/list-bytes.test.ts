/** List items in chunks say the same as each object printed on its own. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { joinEntries } from './list-bytes.ts'

test('chunks hold every item once, in order, with commas between and its own resourceVersion', () => {
  const entry = fc.record({ name: fc.string({ minLength: 1 }), size: fc.constantFrom(1, 1000, 100_000, 300_000), revision: fc.integer({ min: 1, max: 2 ** 40 }) })
  fc.assert(fc.property(fc.array(entry, { maxLength: 12 }), (entries) => {
    const chunks = joinEntries(entries.map(({ name, size, revision }) => ({ revision, value: Buffer.from(JSON.stringify({ metadata: { name }, data: 'x'.repeat(size) })) })))
    const expected = entries.map(({ name, size, revision }) => ({ metadata: { resourceVersion: String(revision), name }, data: 'x'.repeat(size) }))
    assert.equal(Buffer.concat(chunks).toString(), expected.map((item) => JSON.stringify(item)).join(','))
  }), { numRuns: 50 })
})
