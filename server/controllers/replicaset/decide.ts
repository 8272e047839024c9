/** The ReplicaSet controller's decisions, after upstream's pkg/controller/replicaset; a ReplicationController is looked at as a ReplicaSet. Pure. */
import {
  NOTHING, REPLICA_SETS, compileLabelSelector, isPodActive, isPodAvailable, isPodReady, isPodTerminal, podCondition,
  type LabelMatcher, type Pod, type ResourceRef, type ReplicaSet, type ReplicaSetCondition, type ReplicaSetStatus, type Stored,
} from '#api/types/index.ts'
import { nameSuffix } from '#base/random.ts'
import type { DecideContext, Decision } from '#base/reconcile/action.ts'
import { jsonEqual } from '../json-equal.ts'
import { claim } from '../ownership.ts'
import { drawnName, podOf } from '../pod-control.ts'
import { earlier, formatTime, parseTime } from '../time.ts'
import { podsToDelete } from './rank.ts'

export interface ReplicaSetView {
  /** What it is: a ReplicaSet, or a ReplicationController that looks like one. Default: the former. */
  ref?: ResourceRef
  replicaSet: Stored<ReplicaSet>
  /** What it owns, and the namespace's orphans; with what this process did and the informer has not shown. */
  pods: readonly Stored<Pod>[]
  /** Pods per node of all ReplicaSets with the same owner (a Deployment's others count too). */
  relatedPodsByNode: ReadonlyMap<string, number>
  /** Why the last attempt to create or delete failed; remembered until one succeeds. */
  failure: { reason: 'FailedCreate' | 'FailedDelete'; message: string } | undefined
  /** What the informer has not shown is forgotten then. */
  unseenUntilMs: number | undefined
}

export type ReplicaSetAction =
  | { kind: 'adoptPod'; name: string; uid: string }
  | { kind: 'releasePod'; name: string; uid: string }
  | { kind: 'writeStatus'; status: ReplicaSetStatus }
  | { kind: 'createPods'; pods: Pod[] }
  | { kind: 'deletePods'; pods: Stored<Pod>[] }

/** As upstream: no more than this in one pass. */
export const BURST_REPLICAS = 500

export function decideReplicaSet(view: ReplicaSetView, ctx: DecideContext): Decision<ReplicaSetAction> {
  const { replicaSet } = view
  const matcher = selectorOf(replicaSet)
  // Finished pods do not count, are not adopted and not released.
  const claims = claim(replicaSet, matcher, view.pods.filter((p) => !isPodTerminal(p)))
  const actions: ReplicaSetAction[] = [
    ...claims.adopt.map((p) => ({ kind: 'adoptPod' as const, name: p.metadata.name, uid: p.metadata.uid })),
    ...claims.release.map((p) => ({ kind: 'releasePod' as const, name: p.metadata.name, uid: p.metadata.uid })),
  ]
  const pods = [...claims.owned, ...claims.adopt]
  const active = pods.filter(isPodActive)
  const wanted = replicaSet.spec?.replicas ?? 1
  const status = nextStatus(view, pods, active, ctx.nowMs)
  if (!jsonEqual(status, replicaSet.status)) actions.push({ kind: 'writeStatus', status })

  let because = `${active.length} of ${wanted} pods`
  if (replicaSet.metadata.deletionTimestamp === undefined) {
    const missing = wanted - active.length
    if (missing > 0) {
      const count = Math.min(missing, BURST_REPLICAS)
      actions.push({ kind: 'createPods', pods: Array.from({ length: count }, () => podOf(view.ref ?? REPLICA_SETS, replicaSet, replicaSet.spec?.template, drawnName(replicaSet.metadata.name, nameSuffix(ctx.random)))) })
      because = `${because}: creating ${count}`
    } else if (missing < 0) {
      const doomed = podsToDelete(active, Math.min(-missing, BURST_REPLICAS), view.relatedPodsByNode, ctx.nowMs)
      actions.push({ kind: 'deletePods', pods: doomed })
      because = `${because}: deleting ${doomed.length}`
    }
  }
  const wakeAtMs = earlier(nextAvailableMs(active, replicaSet.spec?.minReadySeconds ?? 0, ctx.nowMs), view.unseenUntilMs)
  return { actions, because, ...(wakeAtMs !== undefined && { wakeAtMs }) }
}

export function selectorOf(replicaSet: ReplicaSet): LabelMatcher {
  const selector = replicaSet.spec?.selector
  const matcher = compileLabelSelector(selector)
  // Validation refuses an empty selector; one that slipped in must not claim the whole namespace.
  return matcher.requirements.length === 0 ? NOTHING : matcher
}

function nextStatus(view: ReplicaSetView, pods: readonly Stored<Pod>[], active: readonly Stored<Pod>[], nowMs: number): ReplicaSetStatus {
  const { replicaSet, failure } = view
  const minReadySeconds = replicaSet.spec?.minReadySeconds ?? 0
  const templateLabels = Object.entries(replicaSet.spec?.template?.metadata?.labels ?? {})
  // A failure that no longer matters, because the count is right, is no condition any more.
  const matters = active.length !== (replicaSet.spec?.replicas ?? 1) ? failure : undefined
  const conditions = nextConditions(replicaSet.status?.conditions ?? [], matters, nowMs)
  return {
    replicas: active.length,
    ...nonZero('fullyLabeledReplicas', active.filter((p) => templateLabels.every(([k, v]) => p.metadata.labels?.[k] === v)).length),
    ...nonZero('readyReplicas', active.filter(isPodReady).length),
    ...nonZero('availableReplicas', active.filter((p) => isPodAvailable(p, minReadySeconds, nowMs)).length),
    // KEP-3973: zero is written too, absence would mean "not known". ReplicationControllers do not tell.
    ...(view.ref === undefined && { terminatingReplicas: pods.filter((p) => !isPodActive(p)).length }),
    observedGeneration: replicaSet.metadata.generation ?? 0,
    ...(conditions.length > 0 && { conditions }),
  }
}

function nonZero<K extends string>(key: K, count: number): { [k in K]?: number } {
  return (count === 0 ? {} : { [key]: count }) as { [k in K]?: number }
}

function nextConditions(old: readonly ReplicaSetCondition[], failure: ReplicaSetView['failure'], nowMs: number): ReplicaSetCondition[] {
  const others = old.filter((c) => c.type !== 'ReplicaFailure')
  if (!failure) return others
  const now = old.find((c) => c.type === 'ReplicaFailure')
  if (now?.reason === failure.reason && now.status === 'True') return [...old]
  return [...others, { type: 'ReplicaFailure', status: 'True', reason: failure.reason, message: failure.message, lastTransitionTime: formatTime(nowMs) }]
}

/** When the next ready pod has been ready for minReadySeconds. */
function nextAvailableMs(active: readonly Pod[], minReadySeconds: number, nowMs: number): number | undefined {
  if (minReadySeconds === 0) return undefined
  let next: number | undefined
  for (const pod of active) {
    if (!isPodReady(pod) || isPodAvailable(pod, minReadySeconds, nowMs)) continue
    const since = parseTime(podCondition(pod.status, 'Ready')?.lastTransitionTime)
    if (since !== undefined) next = earlier(next, since + minReadySeconds * 1000)
  }
  return next
}
