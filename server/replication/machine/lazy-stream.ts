/**
 * Values that the leader shows ahead of the log, as another member hears of them: shown here in the same order, each after
 * what it followed there. One that got lost holds up those after it until the log brings it; that is asked for.
 */
import type { Clock } from '#base/clock.ts'
import type { Revision } from '#server/store/store.ts'
import type { Term } from '../../raft/types.ts'
import type { Change } from './entry.ts'
import type { StoreMachine } from './store-machine.ts'

export interface LazyChanges { term: Term; before: Revision; revision: Revision; changes: readonly Change[] }

/** Came before what they follow: the log brings what is dropped. */
const EARLY_MAX = 4096
/** How long something may be awaited before the leader is asked to write what it shows into the log. */
const STUCK_MS = 200

export interface LazyStreamParts {
  clock: Clock
  machine: StoreMachine
  shown(): void
  askFlush(): void
}

export class LazyStream {
  readonly #parts: LazyStreamParts
  #early: LazyChanges[] = []
  /** Somebody waits for a revision that may only come this way. */
  #awaitedTo: Revision = 0
  #cancelCheck: (() => void) | undefined
  #closed = false

  constructor(parts: LazyStreamParts) { this.#parts = parts }

  hear(changes: LazyChanges): void {
    if (this.#closed || changes.revision <= this.#parts.machine.state.revision) return
    if (this.#early.length >= EARLY_MAX) this.#early.shift()
    this.#early.push(changes)
    this.applied()
  }

  /** A revision is wanted that the leader has shown. */
  awaited(revision: Revision): void {
    this.#awaitedTo = Math.max(this.#awaitedTo, revision)
    this.#checkLater()
  }

  /** Something became visible: what waited for it may follow. */
  applied(): void {
    if (this.#early.length === 0) return
    const { machine } = this.#parts
    const { state } = machine
    let any = false
    for (let [next] = this.#early; next; [next] = this.#early) {
      const { term } = machine.position
      if (next.term < term || next.revision <= state.revision) this.#early.shift()
      else if (next.term === term && next.before === state.revision && !machine.installing) {
        this.#early.shift()
        machine.showLazy(next.changes, next.revision)
        any = true
      } else break
    }
    if (any) this.#parts.shown()
    if (this.#early.length > 0) this.#checkLater()
  }

  close(): void {
    this.#closed = true
    this.#cancelCheck?.()
  }

  #checkLater(): void {
    if (this.#closed) return
    this.#cancelCheck ??= this.#parts.clock.after(STUCK_MS, () => {
      this.#cancelCheck = undefined
      if (this.#early.length === 0 && this.#awaitedTo <= this.#parts.machine.state.revision) return
      this.#parts.askFlush()
      this.#checkLater()
    })
  }
}
