/**
 * What cel-go 0.26 with Kubernetes 1.36's libraries says of expressions of ours: recorded by a Go program that is not part of the project.
 * `rows`: [expression, estimate at least, at most, cost of the run] | [..., 'error', text] | [expression, 'refused', first line]; `misfits`: what is said, of which expressions.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { compile, DYN, estimateCost, schemaToCelType } from './index.ts'
import type { CelType, OpenApiSchema } from './index.ts'

type Row = readonly [string, 'refused', string] | readonly [string, number, number, number] | readonly [string, number, number, 'error', string]
interface Recorded { schema: OpenApiSchema; self: Record<string, unknown>; rows: Row[]; misfits: Record<string, string[]> }

const { schema, self, rows, misfits } = JSON.parse(readFileSync(new URL('testdata/upstream.json', import.meta.url), 'utf8')) as Recorded

function row(expression: string, type: CelType): Row {
  const compiled = compile(expression, { variables: { self: type } })
  if (!compiled.ok) return [expression, 'refused', compiled.error.split('\n')[0] ?? '']
  const { min, max } = estimateCost(compiled.program.ast, type)
  const outcome = compiled.program.evaluate({ self })
  return outcome.ok ? [expression, min, max, outcome.cost] : [expression, min, max, 'error', outcome.error]
}

test('expressions are refused, estimated, counted and failed as upstream does it', () => {
  const type = schemaToCelType(schema, { name: 'selfType' })
  assert.ok(type)
  assert.deepStrictEqual(rows.map(([expression]) => row(expression, type)), rows)
})

test('values that no function takes are complained of in upstream\'s words', () => {
  const told = Object.keys(misfits).map((message) => [message, (misfits[message] ?? []).filter((expression) => complaint(expression) === message)])
  assert.deepStrictEqual(Object.fromEntries(told), misfits)
})

function complaint(expression: string): string {
  const compiled = compile(expression, { variables: { self: DYN } })
  if (!compiled.ok) return compiled.error
  const outcome = compiled.program.evaluate({})
  return outcome.ok ? 'nothing' : outcome.error
}
