/** Since when a taint of a rule has its effect: tables. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { V1beta2DeviceTaintRule as DeviceTaintRule } from '#api/types/index.ts'
import { deviceTaintRuleStrategy } from './device-taint-rule.ts'

const BEFORE = '2026-01-01T00:00:00Z'
const NOW = '2026-01-02T00:00:00Z'
const rule = (effect: string, timeAdded: string | undefined): DeviceTaintRule => ({ metadata: { name: 'r' }, spec: { taint: { key: 'hot', effect, ...(timeAdded !== undefined && { timeAdded }) } } })

const table: [string, DeviceTaintRule, string][] = [
  ['stays what it was where the effect does', rule('None', BEFORE), BEFORE],
  ['is now where the effect is another', rule('NoExecute', BEFORE), NOW],
  ['is what is said', rule('NoExecute', '2026-01-01T12:00:00Z'), '2026-01-01T12:00:00Z'],
  ['is now where nothing is said', rule('None', undefined), NOW],
]
for (const [what, update, expected] of table) {
  test(`the time ${what}`, () => {
    const object = structuredClone(update)
    deviceTaintRuleStrategy.prepareUpdate?.(object, rule('None', BEFORE), { nowMs: Date.parse(NOW) } as never)
    assert.equal(object.spec?.taint.timeAdded, expected)
  })
}
