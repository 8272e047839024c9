import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { compile, schemaToCelType, toJson } from './index.ts'
import type { CelType } from './index.ts'

const X: Record<string, CelType> = { x: { kind: 'dyn' } }

function evaluate(expression: string, x?: unknown): unknown {
  const compiled = compile(expression, { variables: X })
  if (!compiled.ok) return compiled.error
  const result = compiled.program.evaluate(x === undefined ? {} : { x })
  return result.ok ? toJson(result.value) : `! ${result.error}`
}

describe('CEL', () => {
  it('keeps integers whole and tells of overflow', () => {
    assert.equal(evaluate('9007199254740993'), 9007199254740993n)
    assert.equal(evaluate('-9223372036854775808'), -9223372036854775808n)
    assert.equal(evaluate('9223372036854775807 + 1'), '! integer overflow')
    assert.equal(evaluate('7 / 0'), '! division by zero')
    assert.equal(evaluate('-7 / 2'), -3)
    assert.equal(evaluate('-7 % 2'), -1)
  })

  it('absorbs errors in logical operators from either side', () => {
    assert.equal(evaluate('1 / 0 == 1 || true'), true)
    assert.equal(evaluate('true || 1 / 0 == 1'), true)
    assert.equal(evaluate('1 / 0 == 1 && false'), false)
    assert.equal(evaluate('1 / 0 == 1 && true'), '! division by zero')
    assert.equal(evaluate('[1, 0].all(i, 1 / i == 5)'), false)
    assert.equal(evaluate('[0, 1].exists(i, 1 / i == 1)'), true)
  })

  it('draws errors as upstream does', () => {
    assert.match(evaluate('') as string, /^ERROR: <input>:1:0: Syntax error: mismatched input '<EOF>' expecting [^\n]*$/)
    assert.equal(evaluate('foo + 1'), "ERROR: <input>:1:1: undeclared reference to 'foo' (in container '')\n | foo + 1\n | ^")
    assert.equal(evaluate("1 + 'a'"), "ERROR: <input>:1:3: found no matching overload for '_+_' applied to '(int, string)'\n | 1 + 'a'\n | ..^")
  })

  it('reads JSON by its schema', () => {
    const self = schemaToCelType({ type: 'object', properties: { spec: { type: 'object', properties: { 'max-size': { type: 'integer' }, ratio: { type: 'number' } } } } }, { resourceRoot: true })
    assert.ok(self)
    const compiled = compile('self.spec.max__dash__size <= 5 && self.spec.ratio >= 1.0 && self.metadata.name == "a"', { variables: { self }, resultTypes: [{ kind: 'bool' }] })
    assert.ok(compiled.ok)
    assert.deepEqual(compiled.program.evaluate({ self: { metadata: { name: 'a' }, spec: { 'max-size': 5, ratio: 1 } } }), { ok: true, value: true, cost: 12 })
  })

  it('takes whole JSON numbers for int as far as int reaches', () => {
    assert.deepStrictEqual([1, 1.5, 2 ** 53, 1e300, -3].map((x) => [evaluate('type(x) == int', x), evaluate('type(x) == double', x)]), [[true, false], [false, true], [true, false], [false, true], [true, false]])
    assert.equal(evaluate('x + 1', 2 ** 53), 9007199254740993n)
  })

  it('does not see what is undefined', () => {
    assert.deepStrictEqual(['size(x)', 'x.map(k, k)', "'b' in x", 'has(x.b)', 'x == {"a": 1}'].map((e) => evaluate(e, { a: 1, b: undefined })), [1, ['a'], false, false, true])
  })

  it('demands the result type asked for', () => {
    assert.deepEqual(compile('1', { variables: {}, resultTypes: [{ kind: 'bool' }] }), { ok: false, kind: 'result', error: 'must evaluate to bool but got int' })
  })
})
