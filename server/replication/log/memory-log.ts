/** The log in memory: for tests, and as the naive twin of the one on LevelDB. Nothing of it survives the process. */
import { assert } from '#base/errors.ts'
import { LogSummary } from '../../raft/log-summary.ts'
import type { Configuration, Entry, HardState, LogBase, LogIndex, Persist } from '../../raft/types.ts'
import type { BatchOp, LogStorage } from '../contract.ts'
import { ENTRY_OVERHEAD_BYTES } from './log-sizes.ts'

/** What a restart finds: give it to the next MemoryLog. */
export interface MemoryLogState {
  hardState: HardState
  base: LogBase
  entries: Entry[]
}

export function emptyLogState(configuration: Configuration): MemoryLogState {
  return { hardState: { term: 0, vote: 0 }, base: { index: 0, term: 0, configuration }, entries: [] }
}

export class MemoryLog implements LogStorage {
  readonly recovered: LogStorage['recovered']
  readonly state: MemoryLogState

  constructor(state: MemoryLogState) {
    this.state = state
    const summary = new LogSummary(state.base)
    for (const entry of state.entries) summary.add(entry)
    this.recovered = { hardState: state.hardState, base: state.base, lastIndex: summary.lastIndex, terms: summary.terms, configurations: summary.configurations }
  }

  get sizeBytes(): number {
    return this.state.entries.reduce((sum, e) => sum + e.data.length + ENTRY_OVERHEAD_BYTES, 0)
  }

  indexKeeping(bytes: number, indexMax: LogIndex): LogIndex | undefined {
    let after = 0
    for (const entry of this.state.entries.toReversed()) {
      if (entry.index <= indexMax && after >= bytes) return entry.index
      after += entry.data.length + ENTRY_OVERHEAD_BYTES
    }
    return undefined
  }

  assertRoom(): void {
    // There is always some.
  }

  entries(low: LogIndex, high: LogIndex, bytesMax: number): readonly Entry[] {
    const found: Entry[] = []
    let bytes = 0
    for (const entry of this.state.entries) {
      if (entry.index < low || entry.index >= high) continue
      bytes += entry.data.length
      if (found.length > 0 && bytes > bytesMax) break
      found.push(entry)
    }
    assert(found[0]?.index === low, `entry ${low} is not in the log`)
    return found
  }

  async write(persists: readonly Persist[]): Promise<void> {
    const { state } = this
    for (const persist of persists) {
      state.hardState = persist.hardState ?? state.hardState
      const first = persist.entries[0]
      if (!first) continue
      state.entries = [...state.entries.filter((e) => e.index < first.index), ...persist.entries]
    }
  }

  async compact(base: LogBase): Promise<void> {
    if (base.index <= this.state.base.index) return
    this.state.base = base
    this.state.entries = this.state.entries.filter((e) => e.index > base.index)
  }

  resetOps(): readonly BatchOp[] {
    return []
  }

  wasReset(base: LogBase): void {
    this.state.base = base
    this.state.entries = []
  }
}
