/** A work queue that can also be told to add a key later. One timer per delayed key, the earliest wish wins. */
import type { Clock } from './clock.ts'
import { createWorkQueue, type WorkQueue } from './workqueue.ts'

export interface DelayingQueue<K> extends WorkQueue<K> {
  /** Adds the key after `ms`; at once when `ms` is not positive. A key already due sooner stays so. */
  addAfter(key: K, ms: number): void
  /** Forgets a pending `addAfter`; a key already waiting stays. */
  cancelAfter(key: K): void
  /** Keys with a timer running. */
  readonly delayed: number
}

/** `onDelay`: a key is to come later. */
export function createDelayingQueue<K>(clock: Pick<Clock, 'monotonicMs' | 'after'>, inner: WorkQueue<K> = createWorkQueue<K>(), onDelay: () => void = () => {}): DelayingQueue<K> {
  const timers = new Map<K, { dueMs: number; cancel: () => void }>()
  let closed = false

  const cancelAfter = (key: K) => {
    timers.get(key)?.cancel()
    timers.delete(key)
  }

  return {
    add: (key) => inner.add(key),
    get: () => inner.get(),
    maybeTake: () => inner.maybeTake(),
    done: (key) => inner.done(key),
    get length() { return inner.length },
    get idle() { return inner.idle },
    get delayed() { return timers.size },
    cancelAfter,
    addAfter(key, ms) {
      if (closed) return
      onDelay()
      if (!(ms > 0)) {
        cancelAfter(key)
        inner.add(key)
        return
      }
      const dueMs = clock.monotonicMs() + ms
      const pending = timers.get(key)
      if (pending && pending.dueMs <= dueMs) return
      pending?.cancel()
      const cancel = clock.after(ms, () => {
        timers.delete(key)
        inner.add(key)
      })
      timers.set(key, { dueMs, cancel })
    },
    shutdown() {
      closed = true
      for (const { cancel } of timers.values()) cancel()
      timers.clear()
      inner.shutdown()
    },
  }
}
