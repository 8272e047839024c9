/** Laws of fair queuing, under arrivals, ends and departures in any order. */
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { QueueSet, type QueuedRequest } from './queue-set.ts'
import { dealHand } from './shuffle-shard.ts'
import { DemandMeter, lendSeats } from './seats.ts'

interface Job { flow: string; id: number }

const config = { queues: 8, handSize: 2, queueLengthLimit: 5 }

type Step = { kind: 'arrive'; flow: number; seats: number } | { kind: 'finish' | 'cancel'; which: number } | { kind: 'limit'; limit: number }
const step: fc.Arbitrary<{ ms: number; step: Step }> = fc.record({
  ms: fc.nat({ max: 50 }),
  step: fc.oneof(
    { weight: 5, arbitrary: fc.record({ kind: fc.constant('arrive' as const), flow: fc.nat({ max: 5 }), seats: fc.integer({ min: 1, max: 6 }) }) },
    { weight: 4, arbitrary: fc.record({ kind: fc.constantFrom('finish' as const, 'cancel' as const), which: fc.nat() }) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('limit' as const), limit: fc.nat({ max: 8 }) }) },
  ),
})

describe('a queue set', () => {
  it('never gives more seats than it has, loses nobody, and leaves no seat free that the next one could take', () => {
    fc.assert(fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
      let nowMs = 0
      const set = new QueueSet<Job>(config, 4, 0)
      const executing: QueuedRequest<Job>[] = []
      const waiting: QueuedRequest<Job>[] = []
      const begun = (list: readonly QueuedRequest<Job>[]) => {
        for (const request of list) {
          waiting.splice(waiting.indexOf(request), 1)
          executing.push(request)
        }
      }
      for (const [id, { ms, step: next }] of steps.entries()) {
        nowMs += ms
        const before = set.seatsInUse
        if (next.kind === 'arrive') {
          const arrival = set.arrive({ flow: `f${next.flow}`, id }, `f${next.flow}`, next.seats, nowMs)
          if (arrival.kind === 'executing') executing.push(arrival.request)
          if (arrival.kind === 'waiting') waiting.push(arrival.request)
          if (arrival.kind === 'refused') assert.ok(set.waiting > 0, 'refused though nobody waits')
        } else if (next.kind === 'limit') begun(set.setLimit(next.limit, nowMs))
        else if (next.kind === 'finish' && executing.length > 0) begun(set.finish(executing.splice(next.which % executing.length, 1)[0] as QueuedRequest<Job>, nowMs))
        else if (next.kind === 'cancel' && waiting.length > 0) begun(set.cancel(waiting.splice(next.which % waiting.length, 1)[0] as QueuedRequest<Job>, nowMs))
        const seats = executing.reduce((n, r) => n + r.seats, 0)
        assert.deepEqual([set.executing, set.waiting, set.seatsInUse], [executing.length, waiting.length, seats])
        // Over the limit only by what began before it sank, or by one request wider than the level, alone.
        assert.ok(seats <= set.limit || seats <= before || executing.length === 1, `${seats} seats of ${set.limit}`)
        // Whoever waits is held up by somebody.
        if (waiting.length > 0) assert.ok(executing.length > 0)
        for (const queue of set.queues) assert.ok(queue.waiting.length <= config.queueLengthLimit)
      }
      while (executing.length > 0) begun(set.finish(executing.shift() as QueuedRequest<Job>, (nowMs += 5)))
      assert.deepEqual([waiting.length, set.isIdle, set.seatsInUse], [0, true, 0])
    }), { numRuns: 300 })
  })

  it('a flow that floods does not starve one that asks now and then: both get their half', () => {
    const set = new QueueSet<Job>({ queues: 64, handSize: 1, queueLengthLimit: 1_000 }, 2, 0)
    const [flood, polite] = ['flood', 'polite']
    assert.notDeepEqual(dealHand(flood, 64, 1), dealHand(polite, 64, 1))
    let nowMs = 0
    const served: string[] = []
    const executing: QueuedRequest<Job>[] = []
    const arrive = (flow: string) => {
      const arrival = set.arrive({ flow, id: 0 }, flow, 1, nowMs)
      if (arrival.kind === 'executing') executing.push(arrival.request)
    }
    for (let i = 0; i < 500; i++) arrive(flood)
    for (let i = 0; i < 40; i++) arrive(polite)
    for (let i = 0; i < 120; i++) {
      nowMs += 10
      const done = executing.shift() as QueuedRequest<Job>
      served.push(done.of.flow)
      executing.push(...set.finish(done, nowMs))
    }
    const politely = served.slice(0, 80).filter((f) => f === polite).length
    assert.ok(politely >= 35, `${politely} of the first 80`)
  })

  it('a flow of slow requests pays for its time', () => {
    const set = new QueueSet<Job>({ queues: 64, handSize: 1, queueLengthLimit: 1_000 }, 1, 0)
    let nowMs = 0
    const spent: Record<string, number> = { slow: 0, quick: 0 }
    let running: QueuedRequest<Job> | undefined
    for (let i = 0; i < 300; i++) {
      for (const flow of ['slow', 'quick']) {
        const arrival = set.arrive({ flow, id: i }, flow, 1, nowMs)
        if (arrival.kind === 'executing') running = arrival.request
      }
    }
    while (nowMs < 2_000 && running) {
      const ms = running.of.flow === 'slow' ? 40 : 4
      nowMs += ms
      spent[running.of.flow] = (spent[running.of.flow] ?? 0) + ms
      running = set.finish(running, nowMs)[0]
    }
    const share = (spent['quick'] ?? 0) / nowMs
    assert.ok(share > 0.4 && share < 0.6, `the quick flow got ${share} of the time`)
  })

  it('a wide request is not passed over for ever by narrow ones', () => {
    const set = new QueueSet<Job>({ queues: 16, handSize: 1, queueLengthLimit: 100 }, 4, 0)
    const executing = [1, 2, 3, 4].map((id) => set.arrive({ flow: 'narrow', id }, 'narrow', 1, 0)).flatMap((a) => (a.kind === 'executing' ? [a.request] : []))
    const wide = set.arrive({ flow: 'wide', id: 0 }, 'wide', 4, 0)
    assert.equal(wide.kind, 'waiting')
    for (let id = 5; id < 60; id++) set.arrive({ flow: 'narrow', id }, 'narrow', 1, 0)
    for (let nowMs = 5; nowMs < 500 && wide.kind === 'waiting' && wide.request.state === 'waiting'; nowMs += 5) executing.push(...set.finish(executing.shift() as QueuedRequest<Job>, nowMs))
    assert.equal(wide.kind === 'waiting' && wide.request.state, 'executing')
  })

  it('a jail holds who queues there until it borrows a seat; where all seats were lent, one at a time goes on', () => {
    const jail = new QueueSet<Job>({ queues: 1, handSize: 1, queueLengthLimit: 1, isJail: true }, 0, 0)
    assert.equal(jail.arrive({ flow: 'a', id: 1 }, 'a', 1, 0).kind, 'waiting')
    assert.deepEqual(jail.arrive({ flow: 'a', id: 2 }, 'a', 1, 0), { kind: 'refused', why: 'queue-full' })
    assert.deepEqual(jail.setLimit(1, 10).map((request) => request.of.id), [1])
    const lent = new QueueSet<Job>({ queues: 1, handSize: 1, queueLengthLimit: 1 }, 0, 0)
    assert.deepEqual([1, 2].map((id) => lent.arrive({ flow: 'a', id }, 'a', 1, 0).kind), ['executing', 'waiting'])
  })

  it('without queues what finds no seat is refused at once', () => {
    const set = new QueueSet<Job>({ queues: 0, handSize: 0, queueLengthLimit: 0 }, 1, 0)
    assert.equal(set.arrive({ flow: 'a', id: 1 }, 'a', 1, 0).kind, 'executing')
    assert.deepEqual(set.arrive({ flow: 'a', id: 2 }, 'a', 1, 0), { kind: 'refused', why: 'concurrency-limit' })
  })
})

describe('a hand of queues', () => {
  it('has as many different ones as asked for, the same for the same flow', () => {
    fc.assert(fc.property(fc.string(), fc.integer({ min: 1, max: 128 }), fc.integer({ min: 1, max: 10 }), (flow, deck, size) => {
      const hand = dealHand(flow, deck, Math.min(size, deck))
      assert.deepEqual([new Set(hand).size, hand.every((card) => card >= 0 && card < deck), hand], [Math.min(size, deck), true, dealHand(flow, deck, Math.min(size, deck))])
    }))
  })
  it('comes out evenly over many flows', () => {
    const counts = Array.from({ length: 16 }, () => 0)
    for (let i = 0; i < 4_000; i++) for (const card of dealHand(`schema\0user-${i}`, 16, 4)) counts[card] = (counts[card] ?? 0) + 1
    assert.ok(counts.every((n) => n > 850 && n < 1_150), counts.join(' '))
  })
})

describe('lending', () => {
  const level = fc.record({ nominal: fc.integer({ min: 1, max: 100 }), lendable: fc.integer({ min: 0, max: 100 }), borrowing: fc.option(fc.integer({ min: 0, max: 300 })), high: fc.nat({ max: 400 }), smooth: fc.nat({ max: 400 }) })
  it('gives each level what it may not be denied, nothing beyond its limit, and all that there is where it is wanted', () => {
    fc.assert(fc.property(fc.array(level, { minLength: 1, maxLength: 9 }), (levels) => {
      const server = levels.reduce((n, l) => n + l.nominal, 0)
      const demands = levels.map((l, i) => ({ name: `l${i}`, high: l.high, smooth: Math.min(l.smooth, l.high), seats: { nominal: l.nominal, min: l.nominal - Math.round((l.nominal * l.lendable) / 100), max: l.nominal + (l.borrowing === null ? server : Math.round((l.nominal * l.borrowing) / 100)) } }))
      const lent = lendSeats(demands, server)
      for (const d of demands) {
        const seats = lent.get(d.name) ?? -1
        assert.ok(seats >= d.seats.min && seats >= Math.min(d.seats.nominal, d.high), `${d.name} got ${seats}`)
        assert.ok(seats <= Math.max(d.seats.max, d.seats.min), `${d.name} got ${seats} of at most ${d.seats.max}`)
      }
      const sum = [...lent.values()].reduce((a, b) => a + b, 0)
      assert.ok(sum <= server + levels.length, `${sum} of ${server}`)
    }))
  })
  it('a busy level borrows what an idle one may lend, and gives it back when that one is busy', () => {
    const seats = { nominal: 50, min: 25, max: 1_000 }
    const of = (a: number, b: number) => Object.fromEntries(lendSeats([{ name: 'a', seats, high: a, smooth: a }, { name: 'b', seats, high: b, smooth: b }], 100))
    assert.deepEqual(of(200, 0), { a: 75, b: 25 })
    assert.deepEqual(of(200, 40), { a: 60, b: 40 })
    assert.deepEqual(of(200, 200), { a: 50, b: 50 })
  })
  it('demand is remembered for a while', () => {
    const meter = new DemandMeter(0)
    meter.set(10, 0)
    meter.set(0, 5_000)
    const first = meter.take(10_000)
    assert.deepEqual([first.high, first.smooth], [10, 10])
    const later = [...Array(30).keys()].map((i) => meter.take(20_000 + i * 10_000).smooth)
    assert.ok((later[0] ?? 0) > 9.5 && (later[29] ?? 0) < 5.1 && (later[29] ?? 0) > 4.5, later.join(' '))
  })
})
