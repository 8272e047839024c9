/**
 * Pods waiting for a node, after upstream's scheduling queue: `active` is tried in order of priority, then age;
 * a pod that found no node waits in `parked` until something changes in the cluster, and at least its back-off
 * (1 s doubling to 10 s) after its last try. Nothing is polled: one timer for the earliest back-off.
 */
import { backoffMs, type BackoffPolicy } from '#base/backoff.ts'
import type { Clock } from '#base/clock.ts'

export const POD_BACKOFF: BackoffPolicy = { baseMs: 1_000, maxMs: 10_000, jitter: 0 }
/** A parked pod is tried again after this even if no change was seen that could matter (upstream: 5 minutes). */
export const PARKED_MS_MAX = 300_000

export interface QueuedPod { key: string; priority: number; addedMs: number; /** The filters that refused nodes when it was tried last. */ refusedBy?: readonly string[] }

/** Where pods go within the queue, by upstream's names. */
export type QueueName = 'active' | 'backoff' | 'unschedulable'
/** `event`: what made it go there, by upstream's name. */
export type OnQueued = (queue: QueueName, event: string) => void
export interface QueueSizes { active: number; backoff: number; unschedulable: number; /** Of those that are parked: how many each filter refused. */ refusedBy: ReadonlyMap<string, number> }

export interface SchedulingQueue {
  add(pod: QueuedPod): void
  remove(key: string): void
  has(key: string): boolean
  /** The next pod to try; undefined when nothing is ready. The pod leaves the queue. */
  pop(): QueuedPod | undefined
  /** After a try that failed. `parked`: until `wake`; otherwise just for its back-off. */
  retry(pod: QueuedPod, parked: boolean): void
  /** The pod found its node: its next failure counts as the first. */
  forget(key: string): void
  /** Something changed that may help: parked pods are ready after their back-off. `event`: upstream's name of it. */
  wake(event: string): void
  /** How often it was tried in vain since it was added. */
  failures(key: string): number
  sizes(): QueueSizes
  close(): void
}

interface Waiting { pod: QueuedPod; readyMs: number; parkedUntilMs: number | undefined; /** What ends the wait. */ event: string }

export function createSchedulingQueue(clock: Clock, onReady: () => void, onQueued: OnQueued = () => {}): SchedulingQueue {
  const active = new Map<string, QueuedPod>()
  const waiting = new Map<string, Waiting>()
  const failures = new Map<string, number>()
  let cancelTimer: (() => void) | undefined

  const dueMs = (w: Waiting) => w.parkedUntilMs ?? w.readyMs
  const settle = () => {
    cancelTimer?.()
    cancelTimer = undefined
    const nowMs = clock.monotonicMs()
    let nextMs = Infinity
    let moved = false
    for (const [key, w] of waiting) {
      if (dueMs(w) <= nowMs) {
        waiting.delete(key)
        active.set(key, w.pod)
        onQueued('active', w.event)
        moved = true
      } else nextMs = Math.min(nextMs, dueMs(w))
    }
    if (nextMs !== Infinity) cancelTimer = clock.after(nextMs - nowMs, settle)
    if (moved) onReady()
  }
  const remove = (key: string) => {
    active.delete(key)
    waiting.delete(key)
    failures.delete(key)
  }

  return {
    add(pod) {
      // Told anew, it has been waiting no less long.
      const { addedMs } = active.get(pod.key) ?? waiting.get(pod.key)?.pod ?? pod
      waiting.delete(pod.key)
      active.set(pod.key, { ...pod, addedMs })
      onQueued('active', 'UnschedulablePodAdd')
      onReady()
    },
    remove,
    has: (key) => active.has(key) || waiting.has(key),
    pop() {
      let best: QueuedPod | undefined
      for (const pod of active.values()) if (!best || pod.priority > best.priority || (pod.priority === best.priority && pod.addedMs < best.addedMs)) best = pod
      if (best) active.delete(best.key)
      return best
    },
    retry(pod, parked) {
      const nowMs = clock.monotonicMs()
      const count = (failures.get(pod.key) ?? 0) + 1
      failures.set(pod.key, count)
      waiting.set(pod.key, { pod, readyMs: nowMs + backoffMs(POD_BACKOFF, count), ...(parked ? { parkedUntilMs: nowMs + PARKED_MS_MAX, event: 'UnschedulableTimeout' } : { parkedUntilMs: undefined, event: 'BackoffComplete' }) })
      onQueued(parked ? 'unschedulable' : 'backoff', 'ScheduleAttemptFailure')
      settle()
    },
    forget: (key) => void failures.delete(key),
    wake(event) {
      const nowMs = clock.monotonicMs()
      for (const w of waiting.values()) {
        if (w.parkedUntilMs === undefined) continue
        w.parkedUntilMs = undefined
        w.event = w.readyMs <= nowMs ? event : 'BackoffComplete'
        if (w.readyMs > nowMs) onQueued('backoff', event)
      }
      if (waiting.size > 0) settle()
    },
    failures: (key) => failures.get(key) ?? 0,
    sizes() {
      const parked = [...waiting.values()].filter((w) => w.parkedUntilMs !== undefined)
      const refusedBy = new Map<string, number>()
      for (const { pod } of parked) for (const name of pod.refusedBy ?? []) refusedBy.set(name, (refusedBy.get(name) ?? 0) + 1)
      return { active: active.size, backoff: waiting.size - parked.length, unschedulable: parked.length, refusedBy }
    },
    close() {
      cancelTimer?.()
      active.clear()
      waiting.clear()
    },
  }
}
