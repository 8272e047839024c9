/** How many bytes the log holds after each of a few indexes: what compaction by size asks, without a number per entry. */
import type { LogIndex } from '../../raft/types.ts'

/** Between two indexes that are remembered. */
const MARK_EVERY = 32
/** What an entry costs on disk beside its data. */
export const ENTRY_OVERHEAD_BYTES = 48

export class LogSizes {
  #marks: { readonly index: LogIndex; readonly total: number }[] = []
  #total = 0
  #before = 0

  get sizeBytes(): number {
    return this.#total - this.#before
  }

  appended(index: LogIndex, dataBytes: number): void {
    this.#total += dataBytes + ENTRY_OVERHEAD_BYTES
    if (index % MARK_EVERY === 0) this.#marks.push({ index, total: this.#total })
  }

  /** `index` and all after it are gone, of so much data. */
  truncated(index: LogIndex, entries: number, dataBytes: number): void {
    while ((this.#marks.at(-1)?.index ?? -1) >= index) this.#marks.pop()
    this.#total -= dataBytes + entries * ENTRY_OVERHEAD_BYTES
  }

  compacted(index: LogIndex): void {
    let dropped = 0
    for (const mark of this.#marks) {
      if (mark.index > index) break
      this.#before = mark.total
      dropped++
    }
    this.#marks = this.#marks.slice(dropped)
  }

  reset(): void {
    this.#marks = []
    this.#total = this.#before = 0
  }

  /** The highest index known that has at least so many bytes after it, and is at most `indexMax`. */
  indexKeeping(bytes: number, indexMax: LogIndex): LogIndex | undefined {
    return this.#marks.findLast((m) => m.index <= indexMax && this.#total - m.total >= bytes)?.index
  }
}
