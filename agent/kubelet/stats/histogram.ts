/** Distributions as Prometheus keeps them: how many observations were no more than each bound. A series is a few hundred bytes, and there are few of each. */
import type { MetricFamily, MetricSample } from './metrics-text.ts'

export interface Histogram<L extends string> {
  /** In the unit of its name. */
  observe(value: number, ...labels: [L] extends [never] ? [] : [Readonly<Record<L, string>>]): void
  family(): MetricFamily
}

export interface HistogramShape<L extends string> {
  name: string
  help: string
  /** Upper bounds, rising; the last one of all is above any value. */
  bounds: readonly number[]
  labels?: readonly L[]
}

/** client_golang's default: from milliseconds to ten seconds. */
export const DEFAULT_BOUNDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
/** Of a histogram. All its labels have few values; were it ever otherwise, whatever is new counts as `other`. */
export const SERIES_MAX = 64

/** One series, without its name. */
export interface Distribution {
  observe(value: number): void
  samples(labels: Readonly<Record<string, string>>): MetricSample[]
}

export function createDistribution(bounds: readonly number[]): Distribution {
  const counts = new Float64Array(bounds.length + 1)
  let sum = 0
  return {
    observe(value) {
      const at = bounds.findIndex((bound) => value <= bound)
      const slot = at < 0 ? bounds.length : at
      counts[slot] = (counts[slot] ?? 0) + 1
      sum += value
    },
    samples(labels) {
      let below = 0
      const buckets = Array.from(counts, (count, i): MetricSample => {
        below += count
        const bound = bounds[i]
        return { suffix: '_bucket', labels: { ...labels, le: bound === undefined ? '+Inf' : String(bound) }, value: below }
      })
      return [...buckets, { suffix: '_sum', labels, value: sum }, { suffix: '_count', labels, value: below }]
    },
  }
}

interface Series { labels: Readonly<Record<string, string>>; distribution: Distribution }

export function createHistogram<L extends string = never>({ name, help, bounds, labels: names = [] }: HistogramShape<L>): Histogram<L> {
  const series = new Map<string, Series>()
  const seriesOf = (labels: Readonly<Record<string, string>>): Series => {
    const key = names.map((label) => labels[label] ?? '').join('\n')
    const known = series.get(key)
    if (known) return known
    if (series.size >= SERIES_MAX && names.some((label) => labels[label] !== 'other')) return seriesOf(Object.fromEntries(names.map((label) => [label, 'other'])))
    const fresh = { labels: { ...labels }, distribution: createDistribution(bounds) }
    series.set(key, fresh)
    return fresh
  }
  // One without labels is there before anything was observed, as client_golang's.
  if (names.length === 0) seriesOf({})
  return {
    observe: (value, ...[labels]) => seriesOf(labels ?? {}).distribution.observe(value),
    family: () => ({ name, help, type: 'histogram', samples: [...series.values()].flatMap((one) => one.distribution.samples(one.labels)) }),
  }
}

/** `count` bounds, each `factor` times the one before. */
export function exponentialBounds(start: number, factor: number, count: number): number[] {
  const bounds: number[] = []
  for (let bound = start; bounds.length < count; bound *= factor) bounds.push(bound)
  return bounds
}
