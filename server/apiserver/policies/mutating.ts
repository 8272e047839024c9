/** MutatingAdmissionPolicy: policies one after the other, each seeing what those before it made; again when reinvocation says so (apiserver `mutating/dispatcher.go`). */
import { asError } from '#base/errors.ts'
import type { KubeObject, Namespace } from '#api/types/index.ts'
import { apiVersionOf } from '#api/types/index.ts'
import type { AdmissionApi, AdmissionPlugin, AdmissionRequest } from '../admission.ts'
import { forbidden, StatusError } from '../http/status.ts'
import type { KindRow } from '../kind.ts'
import { cloneJson } from '../storage/clone.ts'
import { equalJson } from '../storage/equal.ts'
import { convertBetween } from '../webhooks/equivalents.ts'
import { attributesNamespace, isExemptFromPolicies } from '../webhooks/rules.ts'
import { authorizerOf, bindingsFor, seenAs } from './bindings.ts'
import type { Binding, Bound, MutatingPolicy } from './compile-policy.ts'
import { matchesConditions } from './conditions.ts'
import { Evaluation, OutOfBudget } from './expressions.ts'
import { matchedRow, readNamespace } from './matching.ts'
import { collectParams, paramRow } from './params.ts'
import { applyConfiguration, applyPatch, type PatchedObject } from './patch-object.ts'
import type { PolicyParts } from './policy-metrics.ts'
import type { PolicySet } from './policy-set.ts'

const NAME = 'MutatingAdmissionPolicy'
/** For each mutation. */
const BUDGET = 10_000_000

/** What is kept from the first round to the second. */
interface Rounds {
  lastOutput: KubeObject | undefined
  /** Reinvocable ones that ran since something changed. */
  invoked: Set<string>
  /** Those to run in the second round. */
  again: Set<string>
}

interface Failure { policy: string; binding: string | undefined; message: string; reason: string }

interface Invocation { policy: MutatingPolicy; binding: Binding; row: KindRow; param: KubeObject | null }

interface Round {
  set: PolicySet<MutatingPolicy>
  own: KindRow
  request: AdmissionRequest
  api: AdmissionApi
  rounds: Rounds
  authorizer: Record<string, unknown>
  failures: Failure[]
  parts: PolicyParts
}

export function mutatingPolicies(policies: () => Promise<PolicySet<MutatingPolicy> | undefined> | PolicySet<MutatingPolicy> | undefined, parts: PolicyParts): AdmissionPlugin {
  return {
    name: NAME,
    mutate(request, api) {
      const found = policies()
      return found && mutateBy(found, request, api)
    },
  }

  async function mutateBy(found: Promise<PolicySet<MutatingPolicy> | undefined> | PolicySet<MutatingPolicy>, request: AdmissionRequest, api: AdmissionApi): Promise<undefined> {
    const set = await found
    const own = !set || isExemptFromPolicies(request) ? undefined : api.rows.find(request.ref.group, request.ref.version, request.ref.resource)
    if (set && own) await runAll(set, own, request, api, parts)
  }
}

async function runAll(set: PolicySet<MutatingPolicy>, own: KindRow, request: AdmissionRequest, api: AdmissionApi, parts: PolicyParts): Promise<void> {
  const { reinvocation } = request
  const rounds = (reinvocation.memory.get(NAME) ?? { lastOutput: undefined, invoked: new Set(), again: new Set() }) as Rounds
  reinvocation.memory.set(NAME, rounds)
  const round: Round = { set, own, request, api, rounds, authorizer: authorizerOf(set.cel, request, api), failures: [], parts }
  const invocations: Invocation[] = []
  for (const policy of set.policies) invocations.push(...(await invocationsOf(policy, round)))
  if (invocations.length > 0) {
    if (reinvocation.isSecond && rounds.invoked.size > 0 && !equalJson(rounds.lastOutput, request.object)) requireAgain(rounds)
    const namespace = await namespaceOf(request, api)
    for (const invocation of invocations) await invoke(invocation, namespace, round)
    rounds.lastOutput = request.object && cloneJson(request.object)
  }
  if (round.failures.length > 0) throw refusal(round.failures, request)
}

async function invocationsOf(policy: Bound<MutatingPolicy>, { own, request, api, failures }: Round): Promise<Invocation[]> {
  const misconfigured = (what: string, error: unknown, binding?: string): void => {
    if (!policy.failsOpen) failures.push({ policy: policy.name, binding, message: `failed to configure ${what}: ${asError(error).message}`, reason: 'Forbidden' })
  }
  const out: Invocation[] = []
  let row: KindRow | undefined
  let params: KindRow | undefined
  try {
    row = await matchedRow(policy.match, own, request, api)
    if (!row) return []
    params = paramRow(policy, api)
  } catch (error) {
    misconfigured('policy', error)
    return []
  }
  for (const binding of policy.bindings) {
    try {
      if (binding.match && !(await matchedRow(binding.match, own, request, api))) continue
      for (const param of await collectParams(params, binding, request, api)) out.push({ policy, binding, row, param })
    } catch (error) {
      misconfigured('binding', error, binding.name)
    }
  }
  return out
}

async function invoke({ policy, binding, row, param }: Invocation, namespace: Namespace | undefined, round: Round): Promise<void> {
  const { set, own, request, rounds, failures } = round
  const failed = (message: string): void => {
    if (!policy.failsOpen) failures.push({ policy: policy.name, binding: binding.name, message, reason: 'Invalid' })
  }
  const bindings = async (): Promise<Record<string, unknown>> => bindingsFor(await seenAs(own, row, request), own, request, param, namespace, round.authorizer)
  const verdict = await matchesConditions(set.cel, policy, await bindings())
  if ('error' in verdict) return failed(verdict.error)
  if (!verdict.matches) return
  const key = [policy.name, binding.name, param?.metadata?.namespace ?? '', param?.metadata?.name ?? ''].join('/')
  if (request.reinvocation.isSecond && !rounds.again.has(key)) return
  let changed = false
  for (const mutation of policy.mutations) {
    // Nothing to change in a deletion.
    if (!request.object) break
    const startMs = round.parts.clock.monotonicMs()
    const outcome = await mutate(mutation, policy, row, await bindings(), round)
    round.parts.metrics.mutated(policy.name, binding.name, outcome.ok ? '' : outcome.message, (round.parts.clock.monotonicMs() - startMs) / 1000)
    if (outcome.ok) changed ||= outcome.changed
    else failed(outcome.message)
  }
  if (changed) {
    requireAgain(rounds)
    request.reinvocation.request()
  }
  if (policy.isReinvocable) rounds.invoked.add(key)
}

async function mutate({ kind, expression }: MutatingPolicy['mutations'][number], policy: MutatingPolicy, row: KindRow, bindings: Record<string, unknown>, { set, own, request, api }: Round): Promise<ReturnType<AdmissionApi['replace']>> {
  if (!expression.ok) return { ok: false, message: expression.error }
  try {
    const result = await new Evaluation(set.cel, policy.variables, bindings, BUDGET).evaluate(expression)
    if (!result.ok) return { ok: false, message: result.error }
    const isOwnKind = request.kind.kind === own.ref.kind && request.kind.group === own.ref.group
    const names = isOwnKind ? { apiVersion: apiVersionOf(row.ref), kind: row.ref.kind } : { apiVersion: apiVersionOf(request.kind), kind: request.kind.kind }
    const target = { row, model: isOwnKind ? row.model : modelOf(request), object: bindings['object'] as KubeObject, names }
    const patched: PatchedObject = kind === 'apply' ? applyConfiguration(set.cel, result.value, target) : applyPatch(set.cel, result.value, target)
    if (!patched.ok) return patched
    const made = patched.object as KubeObject
    const taken = api.replace(row === own || !isOwnKind ? made : await convertBetween(row, own, made))
    return taken.ok || kind === 'apply' ? taken : { ok: false, message: `Internal error occurred: ${taken.message}` }
  } catch (error) {
    if (error instanceof OutOfBudget) return { ok: false, message: error.message }
    throw error
  }
}

/** Subresources' own kinds bear the names of their models. */
const modelOf = ({ kind }: AdmissionRequest): string => kind.kind

function requireAgain(rounds: Rounds): void {
  for (const key of rounds.invoked) rounds.again.add(key)
  rounds.invoked.clear()
}

async function namespaceOf(request: AdmissionRequest, api: AdmissionApi): Promise<Namespace | undefined> {
  const name = request.kind.group === '' && request.kind.kind === 'Namespace' ? '' : attributesNamespace(request)
  return name === '' ? undefined : readNamespace(name, api)
}

/** The first failure is told; all of them are causes. */
function refusal(failures: readonly Failure[], { ref, name, object }: AdmissionRequest): StatusError {
  const messages = failures.map(({ policy, binding, message }) => (binding === undefined ? `policy ${JSON.stringify(policy)} denied request: ${message}` : `policy '${policy}' with binding '${binding}' denied request: ${message}`))
  const { body } = forbidden(ref, name || (object?.metadata?.name ?? '') || (object?.metadata?.generateName ?? ''), '')
  return new StatusError({ ...body, message: messages[0] ?? '', reason: failures[0]?.reason ?? body.reason, details: { ...body.details, causes: messages.map((message) => ({ message })) } })
}
