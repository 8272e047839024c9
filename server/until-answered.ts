/** What a starting server asks of the store: others may lose their leader, or go, at that very moment, and come back. */
import { ApiError, isReason } from '#api/client/client.ts'
import { unlessAborted } from '#base/abort.ts'
import { backoffMs, type BackoffPolicy } from '#base/backoff.ts'
import type { Clock } from '#base/clock.ts'
import { asError, hasCode } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import type { Random } from '#base/random.ts'

export interface UntilAnsweredDeps { clock: Clock; random: Random; log: Log; signal: AbortSignal }

const BACKOFF: BackoffPolicy = { baseMs: 100, maxMs: 3_000, jitter: 0.5 }

/**
 * Does the step again until the store has answered it one way or the other; a step may be cut off in its midst, as kill -9 would. Rejects with
 * what does not pass by itself, and with the last failure when the signal aborts.
 */
export async function untilAnswered<T>(step: () => Promise<T>, { clock, random, log, signal }: UntilAnsweredDeps): Promise<T> {
  for (let failures = 1; ; failures++) {
    try {
      return await step()
    } catch (error) {
      if (signal.aborted || !passes(error)) throw error
      if (failures === 1) log.warn('the store does not answer while this server starts: it is asked until it does', { error: asError(error) })
      await unlessAborted(signal, clock.sleep(backoffMs(BACKOFF, failures, random)))
    }
  }
}

/** Of the store itself, and of the API in front of it. A conflict is another server's that starts at the same time. */
function passes(error: unknown): boolean {
  if (hasCode(error, 'STORE_UNAVAILABLE') || hasCode(error, 'STORE_UNKNOWN')) return true
  return error instanceof ApiError && ([429, 503, 504].includes(error.code) || isReason(error, 'Conflict'))
}

const REFUSED: BackoffPolicy = { baseMs: 1_000, maxMs: 60_000, jitter: 0.5 }

/**
 * The same for what a server can serve without: what the API refuses (a webhook that cannot be called, a policy) is told with what it is, and tried again
 * until it is admitted while the server starts. Whoever is to mend what refuses it needs that server.
 */
export async function unlessRefused(what: string, step: () => Promise<unknown>, deps: UntilAnsweredDeps): Promise<void> {
  const { clock, random, log, signal } = deps
  const isRefused = (error: unknown): boolean => error instanceof ApiError && !signal.aborted
  const again = async (): Promise<void> => {
    for (let failures = 1; !signal.aborted; failures++) {
      await unlessAborted(signal, clock.sleep(backoffMs(REFUSED, failures, random)))
      try {
        await untilAnswered(step, deps)
        return log.info('what was refused at the start is admitted now', { what })
      } catch (error) {
        if (!isRefused(error)) throw error
      }
    }
  }
  try {
    await untilAnswered(step, deps)
  } catch (error) {
    if (!isRefused(error)) throw error
    log.error('what a server keeps right at its start is refused: it starts without that, and tries again', { what, error: asError(error) })
    again().catch((failure: unknown) => {
      if (!signal.aborted) log.error('what was refused at the start could not be tried again', { what, error: asError(failure) })
    })
  }
}
