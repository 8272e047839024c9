/** What is left of an object, and what is told, by schema: pruning, embedded resources, nulls and defaults. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import fc from 'fast-check'
import type { JSONSchemaProps } from '#api/types/index.ts'
import { applyDefaults } from './defaults.ts'
import { conformCustom } from './conform.ts'
import { validateEmbedded } from './embedded-resources.ts'
import { compileSchema, type Json } from './node.ts'

const PRESERVE: JSONSchemaProps = { 'x-kubernetes-preserve-unknown-fields': true }
const object = (properties: Record<string, JSONSchemaProps>, more: JSONSchemaProps = {}): JSONSchemaProps => ({ type: 'object', properties, ...more })

function conformed(schema: JSONSchemaProps, value: Json): { left: Json; unknown: string[] } | string {
  const result = conformCustom(value, compileSchema(schema))
  return result.ok ? { left: value, unknown: result.problems.map((p) => p.path) } : result.message
}

suite('custom resources by schema', () => {
  test('what is not named goes, but kind, apiVersion and metadata at the root', () => {
    assert.deepEqual(conformed(object({ spec: object({ a: { type: 'string' } }) }), { apiVersion: 'g/v', kind: 'K', metadata: { name: 'x' }, spec: { a: '1', kind: 'z', b: { c: 1 } }, other: 1 }), {
      left: { apiVersion: 'g/v', kind: 'K', metadata: { name: 'x' }, spec: { a: '1' } }, unknown: ['other', 'spec.b', 'spec.kind'],
    })
  })

  test('where unknown fields are kept, known ones are still looked into', () => {
    const schema = object({ spec: { type: 'object', ...PRESERVE, properties: { a: object({ b: { type: 'string' } }), deep: { type: 'object', ...PRESERVE } } } })
    assert.deepEqual(conformed(schema, { spec: { x: { y: 1 }, a: { b: '1', c: 2 }, deep: { e: { r: 1 } } } }), { left: { spec: { x: { y: 1 }, a: { b: '1' }, deep: { e: { r: 1 } } } }, unknown: ['spec.a.c'] })
  })

  test('maps keep their keys and prune their values; lists prune their items', () => {
    const item = object({ a: { type: 'string' } })
    const schema = object({ map: { type: 'object', additionalProperties: item }, list: { type: 'array', items: item }, any: { type: 'object', additionalProperties: true } })
    assert.deepEqual(conformed(schema, { map: { k: { a: '1', b: 2 } }, list: [{ b: 1 }, { a: '1' }], any: { k: 1, o: { gone: 1 } } }), { left: { map: { k: { a: '1' } }, list: [{}, { a: '1' }], any: { k: 1, o: {} } }, unknown: ['any.o.gone', 'list[0].b', 'map.k.b'] })
  })

  test('embedded resources keep kind and apiVersion, and their metadata is read as metadata', () => {
    const schema = object({ template: { type: 'object', 'x-kubernetes-embedded-resource': true, ...PRESERVE }, typed: { type: 'object', 'x-kubernetes-embedded-resource': true, properties: { spec: object({ a: { type: 'string' } }) } } })
    const value = { template: { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'x', creationTimestamp: null, odd: 1 }, spec: { free: 1 } }, typed: { apiVersion: 'v1', kind: 'X', metadata: { labels: { a: 'b' } }, spec: { a: '1', b: 2 } } }
    assert.deepEqual(conformed(schema, value), {
      left: { template: { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'x' }, spec: { free: 1 } }, typed: { apiVersion: 'v1', kind: 'X', metadata: { labels: { a: 'b' } }, spec: { a: '1' } } },
      unknown: ['typed.spec.b', 'template.metadata.odd'],
    })
    assert.equal(conformed(schema, { template: { apiVersion: 5, kind: 'Pod' } }), 'template.apiVersion: Invalid value: 5: must be a string')
    assert.match(JSON.stringify(conformed(schema, { template: { apiVersion: 'v1', kind: 'Pod', metadata: { labels: [] } } })), /template\.metadata: Invalid value: .*json: cannot unmarshal array/)
    assert.deepEqual(validateEmbedded({ template: { metadata: { name: '../x', namespace: 'a_b' } }, typed: { apiVersion: 'a/b/c', kind: '-' } }, compileSchema(schema)).map((e) => `${e.field}: ${e.message.slice(0, 60)}`), [
      'template.apiVersion: Required value', 'template.kind: Required value', "template.metadata.name: Invalid value: \"../x\": may not contain '/'", "template.metadata.namespace: Invalid value: \"a_b\": a lowercase RFC 1123 label must consis",
      'typed.apiVersion: Invalid value: "a/b/c": unexpected GroupVersion string: a/b/', 'typed.kind: Invalid value: "-": may have mixed case, but should otherwis',
    ])
  })

  test('defaults fill in what is missing, at every depth that is there, and are copies', () => {
    const schema = compileSchema(object({ a: object({ b: { type: 'string', default: 'b' } }, { default: {} }), c: object({ d: { type: 'integer', default: 0 } }), list: { type: 'array', items: object({ e: { type: 'string', default: 'e' } }) } }))
    const [first, second]: [Json, Json] = [{ list: [{}, { e: 'x' }] }, {}]
    assert.deepEqual([applyDefaults(first, schema), applyDefaults(second, schema), applyDefaults(first, schema)], [true, true, false])
    assert.deepEqual([first, second], [{ a: { b: 'b' }, list: [{ e: 'e' }, { e: 'x' }] }, { a: { b: 'b' } }])
    ;(first['a'] as Json)['b'] = 'changed'
    assert.deepEqual(second, { a: { b: 'b' } })
  })

  test('metadata that defaults bring is read as metadata', () => {
    const embedded: JSONSchemaProps = { type: 'object', 'x-kubernetes-embedded-resource': true, properties: { metadata: { type: 'object', properties: { name: { type: 'string', default: 'Bar' }, unknown: { type: 'string', default: 'x' } } } } }
    const value: Json = { fields: { metadata: {} } }
    applyDefaults(value, compileSchema(object({ fields: embedded })))
    assert.deepEqual(value, { fields: { metadata: { name: 'Bar' } } })
  })

  test('whatever comes in, a second time changes nothing, and nothing fails', () => {
    const leaf = fc.constantFrom<JSONSchemaProps>({ type: 'string' }, { type: 'integer', default: 1 }, { type: 'string', nullable: true }, { type: 'boolean', default: true, nullable: true }, PRESERVE, { 'x-kubernetes-int-or-string': true })
    const key = fc.constantFrom('a', 'b', '__proto__', 'metadata')
    const { schema } = fc.letrec<{ schema: JSONSchemaProps }>((tie) => ({
      schema: fc.oneof({ depthSize: 'small', withCrossShrink: true }, leaf,
        fc.uniqueArray(fc.tuple(key, tie('schema')), { maxLength: 3, selector: ([k]) => k }).map((list) => object(Object.fromEntries(list))),
        tie('schema').map((items): JSONSchemaProps => ({ type: 'array', items })), tie('schema').map((additionalProperties): JSONSchemaProps => ({ type: 'object', additionalProperties }))),
    }))
    const value = fc.jsonValue({ maxDepth: 4 }).map((v) => JSON.parse(JSON.stringify({ a: v, b: [v], __proto__x: v })) as Json)
    fc.assert(fc.property(schema, value, (props, json) => {
      const node = compileSchema(object({ a: props, b: { type: 'array', items: props } }))
      assert.ok(conformCustom(json, node).ok)
      applyDefaults(json, node)
      const once = JSON.stringify(json)
      const again = conformCustom(json, node)
      assert.deepEqual([again.ok && again.problems, applyDefaults(json, node), JSON.stringify(json)], [[], false, once])
    }), { numRuns: 300 })
  })
})
