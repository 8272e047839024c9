import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Cron } from 'croner'
import type { CronJob, Job, Stored } from '#api/types/index.ts'
import { seededRandom } from '#base/random.ts'
import { decideCronJob } from './decide.ts'
import { parseSchedule } from './schedule.ts'

const at = (time: string) => Date.parse(`2026-03-01T${time}Z`)
const META = { namespace: 'default', resourceVersion: '1', uid: 'cj', creationTimestamp: '2026-03-01T00:00:00Z' }
const cronJob = (spec: object = {}, status: object = {}): Stored<CronJob> => ({ metadata: { ...META, name: 'cj' }, spec: { schedule: '*/10 * * * *', jobTemplate: { spec: { template: {} } }, ...spec } as CronJob['spec'] & object, status })
const job = (name: string, ended?: 'Complete' | 'Failed', start = '00:00:00'): Stored<Job> => ({
  metadata: { ...META, name, uid: name }, status: { startTime: `2026-03-01T${start}Z`, ...(ended && { conditions: [{ type: ended, status: 'True' }] }), ...(ended === 'Complete' && { completionTime: `2026-03-01T${start}Z` }) },
})
const ref = (name: string) => ({ name, uid: name })

function decide(of: Stored<CronJob>, time: string, jobs: Stored<Job>[] = []) {
  const { actions, wakeAtMs } = decideCronJob({ cronJob: of, jobs, parsed: parseSchedule(Cron, of.spec?.schedule ?? '', of.spec?.timeZone ?? 'UTC') }, { nowMs: at(time), random: seededRandom(1) })
  const does = actions.map((a) => (a.kind === 'createJob' ? `create ${a.job.metadata?.annotations?.['batch.kubernetes.io/cronjob-scheduled-timestamp']}` : a.kind === 'deleteJob' ? `delete ${a.job.name}` : a.kind === 'tell' ? a.reason : `status ${(a.status.active ?? []).map((x) => x.name).join()} ${a.status.lastSuccessfulTime ?? ''}`.trim()))
  return [...does, wakeAtMs === undefined ? 'never' : new Date(wakeAtMs).toISOString().slice(11, 23)]
}

const due = (time: string) => `create 2026-03-01T${time}Z`
const CASES: { name: string; of: Stored<CronJob>; time: string; jobs?: Stored<Job>[]; does: string[] }[] = [
  { name: 'nothing before its time', of: cronJob(), time: '00:09:59', does: ['00:10:00.100'] },
  { name: 'a job at its time', of: cronJob(), time: '00:10:00', does: [due('00:10:00'), '00:20:00.100'] },
  { name: 'of those missed only the last', of: cronJob(), time: '00:35:00', does: [due('00:30:00'), '00:40:00.100'] },
  { name: 'not twice', of: cronJob({}, { lastScheduleTime: '2026-03-01T00:30:00Z' }), time: '00:35:00', does: ['00:40:00.100'] },
  { name: 'not when it is too late', of: cronJob({ startingDeadlineSeconds: 60 }), time: '00:11:30', does: ['00:20:00.100'] },
  { name: 'in time', of: cronJob({ startingDeadlineSeconds: 60 }), time: '00:10:30', does: [due('00:10:00'), '00:20:00.100'] },
  { name: 'hundreds missed are told of', of: cronJob({ schedule: '* * * * *' }), time: '02:00:30', does: ['TooManyMissedTimes', due('02:00:00'), '02:01:00.100'] },
  { name: 'every so often', of: cronJob({ schedule: '@every 1h30m' }), time: '01:31:00', does: [due('01:30:00'), '03:01:00.100'] },
  { name: 'in another time zone', of: cronJob({ schedule: '0 5 * * *', timeZone: 'Europe/Berlin' }), time: '04:00:05', does: [due('04:00:00'), '04:00:00.100'] },
  { name: 'a day that never comes is told of', of: cronJob({ schedule: '59 23 31 2 *' }), time: '00:10:00', does: ['InvalidSchedule', 'never'] },
  { name: 'a schedule that cannot be read is told of', of: cronJob({ schedule: 'now and then' }), time: '00:10:00', does: ['UnparseableSchedule', 'never'] },
  { name: 'none while it is suspended', of: cronJob({ suspend: true }), time: '00:10:00', does: ['never'] },
  { name: 'none beside another where that is forbidden', of: cronJob({ concurrencyPolicy: 'Forbid' }, { active: [ref('a')] }), time: '00:10:00', jobs: [job('a')], does: ['JobAlreadyActive', '00:20:00.100'] },
  { name: 'in place of another', of: cronJob({ concurrencyPolicy: 'Replace' }, { active: [ref('a')] }), time: '00:10:00', jobs: [job('a')], does: ['delete a', due('00:10:00'), '00:20:00.100'] },
  { name: 'one that has ended is no longer active', of: cronJob({}, { active: [ref('a'), ref('b')] }), time: '00:01:00', jobs: [job('a', 'Complete'), job('b')], does: ['status b 2026-03-01T00:00:00Z', 'SawCompletedJob', '00:10:00.100'] },
  { name: 'nor one that is gone', of: cronJob({}, { active: [ref('a')] }), time: '00:01:00', does: ['status', 'MissingJob', '00:10:00.100'] },
  { name: 'a stranger is told of', of: cronJob(), time: '00:01:00', jobs: [job('x')], does: ['UnexpectedJob', '00:10:00.100'] },
  { name: 'old ones go', of: cronJob({ successfulJobsHistoryLimit: 1, failedJobsHistoryLimit: 0 }, { lastSuccessfulTime: '2026-03-01T00:05:00Z' }), time: '00:06:00', jobs: [job('a', 'Complete', '00:01:00'), job('b', 'Complete', '00:02:00'), job('c', 'Failed', '00:03:00')], does: ['delete a', 'delete c', '00:10:00.100'] },
]
for (const { name, of, time, jobs, does } of CASES) test(`CronJob: ${name}`, () => assert.deepStrictEqual(decide(of, time, jobs), does))

test('schedules are read as robfig/cron reads them', () => {
  const next = (text: string, from = '2026-03-01T12:34:56Z') => {
    const parsed = parseSchedule(Cron, text, 'UTC')
    return parsed.ok ? new Date(parsed.schedule.next(Date.parse(from)) ?? 0).toISOString().slice(0, 16) : parsed.message
  }
  assert.deepStrictEqual(['0 0 13 * 5', '5/20 * * * *', '0 9-17/4 ? * MON-FRI', '@hourly', '@weekly', '0 0 31 2 *', '0 0 1 JAN *'].map((t) => next(t)), [
    // Both days given: either will do.
    '2026-03-06T00:00', '2026-03-01T12:45', '2026-03-02T09:00', '2026-03-01T13:00', '2026-03-08T00:00', '1970-01-01T00:00', '2027-01-01T00:00',
  ])
})
