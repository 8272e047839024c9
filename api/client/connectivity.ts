/**
 * Who waits for an absent server waits longer and longer; the first one to reach it tells the others, so that a node is
 * whole again in the time of its most eager part.
 */
import type { Clock } from '#base/clock.ts'

export interface Connectivity {
  /** The server answers again. */
  back(): void
  /** As clock.sleep, but no longer than until the server is back. */
  sleep(ms: number, signal: AbortSignal): Promise<void>
}

export function createConnectivity(clock: Clock): Connectivity {
  const sleepers = new Set<() => void>()
  return {
    back() {
      for (const wake of sleepers) wake()
    },
    async sleep(ms, signal) {
      const woken = new AbortController()
      const wake = () => woken.abort()
      sleepers.add(wake)
      try {
        await clock.sleep(ms, AbortSignal.any([signal, woken.signal]))
      } catch (error) {
        if (!woken.signal.aborted) throw error
      } finally {
        sleepers.delete(wake)
      }
    },
  }
}
