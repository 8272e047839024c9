/** What a quota's status must say: limits as its spec has them, and what its namespace uses of them. Pure. */
import { matchesScopes, type Evaluator } from '#api/quota/index.ts'
import { equalResources, exceeding, mask, type ResourceList } from '#api/quota/resource-list.ts'
import { sumResources, type KubeObject, type ResourceQuota, type ResourceQuotaStatus, type Stored } from '#api/types/index.ts'
import { nothing, type DecideContext, type Decision } from '#base/reconcile/action.ts'

export interface Measured { evaluator: Evaluator; objects: readonly KubeObject[] }

export interface ResourceQuotaView {
  quota: Stored<ResourceQuota>
  /** The resources that the quota's names count. */
  measured: readonly Measured[]
  /** When admission last charged it, and since when a lower count has been held back for that; undefined: not. */
  chargedMs: number | undefined
  heldMs: number | undefined
  /** A resource that the quota counts is not listed yet or unknown: look again then. */
  isPartial: boolean
}

export type ResourceQuotaAction = { kind: 'writeStatus'; status: ResourceQuotaStatus }

/** Everything is counted anew this often, whatever happened: upstream's --resource-quota-sync-period. */
export const RESYNC_MS = 300_000
/** What was charged this recently may not be written yet: counting it out would give its place away twice. */
export const SETTLE_MS = 500
/** A namespace where something is made all the time is counted all the same. */
const HELD_MS_MAX = 5_000
/** Upstream asks for new kinds as often. */
const PARTIAL_MS = 30_000

export function decideResourceQuota(view: ResourceQuotaView, { nowMs }: DecideContext): Decision<ResourceQuotaAction> {
  const { quota, chargedMs, heldMs } = view
  const { status } = quota
  const hard = quota.spec?.hard ?? {}
  const wakeAtMs = nowMs + (view.isPartial ? PARTIAL_MS : RESYNC_MS)
  const used = mask({ ...status?.used, ...countUsage(view, Object.keys(hard), nowMs) }, Object.keys(hard))
  const isDirty = status?.hard === undefined || status.used === undefined || !equalResources(status.hard, hard) || !equalResources(status.used, used)
  if (!isDirty) return nothing('as counted', wakeAtMs)
  const isLess = exceeding(status?.used ?? {}, used).length > 0
  if (isLess && chargedMs !== undefined && nowMs < chargedMs + SETTLE_MS && nowMs < (heldMs ?? nowMs) + HELD_MS_MAX) return nothing('something was charged just now', chargedMs + SETTLE_MS)
  return { actions: [{ kind: 'writeStatus', status: { hard, used } }], wakeAtMs, because: 'usage changed' }
}

function countUsage({ quota, measured }: ResourceQuotaView, hardNames: readonly string[], nowMs: number): ResourceList {
  let total: Record<string, string> = {}
  for (const { evaluator, objects } of measured) {
    const names = evaluator.matchingResources(hardNames)
    let used: Record<string, string> = Object.fromEntries(names.map((name) => [name, '0']))
    for (const object of objects) if (matchesScopes(evaluator, quota, object)) used = sumResources(used, mask(evaluator.usage(object, nowMs), names))
    total = sumResources(total, used)
  }
  return total
}
