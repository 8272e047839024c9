/** Where the unit of systemd says `WatchdogSec=`: it is told twice in that time that this program still does something, and starts it anew otherwise. */
import type { Clock } from '#base/clock.ts'
import { UsageError } from '#base/errors.ts'

/** Upstream's minimalNotifyInterval. */
const PERIOD_MS_MIN = 1_000

/** 0: nobody waits to be told. By sd_watchdog_enabled(3); throws UsageError for a time that cannot be kept. */
export function watchdogPeriodMs(env: Readonly<Record<string, string | undefined>>, pid: number): number {
  const { WATCHDOG_USEC: micros, WATCHDOG_PID: whose } = env
  if (!micros || (whose && Number(whose) !== pid)) return 0
  const ms = Number(micros) / 1_000
  if (!/^\d+$/.test(micros) || ms <= 0) throw new UsageError(`WATCHDOG_USEC: ${JSON.stringify(micros)} is no time: see WatchdogSec= of the unit`)
  if (ms <= PERIOD_MS_MIN) throw new UsageError(`configure watchdog timeout too small: ${ms}ms: WatchdogSec= of the unit must be more than 1s`)
  return ms
}

/** `tell` runs as long as this program's one thread gets to it: what hangs is not told of. */
export function keepWatchdog(periodMs: number, { clock, signal, tell }: { clock: Clock; signal: AbortSignal; tell: () => void }): void {
  if (periodMs === 0) return
  let cancel = () => {}
  const next = () => {
    tell()
    cancel = clock.after(periodMs / 2, next)
  }
  next()
  // A stop has its own time, and systemd does not watch it.
  signal.addEventListener('abort', () => cancel(), { once: true })
}
