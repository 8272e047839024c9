/** CPU rates from counters that are read now and then: between the newest reading and one at least a second older. Pure but for what it keeps. */

export interface CpuRates {
  /** Cores in billionths since the reading before; undefined: there is none yet. */
  rate(id: string, coreNanoSeconds: number, atMs: number): number | undefined
  /** Those that are not there any more. */
  keepOnly(ids: ReadonlySet<string>): void
}

interface Reading { coreNanoSeconds: number; atMs: number }

/** Nearer ones say little, for counters move in steps of the kernel's tick. */
const APART_MS_MIN = 1_000
/** Older ones say what was, not what is. */
const APART_MS_MAX = 300_000

export function createCpuRates(): CpuRates {
  const kept = new Map<string, { before: Reading | undefined; last: Reading }>()
  return {
    rate(id, coreNanoSeconds, atMs) {
      const now: Reading = { coreNanoSeconds, atMs }
      const known = kept.get(id)
      // A counter that fell is another container's, or the machine has slept.
      const isUsable = known && coreNanoSeconds >= known.last.coreNanoSeconds && atMs >= known.last.atMs && atMs - known.last.atMs < APART_MS_MAX
      if (!isUsable) {
        kept.set(id, { before: undefined, last: now })
        return undefined
      }
      const isNear = atMs - known.last.atMs < APART_MS_MIN
      const base = isNear ? known.before : known.last
      if (!isNear) kept.set(id, { before: known.last, last: now })
      return base && atMs > base.atMs ? Math.round(((coreNanoSeconds - base.coreNanoSeconds) * 1000) / (atMs - base.atMs)) : undefined
    },
    keepOnly(ids) {
      for (const id of kept.keys()) if (!ids.has(id)) kept.delete(id)
    },
  }
}
