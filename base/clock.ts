/**
 * Time as a thing one is handed. Nothing outside the adapters listed in scripts/check-tidy.ts reads `Date`,
 * timers or `process.hrtime` itself: with a FakeClock a test decides what time it is.
 */
export interface Clock {
  /** Wall time in milliseconds since 1970 UTC. May jump in either direction. */
  nowMs(): number
  /** Milliseconds from an arbitrary origin; never decreases. Use it for durations. */
  monotonicMs(): number
  /** Resolves after `ms`; rejects with the signal's reason when aborted first. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
  /** Runs `fn` once after `ms` unless the returned function is called first. Does not keep the process alive. */
  after(ms: number, fn: () => void): () => void
}

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
  sleep(ms, signal) {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(toError(signal.reason))
      const onAbort = () => {
        clearTimeout(timer)
        reject(toError(signal?.reason))
      }
      const timer = setTimeout(() => {
        signal?.removeEventListener('abort', onAbort)
        resolve()
      }, Math.min(ms, TIMER_MS_MAX))
      signal?.addEventListener('abort', onAbort, { once: true })
    })
  },
  after(ms, fn) {
    const timer = setTimeout(fn, Math.min(ms, TIMER_MS_MAX))
    timer.unref()
    return () => clearTimeout(timer)
  },
}

/** setTimeout fires at once beyond 2^31-1 ms; no wait in skiff is meant to be that long. */
const TIMER_MS_MAX = 2_147_483_647

function toError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(typeof reason === 'string' ? reason : 'aborted')
}
