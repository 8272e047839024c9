/** Counts by their labels, whose values are few; beyond a limit whatever is new counts as `other`. */
import { SERIES_MAX } from './histogram.ts'
import type { MetricFamily } from './metrics-text.ts'

export interface Counter {
  add(labels: Readonly<Record<string, string>>): void
  samples(): MetricFamily['samples']
}

export function createCounter(): Counter {
  const counts = new Map<string, { labels: Readonly<Record<string, string>>; value: number }>()
  const add = (labels: Readonly<Record<string, string>>): void => {
    const key = Object.values(labels).join('\n')
    const known = counts.get(key)
    if (known) known.value++
    else if (counts.size >= SERIES_MAX && Object.values(labels).some((value) => value !== 'other')) add(Object.fromEntries(Object.keys(labels).map((name) => [name, 'other'])))
    else counts.set(key, { labels, value: 1 })
  }
  return { add, samples: () => [...counts.values()] }
}
