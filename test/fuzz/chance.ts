/** Choices made of one seeded source: the same seed makes the same requests. */
import { seededRandom } from '#base/random.ts'

export class Chance {
  readonly #next: () => number
  constructor(seed: number) {
    const random = seededRandom(seed)
    this.#next = () => random.next()
  }

  /** In [0, below). */
  int(below: number): number { return Math.floor(this.#next() * below) }
  /** True once in `n` times. */
  oneIn(n: number): boolean { return this.int(n) === 0 }
  pick<T>(from: readonly T[]): T {
    if (from.length === 0) throw new Error('nothing to pick from')
    return from[this.int(from.length)] as T
  }
}
