/** Several writes as one: what the log ends with when all of them are done in order. */
import { assert } from '#base/errors.ts'
import type { Entry, HardState, LogIndex, Persist } from '../../raft/types.ts'

export interface MergedPersists {
  readonly hardState: HardState | undefined
  /** Consecutive. */
  readonly entries: readonly Entry[]
  /** Entries from here to the old end that `entries` does not replace are gone; undefined where nothing of the old log is touched. */
  readonly truncateFrom: LogIndex | undefined
  readonly lastIndex: LogIndex
}

export function mergePersists(persists: readonly Persist[], lastIndex: LogIndex): MergedPersists {
  let hardState: HardState | undefined
  let entries: Entry[] = []
  let kept = lastIndex
  for (const persist of persists) {
    assert(persist.snapshot === undefined, 'a received snapshot is installed, not written')
    hardState = persist.hardState ?? hardState
    const first = persist.entries[0]
    if (!first) continue
    const end = entries.at(-1)?.index ?? kept
    assert(first.index <= end + 1, `entry ${first.index} is to be written after ${end}`)
    if (first.index <= end) {
      entries = entries.filter((e) => e.index < first.index)
      kept = Math.min(kept, first.index - 1)
    }
    for (const entry of persist.entries) entries.push(entry)
  }
  return { hardState, entries, truncateFrom: kept < lastIndex ? kept + 1 : undefined, lastIndex: entries.at(-1)?.index ?? kept }
}
