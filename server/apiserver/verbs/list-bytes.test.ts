/** List items in chunks say the same as each object printed on its own. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { FakeClock } from '#base/clock-fake.ts'
import { storedItems, type ItemForm } from '../table/list-form.ts'
import type { Entry, KindCache } from '../watch/kind-cache.ts'
import { joinEntries, Pieces, wholeList, wholePieces } from './list-bytes.ts'

interface Plan { name: string; size: number; revision: number }

const plan = fc.record({ name: fc.string({ minLength: 1 }), size: fc.constantFrom(1, 1000, 100_000, 300_000), revision: fc.integer({ min: 1, max: 2 ** 40 }) })
const form = storedItems()
const stored = ({ name, size, revision }: Plan) => ({ revision, value: Buffer.from(JSON.stringify({ metadata: { name }, data: 'x'.repeat(size) })) })
/** As an item says it, worked out the slow way. */
const printed = ({ revision, value }: { revision: number; value: Buffer }) => {
  const { metadata, ...rest } = JSON.parse(value.toString()) as { metadata: object }
  return JSON.stringify({ metadata: { resourceVersion: String(revision), ...metadata }, ...rest })
}
const listOf = (items: readonly { revision: number; value: Buffer }[]): string => items.map(printed).join(',')

test('chunks hold every item once, in order, with commas between and its own resourceVersion', () => {
  fc.assert(fc.property(fc.array(plan, { maxLength: 12 }), (plans) => {
    const entries = plans.map(stored)
    assert.equal(Buffer.concat(joinEntries(entries, form)).toString(), listOf(entries))
  }), { numRuns: 50 })
})

test('pieces taken over from the list before say what pieces made anew would say', () => {
  const edit = fc.record({ at: fc.nat({ max: 40 }), remove: fc.nat({ max: 3 }), insert: fc.array(plan, { maxLength: 3 }) })
  fc.assert(fc.property(fc.array(plan, { maxLength: 20 }), fc.array(edit, { maxLength: 8 }), (plans, edits) => {
    const entries = plans.map(stored)
    let pieces = new Pieces(entries, [], form).all()
    for (const { at, remove, insert } of edits) {
      entries.splice(Math.min(at, entries.length), remove, ...insert.map(stored))
      pieces = new Pieces(entries, pieces, form).all()
      assert.equal(Buffer.concat(pieces.map(({ bytes }) => bytes)).toString(), entries.map((e) => `${printed(e)},`).join(''))
      assert.deepEqual(pieces.flatMap(({ sizes }) => sizes), entries.map((e) => Buffer.byteLength(printed(e)) + 1))
    }
  }), { numRuns: 25 })
})

test('a change copies what is beside it again, and nothing else, however many there are', () => {
  const entries = Array.from({ length: 2_000 }, (_, i) => stored({ name: `pod-${i}`, size: 5_000, revision: i + 1 }))
  let pieces = new Pieces(entries, [], form).all()
  for (let round = 0; round < 300; round++) {
    const at = (round * 977) % entries.length
    if (round % 3 === 0) entries[at] = stored({ name: `pod-${at}`, size: 5_000, revision: 10_000 + round })
    else if (round % 3 === 1) entries.splice(at, 1)
    else entries.push(stored({ name: `pod-z${round}`, size: 5_000, revision: 10_000 + round }))
    const former = new Set(pieces)
    pieces = new Pieces(entries, pieces, form).all()
    const copied = pieces.filter((piece) => !former.has(piece)).reduce((n, { bytes }) => n + bytes.length, 0)
    assert.ok(copied <= 1024 * 1024, `round ${round} copied ${copied} bytes`)
  }
  assert.ok(pieces.length <= 2 * ((2_000 * 5_000) / (128 * 1024)), `${pieces.length} pieces`)
})

test('a list is shared while nothing changes, and let go of when nobody asked for it for two seconds', async () => {
  const clock = new FakeClock()
  const entries = [stored({ name: 'a', size: 1, revision: 1 })] as unknown as Entry[]
  const cache = { changes: 1 } as KindCache
  const list = () => wholeList({ clock }, cache, '', entries, form)[0]
  const first = list()
  await clock.advance(1_500)
  assert.equal(list(), first)
  await clock.advance(1_500)
  assert.equal(list(), first, 'asked for meanwhile')
  await clock.advance(4_000)
  assert.equal(clock.pending, 0)
  assert.notEqual(list(), first)
  assert.equal(list()?.toString(), first?.toString())
})

test('what is wanted piece by piece is made piece by piece, once for all who want it, and a list after it takes what is there', () => {
  let made = 0
  const counting: ItemForm<Entry> & { key: string } = { key: 'counting', separator: '', parts: (item) => { made++; return form.parts(item) } }
  const entries = Array.from({ length: 100 }, (_, i) => stored({ name: `pod-${i}`, size: 50_000, revision: i + 1 })) as unknown as Entry[]
  const cache = { changes: 1 } as KindCache
  const clock = new FakeClock()
  const pieces = wholePieces({ clock }, cache, '', entries, counting)
  assert.equal(made, 0)
  const first = pieces.at(0)
  const some = made
  assert.ok(first && some === first.items.length && some < 20, `${some} made for one piece`)
  assert.equal(wholePieces({ clock }, cache, '', entries, counting).at(0), first)
  assert.equal(made, some)
  const all: Buffer[] = []
  for (let i = 0, piece = pieces.at(0); piece; piece = pieces.at(++i)) all.push(piece.bytes)
  assert.deepEqual([made, pieces.at(all.length)], [100, undefined])
  assert.equal(Buffer.concat(all).toString(), Buffer.concat([...wholeList({ clock }, cache, '', entries, counting)]).toString())
  assert.equal(made, 100)
})
