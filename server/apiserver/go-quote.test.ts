import assert from 'node:assert/strict'
import { test } from 'node:test'
import { goQuote } from './go-quote.ts'

test('text is shown as Go shows it: what can be printed as it is, all else by its name or number', () => {
  const cases: readonly [string, string][] = [
    ['plain', '"plain"'], ['a "b" \\ c', String.raw`"a \"b\" \\ c"`],
    ['a\0b\x1b\x7f', String.raw`"a\x00b\x1b\x7f"`], ['\u0007\b\f\n\r\t\v', String.raw`"\a\b\f\n\r\t\v"`],
    ['é漢😀', '"é漢😀"'], ['\u00a0\u2028\u00ad', String.raw`"\u00a0\u2028\u00ad"`], ['\u{e0001}', String.raw`"\U000e0001"`], ['\ud800', '"\ufffd"'],
  ]
  assert.deepStrictEqual(cases.map(([text]) => goQuote(text)), cases.map(([, shown]) => shown))
})
