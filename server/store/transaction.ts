/** What a transaction does to the state, as a pure function of the state: shared by every embedded implementation. */
import type { Compare, KeyValue, Op, Revision, WatchEvent } from './store.ts'

/** The first compare that does not hold. */
export function failedCompare(compare: readonly Compare[], read: (key: string) => KeyValue | undefined): { key: string; current: KeyValue | undefined } | undefined {
  for (const { key, modRevision } of compare) {
    const current = read(key)
    if ((current?.modRevision ?? 0) !== modRevision) return { key, current }
  }
  return undefined
}

/** The events that `ops` cause at `revision`; deleting what is not there causes none. */
export function eventsOf(ops: readonly Op[], revision: Revision, read: (key: string) => KeyValue | undefined): WatchEvent[] {
  const events: WatchEvent[] = []
  for (const op of ops) {
    const previous = read(op.key)
    if (op.kind === 'put') {
      const current: KeyValue = {
        key: op.key,
        value: op.value,
        createRevision: previous?.createRevision ?? revision,
        modRevision: revision,
        version: (previous?.version ?? 0) + 1,
      }
      events.push({ kind: 'put', key: op.key, revision, current, previous })
    } else if (previous) {
      events.push({ kind: 'delete', key: op.key, revision, current: undefined, previous })
    }
  }
  return events
}
