/**
 * The one loop: takes a key from the queue, observes, decides, applies. It stops at the first failed action and comes
 * back with back-off; it comes back at `wakeAtMs`; never two workers on one key. It knows nothing of Kubernetes.
 */
import { asError } from '../errors.ts'
import type { Clock } from '../clock.ts'
import type { Log } from '../log.ts'
import type { Random } from '../random.ts'
import { createDelayingQueue } from '../workqueue-delaying.ts'
import type { WorkQueueMetrics } from '../workqueue-metrics.ts'
import { createRateLimitingQueue, RECONCILE_BACKOFF, type RateLimitingQueue } from '../workqueue-rate-limiting.ts'
import { createWorkQueue } from '../workqueue.ts'
import { applyAction, type DecideContext, type Decision, type Effects } from './action.ts'

export interface Reconciler<V, A extends { kind: string }> {
  /** For the log. */
  name: string
  /** What its queue is called where it is counted; default the name. */
  queue?: string
  /** Reads the world; plain, complete, read-only data. Undefined: there is nothing of that key (any more). */
  observe(key: string, signal: AbortSignal): Promise<V | undefined> | V | undefined
  /** Synchronous and pure. */
  decide(view: V, ctx: DecideContext): Decision<A>
  /** The effects for one pass over `key`. */
  effects(view: V, key: string): Effects<A>
  /** After each pass, whether it failed or not: for what is remembered between passes (expectations). */
  onPass?(key: string, pass: Pass<A>): void
  /** A failure that is part of ordinary life (a conflict, say): retried alike, logged at debug level. */
  isOrdinary?(error: Error): boolean
}

export interface Pass<A> { decision: Decision<A> | undefined; applied: number; error: Error | undefined; tookMs: number }

export interface LoopDeps { clock: Clock; random: Random; log: Log; /** Keys worked on at the same time; default 1. */ workers?: number; /** Who counts what the queue does, under the reconciler's name. */ metrics?: Pick<WorkQueueMetrics, 'of'> }

export interface Loop {
  readonly queue: RateLimitingQueue<string>
  /** Works until the signal aborts; resolves when the passes in flight have ended. */
  run(signal: AbortSignal): Promise<void>
}

export function createLoop<V, A extends { kind: string }>(reconciler: Reconciler<V, A>, deps: LoopDeps): Loop {
  const { clock, random } = deps
  const log = deps.log.with(reconciler.name)
  const meter = deps.metrics?.of(reconciler.queue ?? reconciler.name)
  const keys = createWorkQueue<string>(meter)
  meter?.watch(keys)
  const queue = createRateLimitingQueue<string>(clock, random, RECONCILE_BACKOFF, createDelayingQueue<string>(clock, keys, () => meter?.retried()))

  const work = async (signal: AbortSignal) => {
    for (;;) {
      const key = await queue.get()
      if (key === undefined) return
      const pass = await runPass(reconciler, key, { clock, random }, signal)
      reconciler.onPass?.(key, pass)
      if (pass.error) {
        if (!signal.aborted) {
          const level = reconciler.isOrdinary?.(pass.error) ? 'debug' : 'warn'
          log[level]('will try again', { key, failures: queue.failures(key) + 1, because: pass.decision?.because, error: pass.error })
        }
        queue.addRateLimited(key)
      } else {
        queue.forget(key)
        if (pass.applied > 0) log.debug(pass.decision?.because ?? '', { key, actions: pass.applied })
        const wakeAtMs = pass.decision?.wakeAtMs
        if (wakeAtMs !== undefined) queue.addAfter(key, Math.max(1, wakeAtMs - clock.nowMs()))
      }
      queue.done(key)
    }
  }

  return {
    queue,
    async run(signal) {
      if (signal.aborted) return
      const stop = () => queue.shutdown()
      signal.addEventListener('abort', stop, { once: true })
      await Promise.all(Array.from({ length: deps.workers ?? 1 }, () => work(signal)))
      signal.removeEventListener('abort', stop)
    },
  }
}

/** One observe, decide, apply; never throws. */
export async function runPass<V, A extends { kind: string }>(
  reconciler: Reconciler<V, A>,
  key: string,
  deps: { clock: Clock; random: Random },
  signal: AbortSignal,
): Promise<Pass<A>> {
  const beganMs = deps.clock.monotonicMs()
  const pass = (error?: Error): Pass<A> => ({ decision, applied, error, tookMs: deps.clock.monotonicMs() - beganMs })
  let decision: Decision<A> | undefined
  let applied = 0
  try {
    const view = await reconciler.observe(key, signal)
    if (view === undefined) return pass()
    decision = reconciler.decide(view, { nowMs: deps.clock.nowMs(), random: deps.random })
    const effects = reconciler.effects(view, key)
    for (const action of decision.actions) {
      signal.throwIfAborted()
      await applyAction(effects, action, signal)
      applied++
    }
    return pass()
  } catch (error) {
    return pass(asError(error))
  }
}
