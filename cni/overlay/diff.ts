/** Entries that are, entries that should be: what to do. Pure. */
import type { OverlayEntry } from './desired.ts'

export interface OverlayChange {
  /** Routes first: nothing is sent to a next hop that is on its way out. */
  remove: OverlayEntry[]
  /** New entries and changed ones, which replace; routes last. */
  put: OverlayEntry[]
}

export function diffEntries(actual: readonly OverlayEntry[], desired: readonly OverlayEntry[]): OverlayChange {
  const wanted = new Map(desired.map((entry) => [id(entry), entry]))
  const present = new Map(actual.map((entry) => [id(entry), entry]))
  return {
    remove: [...present.values()].filter((entry) => !wanted.has(id(entry))).sort((a, b) => ORDER[b.kind] - ORDER[a.kind]),
    put: [...wanted.values()].filter((entry) => present.get(id(entry))?.value !== entry.value).sort((a, b) => ORDER[a.kind] - ORDER[b.kind]),
  }
}

const ORDER = { fdb: 0, neighbour: 1, route: 2 }

function id(entry: OverlayEntry): string { return `${entry.kind} ${entry.key}` }
