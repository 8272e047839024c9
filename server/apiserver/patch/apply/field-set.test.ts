import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseFieldsV1, toFieldsV1 } from './field-set.ts'

const printed = (elements: readonly string[]): string[] | undefined => {
  const set = parseFieldsV1(Object.fromEntries(elements.map((element) => [element, {}])))
  return set && Object.keys(toFieldsV1(set))
}

test('elements are printed in one order: fields, keys by name and value, values, indexes; numbers by their value', () => {
  assert.deepEqual(printed(['i:10', 'v:10', 'i:9', 'k:{"name":"b"}', 'v:9', 'f:z', 'v:"a"', 'k:{"name":"a","port":10}', 'k:{"name":"a","port":9}', 'f:a', 'v:true', 'k:{"name":"a"}']), [
    'f:a', 'f:z', 'k:{"name":"a"}', 'k:{"name":"a","port":9}', 'k:{"name":"a","port":10}', 'k:{"name":"b"}', 'v:9', 'v:10', 'v:"a"', 'v:true', 'i:9', 'i:10',
  ])
})

test('what a client puts in the place of a value, lists and objects too, is kept, in an order that does not depend on the one it came in', () => {
  const element = fc.oneof(fc.jsonValue({ maxDepth: 2 }).map((value) => `v:${JSON.stringify(value)}`), fc.dictionary(fc.constantFrom('a', 'b'), fc.jsonValue({ maxDepth: 1 }), { minKeys: 1 }).map((key) => `k:${JSON.stringify(key)}`))
  fc.assert(fc.property(fc.uniqueArray(element, { minLength: 2, maxLength: 6 }), fc.nat(), (elements, turn) => {
    const other = [...elements.slice(turn % elements.length), ...elements.slice(0, turn % elements.length)]
    assert.deepEqual(printed(other), printed(elements))
  }))
})

test('keys of one name are in the order of their values, however long, and whether or not their text alone tells it', () => {
  const value = fc.oneof(fc.stringMatching(/^[a-c_./-]{0,4}$/), fc.stringMatching(/^[ab"\\ !é-]{0,3}$/))
  fc.assert(fc.property(fc.uniqueArray(value, { minLength: 2, maxLength: 8 }), (values) => {
    const elements = (of: readonly string[]) => of.map((name) => `k:${JSON.stringify({ name })}`)
    assert.deepEqual(printed(elements(values)), elements(values.toSorted((a, b) => (a < b ? -1 : 1))))
  }))
})
