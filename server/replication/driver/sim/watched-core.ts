/** The real core, with a look at each step: what the checker of Raft's own simulation holds must hold under this driver, too. */
import { Raft } from '../../../raft/raft.ts'
import type { Checker } from '../../../raft/sim/checker.ts'
import type { Disk } from '../../../raft/sim/disk.ts'
import type { Entry, LogBase, LogIndex, RaftEvent, RaftStatus, Ready, Term } from '../../../raft/types.ts'
import type { RaftCore } from '../replica.ts'

export class WatchedCore implements RaftCore {
  readonly #core: Raft
  readonly #disk: Disk
  readonly #checker: Checker
  readonly #violated: (error: unknown) => void
  #ledTerm: Term = 0
  readonly #unproven: { readonly entry: Entry; readonly prevTerm: Term | undefined }[] = []

  constructor(core: Raft, disk: Disk, checker: Checker, violated: (error: unknown) => void) {
    this.#core = core
    this.#disk = disk
    this.#checker = checker
    this.#violated = violated
  }

  step(events: readonly RaftEvent[], nowMs: number): Ready {
    try {
      const before = this.#core.status()
      const ready = this.#core.step(events, nowMs)
      this.#check(before, ready)
      return ready
    } catch (error) {
      this.#violated(error)
      throw error
    }
  }

  status(): RaftStatus {
    return this.#core.status()
  }

  term(index: LogIndex): Term | undefined {
    return this.#core.term(index)
  }

  baseAt(index: LogIndex): LogBase {
    return this.#core.baseAt(index)
  }

  compactIndexMax(): LogIndex {
    return this.#core.compactIndexMax()
  }

  #check(before: RaftStatus, ready: Ready): void {
    const after = this.#core.status()
    const termAt = (index: LogIndex) => this.#core.term(index)
    for (const entry of ready.persist?.entries ?? []) this.#unproven.push({ entry, prevTerm: termAt(entry.index - 1) })
    // What is not on disk under its term may be forgotten by a server alone, and begun again.
    const { term } = this.#disk.hardState
    for (let first = this.#unproven[0]; first && first.entry.term <= term; first = this.#unproven[0]) {
      this.#checker.appended(after.id, first.entry, first.prevTerm)
      this.#unproven.shift()
    }
    if (after.role === 'leader' && this.#ledTerm !== after.term && term >= after.term) {
      this.#ledTerm = after.term
      this.#checker.elected(after, termAt)
    }
    this.#checker.advanced(before, after, termAt)
  }
}
