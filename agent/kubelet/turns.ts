/** Waiting, and doing things now and then, until the agent ends. */
import type { Clock } from '#base/clock.ts'
import { asError } from '#base/errors.ts'
import type { Log } from '#base/log.ts'

/** Runs `work` again and again until aborted; a failure is logged and the next turn tries again. */
export async function every(what: string, ms: number, { clock, log }: { clock: Clock; log: Log }, signal: AbortSignal, work: () => Promise<void>): Promise<void> {
  while (await pause(clock, ms, signal)) {
    try {
      await work()
    } catch (error) {
      log.warn(`cannot ${what}, will try again`, { error: asError(error) })
    }
  }
}

/** False: the agent is ending. */
export async function pause(clock: Clock, ms: number, signal: AbortSignal): Promise<boolean> {
  try {
    await clock.sleep(ms, signal)
    return true
  } catch {
    return false // Only the end of the agent cuts the wait short.
  }
}
