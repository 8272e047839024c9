/** A delaying queue that remembers how often each key failed in a row and waits longer each time. */
import { backoffMs, type BackoffPolicy } from './backoff.ts'
import type { Clock } from './clock.ts'
import type { Random } from './random.ts'
import { createDelayingQueue, type DelayingQueue } from './workqueue-delaying.ts'

export interface RateLimitingQueue<K> extends DelayingQueue<K> {
  /** The key failed once more: add it again after its back-off. */
  addRateLimited(key: K): void
  /** The key succeeded, or no longer exists: its next failure counts as the first. */
  forget(key: K): void
  failures(key: K): number
}

/** Between upstream's 5 ms (a Pi that is busy booting gets there at once) and its 1000 s (nobody waits so long at a desk). */
export const RECONCILE_BACKOFF: BackoffPolicy = { baseMs: 10, maxMs: 60_000, jitter: 0.2 }

export function createRateLimitingQueue<K>(
  clock: Pick<Clock, 'monotonicMs' | 'after'>,
  random: Random,
  policy: BackoffPolicy = RECONCILE_BACKOFF,
  inner: DelayingQueue<K> = createDelayingQueue<K>(clock),
): RateLimitingQueue<K> {
  const failures = new Map<K, number>()
  return {
    add: (key) => inner.add(key),
    addAfter: (key, ms) => inner.addAfter(key, ms),
    cancelAfter: (key) => inner.cancelAfter(key),
    get: () => inner.get(),
    maybeTake: () => inner.maybeTake(),
    done: (key) => inner.done(key),
    get length() { return inner.length },
    get idle() { return inner.idle },
    get delayed() { return inner.delayed },
    addRateLimited(key) {
      const count = (failures.get(key) ?? 0) + 1
      failures.set(key, count)
      inner.addAfter(key, backoffMs(policy, count, random))
    },
    forget: (key) => { failures.delete(key) },
    failures: (key) => failures.get(key) ?? 0,
    shutdown() {
      failures.clear()
      inner.shutdown()
    },
  }
}
