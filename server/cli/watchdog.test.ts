import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FakeClock } from '#base/clock-fake.ts'
import { keepWatchdog, watchdogPeriodMs } from './watchdog.ts'

test('it is asked for by systemd\'s variables, for this process', () => {
  assert.deepEqual([{}, { WATCHDOG_USEC: '' }, { WATCHDOG_USEC: '30000000' }, { WATCHDOG_USEC: '30000000', WATCHDOG_PID: '7' }, { WATCHDOG_USEC: '30000000', WATCHDOG_PID: '8' }].map((env) => watchdogPeriodMs(env, 7)), [0, 0, 30_000, 30_000, 0])
  for (const [micros, says] of [['soon', /WATCHDOG_USEC: "soon" is no time/], ['0', /is no time/], ['1000000', /configure watchdog timeout too small: 1000ms/]] as const) assert.throws(() => watchdogPeriodMs({ WATCHDOG_USEC: micros }, 7), { message: says })
})

test('systemd is told at once and twice in its time, until the end', async () => {
  const clock = new FakeClock()
  const stop = new AbortController()
  const told: number[] = []
  keepWatchdog(10_000, { clock, signal: stop.signal, tell: () => told.push(clock.monotonicMs()) })
  await clock.advance(12_000)
  stop.abort()
  await clock.advance(60_000)
  assert.deepEqual([told, clock.pending], [[0, 5_000, 10_000], 0])
  keepWatchdog(0, { clock, signal: stop.signal, tell: () => told.push(-1) })
  assert.deepEqual([told.length, clock.pending], [3, 0])
})
