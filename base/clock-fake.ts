/** A clock for tests: time stands still until `advance` moves it; sleepers wake in order of their due time. */
import type { Clock } from './clock.ts'

interface Sleeper { dueMs: number; seq: number; wake: () => void }

export class FakeClock implements Clock {
  #wallMs: number
  #monoMs = 0
  #seq = 0
  #sleepers: Sleeper[] = []

  constructor(wallMs = Date.UTC(2026, 0, 1)) {
    this.#wallMs = wallMs
  }

  nowMs(): number { return this.#wallMs }
  monotonicMs(): number { return this.#monoMs }
  /** How many sleeps and timers are waiting. */
  get pending(): number { return this.#sleepers.length }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const fail = () => reject(signal?.reason instanceof Error ? signal.reason : new Error('aborted'))
      if (signal?.aborted) return fail()
      const cancel = this.#add(ms, () => {
        signal?.removeEventListener('abort', onAbort)
        resolve()
      })
      const onAbort = () => { cancel(); fail() }
      signal?.addEventListener('abort', onAbort, { once: true })
    })
  }

  after(ms: number, fn: () => void): () => void {
    return this.#add(ms, fn)
  }

  /** Moves both clocks on by `ms`, waking what falls due in order, and drains promises after each wake. */
  async advance(ms: number): Promise<void> {
    const untilMs = this.#monoMs + ms
    await drain()
    for (;;) {
      const next = this.#sleepers.filter((s) => s.dueMs <= untilMs).sort((a, b) => a.dueMs - b.dueMs || a.seq - b.seq)[0]
      if (!next) break
      this.#step(next.dueMs - this.#monoMs)
      this.#sleepers.splice(this.#sleepers.indexOf(next), 1)
      next.wake()
      await drain()
    }
    this.#step(untilMs - this.#monoMs)
    await drain()
  }

  /** Moves only the wall clock, as NTP or a missing battery does. */
  jumpWall(ms: number): void { this.#wallMs += ms }

  #step(ms: number): void {
    if (ms <= 0) return
    this.#monoMs += ms
    this.#wallMs += ms
  }

  #add(ms: number, wake: () => void): () => void {
    const sleeper = { dueMs: this.#monoMs + Math.max(0, ms), seq: this.#seq++, wake }
    this.#sleepers.push(sleeper)
    return () => {
      const at = this.#sleepers.indexOf(sleeper)
      if (at >= 0) this.#sleepers.splice(at, 1)
    }
  }
}

async function drain(): Promise<void> {
  for (let i = 0; i < 20; i++) await new Promise<void>((r) => setImmediate(r))
}
