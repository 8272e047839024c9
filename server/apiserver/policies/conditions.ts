/** matchConditions: all must be true; one that is false decides at once, errors only if none is false (apiserver `matchconditions`). */
import { type Cel, Evaluation, OutOfBudget } from './expressions.ts'
import type { Policy } from './compile-policy.ts'

/** Upstream's budget for all conditions of one policy and parameter. */
const BUDGET = 2_500_000

export async function matchesConditions(cel: Cel, { conditions, variables, failsOpen }: Policy, bindings: Readonly<Record<string, unknown>>): Promise<{ matches: boolean } | { error: string }> {
  if (conditions.length === 0) return { matches: true }
  const evaluation = new Evaluation(cel, variables, { ...bindings, namespaceObject: null }, BUDGET)
  const errors: string[] = []
  try {
    for (const condition of conditions) {
      const result = await evaluation.evaluate(condition)
      if (!result.ok) errors.push(result.error)
      else if (result.value === false) return { matches: false }
    }
  } catch (error) {
    if (!(error instanceof OutOfBudget)) throw error
    errors.splice(0, errors.length, error.message)
  }
  if (errors.length === 0) return { matches: true }
  return failsOpen ? { matches: false } : { error: errors.length === 1 ? (errors[0] ?? '') : `[${errors.join(', ')}]` }
}
