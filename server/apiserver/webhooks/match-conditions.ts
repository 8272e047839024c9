/** matchConditions of a webhook: CEL expressions that must all be true for it to be called. */
import type { KubeObject } from '#api/types/index.ts'
import type { AdmissionApi, AdmissionRequest } from '../admission.ts'

export interface MatchConditions {
  /** `seen`: the objects as the webhook is to get them. */
  evaluate(seen: { object: KubeObject | undefined; old: KubeObject | undefined }, request: AdmissionRequest, api: AdmissionApi): Promise<{ matches: boolean } | { error: string }>
}

/** `failsOpen`: conditions that cannot be evaluated leave the webhook out instead of refusing the request. */
export function compileMatchConditions(conditions: readonly { name: string; expression: string }[], failsOpen: boolean): MatchConditions {
  const error = `match conditions ${conditions.map((c) => JSON.stringify(c.name)).join(', ')} cannot be evaluated: this server has no CEL yet`
  return { evaluate: () => Promise.resolve(failsOpen ? { matches: false } : { error }) }
}
