/**
 * How the server's seats are shared between priority levels. Each has a nominal share; what it does not need it lends,
 * and who needs more borrows, within limits (KEP-1040 "dispatching, with borrowing"). Pure.
 */
import type { PriorityLevelConfiguration } from '#api/types/index.ts'

export interface LevelSeats {
  nominal: number
  /** Kept even when not needed. */
  min: number
  /** With all it may borrow. */
  max: number
}

/** Nominal seats of all levels, by name. Levels of type Exempt take part with their shares, which are 0 by default. */
export function shareSeats(levels: readonly PriorityLevelConfiguration[], serverSeats: number): Map<string, LevelSeats> {
  const sum = levels.reduce((n, l) => n + partOf(l).nominalConcurrencyShares, 0)
  return new Map(levels.map((l) => {
    const { nominalConcurrencyShares: shares, lendablePercent, borrowingLimitPercent } = partOf(l)
    const nominal = sum === 0 ? 0 : Math.ceil((serverSeats * shares) / sum)
    const min = nominal - Math.round((nominal * lendablePercent) / 100)
    const max = nominal + (borrowingLimitPercent === undefined ? serverSeats : Math.round((nominal * borrowingLimitPercent) / 100))
    return [l.metadata?.name ?? '', { nominal, min, max }]
  }))
}

function partOf({ spec }: PriorityLevelConfiguration): { nominalConcurrencyShares: number; lendablePercent: number; borrowingLimitPercent?: number | undefined } {
  const { limited, exempt } = spec ?? {}
  return { nominalConcurrencyShares: limited?.nominalConcurrencyShares ?? exempt?.nominalConcurrencyShares ?? 0, lendablePercent: limited?.lendablePercent ?? exempt?.lendablePercent ?? 0, borrowingLimitPercent: limited?.borrowingLimitPercent }
}

export interface SeatDemand {
  name: string
  seats: LevelSeats
  /** Most seats wanted at any moment of the period. */
  high: number
  /** What is to be planned with: near the average, slow to sink. At least 0. */
  smooth: number
}

/**
 * Seats of each level for the next period: everybody what it surely needs, the rest by need, nobody more than its limit.
 * The sum stays near `serverSeats` (each share is rounded by itself).
 */
export function lendSeats(demands: readonly SeatDemand[], serverSeats: number): Map<string, number> {
  const needs = demands.map((d) => {
    // A busy level takes back its own before others borrow from it.
    const least = Math.max(d.seats.min, Math.min(d.seats.nominal, d.high))
    return { name: d.name, least, most: Math.max(least, d.seats.max), target: Math.max(least, d.smooth, 1) }
  })
  const surely = needs.reduce((n, d) => n + d.least, 0)
  if (surely >= serverSeats) return new Map(needs.map((d) => [d.name, d.least]))
  const at = (fraction: number, d: (typeof needs)[number]): number => Math.max(d.least, Math.min(d.most, d.target * fraction))
  const total = (fraction: number): number => needs.reduce((n, d) => n + at(fraction, d), 0)
  let [low, high] = [0, serverSeats]
  // Halving 50 times leaves less than any seat of doubt.
  for (let i = 0; i < 50; i++) {
    const middle = (low + high) / 2
    if (total(middle) < serverSeats) low = middle
    else high = middle
  }
  return new Map(needs.map((d) => [d.name, Math.round(at(high, d))]))
}

/** Follows one level's wish for seats through time. */
export class DemandMeter {
  #current = 0
  #sinceMs: number
  #startMs: number
  #high = 0
  #area = 0
  #squares = 0
  #smooth = 0

  constructor(nowMs: number) {
    this.#sinceMs = nowMs
    this.#startMs = nowMs
  }

  set(seats: number, nowMs: number): void {
    this.#add(nowMs)
    this.#current = seats
    if (seats > this.#high) this.#high = seats
  }

  /** Ends the period. The average plus one deviation, bounded by the highest; it sinks by 2.3% a period at most. */
  take(nowMs: number): { high: number; smooth: number } {
    this.#add(nowMs)
    const ms = Math.max(1, nowMs - this.#startMs)
    const average = this.#area / ms
    const deviation = Math.sqrt(Math.max(0, this.#squares / ms - average * average))
    const envelope = Math.min(this.#high, average + deviation)
    this.#smooth = Math.max(envelope, SMOOTHING * this.#smooth + (1 - SMOOTHING) * envelope)
    const taken = { high: this.#high, smooth: this.#smooth }
    this.#high = this.#current
    this.#area = this.#squares = 0
    this.#startMs = this.#sinceMs
    return taken
  }

  #add(nowMs: number): void {
    const ms = Math.max(0, nowMs - this.#sinceMs)
    this.#area += ms * this.#current
    this.#squares += ms * this.#current * this.#current
    this.#sinceMs = Math.max(nowMs, this.#sinceMs)
  }
}

/** Upstream's: a level's need halves in about five minutes. */
const SMOOTHING = 0.977
