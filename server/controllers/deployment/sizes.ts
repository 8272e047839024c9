/** Arithmetic of rolling updates, after upstream's deployment/util. Pure. */
import { scaledValue, type Deployment, type ReplicaSet, type Stored } from '#api/types/index.ts'

export const DESIRED_REPLICAS = 'deployment.kubernetes.io/desired-replicas'
export const MAX_REPLICAS = 'deployment.kubernetes.io/max-replicas'
export const REVISION = 'deployment.kubernetes.io/revision'
export const REVISION_HISTORY = 'deployment.kubernetes.io/revision-history'

export type Rs = Stored<ReplicaSet>

export const replicasOf = (rs: ReplicaSet): number => rs.spec?.replicas ?? 0
export const desiredOf = (d: Deployment): number => d.spec?.replicas ?? 1
export const availableOf = (rs: ReplicaSet): number => rs.status?.availableReplicas ?? 0
/** Its pods that are available and stay: it may have been made smaller since its status was written, and goes down to its size. */
const staying = (rs: ReplicaSet): number => Math.min(availableOf(rs), replicasOf(rs))
export const sum = (sets: readonly ReplicaSet[], of: (rs: ReplicaSet) => number): number => sets.reduce((n, rs) => n + of(rs), 0)
export const isRolling = (d: Deployment): boolean => (d.spec?.strategy?.type ?? 'RollingUpdate') === 'RollingUpdate'

/** Surge is rounded up, unavailable down; both nothing would never move, so one may then be missing. */
export function limitsOf(d: Deployment): { maxSurge: number; maxUnavailable: number } {
  if (!isRolling(d)) return { maxSurge: 0, maxUnavailable: 0 }
  const desired = desiredOf(d)
  const rolling = d.spec?.strategy?.rollingUpdate
  const maxSurge = scaledValue(rolling?.maxSurge ?? '25%', desired, 'up') ?? 0
  const unavailable = scaledValue(rolling?.maxUnavailable ?? '25%', desired, 'down') ?? 0
  return { maxSurge, maxUnavailable: desired === 0 ? 0 : Math.min(desired, maxSurge === 0 && unavailable === 0 ? 1 : unavailable) }
}

/** How big the new ReplicaSet may be now. */
export function newReplicaSetSize(d: Deployment, all: readonly ReplicaSet[], newReplicas: number): number {
  const desired = desiredOf(d)
  if (!isRolling(d)) return desired
  const room = desired + limitsOf(d).maxSurge - sum(all, replicasOf)
  return room <= 0 ? newReplicas : newReplicas + Math.min(room, desired - newReplicas)
}

/** New sizes of old ReplicaSets in a rolling update: first what is not available anyway, then as many as availability allows. */
export function scaleDownOld(d: Deployment, newRs: Rs, old: readonly Rs[]): Map<Rs, number> {
  const sizes = new Map<Rs, number>()
  const oldPods = sum(old, replicasOf)
  if (oldPods === 0) return sizes
  const minAvailable = desiredOf(d) - limitsOf(d).maxUnavailable
  const newUnavailable = replicasOf(newRs) - availableOf(newRs)
  const downMax = oldPods + replicasOf(newRs) - minAvailable - newUnavailable
  if (downMax <= 0) return sizes
  const sizeOf = (rs: Rs) => sizes.get(rs) ?? replicasOf(rs)
  const oldestFirst = old.toSorted(byCreation)

  let cleaned = 0
  for (const rs of oldestFirst) {
    if (cleaned >= downMax) break
    const unhealthy = replicasOf(rs) - availableOf(rs)
    if (replicasOf(rs) === 0 || unhealthy <= 0) continue
    const down = Math.min(downMax - cleaned, unhealthy)
    sizes.set(rs, replicasOf(rs) - down)
    cleaned += down
  }
  let spare = sum([...old, newRs], staying) - minAvailable
  for (const rs of oldestFirst) {
    if (spare <= 0) break
    const down = Math.min(sizeOf(rs), spare)
    if (down === 0) continue
    sizes.set(rs, sizeOf(rs) - down)
    spare -= down
  }
  return sizes
}

/** Spreads a change of size over all ReplicaSets with pods, in proportion, when a rollout is under way. */
export function proportionalSizes(d: Deployment, active: readonly Rs[]): Map<Rs, number> {
  const allowed = desiredOf(d) > 0 ? desiredOf(d) + limitsOf(d).maxSurge : 0
  const toAdd = allowed - sum(active, replicasOf)
  const sorted = active.toSorted((a, b) => replicasOf(b) - replicasOf(a) || (toAdd > 0 ? byCreation(b, a) : byCreation(a, b)))
  const sizes = new Map<Rs, number>()
  let added = 0
  for (const rs of sorted) {
    const share = toAdd === 0 ? 0 : proportion(d, rs, toAdd, added)
    sizes.set(rs, replicasOf(rs) + share)
    added += share
  }
  const first = sorted[0]
  if (first && toAdd !== 0) sizes.set(first, Math.max(0, (sizes.get(first) ?? 0) + toAdd - added))
  return sizes
}

function proportion(d: Deployment, rs: Rs, toAdd: number, added: number): number {
  if (replicasOf(rs) === 0 || toAdd === added) return 0
  const fraction = fractionOf(d, rs)
  return toAdd > 0 ? Math.min(fraction, toAdd - added) : Math.max(fraction, toAdd - added)
}

function fractionOf(d: Deployment, rs: Rs): number {
  if (desiredOf(d) === 0) return -replicasOf(rs)
  const before = annotatedNumber(rs, MAX_REPLICAS) || d.status?.replicas || 0
  if (before === 0) return 0
  return Math.round((replicasOf(rs) * (desiredOf(d) + limitsOf(d).maxSurge)) / before) - replicasOf(rs)
}

export function annotatedNumber(rs: ReplicaSet, key: string): number | undefined {
  const text = rs.metadata?.annotations?.[key]
  return text !== undefined && /^-?\d+$/.test(text) ? Number(text) : undefined
}

export function byCreation(a: Rs, b: Rs): number {
  const [x, y] = [a.metadata.creationTimestamp, b.metadata.creationTimestamp]
  return x === y ? (a.metadata.name < b.metadata.name ? -1 : 1) : x < y ? -1 : 1
}

/** An int64 upstream: more than a number holds. */
export function revisionOf(object: { metadata?: { annotations?: Record<string, string> } }): bigint {
  const text = object.metadata?.annotations?.[REVISION] ?? ''
  return /^\d{1,19}$/.test(text) ? BigInt(text) : 0n
}
