import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { FakeClock } from '#base/clock-fake.ts'
import { createSchedulingQueue, PARKED_MS_MAX } from './scheduling-queue.ts'

const pod = (key: string, priority = 0, addedMs = 0) => ({ key, priority, addedMs })

function queue() {
  const clock = new FakeClock()
  const counts = { ready: 0 }
  return { clock, counts, queue: createSchedulingQueue(clock, () => void counts.ready++) }
}

describe('the scheduling queue', () => {
  it('hands out by priority, then by age, each pod once', () => {
    const { queue: q } = queue()
    q.add(pod('old', 0, 1)); q.add(pod('new', 0, 2)); q.add(pod('vip', 10, 3)); q.add(pod('old', 0, 1))
    assert.deepEqual([q.pop()?.key, q.pop()?.key, q.pop()?.key, q.pop()], ['vip', 'old', 'new', undefined])
  })

  it('counts from when a pod first came, also if it comes again before it is tried', () => {
    const { queue: q } = queue()
    q.add(pod('p', 0, 1)); q.add(pod('p', 5, 9))
    assert.deepEqual(q.pop(), pod('p', 5, 1))
    q.retry(pod('p', 5, 1), true); q.add(pod('p', 5, 12))
    assert.deepEqual(q.pop(), pod('p', 5, 1))
  })

  it('parks what found no node until something changes, and no shorter than its back-off', async () => {
    const { queue: q, clock, counts } = queue()
    q.retry(pod('p'), true)
    await clock.advance(60_000)
    assert.equal(q.pop(), undefined)
    q.wake('NodeAdd')
    assert.equal(q.pop()?.key, 'p')
    assert.equal(counts.ready, 1)
    q.retry(pod('p'), true)
    q.wake('NodeAdd')
    assert.equal(q.pop(), undefined, 'second failure: two seconds')
    await clock.advance(1_999)
    assert.equal(q.pop(), undefined)
    await clock.advance(1)
    assert.equal(q.pop()?.key, 'p')
  })

  it('tries parked pods again after five minutes without any sign', async () => {
    const { queue: q, clock } = queue()
    q.retry(pod('p'), true)
    await clock.advance(PARKED_MS_MAX)
    assert.equal(q.pop()?.key, 'p')
  })

  it('doubles the back-off up to ten seconds and starts over once forgotten', async () => {
    const { queue: q, clock } = queue()
    const waits: number[] = []
    for (let i = 0; i < 6; i++) {
      q.retry(pod('p'), false)
      let ms = 0
      while (!q.pop()) { await clock.advance(500); ms += 500 }
      waits.push(ms)
    }
    assert.deepEqual(waits, [1000, 2000, 4000, 8000, 10000, 10000])
    q.forget('p')
    q.retry(pod('p'), false)
    await clock.advance(1000)
    assert.equal(q.pop()?.key, 'p')
  })

  it('leaves no timer behind when closed or emptied', () => {
    const { queue: q, clock } = queue()
    q.retry(pod('p'), true)
    assert.equal(clock.pending, 1)
    q.close()
    assert.equal(clock.pending, 0)
  })
})
