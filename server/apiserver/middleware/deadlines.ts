/**
 * `--request-timeout`: all requests get the same time, so they run out in the order in which they came, and one timer serves
 * them all. A request costs an entry in a set.
 */
import type { Clock } from '#base/clock.ts'

interface Entry { dueMs: number; expire: () => void }

export class Deadlines {
  readonly #clock: Clock
  readonly #timeoutMs: number
  /** In order of arrival. */
  readonly #entries = new Set<Entry>()
  #cancel: (() => void) | undefined

  constructor(clock: Clock, timeoutMs: number) {
    this.#clock = clock
    this.#timeoutMs = timeoutMs
  }

  /** What a request gets whose caller wants `wantedMs`; 0: no wish. */
  limitMs(wantedMs = 0): number { return wantedMs > 0 ? Math.min(wantedMs, this.#timeoutMs) : this.#timeoutMs }

  /**
   * `late` instead, when it takes too long; what it still does then goes on unseen. `run` must not reject. `wantedMs`: the
   * caller's own, shorter limit.
   */
  within<T>(run: () => Promise<T>, late: () => T, wantedMs = 0): Promise<T> {
    if (wantedMs > 0 && wantedMs < this.#timeoutMs) return this.#withinOwn(run, late, wantedMs)
    return new Promise((resolve) => {
      const entry: Entry = { dueMs: this.#clock.monotonicMs() + this.#timeoutMs, expire: () => resolve(late()) }
      this.#entries.add(entry)
      this.#cancel ??= this.#clock.after(this.#timeoutMs, () => this.#look())
      void run().then((value) => {
        this.#entries.delete(entry)
        resolve(value)
      })
    })
  }

  #withinOwn<T>(run: () => Promise<T>, late: () => T, ms: number): Promise<T> {
    return new Promise((resolve) => {
      const cancel = this.#clock.after(ms, () => resolve(late()))
      void run().then((value) => {
        cancel()
        resolve(value)
      })
    })
  }

  close(): void { this.#cancel?.() }

  #look(): void {
    this.#cancel = undefined
    const nowMs = this.#clock.monotonicMs()
    for (const entry of this.#entries) {
      if (entry.dueMs > nowMs) {
        this.#cancel = this.#clock.after(entry.dueMs - nowMs, () => this.#look())
        return
      }
      this.#entries.delete(entry)
      entry.expire()
    }
  }
}
