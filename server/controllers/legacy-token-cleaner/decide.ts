/** Tokens in Secrets that were made by themselves, as before 1.24, and that nobody has used for a year: first declared invalid, after another year removed (KEP-2799). Pure. */
import type { Pod, Secret, ServiceAccount, Stored } from '#api/types/index.ts'
import { nothing, type DecideContext, type Decision } from '#base/reconcile/action.ts'

export type LegacyTokenAction =
  | { kind: 'markInvalid'; namespace: string; name: string; uid: string; since: string }
  | { kind: 'remove'; namespace: string; name: string; resourceVersion: string }

export interface LegacyTokenView {
  /** Of type kubernetes.io/service-account-token. */
  secrets: readonly Stored<Secret>[]
  accounts: readonly Stored<ServiceAccount>[]
  pods: readonly Pod[]
  /** The day since which uses are noted; undefined: nobody notes them. */
  since: string | undefined
}

export const LAST_USED_LABEL = 'kubernetes.io/legacy-token-last-used'
export const INVALID_SINCE_LABEL = 'kubernetes.io/legacy-token-invalid-since'
const ACCOUNT_NAME = 'kubernetes.io/service-account.name'
const ACCOUNT_UID = 'kubernetes.io/service-account.uid'
const DAY_MS = 86_400_000
/** Upstream's --legacy-service-account-token-clean-up-period. */
const UNUSED_MS = 365 * DAY_MS

export function decideLegacyTokens(view: LegacyTokenView, { nowMs }: DecideContext): Decision<LegacyTokenAction> {
  const wakeAtMs = nowMs + DAY_MS
  const sinceMs = dayMs(view.since)
  // The day after: when on the first one it began is not known.
  if (sinceMs === undefined || nowMs < sinceMs + DAY_MS + UNUSED_MS) return nothing('uses have not been noted for long enough', wakeAtMs)
  const keepFromMs = nowMs - UNUSED_MS
  const keepFrom = dayOf(keepFromMs)
  const mounted = new Set(view.pods.flatMap((pod) => secretsOf(pod).map((name) => `${pod.metadata?.namespace ?? ''}/${name}`)))
  const accounts = new Map(view.accounts.map((account) => [`${account.metadata.namespace}/${account.metadata.name}`, account]))
  const isUnused = (secret: Stored<Secret>): boolean => {
    const { metadata: { namespace = '', name, creationTimestamp, deletionTimestamp, labels, annotations } } = secret
    const lastUsed = labels?.[LAST_USED_LABEL]
    if (deletionTimestamp !== undefined || Date.parse(creationTimestamp) >= keepFromMs) return false
    // A day that is none tells nothing.
    if (lastUsed !== undefined && (dayMs(lastUsed) === undefined || lastUsed >= keepFrom)) return false
    const account = accounts.get(`${namespace}/${annotations?.[ACCOUNT_NAME] ?? ''}`)
    const isOwn = account !== undefined && (annotations?.[ACCOUNT_UID] ?? '') === account.metadata.uid
    // Those that people made themselves are in no account's list.
    return isOwn && (account.secrets ?? []).some((ref) => ref.name === name) && !mounted.has(`${namespace}/${name}`)
  }
  const actions = view.secrets.filter(isUnused).flatMap(({ metadata }): LegacyTokenAction[] => {
    const { namespace = '', name, uid, resourceVersion } = metadata
    const invalidSince = metadata.labels?.[INVALID_SINCE_LABEL]
    if (dayMs(invalidSince) === undefined) return [{ kind: 'markInvalid', namespace, name, uid, since: dayOf(nowMs) }]
    return (invalidSince ?? '') >= keepFrom ? [] : [{ kind: 'remove', namespace, name, resourceVersion }]
  })
  return { actions, because: 'tokens that nobody used for a year', wakeAtMs }
}

function secretsOf({ spec }: Pod): string[] {
  return (spec?.volumes ?? []).flatMap((volume) => volume.secret?.secretName ?? [])
}

const dayOf = (ms: number): string => new Date(ms).toISOString().slice(0, 10)

/** Undefined for what is no day. */
function dayMs(day: string | undefined): number | undefined {
  if (day === undefined || !/^\d{4}-\d{2}-\d{2}$/.test(day)) return undefined
  const ms = Date.parse(`${day}T00:00:00Z`)
  return Number.isNaN(ms) ? undefined : ms
}
