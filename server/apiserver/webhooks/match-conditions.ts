/** matchConditions of a webhook: CEL expressions that must all be true for it to be called. */
import type { AdmissionApi, AdmissionRequest } from '../admission.ts'
import type { Invocation } from './invocation.ts'

export interface MatchConditions {
  evaluate(invocation: Invocation, request: AdmissionRequest, api: AdmissionApi): Promise<{ matches: boolean } | { error: string }>
}

/** `failsOpen`: conditions that cannot be evaluated leave the webhook out instead of refusing the request. */
export function compileMatchConditions(conditions: readonly { name: string; expression: string }[], failsOpen: boolean): MatchConditions {
  const error = `match conditions ${conditions.map((c) => JSON.stringify(c.name)).join(', ')} cannot be evaluated: this server has no CEL yet`
  return { evaluate: () => Promise.resolve(failsOpen ? { matches: false } : { error }) }
}
