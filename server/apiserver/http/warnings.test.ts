import { deepStrictEqual, strictEqual } from 'node:assert'
import { test } from 'node:test'
import { Warnings, warningHeader } from './warnings.ts'

const headerOf = (...texts: string[]): string | undefined => {
  const warnings = new Warnings()
  for (const text of texts) warnings.add(text)
  return warnings.header()
}

test('warnings are one header, each once, in the order they came', () => {
  deepStrictEqual([headerOf(), headerOf(''), headerOf('b', 'a', 'b')], [undefined, undefined, '299 - "b", 299 - "a"'])
})

test('quotes are escaped, letters of all languages are bytes of UTF-8, and a text with a line break is left out', () => {
  strictEqual(headerOf('say "a\\b"', 'x\ny', 'ü'), `299 - "say \\"a\\\\b\\"", 299 - "${Buffer.from('ü').toString('latin1')}"`)
  strictEqual(warningHeader('a"'), '299 - "a\\""')
})

test('4,096 characters are shown as they are; beyond that each text is cut to 256, and what comes after another 4,096 is left out', () => {
  const long = (i: number): string => `${i}`.padEnd(1_024, 'x')
  strictEqual(headerOf(long(0), long(1), long(2), long(3))?.length, 4 * (1_024 + '299 - ""'.length) + 3 * ', '.length)
  const cut = headerOf(...Array.from({ length: 40 }, (_, i) => long(i))) ?? ''
  deepStrictEqual(cut.split(', ').map((text) => text.length), Array.from({ length: 16 }, () => 256 + '299 - ""'.length))
})

test('a million different warnings cost no more than the few that are shown', () => {
  const warnings = new Warnings()
  for (let i = 0; i < 1_000_000; i++) warnings.add(`spec.containers[0].ports[${i}]: duplicate port definition`)
  strictEqual((warnings.header() ?? '').length < 6_000, true)
})
