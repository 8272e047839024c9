import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { cloneJson } from './clone.ts'

test('a clone is equal, whatever the JSON, and shares nothing that can be changed', () => {
  fc.assert(fc.property(fc.jsonValue(), (value) => {
    const before = JSON.stringify(value)
    const clone = cloneJson(value)
    assert.deepEqual(clone, value)
    spoil(clone)
    assert.equal(JSON.stringify(value), before)
  }))
})

test('__proto__ is a key like any other', () => {
  const value = JSON.parse('{"a":{"__proto__":{"x":1}}}') as { a: object }
  const clone = cloneJson(value)
  assert.equal(JSON.stringify(clone), JSON.stringify(value))
  assert.equal(Object.getPrototypeOf(clone.a), Object.prototype)
})

function spoil(value: unknown): void {
  if (typeof value !== 'object' || value === null) return
  for (const inner of Object.values(value)) spoil(inner)
  if (Array.isArray(value)) value.push('spoilt')
  else Object.assign(value, { spoilt: true })
}
