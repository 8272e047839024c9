import { deepStrictEqual } from 'node:assert'
import { test } from 'node:test'
import { FakeClock } from '#base/clock-fake.ts'
import type { Random } from '#base/random.ts'
import { coalesced } from './coalesced.ts'

const random: Random = { next: () => 0, bytes: (count) => Buffer.alloc(count) }

test('work that fails is tried again by itself, later each time, until it succeeds; a burst is one run', async () => {
  const clock = new FakeClock()
  const stop = new AbortController()
  const runs: number[] = []
  const errors: string[] = []
  const ask = coalesced(async () => {
    runs.push(clock.monotonicMs())
    await Promise.resolve()
    if (runs.length < 4) throw new Error(`no ${runs.length}`)
  }, { clock, random, onError: ({ message }) => errors.push(message), signal: stop.signal })
  ask()
  ask()
  await clock.advance(60_000)
  deepStrictEqual({ runs, errors }, { runs: [0, 200, 600, 1400], errors: ['no 1', 'no 2', 'no 3'] })
  ask()
  await clock.advance(0)
  deepStrictEqual(runs.at(-1), 60_000)
  stop.abort()
  ask()
  await clock.advance(60_000)
  deepStrictEqual(runs.length, 5)
})

test('what failed waits no longer than its signal', async () => {
  const clock = new FakeClock()
  const stop = new AbortController()
  const errors: string[] = []
  const ask = coalesced(() => Promise.reject(new Error('down')), { clock, random, onError: ({ message }) => errors.push(message), signal: stop.signal })
  ask()
  await clock.advance(0)
  stop.abort()
  await clock.advance(60_000)
  deepStrictEqual({ errors, pending: clock.pending }, { errors: ['down'], pending: 0 })
})
