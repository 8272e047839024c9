/**
 * Values that the leader shows ahead of the log, as another member hears of them: shown here in the same order, each after
 * what it followed there. What was said while there was no connection is asked for, all at once; what gets lost all the same
 * holds up what comes after it until that, or the log, brings it.
 *
 *   out of step --ask--> asked --all, shown--> in step: whatever the leader shows is here before its next answer is
 *        ^                                        |
 *        '---- the connection, or the leader, is another one
 */
import type { Clock } from '#base/clock.ts'
import type { Revision } from '#server/store/store.ts'
import type { Term } from '../../raft/types.ts'
import { bytesOf, type Change } from './entry.ts'
import type { StoreMachine } from './store-machine.ts'

export interface LazyChanges { kind: 'lazy' | 'allLazy'; term: Term; before: Revision; revision: Revision; changes: readonly Change[] }

/** Of what came before what it follows: the log brings what is dropped. A member whose disk stands still goes on hearing. */
const EARLY_MAX = 4096
const EARLY_BYTES_MAX = 8 << 20
/** How long something may be awaited before the leader is asked to say it again, and as long after that to write it into the log. */
const STUCK_MS = 200
/** A leader that does not say what it shows is believed to show no more than the log: it is one of an earlier release, or one no more. */
const STEP_MS_MAX = 1_000

export interface LazyStreamParts {
  clock: Clock
  machine: StoreMachine
  shown(): void
  askFlush(): void
  /** Asks the leader for all it shows ahead of the log. False: there is none to be asked. */
  askAll(): boolean
}

export class LazyStream {
  readonly #parts: LazyStreamParts
  #early: LazyChanges[] = []
  #earlyBytes = 0
  /** Somebody waits for a revision that may only come this way. */
  #awaitedTo: Revision = 0
  #step: 'out' | 'asked' | 'in' = 'out'
  #waiting: (() => void)[] = []
  #cancelStep: (() => void) | undefined
  #cancelCheck: (() => void) | undefined
  #closed = false

  constructor(parts: LazyStreamParts) { this.#parts = parts }

  hear(changes: LazyChanges): void {
    if (this.#closed) return
    const isAll = changes.kind === 'allLazy'
    if (changes.revision <= this.#parts.machine.state.revision && !isAll) return
    if (isAll) {
      this.#early = this.#early.filter((e) => e.revision > changes.revision || e.term > changes.term)
      this.#earlyBytes = this.#early.reduce((sum, e) => sum + sizeOf(e), 0)
    }
    this.#early.push(changes)
    this.#earlyBytes += sizeOf(changes)
    this.applied()
    while (this.#early.length > EARLY_MAX || this.#earlyBytes > EARLY_BYTES_MAX) this.#dropFirst()
  }

  /** Bytes of keys and values that wait for what they follow. */
  get earlyBytes(): number { return this.#earlyBytes }

  /** A revision is wanted that the leader has shown. */
  awaited(revision: Revision): void {
    this.#awaitedTo = Math.max(this.#awaitedTo, revision)
    this.#checkLater()
  }

  /** Something may have been said that did not come here. */
  lost(): void {
    if (this.#closed) return
    this.#step = this.#parts.askAll() ? 'asked' : 'out'
  }

  /** Undefined: all that the leader has shown and acknowledged so far is shown here, or came before its last answer did. */
  inStep(): Promise<void> | undefined {
    if (this.#step === 'in' || this.#closed) return undefined
    if (this.#step === 'out') this.lost()
    if (this.#step === 'out') return undefined
    this.#cancelStep ??= this.#parts.clock.after(STEP_MS_MAX, () => {
      this.#cancelStep = undefined
      this.#stepped()
    })
    return new Promise((resolve) => this.#waiting.push(resolve))
  }

  /** Something became visible: what waited for it may follow. */
  applied(): void {
    if (this.#early.length === 0) return
    const { machine } = this.#parts
    let any = false
    for (let [next] = this.#early; next; [next] = this.#early) {
      const { position: { term }, state: { revision } } = machine
      const isAll = next.kind === 'allLazy'
      if (next.term < term || (next.revision <= revision && (!isAll || next.term === term))) this.#dropFirst()
      else if (next.term === term && (isAll ? next.before <= revision : next.before === revision) && !machine.installing) {
        this.#dropFirst()
        machine.showLazy(next.changes, next.revision)
        any = true
      } else break
      if (isAll && next.term === term) this.#stepped()
    }
    if (any) this.#parts.shown()
    if (this.#early.length > 0) this.#checkLater()
  }

  close(): void {
    this.#closed = true
    this.#cancelCheck?.()
    this.#stepped()
  }

  #dropFirst(): void {
    const first = this.#early.shift()
    if (first) this.#earlyBytes -= sizeOf(first)
  }

  #stepped(): void {
    this.#step = 'in'
    this.#cancelStep?.()
    this.#cancelStep = undefined
    for (const resolve of this.#waiting.splice(0)) resolve()
  }

  #checkLater(wasAsked = false): void {
    if (this.#closed) return
    this.#cancelCheck ??= this.#parts.clock.after(STUCK_MS, () => {
      this.#cancelCheck = undefined
      if (this.#early.length === 0 && this.#awaitedTo <= this.#parts.machine.state.revision) return
      if (wasAsked) this.#parts.askFlush()
      else this.lost()
      this.#checkLater(!wasAsked)
    })
  }
}

const sizeOf = ({ changes }: LazyChanges): number => changes.reduce((sum, change) => sum + bytesOf(change), 0)
