import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '#base/random.ts'
import { podStatus } from './pod-status.ts'
import { sameStatus, statusPatch } from './status-patch.ts'
import { aContainer, aPod, aSandbox, aView, exited, NOW, running } from './testing/builders.ts'
import type { PodView } from './view.ts'

const status = (more: Partial<PodView>, nowMs = NOW) => podStatus(aView(more), { nowMs, random: seededRandom(1) })
const failure = (reason: string, message: string, atMs = NOW, retryAtMs = NOW + 10_000) => ({ reason, message, atMs, count: 1, retryAtMs })
const state = (more: Partial<PodView>, nowMs = NOW) => status(more, nowMs).containerStatuses?.[0]
const condition = (type: string, more: Partial<PodView>) => {
  const { status: value, reason, message } = status(more).conditions?.find((c) => c.type === type) ?? { status: '' }
  return [value, reason, message]
}
const phase = (more: Partial<PodView>) => status(more).phase
const starting = (name: string) => ({ lane: `start:${name}`, action: { kind: 'startContainer' as const, name, type: 'app' as const, sandboxId: 's0', attempt: 2, backoffSeconds: 0 }, sinceMs: NOW })
/** Why the containers wait or ended, init containers first. */
const statesOf = (more: Partial<PodView>) => {
  const { initContainerStatuses = [], containerStatuses = [] } = status(more)
  return [...initContainerStatuses, ...containerStatuses].map((s) => s.state?.waiting?.reason ?? s.state?.terminated?.reason)
}
const never = (more: object = {}) => aPod({ restartPolicy: 'Never', ...more })
const startFailed = (reason: string, message: string) => ({ failures: new Map([['start:app', failure(reason, message)]]) })
const gone = { sandboxes: [aSandbox({ state: 'notready' as const })] }

const table: [string, unknown, unknown][] = [
  ['Pending until all app containers have started', [phase({ sandboxes: [] }), phase({ containers: [running('app', { state: 'created' })] }), phase({ containers: [running('app')] })], ['Pending', 'Pending', 'Running']],
  ['one of two is Pending still', phase({ pod: aPod({ containers: [aContainer('app'), aContainer('b')] }), containers: [running('app')] }), 'Pending'],
  ['so it is again while init containers run again in another sandbox, and until sidecars there have started', [
    phase({ pod: aPod({ initContainers: [aContainer('i')] }), containers: [running('i', { sandboxId: 'new', restartCount: 1 }), exited('app', 137), exited('i', 0)], sandboxes: [aSandbox({ id: 'new' }), aSandbox({ state: 'notready' })] }),
    phase({ pod: aPod({ initContainers: [aContainer('s', { restartPolicy: 'Always', startupProbe: {} })] }), containers: [running('s', { sandboxId: 'new', restartCount: 1 }), exited('app', 137), exited('s', 0)], sandboxes: [aSandbox({ id: 'new' }), aSandbox({ state: 'notready' })] }),
    phase({ pod: aPod({ initContainers: [aContainer('s', { restartPolicy: 'Always', startupProbe: {} })] }), containers: [running('s', { restartCount: 1 }), exited('app', 137), exited('s', 0)] }),
  ], ['Pending', 'Pending', 'Running']],
  ['a crash loop is Running', phase({ containers: [exited('app', 1, { restartCount: 1, backoffSeconds: 10 })] }), 'Running'],
  ['all done well is Succeeded, one failure Failed, with nothing running', [phase({ pod: never(), containers: [exited('app', 0)], ...gone }), phase({ pod: never(), containers: [exited('app', 2)], ...gone })], ['Succeeded', 'Failed']],
  ['OnFailure that failed is Running', phase({ pod: aPod({ restartPolicy: 'OnFailure' }), containers: [exited('app', 2)] }), 'Running'],
  ['a sidecar that still runs keeps the end back', phase({ reported: { phase: 'Running' }, pod: never({ initContainers: [aContainer('s', { restartPolicy: 'Always' })] }), containers: [exited('app', 0), running('s')] }), 'Running'],
  ['a failed init container for good is Failed', phase({ pod: never({ initContainers: [aContainer('i')] }), containers: [exited('i', 1)], ...gone }), 'Failed'],
  ['what has ended stays so', phase({ reported: { phase: 'Failed' }, containers: [running('app')] }), 'Failed'],
  ['a deleted pod ends Failed or Succeeded by its codes', [phase({ pod: aPod({}, { deletionTimestamp: 'x' }), containers: [exited('app', 137)], ...gone }), phase({ pod: aPod({}, { deletionTimestamp: 'x' }), containers: [exited('app', 0)], ...gone })], ['Failed', 'Succeeded']],

  ['waiting is ContainerCreating, with init containers PodInitializing', [state({})?.state, state({ pod: aPod({ initContainers: [aContainer('i')] }) })?.state], [{ waiting: { reason: 'ContainerCreating' } }, { waiting: { reason: 'PodInitializing' } }]],
  ['an init container has started while it runs, and is ready once it has ended well', [running('i'), exited('i', 0), exited('i', 1)].map((c) => status({ pod: aPod({ initContainers: [aContainer('i')] }), containers: [c] }).initContainerStatuses?.map((s) => [s.started, s.ready])), [[[true, false]], [[false, true]], [[false, false]]]],
  ['a failed start says why', state(startFailed('CreateContainerConfigError', 'secret "x" not found'))?.state, { waiting: { reason: 'CreateContainerConfigError', message: 'secret "x" not found' } }],
  ['a failed pull is ErrImagePull at first', state(startFailed('ErrImagePull', 'no'))?.state, { waiting: { reason: 'ErrImagePull', message: 'no' } }],
  ['one for its signature, too', [state(startFailed('SignatureValidationFailed', 'no')), state(startFailed('SignatureValidationFailed', 'no'), NOW + 3_000)].map((s) => s?.state), [{ waiting: { reason: 'SignatureValidationFailed', message: 'no' } }, { waiting: { reason: 'ImagePullBackOff', message: 'Back-off pulling image "busybox:1": SignatureValidationFailed: no' } }]],
  ['the signal that a pod chose is told as its runtime took it, the image\'s is not', [state({ pod: aPod({ containers: [aContainer('app', { lifecycle: { stopSignal: 'SIGUSR1' } })] }), containers: [running('app', { stopSignal: 'SIGUSR1' })] }), state({ containers: [running('app', { stopSignal: 'SIGQUIT' })] })].map((s) => s?.stopSignal), ['SIGUSR1', undefined]],
  ['then ImagePullBackOff', state(startFailed('ErrImagePull', 'no'), NOW + 3_000)?.state, { waiting: { reason: 'ImagePullBackOff', message: 'Back-off pulling image "busybox:1": ErrImagePull: no' } }],
  ['a crash loop waits and tells the last end', [state({ containers: [exited('app', 3, { restartCount: 2, backoffSeconds: 20 })] })].map((s) => [s?.state, s?.restartCount, s?.lastState?.terminated?.exitCode]), [[{ waiting: { reason: 'CrashLoopBackOff', message: 'back-off 20s restarting failed container=app pod=web_default(u1)' } }, 2, 3]]],
  ['minutes are written as Go does', state({ containers: [exited('app', 3, { restartCount: 2, backoffSeconds: 160 })] })?.state?.waiting?.message, 'back-off 2m40s restarting failed container=app pod=web_default(u1)'],
  ['running after a restart remembers the end before', state({ containers: [running('app', { restartCount: 1 }), exited('app', 9)] })?.lastState?.terminated?.exitCode, 9],
  ['a killed one that will not be restarted is terminated', state({ pod: never(), containers: [exited('app', 137, { reason: 'OOMKilled', terminationMessage: 'too much' })], ...gone })?.state,
    { terminated: { exitCode: 137, reason: 'OOMKilled', message: 'too much', startedAt: '2026-01-01T00:00:00Z', finishedAt: '2026-01-01T00:00:00Z', containerID: 'memory://app-0' } }],
  ['a pod that ends before its container ran says so', state({ pod: aPod({}, { deletionTimestamp: 'x' }), sandboxes: [] })?.state, { terminated: { exitCode: 137, reason: 'ContainerStatusUnknown', message: 'The container could not be located when the pod was terminated' } }],
  ['how a container\'s devices are is told with it, and stays as it was told once they are given back', (() => {
    const allocatedResourcesStatus = [{ name: 'example.com/radio', resources: [{ resourceID: 'a', health: 'Unhealthy' }] }]
    const told = { containerStatuses: [{ name: 'app', image: '', imageID: '', ready: false, restartCount: 0, allocatedResourcesStatus }] }
    return [{ devices: new Map([['app', allocatedResourcesStatus]]) }, { reported: told }, {}].map((v) => state({ containers: [running('app')], ...v })?.allocatedResourcesStatus?.[0]?.resources?.[0]?.health)
  })(), ['Unhealthy', 'Unhealthy', undefined]],
  ['while a container is being restarted the end of the one before is told, and no restart is counted yet', [
    { containers: [running('app', { state: 'created', restartCount: 2 }), exited('app', 1, { restartCount: 1 })], inFlight: [starting('app')] },
    { containers: [running('app', { restartCount: 2 }), exited('app', 1, { restartCount: 1 })], inFlight: [starting('app')] },
    { containers: [running('app', { restartCount: 2 }), exited('app', 1, { restartCount: 1 })] },
  ].map((v) => [state(v)?.restartCount, state(v)?.ready, state(v)?.state?.terminated?.exitCode]), [[1, false, 1], [1, false, 1], [2, true, undefined]]],
  ['a container that ended because its image changed is told of as before for a second, unless what takes its place cannot start', (() => {
    const told = { containerStatuses: [{ name: 'app', image: '', imageID: '', ready: true, started: true, restartCount: 0 }] }
    const changed = { reported: told, pod: aPod({ containers: [aContainer('app', { image: 'busybox:2' })] }), containers: [exited('app', 143)] }
    return [state(changed), state({ ...changed, inFlight: [starting('app')] }), state(changed, NOW + 1_000), state({ ...changed, ...startFailed('ErrImagePull', 'no') }), state({ ...changed, pod: never({ containers: changed.pod.spec?.containers }) }), state({ reported: told, containers: [exited('app', 143)] })]
      .map((s) => [Object.keys(s?.state ?? {})[0], s?.ready, s?.started, s?.restartCount])
  })(), [['running', true, true, 0], ['running', true, true, 0], ['terminated', false, false, 0], ['waiting', false, false, 0], ['terminated', false, false, 0], ['terminated', false, false, 0]]],
  ['one that is stopped to be started again, though its policy takes its end for the last, is never told as ended: the API would take nothing else then', (() => {
    const told = { containerStatuses: [{ name: 'app', image: '', imageID: '', ready: true, started: true, restartCount: 0 }] }
    const failed = { reported: told, replacing: new Set(['app-0']), pod: aPod({ restartPolicy: 'OnFailure' }), containers: [exited('app', 0)] }
    return [state(failed), state(failed, NOW + 60_000), state({ ...failed, inFlight: [starting('app')] }, NOW + 60_000), state({ ...failed, containers: [exited('app', 0, { backoffSeconds: 20 })] }), state({ ...failed, ...startFailed('ErrImagePull', 'no'), inFlight: [starting('app')] }), state({ ...failed, replacing: new Set<string>() })]
      .map((s) => [Object.keys(s?.state ?? {})[0], s?.state?.waiting?.reason, s?.ready, s?.lastState?.terminated?.exitCode])
  })(), [['running', undefined, true, undefined], ['running', undefined, true, undefined], ['running', undefined, true, undefined], ['waiting', 'CrashLoopBackOff', false, 0], ['waiting', 'ErrImagePull', false, 0], ['terminated', undefined, false, undefined]]],
  ['statuses are in the order of names, those of init containers in that of the spec', (({ initContainerStatuses, containerStatuses }) => [initContainerStatuses, containerStatuses].map((list) => list?.map((s) => s.name)))(status({ pod: aPod({ initContainers: [aContainer('z'), aContainer('y')], containers: [aContainer('b'), aContainer('a')] }) })), [['z', 'y'], ['a', 'b']]],
  ['an init container that nobody knows of any more has ended well if its pod has begun; else it is to come', [[running('app')], []].map((containers) => status({ pod: aPod({ initContainers: [aContainer('i')] }), containers }).initContainerStatuses?.map((s) => [s.ready, s.state?.terminated?.message ?? s.state?.waiting?.reason])), [
    [[true, 'Unable to get init container status from container runtime and pod has been initialized, treat it as exited normally']], [[false, 'PodInitializing']],
  ]],
  ['a failed init container for good leaves what came after it waiting', statesOf({ pod: never({ initContainers: [aContainer('i'), aContainer('j')] }), containers: [exited('i', 1)], ...gone }), ['Error', 'PodInitializing', 'PodInitializing']],
  ['a pod deleted before anything ran: its first init container could not be located, the others never were to be', statesOf({ pod: aPod({ initContainers: [aContainer('i'), aContainer('j')] }, { deletionTimestamp: 'x' }), sandboxes: [] }), ['ContainerStatusUnknown', 'PodInitializing', 'PodInitializing']],
  ['once init containers are done, what did not run could not be located', [
    statesOf({ pod: aPod({ initContainers: [aContainer('i')] }, { deletionTimestamp: 'x' }), containers: [exited('i', 0)], ...gone }),
    statesOf({ pod: aPod({ containers: [aContainer('app'), aContainer('b')], initContainers: [aContainer('i')] }, { deletionTimestamp: 'x' }), containers: [exited('app', 0)], ...gone }).slice(1),
  ], [['Completed', 'ContainerStatusUnknown'], ['Completed', 'ContainerStatusUnknown']]],
  ['an ephemeral container is never ready, nor told to have started', [
    status({ pod: aPod({ ephemeralContainers: [aContainer('debug')] }), containers: [running('app')] }),
    status({ pod: aPod({ ephemeralContainers: [aContainer('debug')] }), containers: [running('app'), running('debug')] }),
  ].map((s) => s.ephemeralContainerStatuses?.map(({ ready, started, state }) => [ready, started, state?.waiting?.reason ?? 'running'])), [[[false, undefined, 'ContainerCreating']], [[false, undefined, 'running']]]],
  ['ready follows its probe, started its startup probe', [
    { pod: aPod({ containers: [aContainer('app', { readinessProbe: {} })] }), containers: [running('app')] },
    { pod: aPod({ containers: [aContainer('app', { readinessProbe: {} })] }), containers: [running('app')], probes: new Map([['app-0', { readiness: 'success' as const }]]) },
    { pod: aPod({ containers: [aContainer('app', { startupProbe: {} })] }), containers: [running('app')] },
    { pod: aPod({ containers: [aContainer('app', { startupProbe: {} })] }), containers: [running('app')], probes: new Map([['app-0', { startup: 'success' as const }]]) },
  ].map((v) => [state(v)?.started, state(v)?.ready]), [[true, false], [true, true], [false, false], [true, true]]],

  ['Ready tells which containers are not', condition('Ready', { pod: aPod({ containers: [aContainer('app'), aContainer('b'), aContainer('c')] }), containers: [running('app')] }), ['False', 'ContainersNotReady', 'containers with unready status: [b c]']],
  ['a finished pod is not ready because it is done', condition('Ready', { pod: never(), containers: [exited('app', 0)], ...gone }), ['False', 'PodCompleted', undefined]],
  ['a readiness gate holds Ready back, not ContainersReady', [
    condition('Ready', { pod: aPod({ readinessGates: [{ conditionType: 'a' }, { conditionType: 'b' }] }), containers: [running('app')], reported: { conditions: [{ type: 'b', status: 'False' }] } }),
    condition('ContainersReady', { pod: aPod({ readinessGates: [{ conditionType: 'a' }] }), containers: [running('app')] }),
  ], [['False', 'ReadinessGatesNotReady', 'corresponding condition of pod readiness gate "a" does not exist., the status of pod readiness gate "b" is not "True", but False'], ['True', undefined, undefined]]],
  ['Initialized tells what is to come', condition('Initialized', { pod: aPod({ initContainers: [aContainer('i'), aContainer('j')] }), containers: [exited('i', 0)] }), ['False', 'ContainersNotInitialized', 'containers with incomplete status: [j]']],
  ['what is initialized stays so while its init containers run again', condition('Initialized', { pod: aPod({ initContainers: [aContainer('i')] }), containers: [running('i')], reported: { conditions: [{ type: 'Initialized', status: 'True' }] } }), ['True', undefined, undefined]],
  ['no sandbox, no PodReadyToStartContainers', [condition('PodReadyToStartContainers', { sandboxes: [] })[0], condition('PodReadyToStartContainers', {})[0]], ['False', 'True']],
  ['a deadline is told', [status({ pod: aPod({ activeDeadlineSeconds: 1 }), firstSeenMs: NOW - 2_000, ...gone })].map((s) => [s.phase, s.reason, s.message]), [['Failed', 'DeadlineExceeded', 'Pod was active on the node longer than the specified deadline']]],
  ['on the host\'s network the addresses are the node\'s', [status({ pod: aPod({ hostNetwork: true }), sandboxes: [aSandbox({ ips: [] })] })].map((s) => [s.podIP, s.hostIP]), [['192.168.7.1', '192.168.7.1']]],
  ['a pod that holds claims has not ended before they are given back', [true, false].map((holdsClaims) => status({ pod: never(), containers: [exited('app', 0)], ...gone, holdsClaims, reported: { phase: 'Running' } }).phase), ['Running', 'Succeeded']],
  ['what others wrote stays', [status({ reported: { nominatedNodeName: 'n', conditions: [{ type: 'their/own', status: 'True' }] } })].map((s) => [s.nominatedNodeName, s.conditions?.at(-1)]), [['n', { type: 'their/own', status: 'True' }]]],
]
for (const [name, actual, expected] of table) test(name, () => assert.deepStrictEqual(actual, expected))

test('a container has resources once it has been made; one that the runtime has lost ran, is counted again, and how it ended stays unknown', () => {
  const pod = aPod({ containers: [aContainer('app', { resources: { requests: { cpu: '1' } } })] })
  const of = (more: Partial<PodView>) => { const s = state({ pod, ...more }); return [s?.resources, s?.restartCount, s?.state, s?.lastState] }
  const lost = { terminated: { exitCode: 137, reason: 'ContainerStatusUnknown', message: 'The container could not be located when the pod was deleted.  The container used to be Running' } }
  const waiting = { waiting: { reason: 'ContainerCreating' } }
  const told = (s: object) => ({ reported: { containerStatuses: [{ name: 'app', image: 'i', imageID: 'i', ready: true, containerID: 'memory://old', ...s } as never] } })
  const startedAt = '2026-01-01T00:00:00Z'
  assert.deepStrictEqual([
    of({}), of({ containers: [running('app', { resources: {} })] }).slice(0, 2), of(told({ restartCount: 2, state: { running: { startedAt } } })), of(told({ restartCount: 3, state: waiting, lastState: lost })),
    of({ ...told({ restartCount: 3, state: waiting, lastState: lost }), containers: [running('app', { restartCount: 3 })] }).slice(1), of({ ...told({ restartCount: 2, state: { terminated: { exitCode: 1 } } }), containers: [running('app', { restartCount: 3 })] }).at(-1),
  ], [
    [undefined, 0, waiting, {}], [{ requests: { cpu: '1' } }, 0], [undefined, 3, waiting, lost], [undefined, 3, waiting, lost],
    [3, { running: { startedAt } }, lost], { terminated: { exitCode: 1 } },
  ])
  assert.deepStrictEqual([phase({ pod, ...told({ restartCount: 2, state: { running: { startedAt } } }) }), phase({ pod })], ['Running', 'Pending'])
})

test('a condition changes its time only with its status', () => {
  const first = status({ containers: [running('app')] })
  const later = podStatus(aView({ containers: [running('app')], reported: first }), { nowMs: NOW + 60_000, random: seededRandom(1) })
  assert.deepStrictEqual(later, first)
  const ended = podStatus(aView({ containers: [exited('app', 1)], reported: first }), { nowMs: NOW + 60_000, random: seededRandom(1) })
  assert.deepStrictEqual(ended.conditions?.map((c) => [c.type, c.lastTransitionTime]), [['PodReadyToStartContainers', '2026-01-01T00:00:00Z'], ['Initialized', '2026-01-01T00:00:00Z'], ['Ready', '2026-01-01T00:01:00Z'], ['ContainersReady', '2026-01-01T00:01:00Z'], ['PodScheduled', '2026-01-01T00:00:00Z']])
})

test('a patch says only what changed, takes fields away by null, replaces addresses and leaves others\' conditions alone', () => {
  const before = { phase: 'Running', message: 'm', podIPs: [{ ip: '1' }], conditions: [{ type: 'Ready', status: 'True', reason: 'x' }, { type: 'Theirs', status: 'True' }] }
  const after = { phase: 'Running', podIPs: [{ ip: '2' }], conditions: [{ type: 'Ready', status: 'False' }, { type: 'Theirs', status: 'True' }] }
  assert.deepStrictEqual(statusPatch('u1', before, after), { metadata: { uid: 'u1' }, status: { message: null, podIPs: [{ ip: '2' }, { $patch: 'replace' }], conditions: [{ type: 'Ready', status: 'False', reason: null }] } })
  assert.equal(statusPatch('u1', before, structuredClone(before)), undefined)
})

test('the order of conditions and nulls make no difference', () => {
  assert.ok(sameStatus({ conditions: [{ type: 'A', status: 'True' }, { type: 'B', status: 'True' }] }, { conditions: [{ type: 'B', status: 'True', lastProbeTime: null as never }, { type: 'A', status: 'True' }] }))
  assert.ok(!sameStatus({ phase: 'Running' }, { phase: 'Pending' }))
})
