/**
 * A queue of keys for reconcile loops. A key that is already waiting is not added twice; a key in work is handed to
 * nobody else, and if added meanwhile it waits until `done`. Order is first in, first out. Unbounded by itself: its
 * limit is the number of distinct keys, which its feeder (an informer's cache) bounds.
 */
export interface WorkQueue<K> {
  add(key: K): void
  /** The next key, or undefined once shut down. The caller must call `done(key)` afterwards. */
  get(): Promise<K | undefined>
  /** Like `get`, without waiting: undefined when nothing is ready now. */
  maybeTake(): K | undefined
  done(key: K): void
  /** Keys waiting, those in work not counted. */
  readonly length: number
  /** Nothing waits and nothing is in work. */
  readonly idle: boolean
  /** Waiting keys are dropped, waiting `get`s answer undefined. Twice is fine. */
  shutdown(): void
}

/** What a queue tells of itself as it goes. */
export interface WorkQueueMeter {
  nowMs(): number
  added(): void
  /** A key left the queue to be worked on. */
  began(waitedMs: number): void
  ended(workedMs: number): void
}

/** What is read of a queue. */
export interface WorkQueueState { readonly length: number; /** Since when each key is worked on, by the meter's clock. */ startsMs(): Iterable<number> }

const UNMETERED: WorkQueueMeter = { nowMs: () => 0, added() { /* nobody asks */ }, began() { /* nobody asks */ }, ended() { /* nobody asks */ } }

export function createWorkQueue<K>(meter: WorkQueueMeter = UNMETERED): WorkQueue<K> & WorkQueueState {
  /** Since when. */
  const waiting = new Map<K, number>()
  const inWork = new Map<K, number>()
  /** Added again while in work: goes back to waiting on `done`. */
  const again = new Set<K>()
  const takers: ((key: K | undefined) => void)[] = []
  let closed = false

  const maybeTake = (): K | undefined => {
    for (const [key, sinceMs] of waiting) {
      const nowMs = meter.nowMs()
      waiting.delete(key)
      inWork.set(key, nowMs)
      meter.began(nowMs - sinceMs)
      return key
    }
    return undefined
  }
  const push = (key: K) => {
    if (!waiting.has(key)) waiting.set(key, meter.nowMs())
    const taker = takers.shift()
    if (taker) taker(maybeTake())
  }

  return {
    add(key) {
      if (closed) return
      const isInWork = inWork.has(key)
      if (!(isInWork ? again : waiting).has(key)) meter.added()
      if (isInWork) again.add(key)
      else push(key)
    },
    get() {
      if (closed) return Promise.resolve(undefined)
      if (waiting.size > 0) return Promise.resolve(maybeTake())
      return new Promise((resolve) => takers.push(resolve))
    },
    maybeTake: () => (closed ? undefined : maybeTake()),
    done(key) {
      const sinceMs = inWork.get(key)
      if (sinceMs !== undefined) meter.ended(meter.nowMs() - sinceMs)
      inWork.delete(key)
      if (again.delete(key) && !closed) push(key)
    },
    get length() { return waiting.size },
    startsMs: () => inWork.values(),
    get idle() { return waiting.size === 0 && inWork.size === 0 },
    shutdown() {
      closed = true
      waiting.clear()
      again.clear()
      for (const taker of takers.splice(0)) taker(undefined)
    },
  }
}
