/**
 * The replicated log as the core sees it: which term each index has, which configurations it holds, and the newest
 * entries in memory. Older entries are read from the storage; terms never are, as they come in few long runs.
 */
import { assert } from '#base/errors.ts'
import { decodeConfiguration } from './configuration.ts'
import type { Configuration, Entry, LogBase, LogIndex, LogReader, Recovered, Term } from './types.ts'

interface TermRun {
  readonly term: Term
  readonly firstIndex: LogIndex
}

export class RaftLog {
  base: LogBase
  lastIndex: LogIndex
  /** All up to here is on disk and will stay. Below the base while a received snapshot is being written. */
  persisted: LogIndex
  /** All up to here was handed out to be written. */
  queued: LogIndex
  readonly #reader: LogReader
  #runs: TermRun[]
  /** Never empty: the first is the base's. */
  #configurations: { readonly index: LogIndex; readonly configuration: Configuration }[]
  /** Entries from #tailFirst to lastIndex, in #tail from #head on. */
  #tail: Entry[] = []
  #head = 0
  #tailFirst: LogIndex
  #tailBytes = 0

  constructor(recovered: Recovered, reader: LogReader) {
    this.base = recovered.base
    this.lastIndex = recovered.lastIndex
    this.persisted = recovered.lastIndex
    this.queued = recovered.lastIndex
    this.#reader = reader
    this.#runs = [...recovered.terms]
    this.#configurations = [{ index: recovered.base.index, configuration: recovered.base.configuration }, ...recovered.configurations]
    this.#tailFirst = recovered.lastIndex + 1
  }

  get lastTerm(): Term {
    return this.#runs.at(-1)?.term ?? this.base.term
  }

  /** The newest in the log, committed or not (section 4.1). */
  get configuration(): Configuration {
    return this.#newestConfiguration().configuration
  }

  get configurationIndex(): LogIndex {
    return this.#newestConfiguration().index
  }

  /** The one in force as far as `commit` tells, and those after it: one of them will prove to be the right one. */
  configurationsFrom(commit: LogIndex): readonly Configuration[] {
    let first = 0
    for (let i = 1; i < this.#configurations.length; i++) if ((this.#configurations[i]?.index ?? 0) <= commit) first = i
    return this.#configurations.slice(first).map((c) => c.configuration)
  }

  /** Undefined outside of base.index..lastIndex. */
  term(index: LogIndex): Term | undefined {
    if (index > this.lastIndex || index < this.base.index) return undefined
    if (index === this.base.index) return this.base.term
    const run = this.#runs.length - 1
    const newest = this.#runs[run]
    assert(newest, 'a log with entries has terms')
    return index >= newest.firstIndex ? newest.term : this.#runs[this.#runAt(index)]?.term
  }

  /**
   * The highest index up to `index` whose term is at most `term`: where logs that differ may still agree. Whole terms
   * are stepped over, so that finding the common part takes at most one round trip per term (section 5.3 of the paper).
   */
  lastIndexWithTermUpTo(index: LogIndex, term: Term): LogIndex {
    let at = Math.min(index, this.lastIndex)
    for (let run = this.#runAt(at); run >= 0 && at > this.base.index; run--) {
      const { term: runTerm, firstIndex } = this.#runs[run] ?? { term: 0, firstIndex: 0 }
      if (runTerm <= term) return at
      at = firstIndex - 1
    }
    return at
  }

  /** What `index` must be described with once everything before it is dropped. `index` from base.index to lastIndex. */
  baseAt(index: LogIndex): LogBase {
    const term = this.term(index)
    assert(term !== undefined, `the log has ${this.base.index} to ${this.lastIndex}, not ${index}`)
    let configuration = this.base.configuration
    for (const c of this.#configurations) if (c.index <= index) configuration = c.configuration
    return { index, term, configuration }
  }

  append(entries: readonly Entry[]): void {
    for (const entry of entries) {
      assert(entry.index === this.lastIndex + 1, `entry ${entry.index} follows ${this.lastIndex}`)
      if (entry.term !== this.lastTerm || this.#runs.length === 0) this.#runs.push({ term: entry.term, firstIndex: entry.index })
      if (entry.kind === 'configuration') this.#configurations.push({ index: entry.index, configuration: decodeConfiguration(entry.data) })
      this.#tail.push(entry)
      this.#tailBytes += entry.data.length
      this.lastIndex = entry.index
    }
  }

  /** Forgets `index` and all after it. */
  truncateFrom(index: LogIndex): void {
    assert(index > this.base.index, `cannot truncate at ${index}: the log begins after ${this.base.index}`)
    while (this.lastIndex >= index && this.#tail.length > this.#head) {
      this.#tailBytes -= this.#tail.pop()?.data.length ?? 0
      this.lastIndex--
    }
    this.lastIndex = index - 1
    if (this.#tail.length === this.#head) {
      this.#tail = []
      this.#head = 0
      this.#tailFirst = index
    }
    while ((this.#runs.at(-1)?.firstIndex ?? 0) >= index) this.#runs.pop()
    while (this.#configurations.length > 1 && (this.#configurations.at(-1)?.index ?? 0) >= index) this.#configurations.pop()
    this.persisted = Math.min(this.persisted, index - 1)
    this.queued = Math.min(this.queued, index - 1)
  }

  /** Starts anew after a received snapshot. It counts as persisted only once it was written. */
  resetTo(base: LogBase): void {
    this.base = base
    this.lastIndex = base.index
    this.queued = base.index
    this.persisted = Math.min(this.persisted, base.index - 1)
    this.#runs = []
    this.#configurations = [{ index: base.index, configuration: base.configuration }]
    this.#tail = []
    this.#head = 0
    this.#tailFirst = base.index + 1
    this.#tailBytes = 0
  }

  /** Forgets what is before and at `index`. */
  compactTo(index: LogIndex): void {
    if (index <= this.base.index) return
    const base = this.baseAt(index)
    const run = this.#runAt(index + 1)
    this.#runs = this.#runs.slice(run < 0 ? this.#runs.length : run)
    const first = this.#runs[0]
    if (first && first.firstIndex <= index) this.#runs[0] = { term: first.term, firstIndex: index + 1 }
    if (index >= this.lastIndex) this.#runs = []
    this.#configurations = [{ index, configuration: base.configuration }, ...this.#configurations.filter((c) => c.index > index)]
    this.base = base
    while (this.#tailFirst <= index && this.#head < this.#tail.length) this.#dropFirst()
    if (this.#tailFirst <= index) this.#tailFirst = index + 1
  }

  /** Entries from `low` to `high` (included), at least one, at most `bytesMax` with what each costs beyond its data if that is not the first alone. */
  slice(low: LogIndex, high: LogIndex, bytesMax: number): readonly Entry[] {
    assert(low > this.base.index && high <= this.lastIndex && low <= high, `entries ${low} to ${high} of ${this.base.index + 1} to ${this.lastIndex}`)
    if (low < this.#tailFirst) return this.#reader.entries(low, Math.min(high + 1, this.#tailFirst), bytesMax)
    const from = this.#head + low - this.#tailFirst
    const to = this.#head + high - this.#tailFirst
    let bytes = 0
    let end = from
    while (end <= to) {
      bytes += (this.#tail[end]?.data.length ?? 0) + ENTRY_BYTES
      if (bytes > bytesMax && end > from) break
      end++
    }
    return this.#tail.slice(from, end)
  }

  /** Data bytes of the entries from `low` to `high` as far as they are in memory. */
  bytesInMemory(low: LogIndex, high: LogIndex): number {
    let bytes = 0
    for (let i = Math.max(low, this.#tailFirst); i <= high; i++) bytes += this.#tail[this.#head + i - this.#tailFirst]?.data.length ?? 0
    return bytes
  }

  /** Lets go of the oldest entries in memory beyond `bytesMax`, as far as they are on disk and not after `index`. */
  shrink(index: LogIndex, bytesMax: number): void {
    const until = Math.min(index, this.persisted)
    while (this.#tailBytes > bytesMax && this.#tailFirst <= until && this.#head < this.#tail.length) this.#dropFirst()
  }

  #dropFirst(): void {
    this.#tailBytes -= this.#tail[this.#head]?.data.length ?? 0
    this.#head++
    this.#tailFirst++
    // Moved rarely, so that dropping stays cheap; in between the dropped ones are held a little longer.
    if (this.#head >= TAIL_SLACK && this.#head * 2 >= this.#tail.length) {
      this.#tail = this.#tail.slice(this.#head)
      this.#head = 0
    }
  }

  #newestConfiguration(): { readonly index: LogIndex; readonly configuration: Configuration } {
    const newest = this.#configurations.at(-1)
    assert(newest, 'there is always a configuration')
    return newest
  }

  /** Position in #runs of the run that holds `index`; -1 if none. */
  #runAt(index: LogIndex): number {
    let low = 0
    let high = this.#runs.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.#runs[middle]?.firstIndex ?? 0) <= index) low = middle + 1
      else high = middle
    }
    return low - 1
  }
}

/** What an entry costs beside its data: many empty ones are no small message either. */
const ENTRY_BYTES = 16

/** How many dropped entries may stay at the front of the array before it is moved. */
const TAIL_SLACK = 256
