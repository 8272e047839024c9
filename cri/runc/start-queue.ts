/**
 * Starts of sandboxes and containers, few at a time, and those of containers first: what has begun is finished before more is begun. With all of
 * them at once nothing is finished for a long time on a slow machine, and an agent that is killed again and again finds everything half made.
 */
import type { Clock } from '#base/clock.ts'

/** Who takes longer than this waits for something (a volume's server that is away, say) and holds nobody up any more. */
const TURN_MS_MAX = 5_000

export class StartQueue {
  readonly #clock: Clock
  #free: number
  readonly #waiting = { container: [] as (() => void)[], sandbox: [] as (() => void)[] }

  constructor(limit: number, clock: Clock) {
    this.#free = limit
    this.#clock = clock
  }

  async run<T>(of: 'container' | 'sandbox', work: () => Promise<T>): Promise<T> {
    if (this.#free > 0) this.#free--
    else await new Promise<void>((resolve) => this.#waiting[of].push(resolve))
    let isOver = false
    const pass = () => {
      if (isOver) return
      isOver = true
      const next = this.#waiting.container.shift() ?? this.#waiting.sandbox.shift()
      if (next) next()
      else this.#free++
    }
    const cancel = this.#clock.after(TURN_MS_MAX, pass)
    try {
      return await work()
    } finally {
      cancel()
      pass()
    }
  }
}
