import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { cutManagedFields } from './cut-managed-fields.ts'

type Json = Record<string, unknown>

test('managedFields of an event\'s object are cut out of its text, and nothing else, wherever else the word is', () => {
  const key = fc.oneof(fc.constantFrom('managedFields', 'metadata', 'object', 'a"managedFields', 'a\\', ',"metadata', '}', ']'), fc.string())
  const word = fc.oneof(key, fc.constantFrom('"managedFields":[', '\\"managedFields\\":[', '{"metadata":{"managedFields":[1]}}'))
  const { tree } = fc.letrec((of) => ({ tree: fc.oneof({ maxDepth: 4 }, word, fc.integer(), fc.array(of('tree'), { maxLength: 3 }), fc.dictionary(key, of('tree'), { maxKeys: 4 })) }))
  const members = fc.dictionary(key.filter((k) => k !== 'managedFields' && k !== 'metadata'), tree, { maxKeys: 3 })
  const fields = fc.option(fc.array(tree, { maxLength: 3 }), { nil: undefined })
  let cut = 0
  fc.assert(fc.property(members, fields, members, members, members, (before, managedFields, after, first, rest) => {
    const of = (list: unknown): Json => ({ type: 'ADDED', object: { kind: 'Pod', ...first, metadata: { ...before, ...(list !== undefined && { managedFields: list }), ...after }, ...rest } })
    const text = JSON.stringify(of(managedFields))
    const bare = cutManagedFields(text)
    if (bare === text) assert.deepEqual(JSON.parse(bare), JSON.parse(text))
    else {
      cut++
      assert.equal(JSON.stringify(JSON.parse(bare)), JSON.stringify(of(undefined)))
    }
  }), { numRuns: 3_000 })
  assert.ok(cut > 500, `${cut}`)
})

test('an event as an API server writes it loses managedFields, first or last in metadata', () => {
  const event = (metadata: string) => `{"type":"MODIFIED","object":{"kind":"Pod","apiVersion":"v1","metadata":{${metadata}},"spec":{}}}`
  const fields = '"managedFields":[{"manager":"a","fieldsV1":{"f:metadata":{"k:{\\"name\\":\\"]}\\"}":{}}}}]'
  assert.equal(cutManagedFields(event(`"name":"x",${fields},"uid":"1"`)), event('"name":"x","uid":"1"'))
  assert.equal(cutManagedFields(event(`"name":"x",${fields}`)), event('"name":"x"'))
  assert.equal(cutManagedFields(event(`${fields},"uid":"1"`)), event('"uid":"1"'))
  assert.equal(cutManagedFields(event(fields)), event(''))
  const elsewhere = '{"type":"ADDED","object":{"metadata":{"name":"x"},"spec":{"managedFields":[1]}}}'
  assert.equal(cutManagedFields(elsewhere), elsewhere)
})
