import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { BOOL, compile, estimateCost, schemaToCelType } from './index.ts'
import type { OpenApiSchema } from './index.ts'

function compiled(schema: OpenApiSchema, rule: string) {
  const self = schemaToCelType(schema)
  assert.ok(self)
  const made = compile(rule, { variables: { self, oldSelf: self }, resultTypes: [BOOL] })
  assert.ok(made.ok, rule)
  return { program: made.program, self }
}

const list = (items: OpenApiSchema, over: OpenApiSchema = {}): OpenApiSchema => ({ type: 'array', items, ...over })
const STRING: OpenApiSchema = { type: 'string' }
const NUMBER: OpenApiSchema = { type: 'number' }

/** Schema, rule, and what upstream estimates at worst (kube-apiserver refuses rules by these numbers). */
const ESTIMATES: readonly (readonly [OpenApiSchema, string, number])[] = [
  [list(NUMBER), 'self.all(x, true)', 4_718_591],
  [list(NUMBER, { maxItems: 10 }), 'self.all(x, true)', 32],
  [list(STRING), 'self.all(x, true)', 3_145_727],
  [list({ type: 'boolean' }), 'self.all(x, true)', 1_887_437],
  [list(list(NUMBER)), 'self.all(x, true)', 3_145_727],
  [{ type: 'object', additionalProperties: NUMBER }, 'self.all(x, true)', 1_348_169],
  [{ type: 'object', properties: { a: STRING } }, "self.a == 'x'", 3],
  [{ type: 'object', properties: { a: { type: 'integer' } } }, 'self.a == 1', 2],
  [{ type: 'object', properties: { a: STRING } }, "self.a.matches('^[a-z]+$')", 2 + 314_573 * 2],
  [{ type: 'object', properties: { a: { type: 'string', maxLength: 10 } } }, "self.a.matches('^[a-z]+$')", 2 + 5 * 2],
  [{ type: 'object', properties: { a: { type: 'string', enum: ['abc', 'defgh'] } } }, "self.a.contains('abcdefghijk')", 2 + 1 * 2],
]

/** Schema, rule, value, and what upstream's tracker counts. */
const RUNS: readonly (readonly [OpenApiSchema, string, unknown, number])[] = [
  [list({ type: 'integer' }), 'self.all(e, e > 0)', [1, 2, 3], 17],
  [list({ type: 'integer' }), 'self.exists(e, e > 2)', [1, 2, 3], 20],
  [list({ type: 'integer' }), 'self.exists_one(e, e > 2)', [1, 2, 3], 11],
  [list({ type: 'integer' }), 'size(self.filter(e, e > 2)) == 1', [1, 2, 3], 23],
  [{ type: 'object', properties: { a: STRING } }, "self.a == 'text'", { a: 'text' }, 3],
  [{ type: 'object', properties: { a: STRING } }, "self.a in ['text', 'b']", { a: 'text' }, 2],
  [{ type: 'object', properties: { a: STRING } }, "has(self.a) && self.a.startsWith('t')", { a: 'text' }, 4],
  [{ type: 'object', properties: { a: STRING } }, "self.a == 'x' ? true : self.a == 'text'", { a: 'text' }, 6],
]

describe('costs', () => {
  it('estimates are upstream\'s', () => {
    assert.deepStrictEqual(ESTIMATES.map(([schema, rule]) => {
      const { program, self } = compiled(schema, rule)
      return [rule, estimateCost(program.ast, self).max]
    }), ESTIMATES.map(([, rule, max]) => [rule, max]))
  })

  it('what is counted while evaluating is upstream\'s', () => {
    assert.deepStrictEqual(RUNS.map(([schema, rule, self]) => {
      const { cost, ok } = compiled(schema, rule).program.evaluate({ self })
      return [rule, ok, cost]
    }), RUNS.map(([, rule, , cost]) => [rule, true, cost]))
  })

  it('an evaluation ends at its limit, whatever would absorb an error', () => {
    const { program } = compiled(list(NUMBER), 'self.all(x, self.all(y, x + y > -1.0)) || true')
    const self = Array.from({ length: 2_000 }, (_, i) => i)
    assert.deepStrictEqual(program.evaluate({ self }), { ok: false, kind: 'cost', error: 'operation cancelled: actual cost limit exceeded', cost: 1_000_001 })
    assert.equal(program.evaluate({ self: [1, 2] }, { costLimit: 10 }).ok, false)
  })
})
