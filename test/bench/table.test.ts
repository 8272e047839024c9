import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isOver, percentile, type Figure } from './figure.ts'
import { printTable, shown } from './table.ts'

const lower: Figure = { name: 'a', value: 120, unit: 'MB', better: 'lower', budget: 100 }
const higher: Figure = { name: 'b', value: 3000, unit: '/s', better: 'higher', budget: 1722, upstream: 574 }

test('what should be low is over above its budget, what should be high below it', () => {
  assert.deepEqual([isOver(lower), isOver({ ...lower, value: 100 }), isOver(higher), isOver({ ...higher, value: 1000 })], [true, false, false, true])
})

test('a table shows measured, budget, verdict and both ratios', () => {
  assert.equal(printTable([lower, higher, { name: 'c', value: 1.23456, unit: 's', better: 'lower', note: 'why' }], { a: 60 }), [
    'figure  measured       budget        baseline  x baseline  x upstream  note',
    '------  --------  -----------  ----  --------  ----------  ----------  ----',
    'a         120 MB    <= 100 MB  OVER        60        2.00',
    'b       3,000 /s  >= 1,722 /s    ok                              5.23',
    'c         1.23 s                                                       why',
  ].join('\n'))
})

test('numbers show three digits, thousands whole', () => {
  assert.deepEqual([0.12345, 12.345, 999.4, 12345.6].map(shown), ['0.123', '12.3', '999', '12,346'])
})

test('a percentile is one of the samples', () => {
  assert.deepEqual([percentile([5, 1, 3], 0.5), percentile([1, 2, 3, 4], 0.99), percentile([7], 0.5)], [3, 4, 7])
})
