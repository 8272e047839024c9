/** The Deployment controller's decisions, after upstream's pkg/controller/deployment. Pure. */
import { compileLabelSelector, isPodTerminal, type Deployment, type DeploymentStatus, type Pod, type ReplicaSet, type Stored } from '#api/types/index.ts'
import type { DecideContext, Decision } from '#base/reconcile/action.ts'
import { jsonEqual } from '../json-equal.ts'
import { claim } from '../ownership.ts'
import { findNewReplicaSet, newReplicaSet, sizeAnnotations, wantedAnnotations } from './new-replica-set.ts'
import {
  DESIRED_REPLICAS, REVISION, annotatedNumber, availableOf, byCreation, desiredOf, isRolling, newReplicaSetSize, proportionalSizes, replicasOf,
  revisionOf, scaleDownOld, sum, type Rs,
} from './sizes.ts'
import { baseStatus, conditionOf, hasDeadline, isComplete, pauseChange, progressWakeMs, rolloutStatus, withCondition } from './status.ts'

export interface DeploymentView {
  deployment: Stored<Deployment>
  /** What it owns, and the namespace's orphans. */
  replicaSets: readonly Rs[]
  /** Of a Recreate Deployment: its ReplicaSets' pods, by ReplicaSet uid. */
  podsByReplicaSet: ReadonlyMap<string, readonly Pod[]>
}

export type DeploymentAction =
  | { kind: 'adoptReplicaSet'; name: string; uid: string }
  | { kind: 'releaseReplicaSet'; name: string; uid: string }
  | { kind: 'warnSelectingAll' }
  | { kind: 'createReplicaSet'; replicaSet: ReplicaSet }
  /** Guarded by the ReplicaSet's resourceVersion. */
  | { kind: 'updateReplicaSet'; replicaSet: Rs; replicas: number; annotations: Record<string, string>; minReadySeconds: number }
  | { kind: 'deleteReplicaSet'; replicaSet: Rs }
  | { kind: 'writeRevision'; revision: string }
  | { kind: 'writeStatus'; status: DeploymentStatus }

type Actions = DeploymentAction[]

export function decideDeployment(view: DeploymentView, ctx: DecideContext): Decision<DeploymentAction> {
  const d = view.deployment
  const matcher = compileLabelSelector(d.spec?.selector)
  if (matcher.requirements.length === 0) return decideSelectingAll(d)
  const claims = claim(d, matcher, view.replicaSets)
  if (claims.adopt.length + claims.release.length > 0) {
    return {
      actions: [
        ...claims.adopt.map((rs) => ({ kind: 'adoptReplicaSet' as const, name: rs.metadata.name, uid: rs.metadata.uid })),
        ...claims.release.map((rs) => ({ kind: 'releaseReplicaSet' as const, name: rs.metadata.name, uid: rs.metadata.uid })),
      ],
      because: 'ReplicaSets to adopt or release',
    }
  }
  const owned = claims.owned
  const newRs = findNewReplicaSet(d, owned)
  const old = owned.filter((rs) => rs !== newRs)
  if (d.metadata.deletionTimestamp !== undefined) return settle(d, [], baseStatus(d, owned, newRs, ctx.nowMs), 'being deleted')

  const paused = pauseChange(d)
  if (paused) {
    const base = d.status ?? {}
    return settle(d, [], { ...base, conditions: withCondition(base.conditions ?? [], paused, ctx.nowMs) }, paused.message)
  }
  const prepared = newRs ? prepareExisting(d, newRs, old, ctx) : undefined
  if (prepared) return prepared
  if (d.spec?.paused || isScaling(d, owned)) return decideScale(d, newRs, old, ctx)
  return isRolling(d) ? decideRolling(d, newRs, old, ctx) : decideRecreate(view, newRs, old, ctx)
}

/** Upstream refuses to manage a Deployment that selects every pod, and says so. */
function decideSelectingAll(d: Stored<Deployment>): Decision<DeploymentAction> {
  const observedGeneration = d.metadata.generation ?? 0
  const actions: Actions = [{ kind: 'warnSelectingAll' }]
  if ((d.status?.observedGeneration ?? 0) < observedGeneration) actions.push({ kind: 'writeStatus', status: { ...d.status, observedGeneration } })
  return { actions, because: 'selects all pods' }
}

/** Annotations of the current ReplicaSet and the Deployment's own revision come first; undefined: they are right. */
function prepareExisting(d: Stored<Deployment>, newRs: Rs, old: readonly Rs[], ctx: DecideContext): Decision<DeploymentAction> | undefined {
  const annotations = wantedAnnotations(d, newRs, nextRevision(old))
  const minReadySeconds = d.spec?.minReadySeconds ?? 0
  const actions: Actions = []
  if (!jsonEqual(annotations, newRs.metadata.annotations ?? {}) || minReadySeconds !== (newRs.spec?.minReadySeconds ?? 0)) {
    actions.push({ kind: 'updateReplicaSet', replicaSet: newRs, replicas: replicasOf(newRs), annotations, minReadySeconds })
  }
  const revision = annotations[REVISION]
  if (revision !== undefined && d.metadata.annotations?.[REVISION] !== revision) actions.push({ kind: 'writeRevision', revision })
  if (hasDeadline(d) && !conditionOf(d.status, 'Progressing')) {
    const status = d.status ?? {}
    const found = { type: 'Progressing', status: 'True', reason: 'FoundNewReplicaSet', message: `Found new replica set "${newRs.metadata.name}"` }
    actions.push({ kind: 'writeStatus', status: { ...status, conditions: withCondition(status.conditions ?? [], found, ctx.nowMs) } })
  }
  return actions.length > 0 ? { actions, because: `ReplicaSet ${newRs.metadata.name} is the current one` } : undefined
}

function nextRevision(old: readonly Rs[]): bigint {
  return old.map(revisionOf).reduce((max, revision) => (revision > max ? revision : max), 0n) + 1n
}

/** Someone changed the Deployment's size since its ReplicaSets were last written. */
function isScaling(d: Deployment, owned: readonly Rs[]): boolean {
  return owned.some((rs) => {
    const annotated = replicasOf(rs) > 0 ? annotatedNumber(rs, DESIRED_REPLICAS) : undefined
    return annotated !== undefined && annotated !== desiredOf(d)
  })
}

function decideScale(d: Stored<Deployment>, newRs: Rs | undefined, old: readonly Rs[], ctx: DecideContext): Decision<DeploymentAction> {
  const all = [...old, ...(newRs ? [newRs] : [])]
  const actions = resize(d, scaleSizes(d, newRs, old))
  if (d.spec?.paused) actions.push(...cleanup(d, old))
  return settle(d, actions, baseStatus(d, all, newRs, ctx.nowMs), d.spec?.paused ? 'paused' : `scaling to ${desiredOf(d)}`)
}

function scaleSizes(d: Deployment, newRs: Rs | undefined, old: readonly Rs[]): Map<Rs, number> {
  const all = [...old, ...(newRs ? [newRs] : [])]
  const active = all.filter((rs) => replicasOf(rs) > 0)
  const only = active.length === 0 ? (newRs ?? old.toSorted(byCreation).at(-1)) : active.length === 1 ? active[0] : undefined
  if (only) return new Map([[only, desiredOf(d)]])
  if (active.length === 0) return new Map()
  const saturated = newRs && replicasOf(newRs) === desiredOf(d) && annotatedNumber(newRs, DESIRED_REPLICAS) === desiredOf(d) && availableOf(newRs) === desiredOf(d)
  if (saturated) return new Map(active.filter((rs) => rs !== newRs).map((rs) => [rs, 0]))
  return isRolling(d) ? proportionalSizes(d, active) : new Map()
}

function decideRolling(d: Stored<Deployment>, newRs: Rs | undefined, old: readonly Rs[], ctx: DecideContext): Decision<DeploymentAction> {
  if (!newRs) return create(d, old, ctx)
  const all = [...old, newRs]
  const size = replicasOf(newRs) > desiredOf(d) ? desiredOf(d) : newReplicaSetSize(d, all, replicasOf(newRs))
  if (size !== replicasOf(newRs)) return settle(d, resize(d, new Map([[newRs, size]])), rolloutStatus(d, all, newRs, ctx.nowMs), `new ReplicaSet to ${size}`)
  const down = resize(d, scaleDownOld(d, newRs, old))
  if (down.length > 0) return settle(d, down, rolloutStatus(d, all, newRs, ctx.nowMs), 'old ReplicaSets go down')
  return finish(d, newRs, old, ctx)
}

function decideRecreate(view: DeploymentView, newRs: Rs | undefined, old: readonly Rs[], ctx: DecideContext): Decision<DeploymentAction> {
  const d = view.deployment
  const all = [...old, ...(newRs ? [newRs] : [])]
  const down = resize(d, new Map(old.filter((rs) => replicasOf(rs) > 0).map((rs) => [rs, 0])))
  if (down.length > 0) return settle(d, down, rolloutStatus(d, all, newRs, ctx.nowMs), 'old ReplicaSets go first')
  if (oldPodsRunning(view, newRs, old)) return settle(d, [], rolloutStatus(d, all, newRs, ctx.nowMs), 'old pods are still running')
  if (!newRs) return create(d, old, ctx)
  const up = replicasOf(newRs) === desiredOf(d) ? [] : resize(d, new Map([[newRs, desiredOf(d)]]))
  if (up.length > 0) return settle(d, up, rolloutStatus(d, all, newRs, ctx.nowMs), `new ReplicaSet to ${desiredOf(d)}`)
  return finish(d, newRs, old, ctx)
}

function oldPodsRunning(view: DeploymentView, newRs: Rs | undefined, old: readonly Rs[]): boolean {
  if (sum(old, (rs) => rs.status?.replicas ?? 0) > 0) return true
  // Pods on their way out count: two versions must never run at once.
  return [...view.podsByReplicaSet].some(([uid, pods]) => uid !== newRs?.metadata.uid && pods.some((p) => !isPodTerminal(p)))
}

function create(d: Stored<Deployment>, old: readonly Rs[], ctx: DecideContext): Decision<DeploymentAction> {
  const revision = nextRevision(old)
  const replicas = newReplicaSetSize(d, old, 0)
  const replicaSet = newReplicaSet(d, revision, replicas)
  const status = rolloutStatus(d, old, undefined, ctx.nowMs)
  const made = { type: 'Progressing', status: 'True', reason: 'NewReplicaSetCreated', message: `Created new replica set "${replicaSet.metadata?.name ?? ''}"` }
  const actions: Actions = [{ kind: 'createReplicaSet', replicaSet }]
  if (d.metadata.annotations?.[REVISION] !== String(revision)) actions.push({ kind: 'writeRevision', revision: String(revision) })
  return settle(d, actions, hasDeadline(d) ? { ...status, conditions: withCondition(status.conditions ?? [], made, ctx.nowMs) } : status, 'a new template')
}

function finish(d: Stored<Deployment>, newRs: Rs, old: readonly Rs[], ctx: DecideContext): Decision<DeploymentAction> {
  const actions = isComplete(d, d.status) ? cleanup(d, old) : []
  const status = rolloutStatus(d, [...old, newRs], newRs, ctx.nowMs)
  return settle(d, actions, status, isComplete(d, status) ? 'complete' : 'waiting for pods')
}

/** Old ReplicaSets without pods, oldest revision first, beyond the history limit. */
function cleanup(d: Deployment, old: readonly Rs[]): Actions {
  const limit = d.spec?.revisionHistoryLimit
  if (limit === undefined || limit === 2 ** 31 - 1) return []
  const alive = old.filter((rs) => rs.metadata.deletionTimestamp === undefined)
  const surplus = alive.toSorted((a, b) => Number(revisionOf(a) - revisionOf(b)) || byCreation(a, b)).slice(0, Math.max(0, alive.length - limit))
  return surplus
    .filter((rs) => (rs.status?.replicas ?? 0) === 0 && replicasOf(rs) === 0 && (rs.metadata.generation ?? 0) <= (rs.status?.observedGeneration ?? 0))
    .map((replicaSet) => ({ kind: 'deleteReplicaSet', replicaSet }))
}

/** One update for each ReplicaSet whose size or size annotations are not as wanted. */
function resize(d: Deployment, sizes: ReadonlyMap<Rs, number>): Actions {
  const actions: Actions = []
  for (const [replicaSet, replicas] of sizes) {
    const annotations = { ...replicaSet.metadata.annotations, ...sizeAnnotations(d) }
    if (replicas === replicasOf(replicaSet) && jsonEqual(annotations, replicaSet.metadata.annotations)) continue
    actions.push({ kind: 'updateReplicaSet', replicaSet, replicas, annotations, minReadySeconds: replicaSet.spec?.minReadySeconds ?? 0 })
  }
  return actions
}

/** Adds the status when it changed, and the wake-up for the deadline. */
function settle(d: Stored<Deployment>, actions: Actions, status: DeploymentStatus, because: string): Decision<DeploymentAction> {
  const all: Actions = jsonEqual(status, d.status ?? {}) ? actions : [...actions, { kind: 'writeStatus', status }]
  const wakeAtMs = progressWakeMs(d, status)
  return { actions: all, because, ...(wakeAtMs !== undefined && { wakeAtMs }) }
}
