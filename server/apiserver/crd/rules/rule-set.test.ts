/** Validation rules over objects: where they run, what they are told of the past, what they may cost, what they say. */
import assert from 'node:assert/strict'
import { suite, test } from 'node:test'
import type { JSONSchemaProps, ValidationRule } from '#api/types/index.ts'
import type { FieldError } from '../../field-error.ts'
import { compileSchema } from '../schema/node.ts'
import { RuleSet } from './rule-set.ts'

const rules = (...list: ValidationRule[]): JSONSchemaProps => ({ 'x-kubernetes-validations': list })
const object = (properties: Record<string, JSONSchemaProps>, ...list: ValidationRule[]): JSONSchemaProps => ({ type: 'object', properties, ...(list.length > 0 && rules(...list)) })

function broken(schema: JSONSchemaProps, value: unknown, old?: unknown): string[] {
  const node = compileSchema(schema)
  const set = RuleSet.of(node, true)
  assert.ok(set)
  return set.validate(value, old, node).map((e) => `${e.field}: ${e.message}`)
}

const INT: JSONSchemaProps = { type: 'integer' }

suite('validation rules', () => {
  test('a schema without rules has none', () => assert.equal(RuleSet.of(compileSchema(object({ a: INT })), true), undefined))

  test('run at every place, on items and on values of maps, with the place in what they say', () => {
    const small = { ...INT, ...rules({ rule: 'self < 3' }) }
    const schema = object({ spec: object({ a: small, list: { type: 'array', items: small }, map: { type: 'object', additionalProperties: small } }, { rule: 'self.a >= 0', message: 'not below zero' }) })
    assert.deepEqual(broken(schema, { spec: { a: 5, list: [1, 4], map: { k: 9 } } }), [
      'spec.a: Invalid value: 5: failed rule: self < 3', 'spec.list[1]: Invalid value: 4: failed rule: self < 3', 'spec.map[k]: Invalid value: 9: failed rule: self < 3',
    ])
    assert.deepEqual(broken(schema, { spec: { a: -1 } }), ['spec: Invalid value: not below zero'])
  })

  test('reason, field path and message expression shape the failure', () => {
    const failing = (rule: Partial<ValidationRule>) => broken(object({ spec: object({ a: INT, b: { type: 'object', additionalProperties: INT } }, { rule: 'self.a < 1', ...rule }) }), { spec: { a: 2 } })
    assert.deepEqual(failing({ reason: 'FieldValueForbidden', message: 'no' }), ['spec: Forbidden: no'])
    assert.deepEqual(failing({ reason: 'FieldValueRequired', fieldPath: '.a', message: 'no' }), ['spec.a: Required value: no'])
    assert.deepEqual(failing({ fieldPath: ".b['x']", message: 'no' }), ['spec.b[x]: Invalid value: no'])
    assert.deepEqual(failing({ messageExpression: '"a is " + string(self.a)', message: 'no' }), ['spec: Invalid value: a is 2'])
    assert.deepEqual(failing({ messageExpression: '"a\\nb"', message: 'no' }), ['spec: Invalid value: no'])
    assert.deepEqual(failing({ messageExpression: 'string(self.a / 0)', message: 'no' }), ['spec: Invalid value: no'])
  })

  test('errors of an expression are told; what is absent is an error only to who asks for it', () => {
    assert.deepEqual(broken(object({ a: INT, b: INT }, { rule: 'self.a == self.b' }), { a: 1 }), ['<nil>: Invalid value: "object": no such key: b evaluating rule: self.a == self.b'])
    assert.deepEqual(broken(object({ a: INT, b: INT }, { rule: 'has(self.b) ? self.a == self.b : true' }), { a: 1 }), [])
  })

  test('transition rules run where there is an old value, optional ones always', () => {
    const kept = object({ a: { type: 'string', ...rules({ rule: 'self == oldSelf', message: 'immutable' }) } })
    assert.deepEqual([broken(kept, { a: 'x' }), broken(kept, { a: 'x' }, {}), broken(kept, { a: 'x' }, { a: 'x' }), broken(kept, { a: 'x' }, { a: 'y' })], [[], [], [], ['a: Invalid value: "x": immutable']])
    const keyed = object({ l: { type: 'array', 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['k'], items: object({ k: { type: 'string' }, v: INT }, { rule: 'self.v >= oldSelf.v', message: 'only up' }) } })
    assert.deepEqual(broken(keyed, { l: [{ k: 'new', v: 1 }, { k: 'a', v: 1 }] }, { l: [{ k: 'a', v: 2 }] }), ['l[1]: Invalid value: only up'])
    const optional = object({ a: { type: 'string', ...rules({ rule: 'oldSelf.hasValue() ? self == oldSelf.value() : self == "first"', optionalOldSelf: true, message: 'first is first' }) } })
    assert.deepEqual([broken(optional, { a: 'x' }), broken(optional, { a: 'first' }), broken(optional, { a: 'y' }, { a: 'y' })], [['a: Invalid value: "x": first is first'], [], []])
  })

  test('what is let pass because it was so before is told', () => {
    const node = compileSchema(object({ a: { ...INT, ...rules({ rule: 'self < 3' }) }, b: INT }))
    const stood: FieldError[] = []
    assert.deepEqual(RuleSet.of(node, true)?.validate({ a: 5, b: 2 }, { a: 5, b: 1 }, node, { stood }), [])
    assert.deepEqual(stood.map((e) => `${e.field}: ${e.message}`), ['a: Invalid value: 5: failed rule: self < 3'])
  })

  test('what did not change may break a rule it broke before; a transition rule is never let off', () => {
    const schema = object({ spec: object({ a: { ...INT, ...rules({ rule: 'self < 3' }) }, b: INT, plain: { type: 'array', items: { ...INT, ...rules({ rule: 'self < 3' }) } } }) })
    assert.deepEqual(broken(schema, { spec: { a: 5, b: 2, plain: [9] } }, { spec: { a: 5, b: 1, plain: [9] } }), [])
    assert.deepEqual(broken(schema, { spec: { a: 6, plain: [9, 1] } }, { spec: { a: 5, plain: [9] } }), ['spec.a: Invalid value: 6: failed rule: self < 3', 'spec.plain[0]: Invalid value: 9: failed rule: self < 3'])
    assert.deepEqual(broken(object({ a: { ...INT, ...rules({ rule: 'self > oldSelf' }) } }), { a: 1 }, { a: 1 }), ['a: Invalid value: 1: failed rule: self > oldSelf'])
  })

  test('kind, apiVersion and name of a resource can be seen, its labels cannot', () => {
    assert.deepEqual(broken(object({ a: INT }, { rule: 'self.metadata.name == "x" && self.kind == "K"' }), { apiVersion: 'g/v', kind: 'K', metadata: { name: 'x' } }), [])
    assert.match(broken(object({ a: INT }, { rule: 'self.metadata.labels.size() == 0' }), { metadata: { name: 'x' } }).join(), /undefined field 'labels'/)
  })

  test('a rule that runs too long, or rules that do so together, end the validation', () => {
    const list: JSONSchemaProps = { type: 'array', items: INT }
    const numbers = Array.from({ length: 1500 }, (_, i) => i)
    const one = broken(object({ a: list }, { rule: 'self.a.all(x, self.a.all(y, x != y || x == y))' }, { rule: 'false', message: 'never run' }), { a: numbers })
    assert.equal(one.length, 1)
    assert.match(one[0] ?? '', /^<nil>: Invalid value: "object": 'operation cancelled: actual cost limit exceeded': no further validation rules will be run due to call cost exceeds limit for rule: self\.a\.all/)
    const costly = { rule: 'self.a.all(x, self.a.exists(y, x == y))' }
    const many = broken(object({ a: list }, ...Array.from({ length: 40 }, () => costly)), { a: numbers.slice(0, 300) })
    assert.deepEqual(many, ['<nil>: Invalid value: "object": validation failed due to running out of cost budget, no further validation rules will be run'])
  })
})
