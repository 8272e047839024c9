import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FakeClock } from './clock-fake.ts'
import { seededRandom } from './random.ts'
import { createDelayingQueue } from './workqueue-delaying.ts'
import { createRateLimitingQueue } from './workqueue-rate-limiting.ts'
import { createWorkQueue } from './workqueue.ts'

test('a key added twice is handed out once', async () => {
  const queue = createWorkQueue<string>()
  queue.add('a'); queue.add('b'); queue.add('a')
  assert.deepStrictEqual([await queue.get(), await queue.get(), queue.maybeTake()], ['a', 'b', undefined])
})

test('a key added while in work waits until it is done', async () => {
  const queue = createWorkQueue<string>()
  queue.add('a')
  assert.equal(await queue.get(), 'a')
  queue.add('a'); queue.add('a')
  assert.equal(queue.maybeTake(), undefined)
  queue.done('a')
  assert.equal(queue.maybeTake(), 'a')
  queue.done('a')
  assert.equal(queue.idle, true)
})

test('a waiting worker gets the next key, and undefined at shutdown', async () => {
  const queue = createWorkQueue<string>()
  const first = queue.get()
  const second = queue.get()
  queue.add('a')
  queue.shutdown()
  queue.add('b')
  assert.deepStrictEqual([await first, await second, await queue.get()], ['a', undefined, undefined])
})

test('a delayed key comes at its earliest wish, once', async () => {
  const clock = new FakeClock()
  const queue = createDelayingQueue<string>(clock)
  queue.addAfter('a', 500); queue.addAfter('a', 100); queue.addAfter('a', 300)
  assert.equal(queue.delayed, 1)
  await clock.advance(99)
  assert.equal(queue.maybeTake(), undefined)
  await clock.advance(1)
  assert.equal(queue.maybeTake(), 'a')
  queue.done('a')
  await clock.advance(1_000)
  assert.equal(queue.maybeTake(), undefined)
  assert.equal(clock.pending, 0)
})

test('a failing key waits twice as long each time until it is forgotten', async () => {
  const clock = new FakeClock()
  const queue = createRateLimitingQueue<string>(clock, seededRandom(1), { baseMs: 100, maxMs: 300, jitter: 0 })
  const waits: number[] = []
  for (let i = 0; i < 4; i++) {
    if (i === 3) queue.forget('a')
    queue.addRateLimited('a')
    let waited = 0
    while (queue.maybeTake() === undefined) { await clock.advance(50); waited += 50 }
    queue.done('a')
    waits.push(waited)
  }
  assert.deepStrictEqual(waits, [100, 200, 300, 100])
})
