/**
 * Fair queuing of one priority level (KEP-1040): requests occupy seats; who finds none free waits in one of the queues of
 * its flow's hand. Queues are served by virtual time: as if each active queue got an equal share of the seats, second by
 * second; the request that would then be done first goes next. A pure machine: time comes in with each call, what is to
 * run comes out.
 *
 *   arrive --seat free, nobody waits--> executing --finish--> done
 *      |                                    ^
 *      +--> waiting --dispatch-------------+
 *      |      +--cancel (time-out, gone)--> done
 *      +--> refused (queue-full, concurrency-limit)
 */
import { assert } from '#base/errors.ts'
import { dealHand } from './shuffle-shard.ts'

export interface QueueSetConfig {
  /** 0: nobody waits. */
  queues: number
  handSize: number
  queueLengthLimit: number
  /** No seats of its own: who queues here stays until seats are borrowed or its time is over. */
  isJail?: boolean
}

/** What a request is taken to need until it is done, in seconds; corrected when it is. Upstream's figure. */
const GUESS_SECONDS = 0.003
/** Hands that are kept, so that a known flow costs no dealing. */
const HANDS_MAX = 1_000

export interface QueuedRequest<T> {
  readonly of: T
  readonly seats: number
  readonly arrivedMs: number
  state: 'waiting' | 'executing' | 'done'
  dispatchedMs: number
  /** Undefined where nobody queues. */
  readonly queue: Queue<T> | undefined
}

export interface Queue<T> {
  readonly index: number
  /** In order of arrival. */
  waiting: QueuedRequest<T>[]
  executing: number
  seatsInUse: number
  /** Virtual time at which its next request begins. */
  nextDispatchR: number
}

export type Arrival<T> =
  | { kind: 'executing' | 'waiting'; request: QueuedRequest<T> }
  | { kind: 'refused'; why: 'queue-full' | 'concurrency-limit' }

export class QueueSet<T> {
  #config: QueueSetConfig
  #limit: number
  /** Made when first used: most of the many queues never are. */
  readonly #queues = new Map<number, Queue<T>>()
  readonly #hands = new Map<string, number[]>()
  #busyQueues = 0
  #seatsInUse = 0
  #executing = 0
  #waiting = 0
  #waitingSeats = 0
  /** Virtual time, in seat-seconds per active queue. */
  #virtual = 0
  #atMs: number
  /** Queues that have somebody waiting. */
  readonly #pending = new Set<Queue<T>>()

  constructor(config: QueueSetConfig, limit: number, nowMs: number) {
    this.#config = config
    this.#limit = limit
    this.#atMs = nowMs
  }

  get seatsInUse(): number { return this.#seatsInUse }
  get waitingSeats(): number { return this.#waitingSeats }
  get executing(): number { return this.#executing }
  get waiting(): number { return this.#waiting }
  get limit(): number { return this.#limit }
  get virtualTime(): number { return this.#virtual }
  get isIdle(): boolean { return this.#executing === 0 && this.#waiting === 0 }
  /** In order of index. */
  get queues(): Queue<T>[] { return [...this.#queues.values()].sort((a, b) => a.index - b.index) }
  get queueCount(): number { return this.#config.queues }

  /** More or fewer seats and queues from now on. Who waits in a queue that is no more keeps its place until it is served. */
  configure(config: QueueSetConfig, limit: number, nowMs: number): QueuedRequest<T>[] {
    if (config.queues !== this.#config.queues || config.handSize !== this.#config.handSize) this.#hands.clear()
    this.#config = config
    return this.setLimit(limit, nowMs)
  }

  /** Returns who may begin now. */
  setLimit(limit: number, nowMs: number): QueuedRequest<T>[] {
    this.#advance(nowMs)
    this.#limit = limit
    return this.#dispatch(nowMs)
  }

  arrive(of: T, flow: string, seats: number, nowMs: number): Arrival<T> {
    this.#advance(nowMs)
    const isFree = this.#waiting === 0 && this.#hasSeats(seats)
    if (this.#config.queues === 0) {
      if (!isFree) return { kind: 'refused', why: 'concurrency-limit' }
      const request: QueuedRequest<T> = { of, seats, arrivedMs: nowMs, dispatchedMs: 0, state: 'waiting', queue: undefined }
      this.#begin(request, nowMs)
      return { kind: 'executing', request }
    }
    const queue = this.#chooseQueue(flow)
    if (!isFree && queue.waiting.length >= this.#config.queueLengthLimit) return { kind: 'refused', why: 'queue-full' }
    const request: QueuedRequest<T> = { of, seats, arrivedMs: nowMs, dispatchedMs: 0, state: 'waiting', queue }
    if (isFree) {
      this.#begin(request, nowMs)
      return { kind: 'executing', request }
    }
    this.#enter(queue)
    queue.waiting.push(request)
    this.#pending.add(queue)
    this.#waiting++
    this.#waitingSeats += seats
    return { kind: 'waiting', request }
  }

  /** The request is done; returns who may begin now. */
  finish(request: QueuedRequest<T>, nowMs: number): QueuedRequest<T>[] {
    assert(request.state === 'executing', 'only who executes can finish')
    this.#advance(nowMs)
    request.state = 'done'
    this.#executing--
    this.#seatsInUse -= request.seats
    const { queue } = request
    if (queue) {
      queue.executing--
      queue.seatsInUse -= request.seats
      // The guess is replaced by the truth.
      queue.nextDispatchR += request.seats * (Math.max(0, nowMs - request.dispatchedMs) / 1000 - GUESS_SECONDS)
      this.#leave(queue)
    }
    return this.#waiting === 0 ? NOBODY : this.#dispatch(nowMs)
  }

  /** It waits no longer: its time is up, or the client is gone. Returns who may begin now: it may have stood in the way of smaller ones. */
  cancel(request: QueuedRequest<T>, nowMs: number): QueuedRequest<T>[] {
    const { queue } = request
    assert(request.state === 'waiting' && queue, 'only who waits can be cancelled')
    this.#advance(nowMs)
    request.state = 'done'
    this.#unqueue(queue, queue.waiting.indexOf(request))
    this.#leave(queue)
    return this.#dispatch(nowMs)
  }

  #hasSeats(seats: number): boolean {
    // What is wider than the whole level runs alone, also where all seats have been lent: nobody waits for ever.
    if (this.#seatsInUse + seats <= this.#limit) return true
    return seats > this.#limit && this.#seatsInUse === 0 && !(this.#limit === 0 && this.#config.isJail)
  }

  #advance(nowMs: number): void {
    const seconds = Math.max(0, nowMs - this.#atMs) / 1000
    this.#atMs = Math.max(nowMs, this.#atMs)
    if (this.#busyQueues > 0) this.#virtual += (seconds * Math.min(this.#seatsInUse + this.#waitingSeats, this.#limit)) / this.#busyQueues
  }

  /** Of the flow's hand, the queue with the least work before it. */
  #chooseQueue(flow: string): Queue<T> {
    let best: Queue<T> | undefined
    let least = Number.POSITIVE_INFINITY
    for (const index of this.#handOf(flow)) {
      const queue = this.#queue(index)
      const work = queue.seatsInUse + queue.waiting.reduce((sum, r) => sum + r.seats, 0)
      if (work >= least) continue
      best = queue
      least = work
      if (work === 0) break
    }
    return best as Queue<T>
  }

  #handOf(flow: string): readonly number[] {
    let hand = this.#hands.get(flow)
    if (!hand) {
      if (this.#hands.size >= HANDS_MAX) this.#hands.clear()
      this.#hands.set(flow, (hand = dealHand(flow, this.#config.queues, this.#config.handSize)))
    }
    return hand
  }

  #queue(index: number): Queue<T> {
    let queue = this.#queues.get(index)
    if (!queue) this.#queues.set(index, (queue = { index, waiting: [], executing: 0, seatsInUse: 0, nextDispatchR: 0 }))
    return queue
  }

  /** It becomes active, if it was not: what it did not use while it was empty is not saved up, what it overdrew is kept. */
  #enter(queue: Queue<T>): void {
    if (queue.waiting.length > 0 || queue.executing > 0) return
    this.#busyQueues++
    queue.nextDispatchR = Math.max(queue.nextDispatchR, this.#virtual)
  }

  #leave(queue: Queue<T>): void {
    if (queue.waiting.length === 0) this.#pending.delete(queue)
    if (queue.waiting.length > 0 || queue.executing > 0) return
    this.#busyQueues--
    // Alone again: the clock of the level starts anew, so that figures stay small for ever.
    if (this.#busyQueues > 0) return
    this.#virtual = 0
    for (const other of this.#queues.values()) other.nextDispatchR = 0
    if (this.#config.queues === 0 || this.#queues.size > this.#config.queues) this.#queues.clear()
  }

  #begin(request: QueuedRequest<T>, nowMs: number): void {
    const { queue, seats } = request
    if (queue) {
      this.#enter(queue)
      queue.executing++
      queue.seatsInUse += seats
      queue.nextDispatchR += seats * GUESS_SECONDS
    }
    request.state = 'executing'
    request.dispatchedMs = nowMs
    this.#executing++
    this.#seatsInUse += seats
  }

  #unqueue(queue: Queue<T>, at: number): void {
    const [request] = queue.waiting.splice(at, 1)
    this.#waiting--
    this.#waitingSeats -= request?.seats ?? 0
  }

  /** As many as have seats, in order of virtual finish; the first that has none holds up the rest, so that wide ones get their turn. */
  #dispatch(nowMs: number): QueuedRequest<T>[] {
    const begun: QueuedRequest<T>[] = []
    while (this.#waiting > 0) {
      const queue = this.#nextQueue()
      const request = queue.waiting[0] as QueuedRequest<T>
      if (!this.#hasSeats(request.seats)) break
      this.#begin(request, nowMs)
      this.#unqueue(queue, 0)
      if (queue.waiting.length === 0) this.#pending.delete(queue)
      begun.push(request)
    }
    return begun
  }

  #nextQueue(): Queue<T> {
    let best: Queue<T> | undefined
    let first = Number.POSITIVE_INFINITY
    for (const queue of this.#pending) {
      const finish = queue.nextDispatchR + (queue.waiting[0]?.seats ?? 0) * GUESS_SECONDS
      if (finish >= first) continue
      best = queue
      first = finish
    }
    return best as Queue<T>
  }
}

const NOBODY: never[] = []
