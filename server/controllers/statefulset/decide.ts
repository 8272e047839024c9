/** The StatefulSet controller's decisions, after upstream's pkg/controller/statefulset. Pure. */
import {
  NOTHING, STATEFUL_SETS, compileLabelSelector, isPodAvailable, isPodReady, podCondition, scaledValue,
  type LabelMatcher, type OwnerReference, type PersistentVolumeClaim, type Pod, type PodTemplateSpec, type StatefulSet, type StatefulSetStatus, type Stored,
} from '#api/types/index.ts'
import type { DecideContext, Decision } from '#base/reconcile/action.ts'
import { jsonEqual } from '../json-equal.ts'
import { claim } from '../ownership.ts'
import { REVISION_HASH, currentRevision, surplusRevisions, type Revision, type RevisionAction } from '../revisions.ts'
import { earlier, parseTime } from '../time.ts'
import { nextOwners, type Claim } from './claims.ts'
import { claimName, claimsFor, missingLabels, ordinalOf, podFor } from './identity.ts'

/** Of StatefulSets' revisions. */
export const HASH_LABEL = 'controller.kubernetes.io/hash'

export interface StatefulSetView {
  set: Stored<StatefulSet>
  /** Owned, and the namespace's orphans; with what this process did and the informer has not shown. */
  pods: readonly Stored<Pod>[]
  revisions: readonly Revision[]
  /** By name. */
  claimOf: (name: string) => Claim | undefined
  unseenUntilMs: number | undefined
}

export type StatefulSetAction =
  | RevisionAction
  | { kind: 'adoptPod'; name: string; uid: string }
  | { kind: 'releasePod'; name: string; uid: string }
  | { kind: 'countCollision' }
  | { kind: 'tell'; type: 'Normal' | 'Warning'; reason: string; message: string }
  /** Side by side, with the claims of each. */
  | { kind: 'createPods'; pods: { pod: Pod; claims: PersistentVolumeClaim[] }[] }
  | { kind: 'createClaims'; pod: Stored<Pod>; claims: PersistentVolumeClaim[] }
  | { kind: 'deletePods'; pods: Stored<Pod>[] }
  | { kind: 'labelPod'; name: string; uid: string; labels: Record<string, string> }
  | { kind: 'ownClaim'; claim: Claim; owners: OwnerReference[] }
  | { kind: 'writeStatus'; status: StatefulSetStatus }

export function selectorOf(set: StatefulSet): LabelMatcher {
  const matcher = compileLabelSelector(set.spec?.selector)
  return matcher.requirements.length === 0 ? NOTHING : matcher
}

export function decideStatefulSet(view: StatefulSetView, ctx: DecideContext): Decision<StatefulSetAction> {
  const { set, revisions } = view
  // Only pods named after the set can be its own.
  const claims = claim(set, selectorOf(set), view.pods.filter((p) => ordinalOf(set, p) !== undefined))
  const claimed: StatefulSetAction[] = [
    ...claims.adopt.map((p) => ({ kind: 'adoptPod' as const, name: p.metadata.name, uid: p.metadata.uid })),
    ...claims.release.map((p) => ({ kind: 'releasePod' as const, name: p.metadata.name, uid: p.metadata.uid })),
  ]
  const pods = [...claims.owned, ...claims.adopt]
  const { current: update, actions: revising, collides } = currentRevision({ ref: STATEFUL_SETS, owner: set, template: set.spec?.template, collisions: set.status?.collisionCount ?? 0, hashLabel: HASH_LABEL }, revisions)
  const isDying = set.metadata.deletionTimestamp !== undefined
  if (isDying && !update) return { actions: [], because: 'it is being deleted' }
  if (collides) return { actions: [{ kind: 'countCollision' }], because: 'the name of its revision is taken' }
  // Pods are made once the revision they belong to is there.
  if (!update || revising.length > 0) return { actions: [...claimed, ...revising], because: 'a new revision' }
  const current = revisions.find((r) => r.metadata.name === set.status?.currentRevision) ?? update
  const scene = sceneOf(view, pods, current, update, ctx.nowMs)
  const status = nextStatus(scene)
  const next = isDying ? [] : steps(scene)
  const live = new Set([current.metadata.name, update.metadata.name, ...pods.map(revisionOf)])
  const wakeAtMs = earlier(nextAvailableMs(scene), view.unseenUntilMs)
  return {
    actions: [
      ...claimed, ...(jsonEqual(status, set.status) ? [] : [{ kind: 'writeStatus' as const, status }]), ...next,
      ...(isDying ? [] : surplusRevisions(revisions, (r) => live.has(r.metadata.name), set.spec?.revisionHistoryLimit ?? 10)),
    ],
    because: `${status.readyReplicas ?? 0} of ${scene.replicas} ready: ${next.map((a) => a.kind).join(', ') || 'nothing to do'}`,
    ...(wakeAtMs !== undefined && { wakeAtMs }),
  }
}

interface Scene {
  set: Stored<StatefulSet>
  view: StatefulSetView
  nowMs: number
  replicas: number
  start: number
  minReadySeconds: number
  /** One at a time, in order. */
  isOrdered: boolean
  current: Revision
  update: Revision
  pods: readonly Stored<Pod>[]
  /** By position; undefined: not there. */
  members: readonly (Stored<Pod> | undefined)[]
  /** Beyond the size, highest first. */
  condemned: readonly Stored<Pod>[]
}

const revisionOf = (pod: Pod): string => pod.metadata?.labels?.[REVISION_HASH] ?? ''
const isTerminating = (pod: Pod): boolean => pod.metadata?.deletionTimestamp !== undefined
const isRunningAndReady = (pod: Pod): boolean => pod.status?.phase === 'Running' && isPodReady(pod)

function sceneOf(view: StatefulSetView, pods: readonly Stored<Pod>[], current: Revision, update: Revision, nowMs: number): Scene {
  const { set } = view
  const replicas = set.spec?.replicas ?? 1
  const start = set.spec?.ordinals?.start ?? 0
  const members: (Stored<Pod> | undefined)[] = Array.from({ length: replicas })
  const condemned: Stored<Pod>[] = []
  for (const pod of pods) {
    const at = (ordinalOf(set, pod) ?? 0) - start
    if (at >= 0 && at < replicas) members[at] = pod
    else condemned.push(pod)
  }
  condemned.sort((a, b) => (ordinalOf(set, b) ?? 0) - (ordinalOf(set, a) ?? 0))
  return { set, view, nowMs, replicas, start, minReadySeconds: set.spec?.minReadySeconds ?? 0, isOrdered: set.spec?.podManagementPolicy !== 'Parallel', current, update, pods, members, condemned }
}

/** In order: members are made and mended, then surplus ones go, then old ones are replaced. An ordered set does one thing at a time. */
function steps(scene: Scene): StatefulSetAction[] {
  const { isOrdered, members, condemned } = scene
  const actions: StatefulSetAction[] = []
  const creates: { pod: Pod; claims: PersistentVolumeClaim[] }[] = []
  const deletes: Stored<Pod>[] = []
  const done = (): StatefulSetAction[] => [...actions, ...(deletes.length > 0 ? [{ kind: 'deletePods' as const, pods: deletes }] : []), ...(creates.length > 0 ? [{ kind: 'createPods' as const, pods: creates }] : [])]

  for (const [at, pod] of members.entries()) {
    if (!pod) {
      creates.push(newMember(scene, at + scene.start))
      if (isOrdered) return done()
      continue
    }
    if (pod.status?.phase === 'Failed' || pod.status?.phase === 'Succeeded') {
      if (!isTerminating(pod)) {
        const failed = pod.status.phase === 'Failed'
        actions.push({ kind: 'tell', type: failed ? 'Warning' : 'Normal', reason: failed ? 'RecreatingFailedPod' : 'RecreatingTerminatedPod', message: `StatefulSet ${pod.metadata.namespace ?? ''}/${scene.set.metadata.name} is recreating ${failed ? 'failed' : 'terminated'} Pod ${pod.metadata.name}` })
        deletes.push(pod)
      }
      if (isOrdered) return done()
      continue
    }
    actions.push(...mended(scene, pod, false))
    if (isOrdered && (isTerminating(pod) || !isRunningAndAvailable(scene, pod))) return done()
  }
  for (const pod of condemned) actions.push(...ownedClaims(scene, pod, true))
  const firstUnhealthy = [...members, ...condemned.toReversed()].find((p) => p && (isTerminating(p) || !isRunningAndAvailable(scene, p)))
  for (const pod of condemned) {
    if (isTerminating(pod)) {
      if (isOrdered) return done()
      continue
    }
    if (isOrdered && !isRunningAndAvailable(scene, pod) && pod !== firstUnhealthy) return done()
    deletes.push(pod)
    if (isOrdered) return done()
  }
  if ((scene.set.spec?.updateStrategy?.type ?? 'RollingUpdate') === 'RollingUpdate') deletes.push(...outdated(scene))
  return done()
}

const isRunningAndAvailable = ({ minReadySeconds, nowMs }: Scene, pod: Pod): boolean => isRunningAndReady(pod) && isPodAvailable(pod, minReadySeconds, nowMs)

/** From the last to the partition; no more away at a time than maxUnavailable. What is of an old revision and away already goes first. */
function outdated(scene: Scene): Stored<Pod>[] {
  const { set, members, update, replicas } = scene
  const rolling = set.spec?.updateStrategy?.rollingUpdate
  const first = rolling?.partition ?? 0
  const max = Math.max(1, scaledValue(rolling?.maxUnavailable ?? 1, replicas, 'up') ?? 1)
  const isAway = (pod: Stored<Pod> | undefined): boolean => !pod || isTerminating(pod) || !isRunningAndAvailable(scene, pod)
  const away = members.filter(isAway).length
  const old = members.slice(first).toReversed().filter((p) => p !== undefined).filter((p) => revisionOf(p) !== update.metadata.name && !isTerminating(p))
  const broken = old.filter(isAway)
  return [...broken, ...old.filter((p) => !isAway(p)).slice(0, Math.max(0, max - away))]
}

function newMember(scene: Scene, ordinal: number): { pod: Pod; claims: PersistentVolumeClaim[] } {
  const { set, current, update, start } = scene
  const strategy = set.spec?.updateStrategy
  const keepsOld = (strategy?.type ?? 'RollingUpdate') === 'RollingUpdate'
    && ordinal < start + (strategy?.rollingUpdate ? (strategy.rollingUpdate.partition ?? 0) : (set.status?.currentReplicas ?? 0))
  const pod = keepsOld ? podFor(set, ordinal, current.metadata.name, templateOf(current)) : podFor(set, ordinal, update.metadata.name, set.spec?.template)
  return { pod, claims: claimsFor(set, ordinal) }
}

function templateOf(revision: Revision): PodTemplateSpec | undefined {
  const { $patch: _, ...template } = (revision.data as { spec?: { template?: PodTemplateSpec & { $patch?: string } } }).spec?.template ?? {}
  return template as PodTemplateSpec
}

function mended(scene: Scene, pod: Stored<Pod>, isSurplus: boolean): StatefulSetAction[] {
  const { set, view } = scene
  const labels = missingLabels(set, pod)
  const missing = pod.status?.phase === 'Pending' && !isTerminating(pod) ? claimsFor(set, ordinalOf(set, pod) ?? 0).filter((c) => !view.claimOf(c.metadata?.name ?? '')) : []
  return [
    ...(labels && !isTerminating(pod) ? [{ kind: 'labelPod' as const, name: pod.metadata.name, uid: pod.metadata.uid, labels }] : []),
    ...(missing.length > 0 ? [{ kind: 'createClaims' as const, pod, claims: missing }] : []),
    ...ownedClaims(scene, pod, isSurplus),
  ]
}

function ownedClaims({ set, view }: Scene, pod: Stored<Pod>, isSurplus: boolean): StatefulSetAction[] {
  return (set.spec?.volumeClaimTemplates ?? []).flatMap((template) => {
    const found = view.claimOf(claimName(set, template, ordinalOf(set, pod) ?? 0))
    const owners = found && nextOwners(set, pod, found, isSurplus)
    return owners ? [{ kind: 'ownClaim' as const, claim: found, owners }] : []
  })
}

function nextStatus(scene: Scene): StatefulSetStatus {
  const { set, pods, current, update, replicas } = scene
  const created = pods.filter((p) => (p.status?.phase ?? '') !== '')
  const of = (revision: Revision): number => created.filter((p) => !isTerminating(p) && revisionOf(p) === revision.metadata.name).length
  const ready = pods.filter(isRunningAndReady)
  const updated = of(update)
  // A rollout that is complete makes the new revision the current one.
  const isComplete = (set.spec?.updateStrategy?.type ?? 'RollingUpdate') === 'RollingUpdate' && updated === replicas && ready.length === replicas && created.length === replicas
  const { collisionCount, conditions } = set.status ?? {}
  const currentReplicas = isComplete ? updated : of(current)
  return {
    observedGeneration: set.metadata.generation ?? 0, replicas: created.length, ...(ready.length > 0 && { readyReplicas: ready.length }),
    ...(currentReplicas > 0 && { currentReplicas }), ...(updated > 0 && { updatedReplicas: updated }),
    currentRevision: (isComplete ? update : current).metadata.name, updateRevision: update.metadata.name, collisionCount: collisionCount ?? 0,
    availableReplicas: pods.filter((p) => isRunningAndAvailable(scene, p)).length, ...(conditions && { conditions }),
  }
}

function nextAvailableMs({ pods, minReadySeconds, nowMs }: Scene): number | undefined {
  let next: number | undefined
  for (const pod of minReadySeconds === 0 ? [] : pods) {
    const since = isRunningAndReady(pod) ? parseTime(podCondition(pod.status, 'Ready')?.lastTransitionTime) : undefined
    if (since !== undefined && since + minReadySeconds * 1000 > nowMs) next = earlier(next, since + minReadySeconds * 1000)
  }
  return next
}
