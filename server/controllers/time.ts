/** metav1.Time and the wake-ups that follow from it. */

/** Whole seconds, as metav1.Time is written. */
export function formatTime(nowMs: number): string {
  return `${new Date(nowMs).toISOString().slice(0, 19)}Z`
}

/** Milliseconds since 1970; undefined for what is no time. */
export function parseTime(text: string | undefined): number | undefined {
  const ms = Date.parse(text ?? '')
  return Number.isFinite(ms) ? ms : undefined
}

/** The earlier of two wake-up times, either of which may be absent. */
export function earlier(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined ? b : b === undefined ? a : Math.min(a, b)
}
