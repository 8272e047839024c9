import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseVerdicts } from './verdicts.ts'

const M = '\x16'

test('tests that have tests of their own are not counted; what a test was skipped for and what has no verdict is told', () => {
  assert.deepStrictEqual(parseVerdicts([
    `${M}=== RUN   TestA`, `${M}=== RUN   TestA/one`, '    flags.go:9: skiff has no --x', '    feature_gate.go:170: I1122 18:40:52.053569] Updated', `${M}    --- SKIP: TestA/one (0.00s)`, `${M}=== RUN   TestA/two`, `klog without an end${M}    --- FAIL: TestA/two (0.00s)`, `${M}--- FAIL: TestA (0.01s)`,
    `${M}=== RUN   TestB`, `${M}=== RUN   TestB/one`, `${M}    --- PASS: TestB/one (0.00s)`, `${M}--- PASS: TestB (1.20s)`,
    `${M}=== RUN   TestC`, `${M}=== RUN   TestC/one`, `${M}    --- PASS: TestC/one (0.00s)`, `${M}--- FAIL: TestC (0.00s)`,
    `${M}=== RUN   TestE`, `${M}=== PAUSE TestE`, `${M}=== RUN   TestD`, `${M}=== PAUSE TestD`, `${M}=== CONT  TestD`, `${M}=== RUN   TestD/one`, 'panic: nobody',
  ].join('\n')), {
    passed: ['TestB/one', 'TestC/one'], failed: ['TestA/two', 'TestC'], skipped: [{ name: 'TestA/one', reason: 'skiff has no --x' }], unfinished: ['TestD/one'], begun: ['TestA', 'TestB', 'TestC', 'TestD'],
  })
})
