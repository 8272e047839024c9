import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '#base/random.ts'
import type { PodAction } from './pod-action.ts'
import { decidePodActions } from './pod-actions.ts'
import { podStatus } from './pod-status.ts'
import { aContainer, aPod, aSandbox, aView, exited, NOW, running, SANDBOX } from './testing/builders.ts'
import type { PodView } from './view.ts'

const ctx = (nowMs = NOW) => ({ nowMs, random: seededRandom(1) })

/** All but the status, which has its own tables. */
function decide(more: Partial<PodView>, nowMs = NOW): { actions: PodAction[]; wakeInMs?: number } {
  const { actions, wakeAtMs } = decidePodActions(aView(more), ctx(nowMs))
  return { actions: actions.filter((a) => a.kind !== 'reportStatus'), ...(wakeAtMs !== undefined && { wakeInMs: wakeAtMs - nowMs }) }
}
const start = (name: string, attempt = 0, more: object = {}) => ({ kind: 'startContainer', name, type: 'app', sandboxId: SANDBOX, attempt, backoffSeconds: 0, ...more })
const begin = (name: string, graceSeconds = 30) => ({ kind: 'beginStop', id: `${name}-0`, name, graceSeconds })
const kill = (name: string, graceSeconds: number, because: string, more: object = {}) => ({ kind: 'killContainer', id: `${name}-0`, name, graceSeconds, because, preStop: true, ...more })

const two = aPod({ containers: [aContainer('a'), aContainer('b')] })
const deleted = (spec: object = {}, metadata: object = {}) => aPod(spec, { deletionTimestamp: '2026-01-01T00:00:30Z', deletionGracePeriodSeconds: 30, ...metadata })
const withSidecars = { initContainers: [aContainer('s1', { restartPolicy: 'Always' }), aContainer('i'), aContainer('s2', { restartPolicy: 'Always' })] }

const table: [string, Partial<PodView>, { actions: unknown[]; wakeInMs?: number }, number?][] = [
  ['a new pod is prepared first', { sandboxes: [], prepared: false }, { actions: [{ kind: 'preparePod' }] }],
  ['then it gets its sandbox', { sandboxes: [] }, { actions: [{ kind: 'createSandbox', attempt: 0 }] }],
  ['while the sandbox is being made nothing else happens', { sandboxes: [], inFlight: [{ lane: 'createSandbox', action: { kind: 'createSandbox', attempt: 0 }, sinceMs: NOW }] }, { actions: [] }],
  ['a sandbox that failed rests', { sandboxes: [], failures: new Map([['createSandbox', { reason: 'x', message: 'y', atMs: NOW, count: 1, retryAtMs: NOW + 700 }]]) }, { actions: [], wakeInMs: 700 }],
  ['containers start one after another', { pod: two }, { actions: [start('a')] }],
  ['the second waits for the first, its pull and its hook', { pod: two, containers: [running('a')], inFlight: [{ lane: 'start:a', action: start('a') as PodAction, sinceMs: NOW }] }, { actions: [] }],
  ['then it is its turn', { pod: two, containers: [running('a')] }, { actions: [start('b')] }],
  ['a failing pull of the first does not hold the second back', { pod: two, failures: new Map([['start:a', { reason: 'ErrImagePull', message: 'm', atMs: NOW, count: 1, retryAtMs: NOW + 10_000 }]]) }, { actions: [start('b')], wakeInMs: 3_000 }],
  ['a pod that runs is left alone', { containers: [running('app')] }, { actions: [] }],
  ['what was created before a crash is only started', { containers: [running('app', { state: 'created', id: 'c9', backoffSeconds: 20, restartCount: 3 })] }, { actions: [start('app', 3, { backoffSeconds: 20, createdId: 'c9' })] }],
  ['the first restart is immediate', { containers: [exited('app', 1)] }, { actions: [start('app', 1, { backoffSeconds: 10 })] }],
  ['a further one waits as long as its attempt was given, and says so', { containers: [exited('app', 1, { restartCount: 1, backoffSeconds: 10 })] }, { actions: [{ kind: 'reportBackOff', name: 'app', of: 'restart', mark: 'app-1', message: 'Back-off restarting failed container app in pod web_default(u1)' }], wakeInMs: 10_000 }],
  ['once only', { containers: [exited('app', 1, { restartCount: 1, backoffSeconds: 10 })], backOffReported: new Set(['app-1']) }, { actions: [], wakeInMs: 10_000 }],
  ['then it starts with twice that', { containers: [exited('app', 1, { restartCount: 1, backoffSeconds: 10 })] }, { actions: [start('app', 2, { backoffSeconds: 20 })] }, NOW + 10_000],
  ['five minutes is the most', { containers: [exited('app', 1, { restartCount: 9, backoffSeconds: 300 })] }, { actions: [start('app', 10, { backoffSeconds: 300 })] }, NOW + 300_000],
  ['a run of ten minutes is forgiven', { containers: [exited('app', 1, { restartCount: 9, backoffSeconds: 300, createdAtMs: NOW - 600_001 })] }, { actions: [start('app', 10, { backoffSeconds: 10 })] }],
  ['with another image it is tried at once, and its crash loop starts anew', { pod: aPod({ containers: [aContainer('app', { image: 'docker.io/library/busybox:2' })] }), containers: [exited('app', 1, { restartCount: 9, backoffSeconds: 300 })] }, { actions: [start('app', 10, { backoffSeconds: 10 })], wakeInMs: 1_000 }],
  ['so with other resources', { pod: aPod({ containers: [aContainer('app', { resources: { limits: { cpu: '2' } } })] }), containers: [exited('app', 1, { restartCount: 9, backoffSeconds: 300 })] }, { actions: [start('app', 10, { backoffSeconds: 10 })] }],
  ['but not because an earlier release did not note what its crash loop is of', { containers: [exited('app', 1, { restartCount: 9, backoffSeconds: 300, crashLoopKey: '' })], backOffReported: new Set(['app-9']) }, { actions: [], wakeInMs: 300_000 }],
  ['older attempts are removed, the last two stay', { containers: [running('app', { restartCount: 3 }), exited('app', 1, { restartCount: 2 }), exited('app', 1, { restartCount: 1 })] }, { actions: [{ kind: 'removeContainer', id: 'app-1' }] }],
  ['OnFailure does not restart success', { pod: aPod({ restartPolicy: 'OnFailure', containers: [aContainer('a'), aContainer('b')] }), containers: [exited('a', 0), running('b')] }, { actions: [] }],
  ['a container may have a policy of its own', { pod: aPod({ restartPolicy: 'Never', containers: [aContainer('a', { restartPolicy: 'OnFailure' }), aContainer('b')] }), containers: [exited('a', 1), running('b')] }, { actions: [start('a', 1, { backoffSeconds: 10 })] }],
  ['and rules by exit code', { pod: aPod({ restartPolicy: 'Never', containers: [aContainer('a', { restartPolicy: 'Never', restartPolicyRules: [{ action: 'Restart', exitCodes: { operator: 'In', values: [42] } }] }), aContainer('b')] }), containers: [exited('a', 42), running('b')] }, { actions: [start('a', 1, { backoffSeconds: 10 })] }],
  ['init containers come first, in order', { pod: aPod({ initContainers: [aContainer('i'), aContainer('j')] }), containers: [exited('i', 0)] }, { actions: [start('j', 0, { type: 'init' })] }],
  ['those before one that has begun have had their turn, though the runtime has lost them', { pod: aPod({ initContainers: [aContainer('i'), aContainer('j'), aContainer('k')] }), containers: [exited('j', 0)] }, { actions: [start('k', 0, { type: 'init' })] }],
  ['also while it runs', { pod: aPod({ initContainers: [aContainer('i'), aContainer('j')] }), containers: [running('j')] }, { actions: [] }],
  ['one that runs holds all back', { pod: aPod({ initContainers: [aContainer('i')] }), containers: [running('i')] }, { actions: [] }],
  ['one that failed is tried again', { pod: aPod({ initContainers: [aContainer('i')] }), containers: [exited('i', 1)] }, { actions: [start('i', 1, { type: 'init', backoffSeconds: 10 })] }],
  ['once an app container has run they are not looked at again', { pod: aPod({ initContainers: [aContainer('i')] }), containers: [exited('app', 1)] }, { actions: [start('app', 1, { backoffSeconds: 10 })] }],
  ['a sidecar starts in its place among them', { pod: aPod(withSidecars) }, { actions: [start('s1', 0, { type: 'sidecar' })] }],
  ['and lets the next go on while it runs', { pod: aPod(withSidecars), containers: [running('s1')] }, { actions: [start('i', 0, { type: 'init' })] }],
  ['unless its startup probe has not succeeded', { pod: aPod({ initContainers: [aContainer('s1', { restartPolicy: 'Always', startupProbe: {} }), aContainer('i')] }), containers: [running('s1')] }, { actions: [] }],
  ['a sidecar that ended is restarted beside the app', { pod: aPod(withSidecars), containers: [running('app'), exited('s1', 0), running('s2'), exited('i', 0)] }, { actions: [start('s1', 1, { type: 'sidecar', backoffSeconds: 10 })] }],
  ['a failed liveness probe kills that container and leaves the sandbox', { pod: aPod({ containers: [aContainer('app', { livenessProbe: { terminationGracePeriodSeconds: 7 } })] }), containers: [running('app')], probes: new Map([['app-0', { liveness: 'failure' }]]) }, { actions: [kill('app', 7, 'liveness')] }],
  ['so does a failed startup probe, with the pod\'s grace', { pod: aPod({ containers: [aContainer('app', { startupProbe: {} })] }), containers: [running('app')], probes: new Map([['app-0', { startup: 'failure' }]]) }, { actions: [kill('app', 30, 'startup')] }],
  ['a new image replaces the container in place', { containers: [running('app', { hash: 'another' })] }, { actions: [kill('app', 30, 'definition')] }],
  ['that comes before its probes, unless it is a sidecar that never started', { pod: aPod({ initContainers: [aContainer('s', { restartPolicy: 'Always' })] }), containers: [running('app', { hash: 'another' }), running('s', { hash: 'another' })], probes: new Map([['app-0', { startup: 'failure', liveness: 'failure' }], ['s-0', { startup: 'failure', liveness: 'failure' }]]) }, { actions: [kill('s', 30, 'startup'), kill('app', 30, 'definition')] }],
  ['of an app container\'s probes liveness comes first', { containers: [running('app')], probes: new Map([['app-0', { startup: 'failure', liveness: 'failure' }]]) }, { actions: [kill('app', 30, 'liveness')] }],
  ['one that the runtime has lost is counted once', { reported: { containerStatuses: [{ name: 'app', image: 'i', imageID: 'i', ready: false, restartCount: 3, containerID: 'x', state: { waiting: {} }, lastState: { terminated: { exitCode: 137, reason: 'ContainerStatusUnknown' } } }] } }, { actions: [start('app', 3)] }],
  ['a dead sandbox is followed by the next attempt', { sandboxes: [aSandbox({ state: 'notready' })], containers: [exited('app', 137)] }, { actions: [{ kind: 'createSandbox', attempt: 1 }] }],
  ['what still runs of the old one is killed first', { sandboxes: [aSandbox({ state: 'notready' })], containers: [running('app')] }, { actions: [kill('app', 2, 'sandbox', { preStop: false })] }],
  ['in a new sandbox containers start at once whatever their back-off', { sandboxes: [aSandbox({ id: 'sandbox-1' }), aSandbox({ state: 'notready' })], containers: [exited('app', 137, { restartCount: 4, backoffSeconds: 160 })] }, { actions: [start('app', 5, { sandboxId: 'sandbox-1', backoffSeconds: 160 })] }],
  ['a pod that shall not restart gets no new sandbox', { pod: aPod({ restartPolicy: 'Never' }), sandboxes: [aSandbox({ state: 'notready' })], containers: [exited('app', 255)] }, { actions: [{ kind: 'tearDown' }] }],
  ['a sandbox without an address is no use', { sandboxes: [aSandbox({ ips: [] })] }, { actions: [{ kind: 'stopSandbox', id: SANDBOX }] }],
  ['except on the host\'s network', { pod: aPod({ hostNetwork: true }), sandboxes: [aSandbox({ ips: [] })] }, { actions: [start('app')] }],
  ['deletion stops app containers with what is left of the grace', { pod: deleted(), endingSinceMs: NOW - 12_000, containers: [running('app')] }, { actions: [kill('app', 18, 'stopping')] }],
  ['never with less than two seconds', { pod: deleted(), endingSinceMs: NOW - 60_000, containers: [running('app')] }, { actions: [kill('app', 2, 'stopping')] }],
  ['a kill under way is not repeated', { pod: deleted(), endingSinceMs: NOW, containers: [running('app')], inFlight: [{ lane: 'kill:app-0', action: kill('app', 30, 'stopping') as PodAction, sinceMs: NOW }] }, { actions: [] }],
  ['but cut short when a second delete gives less', { pod: deleted({}, { deletionGracePeriodSeconds: 1 }), endingSinceMs: NOW, containers: [running('app')], inFlight: [{ lane: 'kill:app-0', action: kill('app', 30, 'stopping') as PodAction, sinceMs: NOW }] }, { actions: [{ kind: 'cancel', lane: 'kill:app-0' }] }],
  ['a start under way is called off', { pod: deleted(), endingSinceMs: NOW, inFlight: [{ lane: 'start:app', action: start('app') as PodAction, sinceMs: NOW }] }, { actions: [{ kind: 'cancel', lane: 'start:app' }] }],
  ['sidecars stop after the app, the last first', { pod: deleted(withSidecars), endingSinceMs: NOW, containers: [exited('app', 0), running('s1'), running('s2')] }, { actions: [begin('s1'), kill('s2', 30, 'stopping')], wakeInMs: 30_000 }],
  ['their preStop hooks wait for nobody', { pod: deleted(withSidecars), endingSinceMs: NOW, containers: [running('app'), running('s1'), running('s2')] }, { actions: [kill('app', 30, 'stopping'), begin('s1'), begin('s2')], wakeInMs: 30_000 }],
  ['and run once', { pod: deleted(withSidecars), endingSinceMs: NOW - 10_000, containers: [running('app'), running('s1'), running('s2')], stopBegun: new Set(['s1-0', 's2-0']) }, { actions: [kill('app', 20, 'stopping')], wakeInMs: 20_000 }],
  ['a sidecar whose hook has run is stopped in its turn', { pod: deleted(withSidecars), endingSinceMs: NOW - 10_000, containers: [exited('app', 0), running('s1'), running('s2')], stopBegun: new Set(['s1-0', 's2-0']) }, { actions: [kill('s2', 20, 'stopping', { begun: true })], wakeInMs: 20_000 }],
  ['and waits for its own hook, whoever has ended', { pod: deleted(withSidecars), endingSinceMs: NOW, containers: [exited('app', 0), running('s1')], inFlight: [{ lane: 'kill:s1-0', action: begin('s1') as PodAction, sinceMs: NOW }] }, { actions: [] }],
  ['when the grace is over no sidecar waits any more', { pod: deleted(withSidecars), endingSinceMs: NOW - 30_000, containers: [running('app'), running('s1'), running('s2')], stopBegun: new Set(['s1-0', 's2-0']) }, { actions: [kill('app', 2, 'stopping'), kill('s1', 2, 'stopping', { begun: true }), kill('s2', 2, 'stopping', { begun: true })] }],
  ['nor for init containers or ephemeral ones', { pod: deleted({ ...withSidecars, ephemeralContainers: [{ name: 'debug', image: 'busybox:1' }] }), endingSinceMs: NOW, containers: [exited('app', 0), running('debug'), running('i'), running('s2')] }, { actions: [kill('debug', 30, 'stopping'), kill('i', 30, 'stopping'), kill('s2', 30, 'stopping')] }],
  ['then the sandbox stops', { pod: deleted(), endingSinceMs: NOW, containers: [exited('app', 0)] }, { actions: [{ kind: 'stopSandbox', id: SANDBOX }] }],
  ['then volumes and cgroup go', { pod: deleted(), endingSinceMs: NOW, sandboxes: [aSandbox({ state: 'notready' })], containers: [exited('app', 0)] }, { actions: [{ kind: 'tearDown' }] }],
  ['nothing is removed before the last status has been told', { pod: deleted(), endingSinceMs: NOW, tornDown: true, sandboxes: [aSandbox({ state: 'notready' })], containers: [exited('app', 0)] }, { actions: [] }],
  ['with everything gone the API is told', { pod: deleted(), endingSinceMs: NOW, tornDown: true, sandboxes: [], reported: { phase: 'Succeeded' } }, { actions: [{ kind: 'finishDeletion' }] }],
  ['once', { pod: deleted(), endingSinceMs: NOW, tornDown: true, finished: true, sandboxes: [], reported: { phase: 'Succeeded' } }, { actions: [] }],
  ['a pod taken from the API by force gets two seconds', { pod: deleted({}, { deletionGracePeriodSeconds: 600 }), removed: true, endingSinceMs: NOW, containers: [running('app')] }, { actions: [kill('app', 2, 'stopping')] }],
  ['its remains are removed without a word', { pod: deleted(), removed: true, endingSinceMs: NOW, tornDown: true, sandboxes: [aSandbox({ state: 'notready' })], containers: [exited('app', 0)] }, { actions: [{ kind: 'removeSandbox', id: SANDBOX }] }],
  ['and then it is forgotten', { pod: deleted(), removed: true, endingSinceMs: NOW, tornDown: true, sandboxes: [] }, { actions: [{ kind: 'forget' }] }],
  ['a pod within its deadline is looked at when it ends', { pod: aPod({ activeDeadlineSeconds: 60 }), containers: [running('app')] }, { actions: [], wakeInMs: 60_000 }],
  ['a deleted pod that the node ends, too, has the shorter of both graces', { pod: deleted(), endingSinceMs: NOW, rejected: { reason: 'Terminated', message: 'm', eviction: { graceSeconds: 5, sinceMs: NOW } }, containers: [running('app')] }, { actions: [kill('app', 5, 'stopping')] }],
  ['... whichever that is', { pod: deleted(), endingSinceMs: NOW, rejected: { reason: 'Terminated', message: 'm', eviction: { graceSeconds: 60, sinceMs: NOW } }, containers: [running('app')] }, { actions: [kill('app', 30, 'stopping')] }],
  ['after it everything stops', { pod: aPod({ activeDeadlineSeconds: 60 }), containers: [running('app')] }, { actions: [{ kind: 'reportDeadline', mark: 'its deadline' }, kill('app', 30, 'stopping')] }, NOW + 60_000],
  ['a finished pod ends its sidecars', { pod: aPod({ ...withSidecars, restartPolicy: 'Never' }), containers: [exited('app', 0), exited('i', 0), running('s1'), running('s2')] }, { actions: [begin('s1'), kill('s2', 30, 'stopping')], wakeInMs: 30_000 }],
  ['an init container that failed for good ends the pod', { pod: aPod({ initContainers: [aContainer('i')], restartPolicy: 'Never' }), containers: [exited('i', 1)] }, { actions: [{ kind: 'stopSandbox', id: SANDBOX }] }],
  ['a pod the API calls Failed is never started again', { reported: { phase: 'Failed' }, tornDown: true, sandboxes: [] }, { actions: [] }],
  ['an ephemeral container starts beside the rest, once', { pod: aPod({ ephemeralContainers: [{ name: 'debug', image: 'busybox:1' }] }), containers: [running('app')] }, { actions: [start('debug', 0, { type: 'ephemeral' })] }],
  ['and is not restarted', { pod: aPod({ ephemeralContainers: [{ name: 'debug', image: 'busybox:1' }] }), containers: [running('app'), exited('debug', 1)] }, { actions: [] }],
  ['a container the runtime lost counts on from what the API knows', { reported: { containerStatuses: [{ name: 'app', image: '', imageID: '', ready: true, restartCount: 4, containerID: 'memory://x' }] } }, { actions: [start('app', 5)] }],
]

for (const [name, view, expected, nowMs] of table) test(name, () => assert.deepStrictEqual(decide(view, nowMs), expected))

test('what is told is told once: an equal status is no action', () => {
  const view = aView({ containers: [running('app')] })
  const reported = podStatus(view, ctx())
  assert.deepStrictEqual(decidePodActions({ ...view, reported }, ctx()).actions, [])
  assert.deepStrictEqual(decidePodActions(view, ctx()).actions, [{ kind: 'reportStatus', status: reported }])
})

test('deciding changes nothing of the view', () => {
  const view = aView({ pod: two, containers: [running('a'), exited('b', 1)] })
  const before = structuredClone(view)
  decidePodActions(view, ctx())
  assert.deepStrictEqual(view, before)
})
