import { deepStrictEqual, throws } from 'node:assert'
import { test } from 'node:test'
import fc from 'fast-check'
import { addQuantity, canonicalQuantity, compareQuantity, formatQuantity, fromMilli, parseQuantity, quantityMilli, quantityValue, tryParseQuantity } from './quantity.ts'

test('quantities print the one way upstream prints them', () => {
  const table: [string | number, string][] = [
    ['1000m', '1'], ['100m', '100m'], ['0.5', '500m'], ['1.5', '1500m'], ['1', '1'], [2, '2'], [0.1, '100m'], ['0', '0'], ['-0.25', '-250m'],
    ['1024Mi', '1Gi'], ['1.5Gi', '1536Mi'], ['1000Ki', '1000Ki'], ['1Ki', '1Ki'], ['512Ki', '512Ki'], ['0.5Ki', '512'], ['0.1Ki', '102400m'],
    ['1000k', '1M'], ['1e3', '1e3'], ['12e3', '12e3'], ['1000e0', '1e3'], ['1E', '1E'], ['1E3', '1E3'], ['1e21', '1e21'], ['10e20', '1e21'], ['1.500', '1.500'], ['1.50', '1500m'], ['007', '007'], ['-', '0'], ['Ki', '0'], ['.', '0'], ['100u', '100u'], ['1n', '1n'], ['0.1n', '1n'],
    ['9223372036854775807', '9223372036854775807'], ['9999999999999999999999', '9999999999999999999999'], ['16Ei', '9223372036854775807'], ['5.', '5.'], ['.5', '500m'], ['+3', '+3'],
  ]
  deepStrictEqual(table.map(([text]) => [text, canonicalQuantity(text)]), table)
})

test('what is no quantity is refused with upstream\'s words', () => {
  const format = "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
  const suffix = "unable to parse quantity's suffix"
  const table: [unknown, string][] = [['', format], ['abc', format], ['1x', format], ['1 Gi', format], ['1.2.3', format], [null, format], ['Ei', 'unable to parse numeric part of quantity'], ['1GiB', format], ['1mm', suffix], ['1i', suffix], ['1e', suffix], ['1Mi3', suffix], ['1'.repeat(200), format]]
  deepStrictEqual(table.map(([text]) => [text, tryParseQuantity(text)]), table.map(([text, message]) => [text, { ok: false, message }]))
  throws(() => parseQuantity('x'), RangeError)
})

test('value and milli value round up, the short ways agree with the long way', () => {
  deepStrictEqual(['1', '1.1', '100m', '1Ki', '1.5Gi', '-1.5', undefined].map((q) => quantityValue(q)), [1, 2, 1, 1024, 1610612736, -2, 0])
  deepStrictEqual(['1', '250m', '1.0001', '2', '100u', undefined].map((q) => quantityMilli(q)), [1000, 250, 1001, 2000, 1, 0])
  deepStrictEqual([1500, 2000, 0].map(fromMilli), ['1500m', '2', '0'])
})

test('comparing and adding are exact, and printing then parsing changes nothing', () => {
  const text = fc.tuple(fc.integer({ min: -1_000_000, max: 1_000_000 }), fc.constantFrom('', 'm', 'k', 'M', 'G', 'Ki', 'Mi', 'Gi', 'e3', 'u')).map(([n, s]) => `${n}${s}`)
  fc.assert(fc.property(text, text, (a, b) => {
    const left = parseQuantity(a)
    const right = parseQuantity(b)
    deepStrictEqual(parseQuantity(formatQuantity(left)).nano, left.nano)
    deepStrictEqual(canonicalQuantity(canonicalQuantity(a)), canonicalQuantity(a))
    deepStrictEqual(addQuantity(left, right).nano, left.nano + right.nano)
    deepStrictEqual(compareQuantity(a, b), left.nano < right.nano ? -1 : left.nano > right.nano ? 1 : 0)
  }))
})
