/**
 * Numbers that can each be held by one owner. As upstream's allocators, the lower part is a band for those who ask for a
 * number by name; numbers are given out from the rest at random, and from the band only when the rest is used up (KEP-3070).
 */
import type { Random } from '#base/random.ts'

export interface PoolOptions {
  /** Numbers are 0 .. size-1. */
  size: number
  /** Size of the band at the bottom. */
  band: number
  /** Never given out unasked. */
  reserved?: readonly number[]
}

export class Pool {
  readonly #options: PoolOptions
  readonly #reserved: ReadonlySet<number>
  readonly #owners = new Map<number, string>()

  constructor(options: PoolOptions) {
    this.#options = options
    this.#reserved = new Set(options.reserved)
  }

  get used(): number { return this.#owners.size }
  ownerOf(number: number): string | undefined { return this.#owners.get(number) }

  /** False when someone else holds it. */
  take(number: number, owner: string): boolean {
    const holder = this.#owners.get(number)
    if (holder !== undefined && holder !== owner) return false
    this.#owners.set(number, owner)
    return true
  }

  /** What is written elsewhere is the truth: whoever held it here, `owner` has it now. */
  seen(number: number, owner: string): void { this.#owners.set(number, owner) }

  /** A free number, taken for `owner`; undefined when there is none. */
  takeAny(owner: string, random: Random): number | undefined {
    const { size, band } = this.#options
    const found = this.#free(band, size, random) ?? this.#free(0, band, random)
    if (found !== undefined) this.#owners.set(found, owner)
    return found
  }

  /** Only the owner can give it back; otherwise nothing happens. */
  release(number: number, owner: string): void {
    if (this.#owners.get(number) === owner) this.#owners.delete(number)
  }

  /** From a random place onwards, once round. */
  #free(low: number, high: number, random: Random): number | undefined {
    const span = high - low
    if (span <= 0) return undefined
    const start = Math.floor(random.next() * span)
    for (let i = 0; i < span; i++) {
      const number = low + ((start + i) % span)
      if (!this.#owners.has(number) && !this.#reserved.has(number)) return number
    }
    return undefined
  }
}

/** Upstream's size of the static band: a fraction of the range, within bounds; none in tiny ranges. */
export function bandSize(size: number, bounds: { min: number; max: number; fraction: number }): number {
  return size <= bounds.min ? 0 : Math.min(bounds.max, Math.max(bounds.min, Math.floor(size / bounds.fraction)))
}
