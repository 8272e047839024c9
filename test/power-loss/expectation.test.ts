/** What is told of a store after a power cut: right ones pass, each kind of loss is named. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { faultsOf, fillerOf, type Found, type Write } from './expectation.ts'

const WRITES: Write[] = [
  { name: 'a', n: 1, deletes: false, askedMs: 0, toldMs: 10, revision: 5 },
  { name: 'a', n: 2, deletes: false, askedMs: 11, toldMs: 20, revision: 6 },
  { name: 'a', n: 3, deletes: true, askedMs: 21, toldMs: 30 },
  { name: 'a', n: 4, deletes: false, askedMs: 31, toldMs: 40, revision: 9 },
]
const a = (n: number, revision: number, filler = fillerOf('a', n)): Map<string, Found> => new Map([['a', { n, revision, filler }]])
const NONE = new Map<string, Found>()

describe('what a store must hold', () => {
  for (const [what, cutMs, found, faults] of [
    ['nothing was told yet', 5, NONE, []],
    ['what was asked for may be there', 5, a(1, 5), []],
    ['what was told is there', 15, a(1, 5), []],
    ['or what came after it', 15, a(2, 6), []],
    ['it is lost', 15, NONE, ['a is not there: 1 was acknowledged']],
    ['an older one is there', 21, a(1, 5), ['a is 1, 2 was acknowledged']],
    ['one from the future', 5, a(2, 6), ['a is 2, which nobody asked for']],
    ['its deletion was asked for', 25, NONE, []],
    ['its deletion was told', 31, a(2, 6), ['a is 2, 3 (its deletion) was acknowledged']],
    ['it is there again', 35, a(4, 9), []],
    ['with another revision', 45, a(4, 8), ['a 4 has revision 8, its writer was told 9']],
    ['half of it', 45, a(4, 9, fillerOf('a', 4).slice(1)), ['a 4 is not whole']],
    ['what nobody wrote', 5, new Map([['b', { n: 1, revision: 2, filler: fillerOf('b', 1) }]]), ['b is there and nobody wrote it']],
  ] as const) it(what, () => assert.deepEqual(faultsOf(WRITES, cutMs, found), faults))
})
