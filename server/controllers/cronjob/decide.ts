/** The CronJob controller's decisions, after upstream's pkg/controller/cronjob (cronjob_controllerv2). Pure. */
import { CRON_JOBS, JOBS, apiVersionOf, type CronJob, type CronJobStatus, type Job, type ObjectReference, type Stored } from '#api/types/index.ts'
import type { DecideContext, Decision } from '#base/reconcile/action.ts'
import { jsonEqual } from '../json-equal.ts'
import { controllerReference } from '../ownership.ts'
import { formatTime, parseTime } from '../time.ts'
import type { Parsed, Schedule } from './schedule.ts'

export interface CronJobView {
  cronJob: Stored<CronJob>
  /** Those it controls. */
  jobs: readonly Stored<Job>[]
  parsed: Parsed
}

export type CronJobAction =
  | { kind: 'tell'; type: 'Normal' | 'Warning'; reason: string; message: string }
  | { kind: 'deleteJob'; job: { name: string; uid: string } }
  /** Then it is active in the status, and its time the last one. */
  | { kind: 'createJob'; job: Job; status: CronJobStatus }
  | { kind: 'writeStatus'; status: CronJobStatus }

/** More missed times than this are told of. */
const MISSED_MAX = 100
/** Upstream looks a little after the time. */
const AFTER_MS = 100
export const SCHEDULED_AT = 'batch.kubernetes.io/cronjob-scheduled-timestamp'

export const finishedOf = (job: Job): 'Complete' | 'Failed' | undefined => job.status?.conditions?.find((c) => (c.type === 'Complete' || c.type === 'Failed') && c.status === 'True')?.type as 'Complete' | 'Failed' | undefined

export function decideCronJob({ cronJob, jobs, parsed }: CronJobView, { nowMs }: DecideContext): Decision<CronJobAction> {
  const { told, status } = seenJobs(cronJob, jobs)
  const actions: CronJobAction[] = [...told, ...history(cronJob, jobs)]
  const write = (next: CronJobStatus): CronJobAction[] => (jsonEqual(next, cronJob.status ?? {}) ? [] : [{ kind: 'writeStatus', status: next }])
  const stay = (because: string, wakeAtMs?: number): Decision<CronJobAction> => ({ actions: [...write(status), ...actions], because, ...(wakeAtMs !== undefined && { wakeAtMs }) })
  const { spec } = cronJob
  if (cronJob.metadata.deletionTimestamp !== undefined) return stay('it is being deleted')
  if (spec?.suspend) return stay('it is suspended')
  if (!parsed.ok) {
    actions.push({ kind: 'tell', type: 'Warning', reason: 'UnparseableSchedule', message: `unparseable schedule: ${JSON.stringify(spec?.schedule ?? '')} : ${parsed.message}` })
    return stay('its schedule cannot be read')
  }
  const nextMs = parsed.schedule.next(nowMs)
  if (nextMs === undefined) {
    // Like the 31st of February.
    actions.push({ kind: 'tell', type: 'Warning', reason: 'InvalidSchedule', message: `invalid schedule: ${spec?.schedule ?? ''} : time difference between two schedules is less than 1 second` })
    return stay('its schedule never comes')
  }
  const wakeAtMs = nextMs + AFTER_MS
  const due = dueTime(cronJob, parsed.schedule, nowMs)
  if (due.missed > MISSED_MAX) actions.push({ kind: 'tell', type: 'Warning', reason: 'TooManyMissedTimes', message: 'too many missed start times. Set or decrease .spec.startingDeadlineSeconds or check clock skew' })
  if (due.ms === undefined) return stay('nothing is due', wakeAtMs)
  const deadlineSeconds = spec?.startingDeadlineSeconds
  if (deadlineSeconds !== undefined && due.ms + deadlineSeconds * 1000 < nowMs) {
    actions.push({ kind: 'tell', type: 'Warning', reason: 'MissSchedule', message: `Missed scheduled time to start a job: ${rfc1123(due.ms)}` })
    return stay('it is too late', wakeAtMs)
  }
  const job = newJob(cronJob, due.ms)
  const active = status.active ?? []
  if (active.some((a) => a.name === job.metadata?.name) || parseTime(status.lastScheduleTime) === due.ms) return stay('it has been started', wakeAtMs)
  if (spec?.concurrencyPolicy === 'Forbid' && active.length > 0) {
    actions.push({ kind: 'tell', type: 'Normal', reason: 'JobAlreadyActive', message: 'Not starting job because prior execution is running and concurrency policy is Forbid' })
    return stay('the one before still runs', wakeAtMs)
  }
  const replaced = spec?.concurrencyPolicy === 'Replace' ? active : []
  const next: CronJobStatus = { ...status, lastScheduleTime: formatTime(due.ms) }
  if (replaced.length > 0) delete next.active
  return {
    actions: [...write(status), ...actions, ...replaced.map((a) => ({ kind: 'deleteJob' as const, job: { name: a.name ?? '', uid: a.uid ?? '' } })), { kind: 'createJob', job, status: next }],
    because: `due at ${formatTime(due.ms)}`, wakeAtMs,
  }
}

/** What the jobs tell: which are active, which have ended, which were made by somebody else or are gone. */
function seenJobs(cronJob: Stored<CronJob>, jobs: readonly Stored<Job>[]): { told: CronJobAction[]; status: CronJobStatus } {
  const told: CronJobAction[] = []
  const say = (type: 'Normal' | 'Warning', reason: string, message: string): void => { told.push({ kind: 'tell', type, reason, message }) }
  const { active: before = [], lastSuccessfulTime, ...rest } = cronJob.status ?? {}
  const byUid = new Map(jobs.map((j) => [j.metadata.uid, j]))
  let lastMs = parseTime(lastSuccessfulTime)
  for (const job of jobs) {
    const isActive = before.some((a) => a.uid === job.metadata.uid)
    const finished = finishedOf(job)
    if (!isActive && !finished) say('Warning', 'UnexpectedJob', `Saw a job that the controller did not create or forgot: ${job.metadata.name}`)
    if (isActive && finished) say('Normal', 'SawCompletedJob', `Saw completed job: ${job.metadata.name}, condition: ${finished}`)
    const completedMs = finished === 'Complete' ? parseTime(job.status?.completionTime) : undefined
    if (completedMs !== undefined && (lastMs === undefined || completedMs > lastMs)) lastMs = completedMs
  }
  const active = before.filter((a) => {
    const job = byUid.get(a.uid ?? '')
    if (!job) say('Normal', 'MissingJob', `Active job went missing: ${a.name}`)
    return job !== undefined && !finishedOf(job)
  })
  return { told, status: { ...rest, ...(active.length > 0 && { active }), ...(lastMs !== undefined && { lastSuccessfulTime: formatTime(lastMs) }) } }
}

/** Ended ones beyond the limits, the oldest first. */
function history({ spec }: CronJob, jobs: readonly Stored<Job>[]): CronJobAction[] {
  const surplus = (type: 'Complete' | 'Failed', limit: number): CronJobAction[] => {
    const ended = jobs.filter((j) => finishedOf(j) === type && j.metadata.deletionTimestamp === undefined).toSorted((a, b) => ((a.status?.startTime ?? '') < (b.status?.startTime ?? '') ? -1 : (a.status?.startTime ?? '') > (b.status?.startTime ?? '') ? 1 : a.metadata.name < b.metadata.name ? -1 : 1))
    return ended.slice(0, Math.max(0, ended.length - limit)).map((j) => ({ kind: 'deleteJob', job: { name: j.metadata.name, uid: j.metadata.uid } }))
  }
  return [...surplus('Complete', spec?.successfulJobsHistoryLimit ?? 3), ...surplus('Failed', spec?.failedJobsHistoryLimit ?? 1)]
}

/** The last time that has passed since the last start, and how many have; of a long time not each is looked at. */
function dueTime({ metadata, spec, status }: Stored<CronJob>, schedule: Schedule, nowMs: number): { ms: number | undefined; missed: number } {
  const sinceMs = parseTime(status?.lastScheduleTime) ?? parseTime(metadata.creationTimestamp) ?? nowMs
  const deadlineMs = spec?.startingDeadlineSeconds === undefined ? sinceMs : nowMs - spec.startingDeadlineSeconds * 1000
  const first = schedule.next(Math.max(sinceMs, deadlineMs))
  if (first === undefined || first > nowMs) return { ms: undefined, missed: 0 }
  const second = schedule.next(first)
  if (second === undefined || second > nowMs) return { ms: first, missed: 1 }
  const stepMs = second - first
  const missed = Math.floor((nowMs - first) / stepMs) + 1
  let ms = first
  // Steps may differ: from a little before, each is taken.
  for (let at = schedule.next(first + (missed - 2) * stepMs - 1); at !== undefined && at <= nowMs; at = schedule.next(at)) ms = at
  return { ms, missed }
}

function newJob(cronJob: Stored<CronJob>, scheduledMs: number): Job {
  const { metadata, spec } = cronJob.spec?.jobTemplate ?? {}
  return {
    apiVersion: apiVersionOf(JOBS), kind: JOBS.kind,
    metadata: {
      name: `${cronJob.metadata.name}-${Math.floor(scheduledMs / 60_000)}`, ...(cronJob.metadata.namespace !== undefined && { namespace: cronJob.metadata.namespace }),
      ...(metadata?.labels && { labels: metadata.labels }), annotations: { ...metadata?.annotations, [SCHEDULED_AT]: formatTime(scheduledMs) },
      ownerReferences: [controllerReference(CRON_JOBS, cronJob)],
    },
    ...(spec && { spec }),
  }
}

export function referenceTo({ metadata }: Stored<Job>): ObjectReference {
  return { kind: JOBS.kind, apiVersion: apiVersionOf(JOBS), name: metadata.name, uid: metadata.uid, resourceVersion: metadata.resourceVersion, ...(metadata.namespace !== undefined && { namespace: metadata.namespace }) }
}

const rfc1123 = (ms: number): string => new Date(ms).toUTCString().replace('GMT', '+0000')
