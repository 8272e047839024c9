/** What a measurement yields: one row of the table each. */

export type Unit = 'MB' | 'ms' | 's' | '%' | '/s' | 'MB/h' | 'kB/h'

export interface Figure {
  /** Also the key in baseline.json: never renamed lightly. */
  name: string
  value: number
  unit: Unit
  /** Which way is good; decides how budgets and ratios are read. */
  better: 'lower' | 'higher'
  /** Of design section 13; undefined: measured for the record only. */
  budget?: number
  /** The same work by upstream on the same kind of machine (upstream.ts). */
  upstream?: number
  /** What the reader must know about this number. */
  note?: string
}

export interface BenchOptions {
  /** Shorter windows and fewer repetitions: for a look, not for the record. */
  quick: boolean
  /** Pods on Debian's containerd, too. */
  containerd: boolean
  binary: string
}

export interface Measurement {
  name: string
  /** One line for --help. */
  about: string
  run(options: BenchOptions): Promise<Figure[]>
}

/** The p-th part of the sorted samples, e.g. 0.5 for the median. */
export function percentile(samples: readonly number[], p: number): number {
  const sorted = samples.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * p))] ?? Number.NaN
}

export function isOver(figure: Figure): boolean {
  if (figure.budget === undefined) return false
  return figure.better === 'lower' ? figure.value > figure.budget : figure.value < figure.budget
}
