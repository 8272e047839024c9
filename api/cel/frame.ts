/** The state of one evaluation: variables, and the cost so far. */
import type { CelValue } from './value.ts'
import { EvalError } from './value.ts'
import { CostExceeded, work } from './work.ts'

/** An answer is missing that only waiting can bring (an authorizer check). Never absorbed; `evaluateAsync` waits and starts again. */
export class Pending {
  readonly wait: () => Promise<void>
  constructor(wait: () => Promise<void>) { this.wait = wait }
}

/** A variable that is computed when first asked for (`variables.x` of policies). */
export type LazyBinding = (frame: Frame) => CelValue

export class Frame {
  cost = 0
  readonly limit: number
  /** By number of the variable; grows as they are used. */
  readonly slots: (CelValue | undefined)[] = []
  readonly bindings: Readonly<Record<string, unknown>>

  constructor(bindings: Readonly<Record<string, unknown>>, limit: number) {
    this.bindings = bindings
    this.limit = limit
    work.reset()
  }

  charge(cost: number): void {
    this.cost += cost
    if (this.cost > this.limit) throw new CostExceeded()
  }
}

export const isEvalError = (e: unknown): e is EvalError => e instanceof EvalError
