/** An expression ready to be evaluated, any number of times, with different bindings. */
import type { Expr } from './ast.ts'
import { children } from './ast.ts'
import { Frame, isEvalError, Pending } from './frame.ts'
import type { Eval } from './constant.ts'
import type { CelType } from './type.ts'
import type { CelValue } from './value.ts'
import { EvalError } from './value.ts'
import { CostExceeded } from './work.ts'

/** Per call of one expression, as upstream. */
export const PER_CALL_LIMIT = 1_000_000

export interface EvaluateOptions {
  /** Default PER_CALL_LIMIT. */
  costLimit?: number
}

export type Evaluation =
  | { ok: true; value: CelValue; cost: number }
  /** `error`: the expression's own; `cost`: the limit was passed; `pending`: an authorizer check has to be awaited, see `evaluateAsync`. */
  | { ok: false; kind: 'error' | 'cost' | 'pending'; error: string; cost: number }

export class Program {
  readonly expression: string
  readonly resultType: CelType
  #ast: Expr | undefined
  readonly #run: Eval

  constructor(expression: string, ast: Expr, run: Eval) {
    this.expression = expression
    this.#ast = ast
    this.resultType = ast.type ?? { kind: 'dyn' }
    this.#run = run
  }

  /** Checked; for cost estimates and `references`. Not after `forgetAst`. */
  get ast(): Expr {
    if (!this.#ast) throw new TypeError(`the tree of ${JSON.stringify(this.expression)} was let go`)
    return this.#ast
  }

  /** Half the memory of a program that is only to be evaluated from now on. */
  forgetAst(): this {
    this.#ast = undefined
    return this
  }

  /** Does the expression use the variable? (`oldSelf` makes a rule one for transitions.) */
  references(variable: string): boolean {
    const todo = [this.ast]
    for (let e = todo.pop(); e; e = todo.pop()) {
      if (e.kind === 'ident' && (e.name === variable || e.name === `.${variable}`)) return true
      todo.push(...children(e))
    }
    return false
  }

  /** Bindings are plain JSON by variable name (or CelValues); never changed. A variable that is absent is an error only when used. */
  evaluate(bindings: Readonly<Record<string, unknown>>, options?: EvaluateOptions): Evaluation {
    const outcome = this.#attempt(bindings, options)
    return outcome instanceof PendingOutcome ? { ok: false, kind: 'pending', error: 'an answer is still awaited', cost: outcome.cost } : outcome
  }

  /** As `evaluate`; awaits what is pending and evaluates again, until nothing is. */
  async evaluateAsync(bindings: Readonly<Record<string, unknown>>, options?: EvaluateOptions): Promise<Evaluation> {
    while (true) {
      const outcome = this.#attempt(bindings, options)
      if (!(outcome instanceof PendingOutcome)) return outcome
      await outcome.pending.wait()
    }
  }

  /** Within another evaluation: throws what ends one (EvalError, Pending; passing the limit is an EvalError here). */
  evaluateOrThrow(bindings: Readonly<Record<string, unknown>>): { value: CelValue; cost: number } {
    const outcome = this.#attempt(bindings)
    if (outcome instanceof PendingOutcome) throw outcome.pending
    if (!outcome.ok) throw new EvalError(outcome.error)
    return outcome
  }

  #attempt(bindings: Readonly<Record<string, unknown>>, options?: EvaluateOptions): Evaluation | PendingOutcome {
    const frame = new Frame(bindings, options?.costLimit ?? PER_CALL_LIMIT)
    try {
      return { ok: true, value: this.#run(frame), cost: frame.cost }
    } catch (thrown) {
      if (isEvalError(thrown)) return { ok: false, kind: 'error', error: thrown.message, cost: frame.cost }
      if (thrown instanceof CostExceeded) return { ok: false, kind: 'cost', error: thrown.message, cost: frame.cost }
      if (thrown instanceof Pending) return new PendingOutcome(thrown, frame.cost)
      throw thrown
    }
  }
}

class PendingOutcome {
  readonly pending: Pending
  readonly cost: number
  constructor(pending: Pending, cost: number) {
    this.pending = pending
    this.cost = cost
  }
}
