/** Requests being served, by kind; watches (once begun), logs, exec and the like do not count. */
import type { Clock } from '#base/clock.ts'
import { tooManyRequests } from '../http/status.ts'

/** Upstream's --max-requests-inflight and --max-mutating-requests-inflight; 0: no limit. */
export const IN_FLIGHT_LIMITS = { readOnly: 400, mutating: 200 }

export interface InFlightLimits { readOnly: number; mutating: number }

/** Upstream's metric shows the most of the last second. */
const WINDOW_MS = 1_000

class Gauge {
  #current = 0
  #high = 0
  #highUntilMs = 0

  get current(): number { return this.#current }

  add(nowMs: number): void {
    this.#current++
    if (this.#current < this.#high && nowMs < this.#highUntilMs) return
    this.#high = this.#current
    this.#highUntilMs = nowMs + WINDOW_MS
  }

  remove(): void { this.#current-- }

  high(nowMs: number): number { return nowMs < this.#highUntilMs ? Math.max(this.#high, this.#current) : this.#current }
}

export class InFlight {
  readonly #limits: InFlightLimits
  readonly #clock: Clock
  readonly #gauges = { readOnly: new Gauge(), mutating: new Gauge() }

  constructor(clock: Clock, limits: InFlightLimits = IN_FLIGHT_LIMITS) {
    this.#clock = clock
    this.#limits = limits
  }

  /** Throws 429 when full. The returned function gives the place back. */
  enter(kind: keyof InFlightLimits): () => void {
    const limit = this.#limits[kind]
    if (limit > 0 && this.#gauges[kind].current >= limit) throw tooManyRequests('Too many requests, please try again later.', 1)
    return this.count(kind)
  }

  /** The same without a limit: something else has let it in. */
  count(kind: keyof InFlightLimits): () => void {
    const gauge = this.#gauges[kind]
    gauge.add(this.#clock.monotonicMs())
    return () => gauge.remove()
  }

  /** The most at once in the last second. */
  high(kind: keyof InFlightLimits): number { return this.#gauges[kind].high(this.#clock.monotonicMs()) }
}
