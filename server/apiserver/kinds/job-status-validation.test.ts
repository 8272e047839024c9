import { deepStrictEqual } from 'node:assert'
import { test } from 'node:test'
import type { Job, JobStatus } from '#api/types/index.ts'
import { causes, cluster, MERGE } from './kinds.test-support.ts'
import { validateJobStatus } from './job-status-validation.ts'

const at = (seconds: number): string => new Date(Date.UTC(2026, 0, 1) + seconds * 1000).toISOString()
const conditions = (...types: string[]): Pick<JobStatus, 'conditions'> => ({ conditions: types.map((type) => ({ type, status: 'True' })) })
const told = (status: JobStatus, old: JobStatus = {}, spec: Partial<Job['spec']> = {}): string[] => {
  const job = (s: JobStatus): Job => ({ metadata: { name: 'j' }, spec: { template: {}, completions: 3, ...spec }, status: s })
  return validateJobStatus(job(status), job(old)).map(({ field, message }) => `${field}: ${message}`)
}
const DONE: JobStatus = { startTime: at(0), completionTime: at(5), ...conditions('SuccessCriteriaMet', 'Complete') }
const FAILED: JobStatus = { startTime: at(0), ...conditions('FailureTarget', 'Failed') }

const TABLE: [what: string, status: JobStatus, old: JobStatus, spec: Partial<Job['spec']>, wrong: string[]][] = [
  ['a Job that ends well', DONE, { startTime: at(0), ...conditions('SuccessCriteriaMet') }, {}, []],
  ['a Job that fails', FAILED, { startTime: at(0), ...conditions('FailureTarget') }, {}, []],
  ['an end that nothing led to', { startTime: at(0), ...conditions('Complete') }, {}, {}, ['status.completionTime: Required value: completionTime is required for Complete jobs', 'status.conditions: Invalid value: cannot set Complete=True condition without the SuccessCriteriaMet=true condition']],
  ['a failure that nothing led to', { ...conditions('Failed'), active: 2 }, {}, {}, [
    'status.conditions: Invalid value: cannot set Failed=True condition without the FailureTarget=true condition', 'status.active: Invalid value: 2: active>0 is invalid for finished job', 'status.startTime: Required value: startTime is required for finished job',
  ]],
  ['both ends', { startTime: at(0), completionTime: at(1), ...conditions('Complete', 'Failed', 'FailureTarget', 'SuccessCriteriaMet') }, {}, {}, [
    'status.conditions: Invalid value: cannot set Complete=True and Failed=true conditions', 'status.conditions: Invalid value: cannot set Complete=True and FailureTarget=true conditions',
    'status.conditions: Invalid value: cannot set SuccessCriteriaMet=True and Failed=true conditions', 'status.conditions: Invalid value: cannot set SuccessCriteriaMet=True and FailureTarget=true conditions',
  ]],
  ['an end taken back', { startTime: at(0) }, DONE, {}, ['status.conditions: Invalid value: cannot disable the terminal Complete=True condition', 'status.conditions: Invalid value: cannot disable the SuccessCriteriaMet=True condition']],
  ['counters that fall', { failed: 1, succeeded: 0 }, { failed: 2, succeeded: 1 }, {}, ['status.failed: Invalid value: 1: cannot decrease the failed counter', 'status.succeeded: Invalid value: 0: cannot decrease the succeeded counter']],
  ['an indexed Job made smaller', { succeeded: 1 }, { succeeded: 2 }, { completionMode: 'Indexed', parallelism: 3 }, []],
  ['times that move', { startTime: at(9), completionTime: at(5) }, { startTime: at(1), completionTime: at(4) }, {}, [
    `status.completionTime: Invalid value: "${at(5)}": cannot set completionTime when there is no Complete=True condition`, `status.completionTime: Invalid value: "${at(5)}": must be equal to or after \`startTime\``,
    `status.completionTime: Invalid value: "${at(5)}": field is immutable`, `status.startTime: Invalid value: "${at(9)}": field is immutable for unsuspended job once set`,
  ]],
  ['a Job that goes on', { startTime: at(9), conditions: [{ type: 'Suspended', status: 'False' }] }, { startTime: at(1), ...conditions('Suspended') }, {}, []],
  ['more ready than there are', { active: 1, ready: 2 }, {}, {}, ['status.ready: Invalid value: 2: cannot set more ready pods than active']],
  ['indexes of a Job without', { completedIndexes: '1', failedIndexes: '2' }, {}, {}, ['status.completedIndexes: Invalid value: "1": cannot set non-empty completedIndexes when non-indexed completion mode', 'status.failedIndexes: Invalid value: "2": cannot set non-null failedIndexes when backoffLimitPerIndex is null']],
  ['indexes that are none, and such that are both', { completedIndexes: '0-1', failedIndexes: '1,9' }, {}, { completionMode: 'Indexed', backoffLimitPerIndex: 1 }, ['status.failedIndexes: Invalid value: "1,9": error parsing failedIndexes: too large index: "9"']],
  ['indexes that are both', { completedIndexes: '0,2-4', failedIndexes: '1,3' }, {}, { completionMode: 'Indexed', backoffLimitPerIndex: 1, completions: 9 }, ['status.failedIndexes: Invalid value: "1,3": failedIndexes and completedIndexes overlap at index: 3']],
  ['pods counted twice', { uncountedTerminatedPods: { succeeded: ['a', ''], failed: ['a'] } }, {}, {}, ['status.uncountedTerminatedPods.succeeded[1]: Invalid value: "": must not be empty', 'status.uncountedTerminatedPods.failed[0]: Duplicate value: "a"']],
  ['what was wrong before', { ...conditions('Failed'), active: 2, failed: 3 }, { ...conditions('Failed'), active: 2 }, {}, []],
]
for (const [what, status, old, spec, wrong] of TABLE) test(`a Job's status: ${what}`, () => deepStrictEqual(told(status, old, spec), wrong))

test('only where a suspended Job\'s pods may run is changed, never how they stand to each other', async () => {
  const c = cluster()
  const JOBS = '/apis/batch/v1/namespaces/default/jobs'
  const podAffinity = { preferredDuringSchedulingIgnoredDuringExecution: [{ weight: 1, podAffinityTerm: { topologyKey: 'k', labelSelector: {} } }] }
  const nodeAffinity = { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [{ matchExpressions: [{ key: 'k', operator: 'Exists' }] }] } }
  await c.create(JOBS, { metadata: { name: 'j' }, spec: { suspend: true, template: { spec: { restartPolicy: 'Never', containers: [{ name: 'c', image: 'i' }] } } } })
  const patched = async (affinity: object) => (await c.call('PATCH', `${JOBS}/j`, { spec: { template: { spec: { affinity } } } }, MERGE)).status
  deepStrictEqual([await patched({ nodeAffinity }), await patched({ podAffinity })], [200, 422])
})

test('a schedule\'s zone may stay where there was one', async () => {
  const c = cluster()
  const made = await c.call('POST', '/apis/batch/v1/namespaces/default/cronjobs', { metadata: { name: 'a' }, spec: { schedule: 'TZ=UTC * * * * *', jobTemplate: { spec: { template: { spec: { restartPolicy: 'Never', containers: [{ name: 'c', image: 'i' }] } } } } } })
  deepStrictEqual([causes(made), made.headers['warning']], [['spec.schedule: Invalid value: "TZ=UTC * * * * *": cannot use TZ or CRON_TZ in schedule, use timeZone field instead'], undefined])
})
