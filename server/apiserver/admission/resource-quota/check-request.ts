/** Whether a request fits into its namespace's quotas, and what they have used once it is done (apiserver `resourcequota/controller.go`). Pure. */
import { matchesScopes, requirementsOf, type Evaluator, type Requirement } from '#api/quota/index.ts'
import { equalResources, exceeding, mask, negativeNames, showResources, subtractToZero, withoutZeros, type ResourceList } from '#api/quota/resource-list.ts'
import { parseQuantity, sumResources, type ResourceQuota, type Stored } from '#api/types/index.ts'
import type { AdmissionRequest, Refusal } from '../../admission.ts'
import { StatusError } from '../../http/status.ts'
import { refuse } from '../refuse.ts'
import type { LimitedResource } from './configuration.ts'

type Quota = Stored<ResourceQuota>

export type Checked = { ok: true; quotas: readonly Quota[] } | { ok: false; refusal: Refusal }

export interface CheckInput {
  quotas: readonly Quota[]
  request: AdmissionRequest
  evaluator: Evaluator
  limited: readonly LimitedResource[]
  nowMs: number
}

/** The quotas come back in the same order, those that are charged with a new `status.used`. */
export function checkRequest(input: CheckInput): Checked {
  const { quotas, request, evaluator, nowMs } = input
  const object = request.object
  if (!object || !evaluator.handles(request)) return { ok: true, quotas }
  const refused = (message: string): Checked => ({ ok: false, refusal: refuse(message) })
  const interesting: Quota[] = []
  const restrictedNames = new Set<string>()
  const restrictedScopes: Requirement[] = []
  for (const quota of quotas) {
    const hard = Object.keys(quota.status?.hard ?? {})
    restrictedScopes.push(...requirementsOf(quota).filter((r) => evaluator.matchesScope?.(r, object)))
    const names = evaluator.matchingResources(hard)
    if (names.length === 0 || !matchesScopes(evaluator, quota, object)) continue
    const unsaid = evaluator.constraint?.(names, object)
    if (unsaid !== undefined) return refused(`failed quota: ${quota.metadata.name}: ${unsaid}`)
    if (names.some((name) => quota.status?.used?.[name] === undefined)) return refused(`status unknown for quota: ${quota.metadata.name}, resources: ${names.toSorted().join(',')}`)
    interesting.push(quota)
    for (const name of names) restrictedNames.add(name)
  }
  const usage = evaluator.usage(object, nowMs)
  const negative = negativeNames(usage)
  if (negative.length > 0) return refused(`quota usage is negative for resource(s): ${negative.join(',')}`)

  const before = request.operation === 'UPDATE' ? request.old : undefined
  const delta = before ? subtractToZero(usage, evaluator.usage(before, nowMs)) : usage
  // An object that comes into a quota's scope by this change is charged in full.
  const chargeOf = (quota: Quota): ResourceList => withoutZeros(before && !matchesScopes(evaluator, quota, before) ? usage : delta)
  const charges = new Map(interesting.map((quota) => [quota, chargeOf(quota)]))
  const isFree = interesting.length > 0 ? [...charges.values()].every(isEmpty) : isEmpty(withoutZeros(delta))
  if (isFree) return { ok: true, quotas }
  const uncovered = uncoveredRefusal(input, usage, restrictedNames, restrictedScopes)
  if (uncovered) return { ok: false, refusal: uncovered }

  const charged: Quota[] = []
  for (const quota of quotas) {
    const charge = charges.get(quota)
    const { hard = {}, used = {} } = quota.status ?? {}
    const requested = mask(charge ?? {}, Object.keys(hard))
    const nowUsed = sumResources(used, requested)
    const over = request.subresource === 'status' ? [] : exceeding(mask(nowUsed, Object.keys(requested)), hard)
    if (over.length > 0) {
      return refused(`exceeded quota: ${quota.metadata.name}, requested: ${showResources(mask(requested, over))}, used: ${showResources(mask(used, over))}, limited: ${showResources(mask(hard, over))}`)
    }
    charged.push(equalResources(used, nowUsed) ? quota : { ...quota, status: { ...quota.status, used: nowUsed } })
  }
  return { ok: true, quotas: charged }
}

const isEmpty = (list: ResourceList): boolean => Object.keys(list).length === 0

/** What the configuration lets nobody have without a quota for it. */
function uncoveredRefusal({ request, evaluator, limited }: CheckInput, usage: ResourceList, names: ReadonlySet<string>, scopes: readonly Requirement[]): Refusal | undefined {
  const { ref, object } = request
  const own = limited.filter((l) => l.apiGroup === ref.group && l.resource === ref.resource)
  const consumed = Object.keys(usage).filter((name) => parseQuantity(usage[name] ?? '0').nano > 0n)
  const missing = consumed.filter((name) => !names.has(name) && own.some((l) => l.matchContains.some((part) => name.includes(part)))).sort()
  if (missing.length > 0) return refuse(`insufficient quota to consume: ${missing.join(',')}`)
  const wanted = object ? limited.flatMap((l) => l.matchScopes.filter((r) => evaluator.matchesScope?.(r, object))) : []
  const uncovered = wanted.filter((r) => !scopes.some((s) => s.scopeName === r.scopeName))
  // Upstream's own words and code: this one refusal is no Forbidden there.
  if (uncovered.length > 0) throw new StatusError({ code: 500, reason: '', message: `insufficient quota to match these scopes: [${uncovered.map(showRequirement).join(' ')}]` })
  return undefined
}

const showRequirement = ({ scopeName, operator, values }: Requirement): string => `{${scopeName} ${operator} [${(values ?? []).join(' ')}]}`
