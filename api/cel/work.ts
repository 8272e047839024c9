/** A bound on work that costs do not see while it is done: comparing or printing values that share their parts grows exponentially. */

/** The cost limit was passed. Never absorbed by `||` or `&&`. */
export class CostExceeded {
  readonly message = 'operation cancelled: actual cost limit exceeded'
}

/** Elements visited, or characters made, by one evaluation outside of what costs count. Far above what the cost limit lets ordinary data reach. */
const STEPS_MAX = 5_000_000

/** Evaluation is synchronous: one meter serves all, set back when an evaluation starts. */
class WorkMeter {
  #steps = 0
  reset(): void { this.#steps = 0 }
  step(count = 1): void {
    this.#steps += count
    if (this.#steps > STEPS_MAX) throw new CostExceeded()
  }
}

export const work = new WorkMeter()
