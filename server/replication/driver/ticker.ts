/** Ticks at an even pace while they are wanted; those that a pause swallowed are not made up for. */
import type { Clock } from '#base/clock.ts'

export class Ticker {
  readonly #clock: Clock
  readonly #tickMs: number
  readonly #tick: () => void
  #cancel: (() => void) | undefined
  #dueMs = 0

  constructor(clock: Clock, tickMs: number, tick: () => void) {
    this.#clock = clock
    this.#tickMs = tickMs
    this.#tick = tick
  }

  set(wanted: boolean): void {
    if (wanted === (this.#cancel !== undefined)) return
    if (!wanted) {
      this.#cancel?.()
      this.#cancel = undefined
      return
    }
    this.#dueMs = this.#clock.monotonicMs() + this.#tickMs
    this.#wait()
  }

  #wait(): void {
    const nowMs = this.#clock.monotonicMs()
    if (this.#dueMs < nowMs) this.#dueMs = nowMs
    this.#cancel = this.#clock.after(this.#dueMs - nowMs, () => {
      this.#dueMs += this.#tickMs
      this.#wait()
      this.#tick()
    })
  }
}
