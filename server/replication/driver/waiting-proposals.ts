/**
 * Proposals between their call and their end. The core says where in the log a proposal's entries are; it is made when
 * what is applied there is of its term, and lost for good once an entry of another term is applied there or, before it,
 * one of a later term.
 */
import type { Entry, LogIndex, ProposalOutcome, Term } from '../../raft/types.ts'
import { lostError, refusalError, unknownError } from './refusal.ts'

export interface Made {
  readonly term: Term
  readonly index: LogIndex
}

interface Asked {
  readonly count: number
  readonly resolve: (made: Made) => void
  readonly reject: (error: Error) => void
}

/** Its entries are from `index` to `last`. */
interface Placed extends Asked, Made {
  readonly last: LogIndex
  /** Since its leader is known to lead no more. */
  ticksWithout: number
}

export class WaitingProposals {
  readonly #asked = new Map<number, Asked>()
  /** By the index of their last entry. */
  readonly #placed = new Map<LogIndex, Placed[]>()
  #appliedTerm: Term = 0

  get isEmpty(): boolean {
    return this.#asked.size === 0 && this.#placed.size === 0
  }

  add(id: number, asked: Asked): void {
    this.#asked.set(id, asked)
  }

  /** What the core made of it. `appliedTermAt` is of what is applied already: undefined where the log does not reach back. */
  outcome(outcome: ProposalOutcome, applied: LogIndex, appliedTermAt: (index: LogIndex) => Term | undefined): void {
    const asked = this.#asked.get(outcome.id)
    if (!asked) return
    this.#asked.delete(outcome.id)
    if (!outcome.ok) {
      asked.reject(refusalError(outcome.why))
      return
    }
    const { term, index } = outcome
    const placed: Placed = { ...asked, term, index, last: index + asked.count - 1, ticksWithout: 0 }
    if (placed.last <= applied) {
      const is = appliedTermAt(placed.last)
      if (is === term) asked.resolve({ term, index })
      else if (is === undefined) asked.reject(unknownError())
      else this.#lose(placed, applied, appliedTermAt)
    } else if (this.#appliedTerm > term) this.#lose(placed, applied, appliedTermAt)
    else this.#placed.set(placed.last, [...(this.#placed.get(placed.last) ?? []), placed])
  }

  /** After application, before anyone is told of it. */
  applied(entries: readonly Entry[], termAt: (index: LogIndex) => Term | undefined): void {
    for (const entry of entries) {
      if (entry.term > this.#appliedTerm) {
        this.#appliedTerm = entry.term
        this.#sweep((p) => p.term < entry.term && p.last !== entry.index, (p) => this.#lose(p, entry.index, termAt))
      }
      const here = this.#placed.get(entry.index)
      if (!here) continue
      this.#placed.delete(entry.index)
      for (const placed of here) {
        if (placed.term === entry.term) placed.resolve({ term: placed.term, index: placed.index })
        else this.#lose(placed, entry.index, termAt)
      }
    }
  }

  /** A received snapshot took the place of all up to `index`. */
  jumped(index: LogIndex, term: Term): void {
    this.#appliedTerm = Math.max(this.#appliedTerm, term)
    this.#sweep((p) => p.index <= index || p.term < term, (p) => {
      if (p.last === index && p.term === term) p.resolve({ term: p.term, index: p.index })
      else if (p.index > index) p.reject(lostError())
      else p.reject(unknownError())
    })
  }

  /** Entries of a leader that leads no more may stay in no one's way for long: after so many ticks nobody waits for them. */
  tick(term: Term, hasLeader: boolean, ticksMax: number): void {
    this.#sweep((p) => (hasLeader && p.term === term ? false : ++p.ticksWithout > ticksMax), (p) => p.reject(unknownError()))
  }

  /** The end: whatever was asked may happen yet. */
  rejectAll(error: Error): void {
    for (const asked of this.#asked.values()) asked.reject(error)
    this.#asked.clear()
    this.#sweep(() => true, (p) => p.reject(error))
  }

  /** Its last entry never will be applied; of several, the first ones may have been. */
  #lose(placed: Placed, applied: LogIndex, termAt: (index: LogIndex) => Term | undefined): void {
    const firstTerm = placed.index < placed.last && placed.index <= applied ? (termAt(placed.index) ?? placed.term) : 0
    const partly = firstTerm === placed.term
    placed.reject(partly ? unknownError() : lostError())
  }

  #sweep(isMeant: (placed: Placed) => boolean, end: (placed: Placed) => void): void {
    for (const [last, all] of this.#placed) {
      const stay: Placed[] = []
      for (const placed of all) {
        if (isMeant(placed)) end(placed)
        else stay.push(placed)
      }
      if (stay.length === 0) this.#placed.delete(last)
      else if (stay.length < all.length) this.#placed.set(last, stay)
    }
  }
}
