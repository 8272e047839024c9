import { deepStrictEqual } from 'node:assert'
import { test } from 'node:test'
import fc from 'fast-check'
import { escapeFieldValue, parseFieldSelector, requiredFieldValue } from './field-selector.ts'

test('terms with =, == and != are read, escapes undone', () => {
  const result = parseFieldSelector('metadata.name=a\\,b,status.phase!=Running,spec.nodeName==n1,x=,')
  deepStrictEqual(result.ok && result.selector.terms, [
    { field: 'metadata.name', negated: false, value: 'a,b' },
    { field: 'spec.nodeName', negated: false, value: 'n1' },
    { field: 'status.phase', negated: true, value: 'Running' },
    { field: 'x', negated: false, value: '' },
  ])
  deepStrictEqual(result.ok && requiredFieldValue(result.selector, 'spec.nodeName'), 'n1')
  deepStrictEqual(result.ok && requiredFieldValue(result.selector, 'status.phase'), undefined)
})

test('all terms must hold, and none means everything', () => {
  const pod: Record<string, string> = { 'status.phase': 'Running', 'spec.nodeName': '' }
  const run = (text: string | undefined) => {
    const result = parseFieldSelector(text)
    return result.ok && result.selector.matches((f) => pod[f] ?? '')
  }
  deepStrictEqual([undefined, '', 'status.phase=Running', 'status.phase!=Running', 'spec.nodeName=', 'status.phase=Running,spec.nodeName=x'].map(run), [true, true, true, false, true, false])
})

test('bad selectors are refused with upstream\'s words', () => {
  const table: [string, string][] = [
    ['foo', "invalid selector: 'foo'; can't understand 'foo'"],
    ['a=b,foo', "invalid selector: 'a=b,foo'; can't understand 'foo'"],
    ['a=b=c', 'invalid field selector: unescaped character in value: 61'],
    ['a=\\x', 'invalid field selector: invalid escape sequence: \\x'],
    ['a=b\\', 'invalid field selector: invalid escape sequence: \\'],
  ]
  deepStrictEqual(table.map(([text]) => [text, parseFieldSelector(text)]), table.map(([text, message]) => [text, { ok: false, message }]))
})

test('an escaped value comes back whole', () => {
  fc.assert(fc.property(fc.string(), (value) => {
    const result = parseFieldSelector(`f=${escapeFieldValue(value)}`)
    deepStrictEqual(result.ok && result.selector.terms, [{ field: 'f', negated: false, value }])
  }))
})
