/** A Deployment's status: counts and conditions, after upstream's deployment/progress.go and sync.go. Pure. */
import type { Deployment, DeploymentCondition, DeploymentStatus, Stored } from '#api/types/index.ts'
import { formatTime, parseTime } from '../time.ts'
import { availableOf, desiredOf, limitsOf, replicasOf, sum, type Rs } from './sizes.ts'

export type ConditionChange = Pick<DeploymentCondition, 'type' | 'status'> & { reason: string; message: string }

/** 2^31-1 means "no deadline". */
const NO_DEADLINE = 2 ** 31 - 1

export function hasDeadline(d: Deployment): boolean {
  const seconds = d.spec?.progressDeadlineSeconds
  return seconds !== undefined && seconds !== NO_DEADLINE
}

export function conditionOf(status: DeploymentStatus | undefined, type: string): DeploymentCondition | undefined {
  return status?.conditions?.find((c) => c.type === type)
}

/** Same status and reason: left as it is. Same status: keeps its transition time. */
export function withCondition(conditions: readonly DeploymentCondition[], change: ConditionChange, nowMs: number): DeploymentCondition[] {
  const old = conditions.find((c) => c.type === change.type)
  if (old?.status === change.status && old.reason === change.reason) return [...conditions]
  const now = formatTime(nowMs)
  const lastTransitionTime = old?.status === change.status ? (old.lastTransitionTime ?? now) : now
  return [...conditions.filter((c) => c.type !== change.type), { ...change, lastUpdateTime: now, lastTransitionTime }]
}

/** Counts and Available; the other conditions as they were, changed by `changes`. */
export function baseStatus(d: Stored<Deployment>, all: readonly Rs[], newRs: Rs | undefined, nowMs: number): DeploymentStatus {
  const available = sum(all, availableOf)
  const counts = {
    replicas: sum(all, (rs) => rs.status?.replicas ?? 0),
    updatedReplicas: newRs?.status?.replicas ?? 0,
    readyReplicas: sum(all, (rs) => rs.status?.readyReplicas ?? 0),
    availableReplicas: available,
    unavailableReplicas: Math.max(0, sum(all, replicasOf) - available),
  }
  const terminating = all.every((rs) => rs.status?.terminatingReplicas !== undefined) ? sum(all, (rs) => rs.status?.terminatingReplicas ?? 0) : undefined
  const enough = available >= desiredOf(d) - limitsOf(d).maxUnavailable
  const conditions = withCondition(d.status?.conditions ?? [], enough
    ? { type: 'Available', status: 'True', reason: 'MinimumReplicasAvailable', message: 'Deployment has minimum availability.' }
    : { type: 'Available', status: 'False', reason: 'MinimumReplicasUnavailable', message: 'Deployment does not have minimum availability.' }, nowMs)
  return {
    observedGeneration: d.metadata.generation ?? 0,
    ...Object.fromEntries(Object.entries(counts).filter(([, n]) => n !== 0)),
    ...(terminating !== undefined && { terminatingReplicas: terminating }),
    ...(d.status?.collisionCount !== undefined && { collisionCount: d.status.collisionCount }),
    conditions,
  }
}

/** As syncRolloutStatus: how the rollout is getting on. */
export function rolloutStatus(d: Stored<Deployment>, all: readonly Rs[], newRs: Rs | undefined, nowMs: number): DeploymentStatus {
  const status = baseStatus(d, all, newRs, nowMs)
  let conditions = status.conditions ?? []
  const current = conditionOf(d.status, 'Progressing')
  const settled = (status.replicas ?? 0) === (status.updatedReplicas ?? 0) && current?.reason === 'NewReplicaSetAvailable'
  const what = newRs ? `ReplicaSet "${newRs.metadata.name}"` : `Deployment "${d.metadata.name}"`
  if (!hasDeadline(d)) {
    conditions = conditions.filter((c) => c.type !== 'Progressing')
  } else if (!settled) {
    if (isComplete(d, status)) {
      conditions = withCondition(conditions, { type: 'Progressing', status: 'True', reason: 'NewReplicaSetAvailable', message: `${what} has successfully progressed.` }, nowMs)
    } else if (isProgressing(d, status)) {
      const now = formatTime(nowMs)
      const lastTransitionTime = current?.status === 'True' ? (current.lastTransitionTime ?? now) : now
      // Renewed each time something moves: the deadline counts from the last update.
      conditions = [...conditions.filter((c) => c.type !== 'Progressing'),
        { type: 'Progressing', status: 'True', reason: 'ReplicaSetUpdated', message: `${what} is progressing.`, lastUpdateTime: now, lastTransitionTime }]
    } else if (hasTimedOut(d, nowMs)) {
      conditions = withCondition(conditions, { type: 'Progressing', status: 'False', reason: 'ProgressDeadlineExceeded', message: `${what} has timed out progressing.` }, nowMs)
    }
  }
  const failed = [...(newRs ? [newRs] : []), ...all].flatMap((rs) => rs.status?.conditions?.filter((c) => c.type === 'ReplicaFailure') ?? [])[0]
  conditions = failed
    ? withCondition(conditions, { type: 'ReplicaFailure', status: failed.status, reason: failed.reason ?? '', message: failed.message ?? '' }, nowMs)
    : conditions.filter((c) => c.type !== 'ReplicaFailure')
  return { ...status, conditions }
}

export function isComplete(d: Deployment, status: DeploymentStatus | undefined): boolean {
  const desired = desiredOf(d)
  return (status?.updatedReplicas ?? 0) === desired && (status?.replicas ?? 0) === desired && (status?.availableReplicas ?? 0) === desired &&
    (status?.observedGeneration ?? 0) >= (d.metadata?.generation ?? 0)
}

function isProgressing(d: Deployment, now: DeploymentStatus): boolean {
  const before = d.status ?? {}
  const n = (count: number | undefined) => count ?? 0
  return n(now.updatedReplicas) > n(before.updatedReplicas) || n(now.readyReplicas) > n(before.readyReplicas) || n(now.availableReplicas) > n(before.availableReplicas) ||
    n(now.replicas) - n(now.updatedReplicas) < n(before.replicas) - n(before.updatedReplicas)
}

function hasTimedOut(d: Deployment, nowMs: number): boolean {
  const condition = conditionOf(d.status, 'Progressing')
  if (!condition || condition.reason === 'NewReplicaSetAvailable') return false
  if (condition.reason === 'ProgressDeadlineExceeded') return true
  return nowMs > deadlineMs(d, condition)
}

/** When the deadline is to be looked at; undefined when it does not run. */
export function progressWakeMs(d: Deployment, status: DeploymentStatus): number | undefined {
  const condition = conditionOf(status, 'Progressing')
  if (!hasDeadline(d) || !condition || isComplete(d, status) || d.spec?.paused) return undefined
  if (condition.reason === 'ProgressDeadlineExceeded' || condition.reason === 'NewReplicaSetAvailable') return undefined
  return deadlineMs(d, condition) + 1_000
}

function deadlineMs(d: Deployment, condition: DeploymentCondition): number {
  return (parseTime(condition.lastUpdateTime) ?? 0) + (d.spec?.progressDeadlineSeconds ?? 0) * 1000
}

/** Paused and resumed Deployments do not run out of time; the condition says so. Undefined: nothing to change. */
export function pauseChange(d: Deployment): ConditionChange | undefined {
  if (!hasDeadline(d)) return undefined
  const current = conditionOf(d.status, 'Progressing')
  if (current?.reason === 'ProgressDeadlineExceeded') return undefined
  const shown = current?.reason === 'DeploymentPaused'
  if (d.spec?.paused && !shown) return { type: 'Progressing', status: 'Unknown', reason: 'DeploymentPaused', message: 'Deployment is paused' }
  if (!d.spec?.paused && shown) return { type: 'Progressing', status: 'Unknown', reason: 'DeploymentResumed', message: 'Deployment is resumed' }
  return undefined
}
