import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FakeClock } from './clock-fake.ts'
import { silentLog } from './log.ts'
import { printMetrics } from './metrics.ts'
import { seededRandom } from './random.ts'
import { createLoop } from './reconcile/loop.ts'
import { WorkQueueMetrics } from './workqueue-metrics.ts'

test('a queue tells how many keys came, wait and are worked on, how long they waited and took, and how many come back', async () => {
  const clock = new FakeClock()
  const metrics = new WorkQueueMetrics(clock)
  const goesOn = Promise.withResolvers<void>()
  const loop = createLoop<number, { kind: 'wait' }>({
    name: 'toy', observe: () => 1, decide: () => ({ actions: [{ kind: 'wait' }], because: '', wakeAtMs: clock.nowMs() + 60_000 }), effects: () => ({ wait: () => goesOn.promise }),
  }, { clock, random: seededRandom(1), log: silentLog, metrics })
  const values = () => Object.fromEntries(printMetrics(metrics.all()).toString().split('\n').filter((line) => !line.startsWith('#') && !line.includes('_bucket')).map((line) => line.split('{name="toy"} ')))
  for (const key of ['a', 'b', 'b']) loop.queue.add(key)
  await clock.advance(2_000)
  const stop = new AbortController()
  const running = loop.run(stop.signal)
  await clock.advance(3_000)
  // Once more while it is worked on: it waits for itself.
  for (const key of ['a', 'a']) loop.queue.add(key)
  assert.deepStrictEqual(values(), {
    workqueue_adds_total: '3', workqueue_depth: '1', workqueue_longest_running_processor_seconds: '3', workqueue_queue_duration_seconds_sum: '2', workqueue_queue_duration_seconds_count: '1',
    workqueue_retries_total: '0', workqueue_unfinished_work_seconds: '3', workqueue_work_duration_seconds_sum: '0', workqueue_work_duration_seconds_count: '0', '': undefined,
  })
  goesOn.resolve()
  await clock.advance(0)
  assert.deepStrictEqual(values(), {
    workqueue_adds_total: '3', workqueue_depth: '0', workqueue_longest_running_processor_seconds: '0', workqueue_queue_duration_seconds_sum: '7', workqueue_queue_duration_seconds_count: '3',
    workqueue_retries_total: '3', workqueue_unfinished_work_seconds: '0', workqueue_work_duration_seconds_sum: '3', workqueue_work_duration_seconds_count: '3', '': undefined,
  })
  assert.match(printMetrics(metrics.all()).toString(), /workqueue_work_duration_seconds_bucket\{name="toy",le="1e-08"\} 2\n/)
  stop.abort()
  await running
})
