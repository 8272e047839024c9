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

export function createWorkQueue<K>(): WorkQueue<K> {
  const waiting = new Set<K>()
  const inWork = new Set<K>()
  /** Added again while in work: goes back to waiting on `done`. */
  const again = new Set<K>()
  const takers: ((key: K | undefined) => void)[] = []
  let closed = false

  const maybeTake = (): K | undefined => {
    for (const key of waiting) {
      waiting.delete(key)
      inWork.add(key)
      return key
    }
    return undefined
  }
  const push = (key: K) => {
    waiting.add(key)
    const taker = takers.shift()
    if (taker) taker(maybeTake())
  }

  return {
    add(key) {
      if (closed) return
      if (inWork.has(key)) again.add(key)
      else push(key)
    },
    get() {
      if (closed) return Promise.resolve(undefined)
      if (waiting.size > 0) return Promise.resolve(maybeTake())
      return new Promise((resolve) => takers.push(resolve))
    },
    maybeTake: () => (closed ? undefined : maybeTake()),
    done(key) {
      inWork.delete(key)
      if (again.delete(key) && !closed) push(key)
    },
    get length() { return waiting.size },
    get idle() { return waiting.size === 0 && inWork.size === 0 },
    shutdown() {
      closed = true
      waiting.clear()
      again.clear()
      for (const taker of takers.splice(0)) taker(undefined)
    },
  }
}
