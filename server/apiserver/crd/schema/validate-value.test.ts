/** kube-openapi's words for what does not fit, and what may stay because it was so before. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { JSONSchemaProps } from '#api/types/index.ts'
import { Correlation } from './correlation.ts'
import { compileSchema } from './node.ts'
import { validateListItems } from './list-items.ts'
import { validateValue } from './validate-value.ts'

const text = (errors: readonly { field: string; message: string }[]): string[] => errors.map((e) => `${e.field}: ${e.message}`)
const object = (properties: Record<string, JSONSchemaProps>, more: JSONSchemaProps = {}): JSONSchemaProps => ({ type: 'object', properties, ...more })
const wrong = (schema: JSONSchemaProps, value: unknown): string[] => text(validateValue(value, compileSchema(schema)))
/** The value as `spec.x`. */
const wrongX = (schema: JSONSchemaProps, value: unknown): string[] => wrong(object({ spec: object({ x: schema }) }), { spec: { x: value } })

const CASES: [name: string, schema: JSONSchemaProps, value: unknown, errors: string[]][] = [
  ['a string where an integer is wanted', { type: 'integer' }, 'a', ['spec.x: Invalid value: "string": spec.x in body must be of type integer: "string"']],
  ['a fraction where an integer is wanted', { type: 'integer' }, 1.5, ['spec.x: Invalid value: "number": spec.x in body must be of type integer: "number"', '<nil>: Invalid value: "": Checked value must be of type integer (default format) in spec.x']],
  ['an integer where a number is wanted', { type: 'number' }, 1, []],
  ['an integer where a string is wanted', { type: 'string' }, 1, ['spec.x: Invalid value: "integer": spec.x in body must be of type string: "integer"']],
  ['a list where an object is wanted', { type: 'object' }, [], ['spec.x: Invalid value: "array": spec.x in body must be of type object: "array"']],
  ['null', { type: 'string' }, null, ['spec.x: Invalid value: "null": spec.x in body must be of type string: "null"']],
  ['null where it may be', { type: 'string', nullable: true }, null, []],
  ['a boolean for int-or-string', { 'x-kubernetes-int-or-string': true }, true, ['spec.x: Invalid value: "boolean": spec.x in body must be of type integer,string: "boolean"']],
  ['either for int-or-string', { 'x-kubernetes-int-or-string': true }, 'a', []],
  ['below the minimum', { type: 'integer', minimum: 1 }, 0, ['spec.x: Invalid value: 0: spec.x in body should be greater than or equal to 1']],
  ['at an exclusive minimum', { type: 'integer', minimum: 1, exclusiveMinimum: true }, 1, ['spec.x: Invalid value: 1: spec.x in body should be greater than 1']],
  ['above the maximum', { type: 'number', maximum: 1.5 }, 2.5, ['spec.x: Invalid value: 2.5: spec.x in body should be less than or equal to 1.5']],
  ['a whole number, whose maximum is cut to a whole one', { type: 'number', maximum: 1.5 }, 2, ['spec.x: Invalid value: 2: spec.x in body should be less than or equal to 1']],
  ['at an exclusive maximum', { type: 'integer', maximum: 3, exclusiveMaximum: true }, 3, ['spec.x: Invalid value: 3: spec.x in body should be less than 3']],
  ['no multiple', { type: 'integer', multipleOf: 5 }, 7, ['spec.x: Invalid value: 7: spec.x in body should be a multiple of 5']],
  ['a multiple of a fraction', { type: 'number', multipleOf: 0.1 }, 0.3, []],
  ['out of range of int32', { type: 'integer', format: 'int32' }, 3_000_000_000, ['<nil>: Invalid value: "": Checked value must be of type integer with format int32 in spec.x']],
  ['too long', { type: 'string', maxLength: 2 }, 'abc', ['spec.x: Too long: may not be more than 2 bytes']],
  ['too short', { type: 'string', minLength: 2 }, 'a', ['spec.x: Invalid value: "a": spec.x in body should be at least 2 chars long']],
  ['characters, not bytes', { type: 'string', maxLength: 2 }, '😀ä', []],
  ['against the pattern', { type: 'string', pattern: '^a+$' }, 'b', ["spec.x: Invalid value: \"b\": spec.x in body should match '^a+$'"]],
  ['against a pattern that is none', { type: 'string', pattern: 'a**' }, 'b', ["spec.x: Invalid value: \"b\": spec.x in body should match 'a**, but pattern is invalid: error parsing regexp: invalid nested repetition operator: `**`'"]],
  ['a pattern only RE2 has', { type: 'string', pattern: '(?i)^\\pL+\\z' }, 'Ä', []],
  ['none of the enum', { type: 'string', enum: ['a', 'b'] }, 'c', ['spec.x: Unsupported value: "c": supported values: "a", "b"']],
  ['no number of the enum', { type: 'integer', enum: [1, 2] }, 3, ['spec.x: Unsupported value: 3: supported values: "1", "2"']],
  ['too few items', { type: 'array', minItems: 1, items: { type: 'string' } }, [], ['spec.x: Invalid value: 0: spec.x in body should have at least 1 items']],
  ['too many items', { type: 'array', maxItems: 1, items: { type: 'string' } }, ['a', 'b'], ['spec.x: Too many: 2: must have at most 1 item']],
  ['the same item twice', { type: 'array', uniqueItems: true, items: { type: 'string' } }, ['a', 'a'], ["spec.x: Invalid value: \"\": spec.x in body shouldn't contain duplicates"]],
  ['a wrong item', { type: 'array', items: { type: 'string' } }, ['a', 1], ['spec.x[1]: Invalid value: "integer": spec.x[1] in body must be of type string: "integer"']],
  ['too few properties', { type: 'object', minProperties: 1 }, {}, ['spec.x: Invalid value: 0: spec.x in body should have at least 1 properties']],
  ['too many properties', { type: 'object', maxProperties: 1, additionalProperties: { type: 'string' } }, { a: 'a', b: 'b' }, ['spec.x: Too many: 2: must have at most 1 item']],
  ['a wrong value in a map', { type: 'object', additionalProperties: { type: 'string' } }, { a: 1 }, ['spec.x.a: Invalid value: "integer": spec.x.a in body must be of type string: "integer"']],
  ['what is required is missing', { type: 'object', required: ['a'], properties: { a: { type: 'string' } } }, {}, ['spec.x.a: Required value']],
  ['no date', { type: 'string', format: 'date' }, '2026-13-01', ['spec.x: Invalid value: "2026-13-01": spec.x in body must be of type date: "2026-13-01"']],
  ['a number for a date', { type: 'string', format: 'date' }, 5, ['spec.x: Invalid value: "int64": spec.x in body must be of type date: "int64"']],
  ['an unknown format', { type: 'string', format: 'whatever' }, 'x', []],
  ['none of any', { type: 'string', anyOf: [{ pattern: '^a' }, { pattern: '^b' }] }, 'c', ['<nil>: Invalid value: "": "spec.x" must validate at least one schema (anyOf)', "spec.x: Invalid value: \"c\": spec.x in body should match '^a'"]],
  ['one of any', { type: 'string', anyOf: [{ pattern: '^a' }, { pattern: '^b' }] }, 'b', []],
  ['none of one', { type: 'object', properties: { a: { type: 'string' }, b: { type: 'string' } }, oneOf: [{ required: ['a'] }, { required: ['b'] }] }, {}, ['<nil>: Invalid value: "": "spec.x" must validate one and only one schema (oneOf). Found none valid', 'spec.x.a: Required value']],
  ['two of one', { type: 'object', properties: { a: { type: 'string' }, b: { type: 'string' } }, oneOf: [{ required: ['a'] }, { required: ['b'] }] }, { a: '', b: '' }, ['<nil>: Invalid value: "": "spec.x" must validate one and only one schema (oneOf). Found 2 valid alternatives']],
  ['not all of all', { type: 'string', allOf: [{ pattern: '^a' }, { minLength: 2 }] }, 'a', ['spec.x: Invalid value: "a": spec.x in body should be at least 2 chars long', '<nil>: Invalid value: "": "spec.x" must validate all the schemas (allOf)']],
  ['none of all', { type: 'string', allOf: [{ pattern: '^b' }] }, 'a', ["spec.x: Invalid value: \"a\": spec.x in body should match '^b'", '<nil>: Invalid value: "": "spec.x" must validate all the schemas (allOf). None validated']],
  ['what it must not be', { type: 'string', not: { enum: ['a'] } }, 'a', ['<nil>: Invalid value: "": "spec.x" must not validate the schema (not)']],
]

suite('values against a schema', () => {
  for (const [name, schema, value, errors] of CASES) test(name, () => assert.deepEqual(wrongX(schema, value), errors))

  test('at the root, what is required is named without a dot', () => assert.deepEqual(wrong(object({}, { required: ['spec'] }), {}), ['spec: Required value']))

  test('formats are as lenient as upstream\'s', () => {
    const good: Record<string, string[]> = {
      'date-time': ['2014-12-15T19:30:20.000Z', '2014-12-15t19:30:20+01:00'], duration: ['22 ns', '1h30m', '2 weeks', '-1.5s', '0'], ipv4: ['1.2.3.4', '01.02.03.04'], ipv6: ['::1', '2001:db8::1', '::ffff:1.2.3.4'],
      cidr: ['10.0.0.0/8', '::/0'], email: ['a@b.c', 'A B <a@b>', 'a@b (c)'], uuid: ['550e8400-e29b-41d4-a716-446655440000', '550E8400E29B41D4A716446655440000'], byte: ['aGVsbG8='], uri: ['https://a.b/c?d', '/path', 'mailto:x', '*', 'http://<x>'],
      hostname: ['a.example.com', 'localhost', '1a.example'], mac: ['00:00:5e:00:53:01', '0000.5e00.5301', 'aabbccddeeff'], hexcolor: ['#fff', 'ABCDEF'], rgbcolor: ['rgb(1, 2,255)'], ssn: ['111-22-3333'], creditcard: ['4111 1111 1111 1111'],
      isbn: ['0321751043', '978-0321751041'], password: ['anything'], 'k8s-short-name': ['a-b'], 'k8s-long-name': ['a.b-c'], bsonobjectid: ['507f1f77bcf86cd799439011'],
    }
    const bad: Record<string, string[]> = {
      'date-time': ['2014-12-15', '2014-12-15T25:30:20Z'], duration: ['one', ''], ipv4: ['1.2.3', '::1', '1.2.3.256'], ipv6: ['1.2.3.4', 'fe80::1%eth0', 'x'], cidr: ['10.0.0.0', '10.0.0.0/33'], email: ['a', 'a@', '@b'],
      uuid: ['550e8400-e29b-41d4-a716'], byte: ['a', '=', ''], uri: ['relative', '', 'http://h\\x', 'http://a%20b/'], hostname: ['-a', 'a..b', 'a_b'], mac: ['00:00'], hexcolor: ['#ff'], rgbcolor: ['rgb(1,2)'], ssn: ['1', '123456789', '12345-6789'], creditcard: ['4111111111111112'],
      isbn: ['0321751044'], 'k8s-short-name': ['A', 'a.b', 'a'.repeat(64)], 'k8s-long-name': ['a..b', 'A'], bsonobjectid: ['507f'],
    }
    for (const [format, texts] of Object.entries(good)) for (const t of texts) assert.deepEqual(wrongX({ type: 'string', format }, t), [], `${format} ${t}`)
    for (const [format, texts] of Object.entries(bad)) for (const t of texts) assert.equal(wrongX({ type: 'string', format }, t).length, 1, `${format} ${t}`)
  })

  test('what did not change may stay as it was, wherever old and new can be told apart', () => {
    const item = object({ name: { type: 'string' }, size: { type: 'integer', maximum: 5 } })
    const node = compileSchema(object({
      spec: object({ a: { type: 'integer', maximum: 5 }, b: { type: 'integer', maximum: 5 }, keyed: { type: 'array', 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name'], items: item }, plain: { type: 'array', items: item } }, { required: ['b'] }),
    }))
    const update = (value: unknown, old: unknown): string[] => text(validateValue(value, node, { correlation: new Correlation(value, old, node) }))
    assert.deepEqual(update({ spec: { a: 9, b: 2 } }, { spec: { a: 9, b: 1 } }), [], 'a is as it was')
    assert.deepEqual(update({ spec: { a: 8, b: 1 } }, { spec: { a: 9, b: 1 } }), ['spec.a: Invalid value: 8: spec.a in body should be less than or equal to 5'])
    assert.deepEqual(update({ spec: { a: 1 } }, { spec: { a: 2 } }), ['spec.b: Required value'], 'spec changed')
    assert.deepEqual(update({ spec: { a: 2 } }, { spec: { a: 2 } }), [], 'nothing did')
    const list = (...sizes: number[]) => sizes.map((size, i) => ({ name: `n${i}`, size }))
    assert.deepEqual(update({ spec: { b: 1, keyed: list(9, 1) } }, { spec: { b: 1, keyed: [{ name: 'other', size: 1 }, { name: 'n0', size: 9 }] } }), [], 'the item of that key is as it was')
    assert.deepEqual(update({ spec: { b: 1, plain: list(9, 1) } }, { spec: { b: 1, plain: list(9) } }), ['spec.plain[0].size: Invalid value: 9: spec.plain[0].size in body should be less than or equal to 5'], 'items of atomic lists have no past')
  })

  test('a keyed list whose items only changed places is as it was; what the schema does not know is taken for a change', () => {
    const item = object({ name: { type: 'string' }, size: { type: 'integer' } })
    const node = compileSchema(object({ keyed: { type: 'array', maxItems: 1, 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['name'], items: item }, plain: { type: 'array', maxItems: 1, items: item }, loose: { type: 'object', maxProperties: 1, 'x-kubernetes-preserve-unknown-fields': true } }))
    const update = (value: unknown, old: unknown): string[] => text(validateValue(value, node, { correlation: new Correlation(value, old, node) }))
    const [a, b] = [{ name: 'a', size: 1 }, { name: 'b', size: 2 }]
    assert.deepEqual(update({ keyed: [a, b] }, { keyed: [b, a] }), [])
    assert.deepEqual(update({ keyed: [a, { ...b, size: 3 }] }, { keyed: [b, a] }), ['keyed: Too many: 2: must have at most 1 item'])
    assert.deepEqual(update({ plain: [a, b] }, { plain: [a, b] }), [])
    assert.deepEqual(update({ plain: [a, b] }, { plain: [b, a] }), ['plain: Too many: 2: must have at most 1 item'])
    assert.equal(update({ loose: { x: 1, y: 2 } }, { loose: { x: 1, y: 2 } }).length, 1)
  })

  test('members of sets and items of keyed lists are there once', () => {
    const node = compileSchema(object({
      set: { type: 'array', 'x-kubernetes-list-type': 'set', items: { type: 'string' } },
      keyed: { type: 'array', 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['a', 'b'], items: object({ a: { type: 'string' }, b: { type: 'string' } }) },
      deep: { type: 'object', additionalProperties: { type: 'array', 'x-kubernetes-list-type': 'set', items: { type: 'integer' } } },
    }))
    assert.deepEqual(text(validateListItems({ set: ['x', 'y', 'x', 'x'], keyed: [{ a: '1' }, { a: '1', b: '2' }, { a: '1' }], deep: { k: [1, 1] } }, node)), [
      'set[2]: Duplicate value: "x"', 'keyed[2]: Duplicate value: {"a":"1"}', 'deep[k][1]: Duplicate value: 1',
    ])
  })
})
