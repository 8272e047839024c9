/** How pods that have ended become numbers in the status, each once whatever breaks in between (KEP-2307). Pure. */
import type { Job, JobStatus, Pod, Stored } from '#api/types/index.ts'
import { judgeFailure } from './failure-policy.ts'
import { parseIndexes } from './indexes.ts'
import { failuresBefore, indexOf, isFailed, isIndexed, isSucceeded, isTracked } from './pods.ts'
import type { Tally } from './finish.ts'

/** Written down at a time: upstream's bound of the status. */
const UNCOUNTED_MAX = 500

export interface Count {
  /** Of the status; what is written down as ended, and not yet let go, is not in them. */
  succeeded: number
  failed: number
  uncounted: { succeeded: string[]; failed: string[] }
  completed: ReadonlySet<number>
  failedIndexes: ReadonlySet<number> | undefined
  /** Written down: their finalizers may go once the status says so. */
  release: Stored<Pod>[]
  tally: Omit<Tally, 'active'>
}

/** `isOver`: nothing is made any more, so nothing waits for what takes its place. */
export function countPods(job: Stored<Job>, pods: readonly Stored<Pod>[], isOver: boolean): Count {
  const { status = {}, spec } = job
  const completions = spec?.completions
  const indexed = isIndexed(job)
  const byUid = new Map(pods.map((p) => [p.metadata.uid, p]))
  const isLetGo = (uid: string): boolean => !isTracked(byUid.get(uid) ?? {})
  const before = { succeeded: status.uncountedTerminatedPods?.succeeded ?? [], failed: status.uncountedTerminatedPods?.failed ?? [] }
  const settled = { succeeded: before.succeeded.filter(isLetGo).length, failed: before.failed.filter(isLetGo).length }
  const uncounted = { succeeded: before.succeeded.filter((uid) => !isLetGo(uid)), failed: before.failed.filter((uid) => !isLetGo(uid)) }
  const completed = indexed ? parseIndexes(status.completedIndexes, completions) : new Set<number>()
  const failedIndexes = spec?.backoffLimitPerIndex === undefined ? undefined : nextFailedIndexes(job, pods, completed)
  const release: Stored<Pod>[] = []
  const known = new Set([...uncounted.succeeded, ...uncounted.failed])
  let waiting = { succeeded: 0, failed: 0 }
  for (const pod of pods) {
    const { uid } = pod.metadata
    if (!isTracked(pod)) continue
    if (known.has(uid)) {
      release.push(pod)
      continue
    }
    const [succeeded, failed] = [isSucceeded(pod), isFailed(job, pod)]
    if (!succeeded && !failed) {
      if (job.metadata.deletionTimestamp !== undefined) release.push(pod)
      continue
    }
    if (known.size >= UNCOUNTED_MAX) {
      waiting = { succeeded: waiting.succeeded + (succeeded && !indexed ? 1 : 0), failed: waiting.failed + (failed ? 1 : 0) }
      continue
    }
    if (succeeded && indexed) {
      // The index itself says that it has been counted.
      const index = indexOf(pod)
      if (index !== undefined && index < (completions ?? 0)) completed.add(index)
      release.push(pod)
    } else if (succeeded) {
      known.add(uid)
      uncounted.succeeded.push(uid)
      release.push(pod)
    } else if (judgeFailure(job, pod).action === 'Ignore') {
      if (mayGo(pod)) release.push(pod)
    } else if (mayGo(pod)) {
      known.add(uid)
      uncounted.failed.push(uid)
      release.push(pod)
    } else waiting = { ...waiting, failed: waiting.failed + 1 }
  }
  const done = { succeeded: (status.succeeded ?? 0) + settled.succeeded, failed: (status.failed ?? 0) + settled.failed }
  return {
    succeeded: indexed ? completed.size : done.succeeded, failed: done.failed, uncounted, completed, failedIndexes, release,
    tally: { succeeded: indexed ? completed.size : done.succeeded + uncounted.succeeded.length + waiting.succeeded, failed: done.failed + uncounted.failed.length + waiting.failed, completed, failedIndexes },
  }

  /** Where failures are counted for each index, the last pod of one keeps the count until another takes its place. */
  function mayGo(pod: Stored<Pod>): boolean {
    const index = indexOf(pod)
    if (!failedIndexes || index === undefined || isOver || completed.has(index) || failedIndexes.has(index) || index >= (completions ?? 0)) return true
    return pods.some((other) => other !== pod && indexOf(other) === index && isLater(other, pod))
  }
}

const isLater = (a: Stored<Pod>, b: Stored<Pod>): boolean => failuresBefore(a) > failuresBefore(b) || (failuresBefore(a) === failuresBefore(b) && (a.metadata.creationTimestamp ?? '') > (b.metadata.creationTimestamp ?? ''))

function nextFailedIndexes(job: Stored<Job>, pods: readonly Stored<Pod>[], completed: ReadonlySet<number>): Set<number> {
  const limit = job.spec?.backoffLimitPerIndex ?? 0
  const failed = parseIndexes(job.status?.failedIndexes, job.spec?.completions)
  for (const pod of pods) {
    const index = indexOf(pod)
    if (index === undefined || index >= (job.spec?.completions ?? 0) || completed.has(index) || !isFailed(job, pod)) continue
    const { action } = judgeFailure(job, pod)
    if (action === 'FailIndex' || (action !== 'Ignore' && failuresBefore(pod) + 1 > limit)) failed.add(index)
  }
  return failed
}

export const uncountedOf = ({ succeeded, failed }: Count['uncounted']): NonNullable<JobStatus['uncountedTerminatedPods']> => ({ ...(succeeded.length > 0 && { succeeded }), ...(failed.length > 0 && { failed }) })
