/**
 * Starts of sandboxes and containers, few at a time, and those of containers first: what has begun is finished before more is begun. With all of
 * them at once nothing is finished for a long time on a slow machine, and an agent that is killed again and again finds everything half made. But
 * containers that fail and start again without end keep no new pod from beginning: after so many of them it is a sandbox's turn.
 */
import type { Clock } from '#base/clock.ts'

/** Who takes longer than this waits for something (a volume's server that is away, say) and holds nobody up any more. */
const TURN_MS_MAX = 5_000
/** Turns of containers in a row, while a sandbox waits. A pod has few containers: those of a pod that has begun mostly get theirs at once. */
export const CONTAINERS_IN_A_ROW_MAX = 4

export class StartQueue {
  readonly #clock: Clock
  #free: number
  readonly #waiting = { container: [] as (() => void)[], sandbox: [] as (() => void)[] }
  /** Since a sandbox had its turn, or none waited. */
  #containersInARow = 0

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
      const next = this.#next()
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

  #next(): (() => void) | undefined {
    const { container, sandbox } = this.#waiting
    const isSandboxesTurn = sandbox.length > 0 && (container.length === 0 || this.#containersInARow >= CONTAINERS_IN_A_ROW_MAX)
    this.#containersInARow = isSandboxesTurn || sandbox.length === 0 ? 0 : this.#containersInARow + 1
    return (isSandboxesTurn ? sandbox : container).shift()
  }
}
