import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FakeClock } from '#base/clock-fake.ts'
import { createLoopHealth } from './loop-health.ts'

test('a loop that has not come round for twice its time is ill, and well again once it does; others are asked each time', async () => {
  const clock = new FakeClock()
  const health = createLoopHealth(300_000, clock)
  const other: { problem?: string } = {}
  health.add('device-plugin', () => other.problem)
  const problems = () => health.checks().map(({ name, problem }) => `${name}: ${problem ?? 'ok'}`)
  assert.deepStrictEqual(problems(), ['syncloop: ok', 'device-plugin: ok'])
  await clock.advance(900_000)
  assert.deepStrictEqual(problems()[0], 'syncloop: ok', 'it has not begun')
  health.passed()
  await clock.advance(600_001)
  other.problem = 'no socket'
  assert.deepStrictEqual(problems(), ['syncloop: sync Loop took longer than expected', 'device-plugin: no socket'])
  health.passed()
  assert.deepStrictEqual(problems()[0], 'syncloop: ok')
})
