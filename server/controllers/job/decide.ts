/** The Job controller's decisions, after upstream's pkg/controller/job. Pure. */
import { NOTHING, compileLabelSelector, isPodReady, isPodTerminal, type Job, type JobCondition, type JobStatus, type LabelMatcher, type Pod, type Stored } from '#api/types/index.ts'
import { nameSuffix } from '#base/random.ts'
import { nothing, type DecideContext, type Decision } from '#base/reconcile/action.ts'
import { jsonEqual } from '../json-equal.ts'
import { claim } from '../ownership.ts'
import { earlier, formatTime } from '../time.ts'
import { countPods, uncountedOf, type Count } from './count.ts'
import { judgeFailure } from './failure-policy.ts'
import { conditionOf, deadlineMs, endingOf, type Ending } from './finish.ts'
import { formatIndexes } from './indexes.ts'
import { activeOf, blockingCount, byProgress, endedMs, failuresBefore, ignoredBefore, indexOf, isFailed, isIndexed, isSucceeded, isTracked, jobPod, terminatingCount, type NewPod } from './pods.ts'

export interface JobView {
  /** Undefined: it is gone, and has left pods behind. */
  job: Stored<Job> | undefined
  /** Owned, and the namespace's orphans; with what this process did and the informer has not shown. */
  pods: readonly Stored<Pod>[]
  /** Of a Job of the same name that is gone. */
  left: readonly Stored<Pod>[]
  /** When pods failed that are gone since; remembered as long as the Job is. */
  goneFailuresMs: readonly number[]
  unseenUntilMs: number | undefined
}

export type JobAction =
  | { kind: 'adoptPod'; name: string; uid: string }
  | { kind: 'releasePod'; name: string; uid: string }
  | { kind: 'tell'; type: 'Normal' | 'Warning'; reason: string; message: string }
  | { kind: 'writeStatus'; status: JobStatus }
  /** They have been counted. */
  | { kind: 'untrackPods'; pods: Stored<Pod>[] }
  /** `uncounted`: they are taken back, not failed. */
  | { kind: 'deletePods'; pods: Stored<Pod>[]; uncounted: boolean }
  | { kind: 'createPods'; pods: Pod[] }

export const JOB_CONTROLLER = 'kubernetes.io/job-controller'
/** As upstream: no more than this in one pass. */
const BURST_PODS = 500
const BACKOFF_MS = 10_000
const BACKOFF_MS_MAX = 600_000

export function selectorOf({ spec }: Job): LabelMatcher {
  const matcher = compileLabelSelector(spec?.selector)
  return matcher.requirements.length === 0 ? NOTHING : matcher
}

export function decideJob({ job, pods: seen, left, goneFailuresMs, unseenUntilMs }: JobView, ctx: DecideContext): Decision<JobAction> {
  if (!job || left.length > 0) return untracked(left, 'the job of these pods is gone')
  const { spec } = job
  if (spec?.managedBy !== undefined && spec.managedBy !== JOB_CONTROLLER) return nothing('somebody else looks after it')
  const claims = claim(job, selectorOf(job), seen)
  const claimed: JobAction[] = [
    ...claims.adopt.map((p) => ({ kind: 'adoptPod' as const, name: p.metadata.name, uid: p.metadata.uid })),
    ...claims.release.map((p) => ({ kind: 'releasePod' as const, name: p.metadata.name, uid: p.metadata.uid })),
  ]
  const pods = [...claims.owned, ...claims.adopt]
  if (conditionOf(job, 'Complete') ?? conditionOf(job, 'Failed')) return untracked(pods, 'it is over')

  const active = activeOf(pods)
  const wasOver = (conditionOf(job, 'SuccessCriteriaMet') ?? conditionOf(job, 'FailureTarget')) !== undefined
  const count = countPods(job, pods, wasOver || job.metadata.deletionTimestamp !== undefined)
  const ending = endingOf(job, pods, { ...count.tally, active: active.length }, ctx.nowMs)
  const isDying = job.metadata.deletionTimestamp !== undefined
  const changes = isDying ? NO_CHANGES : ending ? { ...NO_CHANGES, remove: active } : manage({ job, pods, goneFailuresMs }, active, count, ctx)
  const { status, told } = nextStatus({ job, pods, active, count, ending, nowMs: ctx.nowMs })
  const wakeAtMs = earlier(earlier(ending ? undefined : deadlineMs({ ...job, status }), changes.wakeAtMs), unseenUntilMs)
  return {
    actions: [
      ...claimed, ...(jsonEqual(status, job.status) ? [] : [{ kind: 'writeStatus' as const, status }]), ...told,
      ...(count.release.length > 0 ? [{ kind: 'untrackPods' as const, pods: count.release }] : []),
      ...(changes.remove.length > 0 ? [{ kind: 'deletePods' as const, pods: changes.remove.slice(0, BURST_PODS), uncounted: !ending }] : []),
      ...(changes.create.length > 0 ? [{ kind: 'createPods' as const, pods: changes.create.map((p) => jobPod(job, nameSuffix(ctx.random), p)) }] : []),
    ],
    because: `${active.length} active, ${count.tally.succeeded} succeeded, ${count.tally.failed} failed: creating ${changes.create.length}, deleting ${changes.remove.length}${ending ? `; ${ending.reason}` : ''}`,
    ...(wakeAtMs !== undefined && { wakeAtMs }),
  }
}

function untracked(pods: readonly Stored<Pod>[], because: string): Decision<JobAction> {
  const tracked = pods.filter(isTracked)
  return tracked.length === 0 ? nothing(because) : { actions: [{ kind: 'untrackPods', pods: tracked }], because }
}

interface Past { job: Stored<Job>; pods: readonly Stored<Pod>[]; goneFailuresMs: readonly number[] }
interface Changes { create: NewPod[]; remove: Stored<Pod>[]; wakeAtMs: number | undefined }

const NO_CHANGES: Changes = { create: [], remove: [], wakeAtMs: undefined }

/** As many pods as there is work and leave for. */
function manage({ job, pods, goneFailuresMs }: Past, active: readonly Stored<Pod>[], count: Count, { nowMs }: DecideContext): Changes {
  const { spec } = job
  if (spec?.suspend) return { ...NO_CHANGES, remove: [...active] }
  const parallelism = spec?.parallelism ?? 1
  const { succeeded } = count.tally
  const indexed = isIndexed(job)
  const left = (spec?.completions ?? 0) - succeeded - (count.failedIndexes?.size ?? 0)
  // Without a number of completions, nothing new begins after the first success.
  const wanted = spec?.completions === undefined ? (succeeded > 0 ? active.length : parallelism) : Math.max(0, Math.min(parallelism, left))
  const remove = surplus(job, active, active.length - wanted)
  if (remove.length > 0) return { ...NO_CHANGES, remove }
  const missing = Math.min(BURST_PODS, wanted - active.length - blockingCount(job, pods))
  if (missing <= 0) return NO_CHANGES
  if (count.failedIndexes) return missingIndexes(job, pods, active, count, missing, nowMs)
  const waitUntilMs = backoffUntilMs({ job, pods, goneFailuresMs })
  if (waitUntilMs > nowMs) return { ...NO_CHANGES, wakeAtMs: waitUntilMs }
  const create = indexed ? pendingIndexes(job, active, count).slice(0, missing).map((index) => ({ index })) : Array.from({ length: missing }, () => ({}))
  return { ...NO_CHANGES, create }
}

/** Pods of indexes that are no more or that others have, too, then those that have come least far. */
function surplus(job: Stored<Job>, active: readonly Stored<Pod>[], atLeast: number): Stored<Pod>[] {
  const sorted = active.toSorted(byProgress)
  if (!isIndexed(job)) return sorted.slice(0, Math.max(0, atLeast))
  const taken = new Set<number>()
  const extra = sorted.toReversed().filter((pod) => {
    const index = indexOf(pod)
    if (index === undefined || index >= (job.spec?.completions ?? 0) || taken.has(index)) return true
    taken.add(index)
    return false
  })
  return [...extra, ...sorted.filter((p) => !extra.includes(p)).slice(0, Math.max(0, atLeast - extra.length))]
}

function pendingIndexes(job: Stored<Job>, active: readonly Stored<Pod>[], { completed, failedIndexes }: Count): number[] {
  const running = new Set(active.map(indexOf))
  return Array.from({ length: job.spec?.completions ?? 0 }, (_, i) => i).filter((i) => !completed.has(i) && !running.has(i) && !failedIndexes?.has(i))
}

/** Each index waits for itself after a failure. */
function missingIndexes(job: Stored<Job>, pods: readonly Stored<Pod>[], active: readonly Stored<Pod>[], count: Count, missing: number, nowMs: number): Changes {
  const changes: Changes = { create: [], remove: [], wakeAtMs: undefined }
  for (const index of pendingIndexes(job, active, count)) {
    if (changes.create.length === missing) break
    const [last] = pods.filter((p) => indexOf(p) === index && isFailed(job, p)).toSorted((a, b) => failuresBefore(b) - failuresBefore(a) || endedMs(b) - endedMs(a))
    const isIgnored = last !== undefined && judgeFailure(job, last).action === 'Ignore'
    const failures = last ? failuresBefore(last) + (isIgnored ? 0 : 1) : 0
    const ignored = last ? ignoredBefore(last) + (isIgnored ? 1 : 0) : 0
    const untilMs = last ? endedMs(last) + backoffMs(failures + ignored) : 0
    if (untilMs > nowMs) changes.wakeAtMs = earlier(changes.wakeAtMs, untilMs)
    else changes.create.push({ index, failures, ignored })
  }
  return changes
}

const backoffMs = (failures: number): number => (failures === 0 ? 0 : Math.min(BACKOFF_MS_MAX, BACKOFF_MS * 2 ** (failures - 1)))

/** Failures in a row, since the last success, make the next pod wait. */
function backoffUntilMs({ job, pods, goneFailuresMs }: Past): number {
  const successMs = Math.max(0, ...pods.filter(isSucceeded).map(endedMs))
  const failedMs = [...goneFailuresMs, ...pods.filter((p) => isFailed(job, p)).map(endedMs)].filter((ms) => ms > successMs)
  return failedMs.length === 0 ? 0 : Math.max(...failedMs) + backoffMs(failedMs.length)
}

interface Standing { job: Stored<Job>; pods: readonly Stored<Pod>[]; active: readonly Stored<Pod>[]; count: Count; ending: Ending | undefined; nowMs: number }

function nextStatus({ job, pods, active, count, ending, nowMs }: Standing): { status: JobStatus; told: JobAction[] } {
  const now = formatTime(nowMs)
  const told: JobAction[] = []
  const conditions = [...(job.status?.conditions ?? [])]
  const say = (type: string, status: 'True' | 'False', reason: string, message: string): void => {
    const made: JobCondition = { type, status, lastProbeTime: now, lastTransitionTime: now, reason, message }
    const at = conditions.findIndex((c) => c.type === type)
    if (at < 0) conditions.push(made)
    else conditions[at] = made
  }
  let startTime = job.status?.startTime
  if (ending) {
    if (!conditionOf(job, ending.type)) say(ending.type, 'True', ending.reason, ending.message)
  } else if (job.spec?.suspend) {
    if (!conditionOf(job, 'Suspended')) {
      say('Suspended', 'True', 'JobSuspended', 'Job suspended')
      told.push({ kind: 'tell', type: 'Normal', reason: 'Suspended', message: 'Job suspended' })
    }
  } else if (conditionOf(job, 'Suspended')) {
    say('Suspended', 'False', 'JobResumed', 'Job resumed')
    told.push({ kind: 'tell', type: 'Normal', reason: 'Resumed', message: 'Job resumed' })
    // Its time counts from now.
    startTime = now
  }
  if (startTime === undefined && !job.spec?.suspend) startTime = now
  const terminating = terminatingCount(pods)
  const isCounted = count.uncounted.succeeded.length + count.uncounted.failed.length === 0 && !count.release.some((p) => isPodTerminal(p))
  const isOver = ending !== undefined && active.length === 0 && terminating === 0 && isCounted
  const isComplete = isOver && ending.type === 'SuccessCriteriaMet'
  if (isOver) {
    say(isComplete ? 'Complete' : 'Failed', 'True', ending.reason, ending.message)
    told.push(isComplete ? { kind: 'tell', type: 'Normal', reason: 'Completed', message: 'Job completed' } : { kind: 'tell', type: 'Warning', reason: ending.reason, message: ending.message })
  }
  return {
    told,
    status: {
      ...(conditions.length > 0 && { conditions }), ...(startTime !== undefined && { startTime }), ...(isComplete && { completionTime: now }),
      ...(active.length > 0 && { active: active.length }), ...(count.succeeded > 0 && { succeeded: count.succeeded }), ...(count.failed > 0 && { failed: count.failed }),
      ...(isIndexed(job) && count.completed.size > 0 && { completedIndexes: formatIndexes(count.completed) }), ...(count.failedIndexes && { failedIndexes: formatIndexes(count.failedIndexes) }),
      terminating, uncountedTerminatedPods: uncountedOf(count.uncounted), ready: active.filter(isPodReady).length,
    },
  }
}
