/** Work that is asked for in bursts: one run at a time, and again, later and later, until it succeeds. */
import { backoffMs, type BackoffPolicy } from '#base/backoff.ts'
import type { Clock } from '#base/clock.ts'
import { asError } from '#base/errors.ts'
import type { Random } from '#base/random.ts'

const RETRY: BackoffPolicy = { baseMs: 200, maxMs: 30_000, jitter: 0.3 }

export interface CoalescedOptions {
  clock: Clock
  random: Random
  /** Called for each failure; the run is tried again by itself. */
  onError: (error: Error) => void
  signal: AbortSignal
}

/** What is asked for during a run, or while one that failed waits, is one more run. Definitions come in dozens: they are waited for a turn. */
export function coalesced(run: () => Promise<void>, { clock, random, onError, signal }: CoalescedOptions): () => void {
  const state = { isRunning: false, isAsked: false, failures: 0 }
  const once = async (): Promise<void> => {
    try {
      await run()
      state.failures = 0
    } catch (error) {
      onError(asError(error))
      state.isAsked = true
      state.failures++
      // Only the signal wakes it early, and it ends the loop.
      await clock.sleep(backoffMs(RETRY, state.failures, random), signal).catch(() => undefined)
    }
  }
  const loop = async (): Promise<void> => {
    while (state.isAsked && !signal.aborted) {
      state.isAsked = false
      await new Promise<void>((resolve) => setImmediate(resolve))
      if (!signal.aborted) await once()
    }
    state.isRunning = false
  }
  return () => {
    state.isAsked = true
    if (state.isRunning || signal.aborted) return
    state.isRunning = true
    void loop()
  }
}
