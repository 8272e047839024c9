/** How a pod's status reaches the API: as the difference only, touching no condition and no field of anyone else's. Pure. */
import { isDeepStrictEqual } from 'node:util'
import type { PodCondition, PodStatus } from '#api/types/index.ts'

/** Equal but for the order of conditions and for nulls, which the API keeps and we never write. */
export function sameStatus(a: PodStatus, b: PodStatus): boolean {
  return isDeepStrictEqual(normal(a), normal(b))
}

/** A strategic merge patch for `/status`; undefined when there is nothing to say. `uid` guards against a successor of the same name. */
export function statusPatch(uid: string, before: PodStatus, after: PodStatus): object | undefined {
  if (sameStatus(before, after)) return undefined
  const status: Record<string, unknown> = {}
  for (const key of new Set([...Object.keys(before), ...Object.keys(after)]) as Set<keyof PodStatus>) {
    if (isDeepStrictEqual(before[key], after[key])) continue
    if (key === 'conditions') status[key] = changedConditions(before.conditions ?? [], after.conditions ?? [])
    // Lists that merge by key would keep an address the pod no longer has.
    else if ((key === 'podIPs' || key === 'hostIPs') && after[key]) status[key] = [...after[key], { $patch: 'replace' }]
    else status[key] = after[key] ?? null
  }
  return { metadata: { uid }, status }
}

function changedConditions(before: PodCondition[], after: PodCondition[]): Record<string, unknown>[] {
  const removed = before.filter((c) => !after.some((x) => x.type === c.type)).map((c) => ({ type: c.type, $patch: 'delete' }))
  return [...removed, ...after.flatMap((c): Record<string, unknown>[] => {
    const old = before.find((x) => x.type === c.type)
    if (isDeepStrictEqual(old, c)) return []
    const gone = Object.keys(old ?? {}).filter((key) => !(key in c))
    return [{ ...c, ...Object.fromEntries(gone.map((key) => [key, null])) }]
  })]
}

function normal(status: PodStatus): unknown {
  const conditions = status.conditions?.toSorted((a, b) => (a.type < b.type ? -1 : 1))
  return withoutNulls({ ...status, ...(conditions && { conditions }) })
}

function withoutNulls(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutNulls)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).filter(([, v]) => v !== null && v !== undefined).map(([k, v]) => [k, withoutNulls(v)]))
}
