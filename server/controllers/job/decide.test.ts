import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Job, JobStatus, Pod, Stored } from '#api/types/index.ts'
import { seededRandom } from '#base/random.ts'
import { decideJob, type JobAction } from './decide.ts'
import { judgeFailure } from './failure-policy.ts'
import { formatIndexes, parseIndexes } from './indexes.ts'
import { TRACKING } from './pods.ts'

const NOW = Date.UTC(2026, 0, 1, 12)
const at = (secondsAgo: number) => new Date(NOW - secondsAgo * 1000).toISOString().replace('.000', '')
const META = { namespace: 'default', resourceVersion: '1', creationTimestamp: at(1000) }

const job = (spec: object = {}, status: JobStatus = { startTime: at(900) }, meta: object = {}): Stored<Job> => ({
  metadata: { ...META, name: 'j', uid: 'j', ...meta }, status,
  spec: { completions: 1, parallelism: 1, backoffLimit: 6, selector: { matchLabels: { 'batch.kubernetes.io/controller-uid': 'j' } }, template: { spec: { restartPolicy: 'Never', containers: [{ name: 'c' }] } }, ...spec },
})

interface Quick { index?: number; failures?: number; ended?: number; tracked?: boolean; deleting?: boolean; exitCode?: number; restarts?: number }
const pod = (name: string, phase: string, q: Quick = {}): Stored<Pod> => ({
  metadata: {
    ...META, name, uid: `u-${name}`, labels: { 'batch.kubernetes.io/controller-uid': 'j' }, ...(q.tracked !== false && { finalizers: [TRACKING] }), ...(q.deleting && { deletionTimestamp: at(1) }),
    ownerReferences: [{ apiVersion: 'batch/v1', kind: 'Job', name: 'j', uid: 'j', controller: true }],
    annotations: { ...(q.index !== undefined && { 'batch.kubernetes.io/job-completion-index': String(q.index) }), ...(q.failures !== undefined && { 'batch.kubernetes.io/job-index-failure-count': String(q.failures) }) },
  },
  spec: { containers: [{ name: 'c' }], nodeName: 'n' },
  status: { phase, containerStatuses: [{ name: 'c', image: '', imageID: '', ready: false, restartCount: q.restarts ?? 0, ...(q.ended !== undefined && { state: { terminated: { exitCode: q.exitCode ?? 1, finishedAt: at(q.ended) } } }) }] },
})

const decide = (of: Stored<Job> | undefined, pods: Stored<Pod>[], left: Stored<Pod>[] = [], goneFailuresMs: number[] = []) => decideJob({ job: of, pods, left, goneFailuresMs, unseenUntilMs: undefined }, { nowMs: NOW, random: seededRandom(1) })
const shown = (actions: readonly JobAction[]): string[] => actions.map((a) => {
  switch (a.kind) {
    case 'createPods': return `create ${a.pods.map((p) => p.metadata?.annotations?.['batch.kubernetes.io/job-completion-index'] ?? 'one').join()}`
    case 'deletePods': return `delete ${a.pods.map((p) => p.metadata.name).join()}${a.uncounted ? ' uncounted' : ''}`
    case 'untrackPods': return `untrack ${a.pods.map((p) => p.metadata.name).join()}`
    case 'writeStatus': return `status ${[a.status.active ?? 0, a.status.succeeded ?? 0, a.status.failed ?? 0].join('/')} ${(a.status.uncountedTerminatedPods?.succeeded ?? []).join()}|${(a.status.uncountedTerminatedPods?.failed ?? []).join()} ${(a.status.conditions ?? []).map((c) => `${c.type}=${c.status}`).join()}`.trim()
    case 'tell': return `tell ${a.reason}`
    default: return a.kind
  }
})

const CASES: { name: string; of?: Stored<Job> | undefined; pods: Stored<Pod>[]; left?: Stored<Pod>[]; does: string[]; wake?: number }[] = [
  { name: 'a pod that has ended is written down before it is let go', pods: [pod('a', 'Succeeded')], does: ['status 0/0/0 u-a| SuccessCriteriaMet=True', 'untrack a'] },
  { name: 'one that is written down and not let go is let go', of: job({}, { startTime: at(900), uncountedTerminatedPods: { succeeded: ['u-a'] }, conditions: [{ type: 'SuccessCriteriaMet', status: 'True' }] }), pods: [pod('a', 'Succeeded')], does: ['status 0/0/0 u-a| SuccessCriteriaMet=True', 'untrack a'] },
  { name: 'one that is let go is counted, and the Job is complete', of: job({}, { startTime: at(900), uncountedTerminatedPods: { succeeded: ['u-a'] }, conditions: [{ type: 'SuccessCriteriaMet', status: 'True' }] }), pods: [pod('a', 'Succeeded', { tracked: false })], does: ['status 0/1/0 | SuccessCriteriaMet=True,Complete=True', 'tell Completed'] },
  { name: 'so is one that is gone', of: job({ completions: 2 }, { startTime: at(900), uncountedTerminatedPods: { failed: ['u-a'] } }), pods: [], does: ['status 0/0/1 |', 'create one'] },
  { name: 'after a failure the next pod waits', pods: [pod('a', 'Failed', { ended: 4, tracked: false })], of: job({}, { startTime: at(900), failed: 1, terminating: 0, ready: 0, uncountedTerminatedPods: {} }), does: [], wake: 6 },
  { name: 'twice as long after two', pods: [pod('a', 'Failed', { ended: 40, tracked: false }), pod('b', 'Failed', { ended: 4, tracked: false })], of: job({}, { startTime: at(900), failed: 2, terminating: 0, ready: 0, uncountedTerminatedPods: {} }), does: [], wake: 16 },
  { name: 'a deleted pod is a failure', pods: [pod('a', 'Running', { deleting: true })], does: ['status 0/0/0 |u-a', 'untrack a'], wake: 9 },
  { name: 'unless failures are told apart: then it is waited for', of: job({ podReplacementPolicy: 'Failed' }), pods: [pod('a', 'Running', { deleting: true })], does: ['status 0/0/0 |'] },
  { name: 'pods too many are taken back, not failed', of: job({ completions: 3 }), pods: [pod('a', 'Running'), pod('b', 'Pending')], does: ['status 2/0/0 |', 'delete b uncounted'] },
  { name: 'suspended: all are', of: job({ suspend: true }), pods: [pod('a', 'Running')], does: ['status 1/0/0 | Suspended=True', 'tell Suspended', 'delete a uncounted'] },
  { name: 'restarts in place count where pods restart', of: job({ backoffLimit: 2, template: { spec: { restartPolicy: 'OnFailure', containers: [] } } }), pods: [pod('a', 'Running', { restarts: 2 })], does: ['status 1/0/0 | FailureTarget=True', 'delete a'] },
  { name: 'indexes are made that nobody has', of: job({ completionMode: 'Indexed', completions: 5, parallelism: 3 }, { startTime: at(900), completedIndexes: '0-1' }), pods: [pod('x', 'Running', { index: 3 })], does: ['status 1/2/0 |', 'create 2,4'] },
  { name: 'of two with an index one goes', of: job({ completionMode: 'Indexed', completions: 2, parallelism: 2 }), pods: [pod('x', 'Running', { index: 0 }), pod('y', 'Pending', { index: 0 }), pod('z', 'Running', { index: 1 })], does: ['status 3/0/0 |', 'delete y uncounted'] },
  { name: 'an index that failed waits by itself, its pod keeps the count', of: job({ completionMode: 'Indexed', completions: 2, parallelism: 2, backoffLimitPerIndex: 3 }), pods: [pod('x', 'Failed', { index: 0, failures: 1, ended: 5 })], does: ['status 0/0/0 |', 'create 1'], wake: 15 },
  { name: 'and is let go when another has taken its place', of: job({ completionMode: 'Indexed', completions: 1, parallelism: 1, backoffLimitPerIndex: 3 }), pods: [pod('x', 'Failed', { index: 0, failures: 0, ended: 5 }), pod('y', 'Running', { index: 0, failures: 1 })], does: ['status 1/0/0 |u-x', 'untrack x'] },
  { name: 'a Job that is over lets all go', of: job({}, { startTime: at(900), conditions: [{ type: 'Failed', status: 'True' }] }), pods: [pod('a', 'Running')], does: ['untrack a'] },
  { name: 'so does one that is no more', of: undefined, pods: [], left: [pod('a', 'Running')], does: ['untrack a'] },
  { name: 'one that somebody else looks after is left alone', of: job({ managedBy: 'example.com/x' }), pods: [], does: [] },
]
for (const { name, pods, left, does, wake, ...rest } of CASES) {
  test(`Job: ${name}`, () => {
    const { actions, wakeAtMs } = decide('of' in rest ? rest.of : job(), pods, left)
    assert.deepStrictEqual([shown(actions), wakeAtMs === undefined ? undefined : (wakeAtMs - NOW) / 1000], [does, wake])
  })
}

test('failures of pods that are gone make the next one wait, too', () => {
  const settled = job({}, { startTime: at(900), failed: 2, terminating: 0, ready: 0, uncountedTerminatedPods: {} })
  const { actions, wakeAtMs } = decide(settled, [pod('a', 'Failed', { ended: 40, tracked: false })], [], [NOW - 5_000])
  assert.deepStrictEqual([actions, wakeAtMs], [[], NOW + 15_000])
})

test('rules of a failure policy in order, in upstream\'s words', () => {
  const rules = [
    { action: 'Ignore', onPodConditions: [{ type: 'DisruptionTarget', status: 'True' }] }, { action: 'FailJob', onExitCodes: { containerName: 'c', operator: 'In', values: [3] } }, { action: 'FailIndex', onExitCodes: { operator: 'NotIn', values: [4] } },
  ]
  const of = (exitCode: number, conditions: { type: string; status: string }[] = [], more: object = { backoffLimitPerIndex: 1 }) => {
    const failed = pod('p', 'Failed', { ended: 1, exitCode })
    return judgeFailure(job({ podFailurePolicy: { rules }, ...more }), { ...failed, status: { ...failed.status, conditions } })
  }
  const said = (what: string) => `Container c for pod default/p failed with exit code ${what}`
  assert.deepStrictEqual([of(3, [{ type: 'DisruptionTarget', status: 'True' }]), of(3), of(5), of(5, [], {}), of(4), judgeFailure(job({ podFailurePolicy: { rules } }), pod('p', 'Running'))], [
    { action: 'Ignore', message: 'Pod default/p has condition DisruptionTarget matching Ignore rule at index 0' }, { action: 'FailJob', message: said('3 matching FailJob rule at index 1') },
    { action: 'FailIndex', message: said('5 matching FailIndex rule at index 2') }, { action: 'Count', message: '' }, { action: 'Count', message: '' }, { action: 'Count', message: '' },
  ])
})

test('lists of indexes are read as they are written', () => {
  assert.deepStrictEqual([formatIndexes([0, 1, 2, 4, 6, 7]), [...parseIndexes('0-2,4,6,7')], [...parseIndexes('0-9', 3)]], ['0-2,4,6,7', [0, 1, 2, 4, 6, 7], [0, 1, 2]])
  fc.assert(fc.property(fc.uniqueArray(fc.nat(200)), (list) => assert.deepStrictEqual([...parseIndexes(formatIndexes(list))], list.toSorted((a, b) => a - b))))
})
