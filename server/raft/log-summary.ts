/** What the core must know of a stored log when it starts, gathered entry by entry while the storage checks them. */
import { assert } from '#base/errors.ts'
import { decodeConfiguration } from './configuration.ts'
import type { Configuration, Entry, LogBase, LogIndex, Term } from './types.ts'

export class LogSummary {
  readonly terms: { term: Term; firstIndex: LogIndex }[] = []
  readonly configurations: { index: LogIndex; configuration: Configuration }[] = []
  lastIndex: LogIndex
  #lastTerm: Term

  constructor(base: LogBase) {
    this.lastIndex = base.index
    this.#lastTerm = base.term
  }

  /** Entries after the base, in order and without gaps. Throws for an unreadable configuration. */
  add(entry: Entry): void {
    assert(entry.index === this.lastIndex + 1, `log entry ${entry.index} follows ${this.lastIndex}`)
    assert(entry.term >= this.#lastTerm, `log entry ${entry.index} has term ${entry.term} after ${this.#lastTerm}`)
    if (entry.term !== this.#lastTerm || this.terms.length === 0) this.terms.push({ term: entry.term, firstIndex: entry.index })
    if (entry.kind === 'configuration') this.configurations.push({ index: entry.index, configuration: decodeConfiguration(entry.data) })
    this.lastIndex = entry.index
    this.#lastTerm = entry.term
  }
}
