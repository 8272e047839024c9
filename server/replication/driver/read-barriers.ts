/**
 * Reads that wait until this server has applied all that was committed anywhere when they were asked. All that come
 * before the core's next step are one question, and as many as become due at an index are answered at once.
 */
import type { LogIndex, ReadOutcome } from '../../raft/types.ts'
import { refusalError } from './refusal.ts'

interface Waiter {
  readonly resolve: (index: LogIndex) => void
  readonly reject: (error: Error) => void
}

interface Question {
  readonly waiters: Waiter[]
  /** How often it was asked in vain. */
  readonly lost: number
}

/** A question whose answer got lost is asked again, so often; each costs at most an election timeout. */
const LOST_MAX = 2

export class ReadBarriers {
  readonly #ask: () => number
  #open: { readonly id: number; readonly question: Question } | undefined
  readonly #asked = new Map<number, Question>()
  #due: { readonly index: LogIndex; readonly waiters: readonly Waiter[] }[] = []

  /** `ask` hands the question to the core and returns its id. */
  constructor(ask: () => number) {
    this.#ask = ask
  }

  get isEmpty(): boolean {
    return this.#asked.size === 0 && this.#due.length === 0
  }

  wait(): Promise<LogIndex> {
    return new Promise((resolve, reject) => this.#add([{ resolve, reject }], 0))
  }

  /** The core takes the question now: what comes later is later. */
  stepping(): void {
    this.#open = undefined
  }

  outcome(outcome: ReadOutcome, applied: LogIndex): void {
    const question = this.#asked.get(outcome.id)
    if (!question) return
    this.#asked.delete(outcome.id)
    if (!outcome.ok) {
      if (outcome.why === 'unknown' && question.lost < LOST_MAX) this.#add(question.waiters, question.lost + 1)
      else for (const w of question.waiters) w.reject(refusalError(outcome.why === 'unknown' ? 'noLeader' : outcome.why))
    } else if (outcome.index <= applied) for (const w of question.waiters) w.resolve(applied)
    else this.#due.push({ index: outcome.index, waiters: question.waiters })
  }

  applied(index: LogIndex): void {
    if (this.#due.length === 0) return
    const due = this.#due.filter((d) => d.index <= index)
    this.#due = this.#due.filter((d) => d.index > index)
    for (const { waiters } of due) for (const w of waiters) w.resolve(index)
  }

  /** What may be read is known, and that it comes here is not to be expected. */
  rejectDue(error: Error): void {
    for (const { waiters } of this.#due.splice(0)) for (const w of waiters) w.reject(error)
  }

  rejectAll(error: Error): void {
    const asked = [...this.#asked.values()]
    this.#asked.clear()
    this.#open = undefined
    for (const { waiters } of asked) for (const w of waiters) w.reject(error)
    this.rejectDue(error)
  }

  #add(waiters: readonly Waiter[], lost: number): void {
    if (!this.#open || this.#open.question.lost < lost) {
      const question: Question = { waiters: [], lost }
      const id = this.#ask()
      this.#asked.set(id, question)
      this.#open = { id, question }
    }
    this.#open.question.waiters.push(...waiters)
  }
}
