/** When a CronJob's schedule falls due, as robfig/cron's standard parser reads it. */
import type { Cron } from 'croner'

export interface Schedule {
  /** The first time after this one; undefined: never again. */
  next(afterMs: number): number | undefined
}

export type Parsed = { ok: true; schedule: Schedule } | { ok: false; message: string }

const DESCRIPTORS: Readonly<Record<string, string>> = { '@yearly': '0 0 1 1 *', '@annually': '0 0 1 1 *', '@monthly': '0 0 1 * *', '@weekly': '0 0 * * 0', '@daily': '0 0 * * *', '@midnight': '0 0 * * *', '@hourly': '0 * * * *' }
const UNIT_MS: Readonly<Record<string, number>> = { ns: 1e-6, us: 1e-3, µs: 1e-3, ms: 1, s: 1_000, m: 60_000, h: 3_600_000 }

/** `timeZone`: an IANA name; undefined: this machine's. */
export function parseSchedule(make: typeof Cron, text: string, timeZone: string | undefined): Parsed {
  const every = /^@every ((?:\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h))+)$/.exec(text)
  if (every) {
    const ms = [...(every[1] ?? '').matchAll(/([\d.]+)(ns|us|µs|ms|s|m|h)/g)].reduce((sum, [, n, unit]) => sum + Number(n) * (UNIT_MS[unit ?? ''] ?? 0), 0)
    // Whole seconds, one at least.
    const stepMs = Math.max(1_000, Math.floor(ms / 1000) * 1000)
    return { ok: true, schedule: { next: (afterMs) => Math.floor(afterMs / 1000) * 1000 + stepMs } }
  }
  try {
    const pattern = (DESCRIPTORS[text] ?? text).replaceAll('?', '*')
    // Days of month and of week are alternatives where both are given, as cron has always had it.
    const cron = new make(pattern, { paused: true, mode: '5-part', domAndDow: false, sloppyRanges: true, ...(timeZone !== undefined && { timezone: timeZone }) })
    return { ok: true, schedule: { next: (afterMs) => cron.nextRun(new Date(afterMs))?.getTime() } }
  } catch (error) {
    return { ok: false, message: error instanceof Error ? error.message : String(error) }
  }
}
