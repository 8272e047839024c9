/**
 * matchConditions of a webhook: CEL expressions that must all be true for it to be called (apiserver `matchconditions`). Compiled
 * when first needed; CEL itself is loaded by the first configuration that has any.
 */
import type { Program } from '#api/cel/index.ts'
import type { KubeObject } from '#api/types/index.ts'
import type { AdmissionApi, AdmissionRequest } from '../admission.ts'

export interface MatchConditions {
  /** `seen`: the objects as the webhook is to get them; `fields`: its AdmissionRequest without uid and objects. */
  evaluate(seen: { object: KubeObject | undefined; old: KubeObject | undefined }, fields: object, request: AdmissionRequest, api: AdmissionApi): Promise<{ matches: boolean } | { error: string }>
}

/** Upstream's budget for all conditions of one webhook. */
const COST_MAX = 2_500_000
const OUT_OF_BUDGET = 'validation failed due to running out of cost budget, no further validation rules will be run'

type Cel = typeof import('#api/cel/index.ts')
type Compiled = { ok: true; program: Program; expression: string } | { ok: false; error: string }

/** `failsOpen`: conditions that cannot be evaluated leave the webhook out instead of refusing the request. One that is false decides in any case. */
export function compileMatchConditions(conditions: readonly { name: string; expression: string }[], failsOpen: boolean): MatchConditions {
  const state: { loaded?: Promise<{ cel: Cel; compiled: Compiled[] }> } = {}
  const load = async (): Promise<{ cel: Cel; compiled: Compiled[] }> => {
    const cel = await import('#api/cel/index.ts')
    return { cel, compiled: conditions.map(({ expression }) => compileOne(cel, expression)) }
  }
  return {
    async evaluate(seen, fields, request, api) {
      const { cel, compiled } = await (state.loaded ??= load())
      const bindings = {
        object: seen.object ?? null, oldObject: seen.old ?? null, request: fields, namespaceObject: null,
        ...cel.authorizerBindings((question) => api.authorizer.authorize(question), request.user, { ...request.ref, subresource: request.subresource, namespace: request.namespace, name: request.name }),
      }
      const errors: string[] = []
      let left = COST_MAX
      for (const one of compiled) {
        if (!one.ok) {
          errors.push(one.error)
          continue
        }
        const result = await one.program.evaluateAsync(bindings, { costLimit: Math.min(left, cel.PER_CALL_LIMIT) })
        left -= result.cost
        if (result.ok && result.value === false) return { matches: false }
        if (!result.ok) errors.push(`expression '${one.expression}' resulted in error: ${result.error}`)
        if (left <= 0) {
          errors.push(OUT_OF_BUDGET)
          break
        }
      }
      if (errors.length === 0) return { matches: true }
      return failsOpen ? { matches: false } : { error: errors.length === 1 ? (errors[0] ?? '') : `[${errors.join(', ')}]` }
    },
  }
}

function compileOne(cel: Cel, expression: string): Compiled {
  const made = cel.compile(expression, { variables: cel.admissionVariables({ authorizer: true }), resultTypes: [cel.BOOL] })
  return made.ok ? { ok: true, program: made.program, expression } : { ok: false, error: `compilation error: ${made.error}` }
}
