/** One validating policy over one request and one parameter: what each validation decides (apiserver `validating/validator.go`). */
import type { CelValue } from '#api/cel/index.ts'
import { matchesConditions } from './conditions.ts'
import type { ValidatingPolicy } from './compile-policy.ts'
import { type Cel, Evaluation, OutOfBudget, type Expression } from './expressions.ts'

/** `failure`: why it could not be evaluated; '' where it was. */
export interface Decision { denies: boolean; message: string; reason: string; failure: string }

export type Annotation = { key: string; value: string } | { key: string; error: string }

export interface Outcome { decisions: Decision[]; annotations: Annotation[] }

/** Upstream's budget for a policy's validations, and again for its annotations. */
const BUDGET = 10_000_000
const MESSAGE_BYTES_MAX = 5 * 1024

export async function validateOnce(cel: Cel, policy: ValidatingPolicy, bindings: Readonly<Record<string, unknown>>): Promise<Outcome> {
  const failed = (message: string): Decision => ({ denies: !policy.failsOpen, message, reason: '', failure: message })
  const verdict = await matchesConditions(cel, policy, bindings)
  if ('error' in verdict) return { decisions: [failed(verdict.error)], annotations: [] }
  if (!verdict.matches) return { decisions: [], annotations: [] }
  try {
    const evaluation = new Evaluation(cel, policy.variables, bindings, BUDGET)
    const results = []
    for (const { expression } of policy.validations) results.push(await evaluation.evaluate(expression))
    const decisions: Decision[] = []
    // Messages are only made for what failed, from what is left of the budget.
    const messages = new Evaluation(cel, policy.variables, withoutAuthorizer(bindings), evaluation.left)
    for (const [i, result] of results.entries()) {
      const validation = policy.validations[i] as ValidatingPolicy['validations'][number]
      if (!result.ok) decisions.push(failed(result.error))
      else if (result.value === true) decisions.push({ denies: false, message: '', reason: '', failure: '' })
      else decisions.push(await denial(validation, messages, failed))
    }
    return { decisions, annotations: await annotate(cel, policy, bindings) }
  } catch (error) {
    if (error instanceof OutOfBudget) return { decisions: [failed(error.message)], annotations: [] }
    throw error
  }
}

function withoutAuthorizer(bindings: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(bindings).filter(([name]) => !name.startsWith('authorizer')))
}

async function denial({ expression, messageExpression, message, reason }: ValidatingPolicy['validations'][number], messages: Evaluation, failed: (message: string) => Decision): Promise<Decision> {
  let made = ''
  try {
    const result = messageExpression && (await messages.evaluate(messageExpression))
    made = result?.ok ? usable(result.value) : ''
  } catch (error) {
    if (error instanceof OutOfBudget) return failed(`failed messageExpression: ${error.message}`)
    throw error
  }
  return { denies: true, message: made || message || `failed expression: ${expression.text.trim()}`, reason, failure: '' }
}

/** '' for what is no short single line. */
function usable(value: CelValue): string {
  const text = typeof value === 'string' ? value.trim() : ''
  return text.includes('\n') || Buffer.byteLength(text) > MESSAGE_BYTES_MAX ? '' : text
}

async function annotate(cel: Cel, policy: ValidatingPolicy, bindings: Readonly<Record<string, unknown>>): Promise<Annotation[]> {
  if (policy.auditAnnotations.length === 0) return []
  const evaluation = new Evaluation(cel, policy.variables, withoutAuthorizer(bindings), BUDGET)
  const out: Annotation[] = []
  for (const { key, expression } of policy.auditAnnotations) {
    const made = await annotation(key, expression, evaluation, policy.failsOpen)
    if (made) out.push(made)
  }
  return out
}

async function annotation(key: string, expression: Expression, evaluation: Evaluation, failsOpen: boolean): Promise<Annotation | undefined> {
  const result = await evaluation.evaluate(expression)
  if (!result.ok) return failsOpen ? undefined : { key, error: result.error }
  const value = typeof result.value === 'string' ? result.value.trim() : ''
  return value === '' ? undefined : { key, value }
}
