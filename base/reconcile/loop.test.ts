import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FakeClock } from '../clock-fake.ts'
import { silentLog } from '../log.ts'
import { seededRandom } from '../random.ts'
import { createLoop } from './loop.ts'

type Action = { kind: 'put'; value: number } | { kind: 'boom' }

function world(decide: (value: number) => { actions: Action[]; wakeAtMs?: number; because: string }) {
  const clock = new FakeClock()
  const state = { value: 0, passes: 0, fail: 0 }
  const loop = createLoop<number, Action>({
    name: 'toy',
    observe: (key) => (key === 'gone' ? undefined : state.value),
    decide: (view) => { state.passes++; return decide(view) },
    effects: () => ({
      put: (a) => { state.value = a.value; return Promise.resolve() },
      boom: () => (state.fail++ < 2 ? Promise.reject(new Error('boom')) : Promise.resolve()),
    }),
  }, { clock, random: seededRandom(1), log: silentLog })
  return { clock, state, loop }
}

test('the first failed action ends the pass, which is repeated with back-off', async () => {
  const { clock, state, loop } = world((v) => ({ actions: v === 0 ? [{ kind: 'boom' }, { kind: 'put', value: 7 }] : [], because: 'test' }))
  const stop = new AbortController()
  const running = loop.run(stop.signal)
  loop.queue.add('k')
  await clock.advance(0)
  assert.deepStrictEqual({ ...state }, { value: 0, passes: 1, fail: 1 })
  await clock.advance(1_000)
  assert.deepStrictEqual({ ...state }, { value: 7, passes: 3, fail: 3 })
  assert.equal(loop.queue.failures('k'), 0)
  stop.abort()
  await running
  assert.equal(clock.pending, 0)
})

test('wakeAtMs brings the key back though nothing changed, a vanished key does nothing', async () => {
  const start = new FakeClock().nowMs()
  const { clock, state, loop } = world((v) => (v === 0 ? { actions: [{ kind: 'put', value: 1 }], wakeAtMs: start + 5_000, because: 'wait' } : { actions: [], because: 'done' }))
  const stop = new AbortController()
  const running = loop.run(stop.signal)
  loop.queue.add('gone'); loop.queue.add('k')
  await clock.advance(4_999)
  assert.equal(state.passes, 1)
  await clock.advance(1)
  assert.equal(state.passes, 2)
  stop.abort()
  await running
})
