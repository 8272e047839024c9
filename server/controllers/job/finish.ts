/** Whether and why a Job is over, in upstream's reasons and words. Pure. */
import type { Job, JobCondition, Pod, Stored } from '#api/types/index.ts'
import { parseTime } from '../time.ts'
import { judgeFailure } from './failure-policy.ts'
import { parseIndexes } from './indexes.ts'
import { isFailed } from './pods.ts'

/** What has been counted, with what is about to be. */
export interface Tally { active: number; succeeded: number; failed: number; completed: ReadonlySet<number>; failedIndexes: ReadonlySet<number> | undefined }

export interface Ending { type: 'SuccessCriteriaMet' | 'FailureTarget'; reason: string; message: string }

const failure = (reason: string, message: string): Ending => ({ type: 'FailureTarget', reason, message })

export const conditionOf = (job: Job, type: string): JobCondition | undefined => job.status?.conditions?.find((c) => c.type === type && c.status === 'True')

/** Once it has been said it stays; undefined: it goes on. */
export function endingOf(job: Stored<Job>, pods: readonly Stored<Pod>[], tally: Tally, nowMs: number): Ending | undefined {
  for (const type of ['SuccessCriteriaMet', 'FailureTarget'] as const) {
    const said = conditionOf(job, type)
    if (said) return { type, reason: said.reason ?? '', message: said.message ?? '' }
  }
  const spec = job.spec
  const judged = spec?.podFailurePolicy && pods.filter((p) => isFailed(job, p)).map((p) => judgeFailure(job, p)).find((v) => v.action === 'FailJob')
  if (judged) return failure('PodFailurePolicy', judged.message)
  const matched = matchedRule(job, tally)
  if (matched !== undefined) return { type: 'SuccessCriteriaMet', reason: 'SuccessPolicy', message: `Matched rules at index ${matched}` }
  if (tally.failed > (spec?.backoffLimit ?? 6) || restartsPastLimit(job, pods)) return failure('BackoffLimitExceeded', 'Job has reached the specified backoff limit')
  const endMs = deadlineMs(job)
  if (endMs !== undefined && nowMs >= endMs) return failure('DeadlineExceeded', 'Job was active longer than specified deadline')
  const { failedIndexes } = tally
  if (failedIndexes && spec?.maxFailedIndexes !== undefined && failedIndexes.size > spec.maxFailedIndexes) return failure('MaxFailedIndexesExceeded', 'Job has exceeded the specified maximal number of failed indexes')
  const met: Ending = { type: 'SuccessCriteriaMet', reason: 'CompletionsReached', message: 'Reached expected number of succeeded pods' }
  if (spec?.completions === undefined) return tally.succeeded > 0 && tally.active === 0 ? met : undefined
  if (failedIndexes && failedIndexes.size > 0) return failedIndexes.size + tally.succeeded >= spec.completions && tally.active === 0 ? failure('FailedIndexes', 'Job has failed indexes') : undefined
  return tally.succeeded >= spec.completions ? met : undefined
}

/** Undefined: it may run for ever. */
export function deadlineMs({ spec, status }: Job): number | undefined {
  const startMs = parseTime(status?.startTime)
  return spec?.activeDeadlineSeconds === undefined || startMs === undefined || spec.suspend ? undefined : startMs + spec.activeDeadlineSeconds * 1000
}

/** Pods that restart by themselves: their restarts are what is counted. */
function restartsPastLimit({ spec }: Job, pods: readonly Pod[]): boolean {
  if (spec?.template.spec?.restartPolicy !== 'OnFailure') return false
  const restarts = pods.filter((p) => p.status?.phase === 'Running' || p.status?.phase === 'Pending')
    .flatMap((p) => [...(p.status?.initContainerStatuses ?? []), ...(p.status?.containerStatuses ?? [])]).reduce((sum, s) => sum + s.restartCount, 0)
  const limit = spec.backoffLimit ?? 6
  return limit === 0 ? restarts > 0 : restarts >= limit
}

/** The first rule of the successPolicy that is met (KEP-3998). */
function matchedRule({ spec }: Job, { completed }: Tally): number | undefined {
  const at = (spec?.successPolicy?.rules ?? []).findIndex(({ succeededIndexes, succeededCount }) => {
    if (succeededIndexes === undefined) return succeededCount !== undefined && completed.size >= succeededCount
    const wanted = parseIndexes(succeededIndexes, spec?.completions)
    return [...wanted].filter((i) => completed.has(i)).length >= (succeededCount ?? wanted.size)
  })
  return at < 0 ? undefined : at
}
