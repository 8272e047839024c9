/** Many moments, one timer: it is set to the earliest of them. */
import type { Clock } from '#base/clock.ts'

export interface TimerWheel {
  /** Calls `fn` once at `atMs` (monotonic). A later call for the same key takes its place. */
  set(key: string, atMs: number, fn: () => void): void
  cancel(key: string): void
  readonly size: number
  close(): void
}

export function createTimerWheel(clock: Pick<Clock, 'monotonicMs' | 'after'>): TimerWheel {
  const entries = new Map<string, { atMs: number; fn: () => void }>()
  let armed: { atMs: number; cancel: () => void } | undefined

  const arm = () => {
    let earliest = Infinity
    for (const { atMs } of entries.values()) if (atMs < earliest) earliest = atMs
    if (armed?.atMs === earliest) return
    armed?.cancel()
    armed = earliest === Infinity ? undefined : { atMs: earliest, cancel: clock.after(Math.max(0, earliest - clock.monotonicMs()), fire) }
  }
  const fire = () => {
    armed = undefined
    const nowMs = clock.monotonicMs()
    const due = [...entries].filter(([, e]) => e.atMs <= nowMs).toSorted(([, a], [, b]) => a.atMs - b.atMs)
    for (const [key] of due) entries.delete(key)
    for (const [, { fn }] of due) fn()
    arm()
  }
  return {
    set(key, atMs, fn) {
      entries.set(key, { atMs, fn })
      arm()
    },
    cancel(key) {
      if (entries.delete(key)) arm()
    },
    get size() { return entries.size },
    close() {
      entries.clear()
      arm()
    },
  }
}
