/** A small registry in the Prometheus text format: counters, gauges read when asked, histograms. */
export type MetricLabels = Readonly<Record<string, string>>

/** More label sets than this in one metric are counted under one: bounds memory. */
const SERIES_MAX = 2_000

/** One series, for who counts often: no look-up by its labels. */
export interface SeriesHandle { add(by?: number): void; observe(value: number): void }

/** `buckets`: each observation once, at the first bound that holds it; they are added up when printed. */
interface Series { labels: string; value: number; buckets?: number[]; count: number }

export class Metric {
  readonly name: string
  readonly help: string
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly #bounds: readonly number[]
  readonly #series = new Map<string, Series>()
  readonly #seriesMax: number

  constructor(name: string, type: Metric['type'], help: string, bounds: readonly number[] = [], seriesMax = SERIES_MAX) {
    this.name = name
    this.type = type
    this.help = help
    this.#bounds = bounds
    this.#seriesMax = seriesMax
  }

  /** `labels` as printed: `verb="GET",code="200"`; ready text, because this runs for each request. */
  add(labels: string, by = 1): void { this.#of(labels).value += by }

  set(labels: string, value: number): void { this.#of(labels).value = value }

  /** From nothing, for a gauge that is counted anew. */
  clear(): void { this.#series.clear() }

  observe(labels: string, value: number): void { this.#observe(this.#of(labels), value) }

  series(labels: string): SeriesHandle {
    const series = this.#of(labels)
    return { add: (by = 1) => { series.value += by }, observe: (value) => this.#observe(series, value) }
  }

  #observe(series: Series, value: number): void {
    const buckets = (series.buckets ??= this.#bounds.map(() => 0))
    series.value += value
    series.count++
    // A loop: sixty of these are counted for each write, and each findIndex would want a closure.
    let at = 0
    while (at < buckets.length && value > (this.#bounds[at] as number)) at++
    if (at < buckets.length) buckets[at] = (buckets[at] ?? 0) + 1
  }

  *lines(): Generator<string> {
    yield `# HELP ${this.name} ${this.help}`
    yield `# TYPE ${this.name} ${this.type}`
    for (const series of this.#series.values()) {
      if (this.type === 'histogram') yield* this.#histogram(series)
      else yield `${this.name}${braces(series.labels)} ${series.value}`
    }
  }

  *#histogram({ labels, buckets, value, count }: Series): Generator<string> {
    const prefix = labels === '' ? '' : `${labels},`
    let upTo = 0
    for (const [i, bound] of this.#bounds.entries()) yield `${this.name}_bucket{${prefix}le="${printBound(bound)}"} ${(upTo += buckets?.[i] ?? 0)}`
    yield `${this.name}_bucket{${prefix}le="+Inf"} ${count}`
    yield `${this.name}_sum${braces(labels)} ${value}`
    yield `${this.name}_count${braces(labels)} ${count}`
  }

  #of(labels: string): Series {
    const id = this.#series.size < this.#seriesMax || this.#series.has(labels) ? labels : 'overflow="true"'
    let series = this.#series.get(id)
    if (!series) this.#series.set(id, (series = { labels: id, value: 0, count: 0 }))
    return series
  }
}

/** As Go prints it: a bound is a label, and labels are compared as texts. */
const printBound = (bound: number): string => ((Math.abs(bound) < 1e6 && Math.abs(bound) >= 1e-4) || bound === 0 ? String(bound) : bound.toExponential().replace(/e([+-])(\d)$/, 'e$10$2'))

/** As client_golang makes them: each from the one before, with its errors of rounding. */
export function exponentialBounds(start: number, factor: number, count: number): number[] {
  const bounds: number[] = []
  for (let bound = start; bounds.length < count; bound *= factor) bounds.push(bound)
  return bounds
}

const braces = (labels: string): string => (labels === '' ? '' : `{${labels}}`)

export const quoteLabel = (value: string): string => value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')

export function printMetrics(metrics: Iterable<Metric>): Buffer {
  const lines: string[] = []
  for (const metric of metrics) lines.push(...metric.lines())
  return Buffer.from(`${lines.join('\n')}\n`)
}
