/** ValidatingAdmissionPolicy: every policy bound to a request is asked; the first refusal is told, warnings and audit annotations are collected (apiserver `validating/dispatcher.go`). */
import { asError } from '#base/errors.ts'
import type { KubeObject, Namespace } from '#api/types/index.ts'
import type { AdmissionApi, AdmissionPlugin, AdmissionRequest } from '../admission.ts'
import { forbidden, StatusError } from '../http/status.ts'
import type { KindRow } from '../kind.ts'
import { attributesNamespace, isExemptFromPolicies } from '../webhooks/rules.ts'
import { authorizerOf, bindingsFor, seenAs } from './bindings.ts'
import type { Binding, Bound, ValidatingPolicy } from './compile-policy.ts'
import { matchedRow, readNamespace } from './matching.ts'
import { collectParams, paramRow } from './params.ts'
import type { PolicyParts } from './policy-metrics.ts'
import type { PolicySet } from './policy-set.ts'
import { validateOnce, type Decision } from './validate-once.ts'

const ANNOTATION_BYTES_MAX = 10 * 1024
const FAILURE_ANNOTATION = 'validation.policy.admission.k8s.io/validation_failure'
const CODES: Readonly<Record<string, number>> = { Forbidden: 403, Unauthorized: 401, RequestEntityTooLarge: 413, Invalid: 422 }

interface Refused { policy: string; binding: string | undefined; message: string; reason: string }

/** One request's look at all policies. */
interface Round {
  set: PolicySet<ValidatingPolicy>
  own: KindRow
  request: AdmissionRequest
  api: AdmissionApi
  authorizer: Record<string, unknown>
  refused: Refused[]
  parts: PolicyParts
  namespace?: Namespace | undefined
}

export function validatingPolicies(policies: () => Promise<PolicySet<ValidatingPolicy> | undefined> | PolicySet<ValidatingPolicy> | undefined, parts: PolicyParts): AdmissionPlugin {
  return {
    name: 'ValidatingAdmissionPolicy',
    validate(request, api) {
      const found = policies()
      return found && validateBy(found, request, api)
    },
  }

  async function validateBy(found: Promise<PolicySet<ValidatingPolicy> | undefined> | PolicySet<ValidatingPolicy>, request: AdmissionRequest, api: AdmissionApi): Promise<undefined> {
    const set = await found
    const own = !set || isExemptFromPolicies(request) ? undefined : api.rows.find(request.ref.group, request.ref.version, request.ref.resource)
    if (!set || !own) return undefined
    const round: Round = { set, own, request, api, authorizer: authorizerOf(set.cel, request, api), refused: [], parts }
    for (const policy of set.policies) await askPolicy(policy, round)
    const [first] = round.refused
    if (first) throw refusal(first, request)
    return undefined
  }
}

async function askPolicy(policy: Bound<ValidatingPolicy>, round: Round): Promise<void> {
  const { own, request, api } = round
  const misconfigured = (what: string, error: unknown, binding?: string): void => {
    if (!policy.failsOpen) round.refused.push({ policy: policy.name, binding, message: `failed to configure ${what}: ${asError(error).message}`, reason: '' })
  }
  let row: KindRow | undefined
  let params: KindRow | undefined
  try {
    row = await matchedRow(policy.match, own, request, api)
    if (!row) return
    params = paramRow(policy, api)
  } catch (error) {
    return misconfigured('policy', error)
  }
  const annotations = new Map<string, string[]>()
  for (const binding of policy.bindings) {
    let found: (KubeObject | null)[]
    try {
      if (binding.match && !(await matchedRow(binding.match, own, request, api))) continue
      found = await collectParams(params, binding, request, api)
    } catch (error) {
      misconfigured('binding', error, binding.name)
      continue
    }
    if (found.length > 0) await askBinding(policy, binding, row, found, annotations, round)
  }
  for (const [key, values] of annotations) api.annotate(`${policy.name}/${key}`, values.join(', '))
}

async function askBinding(policy: ValidatingPolicy, binding: Binding, row: KindRow, params: readonly (KubeObject | null)[], annotations: Map<string, string[]>, round: Round): Promise<void> {
  const { own, request, set } = round
  const namespace = await namespaceOf(round)
  const seen = await seenAs(own, row, request)
  for (const param of params) {
    const startMs = round.parts.clock.monotonicMs()
    const outcome = await validateOnce(set.cel, policy, bindingsFor(seen, own, request, param, namespace, round.authorizer))
    const seconds = (round.parts.clock.monotonicMs() - startMs) / 1000 / Math.max(1, outcome.decisions.length)
    outcome.decisions.forEach((decision, index) => {
      if (decision.denies) act(policy, binding, decision, { index, seconds }, round)
      else if (decision.failure !== '') round.parts.metrics.checked(policy.name, binding.name, 'allow', decision.failure, seconds)
    })
    for (const annotation of outcome.annotations) {
      if ('error' in annotation) {
        round.refused.push({ policy: policy.name, binding: binding.name, message: annotation.error, reason: '' })
        continue
      }
      const value = Buffer.from(annotation.value).subarray(0, ANNOTATION_BYTES_MAX).toString()
      const values = annotations.get(annotation.key) ?? []
      if (!values.includes(value)) annotations.set(annotation.key, [...values, value])
    }
  }
}

function act(policy: ValidatingPolicy, { name: binding, actions }: Binding, { message, reason, failure }: Decision, { index, seconds }: { index: number; seconds: number }, { refused, api, parts }: Round): void {
  for (const action of actions) {
    parts.metrics.checked(policy.name, binding, action === 'Deny' ? 'deny' : action === 'Warn' ? 'warn' : 'audit', failure || 'denied', seconds)
    if (action === 'Deny') refused.push({ policy: policy.name, binding, message, reason })
    else if (action === 'Warn') api.warn(`Validation failed for ValidatingAdmissionPolicy '${policy.name}' with binding '${binding}': ${message}`)
    else api.annotate(FAILURE_ANNOTATION, JSON.stringify([{ message, policy: policy.name, binding, expressionIndex: index, validationActions: actions }]))
  }
}

/** Undefined for cluster-scoped objects and for namespaces themselves. Read once, when first needed. */
async function namespaceOf(round: Round): Promise<Namespace | undefined> {
  const { request, api } = round
  if (request.kind.group === '' && request.kind.kind === 'Namespace') return undefined
  const name = attributesNamespace(request)
  if (name === '') return undefined
  return (round.namespace ??= await readNamespace(name, api))
}

function refusal({ policy, binding, message: because, reason }: Refused, { ref, name, object }: AdmissionRequest): StatusError {
  const message = `ValidatingAdmissionPolicy '${policy}'${binding === undefined ? '' : ` with binding '${binding}'`} denied request: ${because}`
  const { body } = forbidden(ref, name || (object?.metadata?.name ?? '') || (object?.metadata?.generateName ?? ''), message)
  const why = reason || 'Invalid'
  return new StatusError({ ...body, reason: why, code: CODES[why] ?? 422, details: { ...body.details, causes: [{ message }] } })
}
