import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ContainerRestartRule } from '#api/types/index.ts'
import { seededRandom } from '#base/random.ts'
import { decidePodActions } from './pod-actions.ts'
import { podStatus } from './pod-status.ts'
import { podRound } from './restart-all.ts'
import { aContainer, aPod, aView, exited, NOW, running } from './testing/builders.ts'
import { podEnd } from './termination.ts'
import { createNodeWorld, pod } from './testing/node-world.ts'
import type { ContainerView, PodView } from './view.ts'

const rules: ContainerRestartRule[] = [{ action: 'RestartAllContainers', exitCodes: { operator: 'In', values: [42] } }]
const all = { restartPolicy: 'Never', restartPolicyRules: rules }
/** `i`, the sidecar `s`, then `a`, whose exit with 42 starts all anew, and `b`. */
const full = aPod({ restartPolicy: 'Never', initContainers: [aContainer('i'), aContainer('s', { restartPolicy: 'Always', restartPolicyRules: rules })], containers: [aContainer('a', all), aContainer('b')] })
const later = { finishedAtMs: NOW + 1 }

const rounds: [string, ContainerView[], number][] = [
  ['a pod begins with round 0', [], 0],
  ['an exit that no rule is about changes nothing', [exited('a', 1), running('b')], 0],
  ['one that a rule is about begins the next round', [exited('a', 42), running('b')], 1],
  ['however far the others have come', [exited('a', 42), exited('b', 137, later), exited('s', 137, later), exited('i', 0)], 1],
  ['it is told by what runs in it once the exit is forgotten', [exited('a', 1, { restartCount: 2, round: 1 }), running('b', { restartCount: 1, round: 1 })], 1],
  ['the exit of an earlier round does not begin a third', [running('a', { restartCount: 1, round: 1 }), exited('a', 42), running('b')], 1],
  ['each may begin one', [exited('a', 42, { restartCount: 1, round: 1 }), running('b', { restartCount: 1, round: 1 }), exited('a', 42)], 2],
  ['a sidecar may', [running('a'), running('b'), exited('s', 42)], 1],
  ['and those that its exit ended count as ended by it', [exited('a', 137, later), exited('b', 137, later), exited('s', 42)], 1],
  ['but not when the others were done before it', [exited('a', 0), exited('b', 0), exited('s', 42, later)], 0],
]
for (const [name, containers, round] of rounds) test(`rounds: ${name}`, () => assert.equal(podRound(full, containers, new Map()), round))

test('rounds: a pod without such a rule has none', () => assert.equal(podRound(aPod(), [exited('app', 42, { round: 3 })], new Map()), 0))

test('rounds: an app container\'s end waits until the others have been started; an init container\'s and a sidecar\'s do not', () => {
  const failed = new Map([['start:b', 'no image']])
  assert.deepStrictEqual([podRound(full, [exited('a', 42)], new Map()), podRound(full, [exited('a', 42), running('b', { state: 'created' })], new Map()), podRound(full, [exited('a', 42)], failed), podRound(full, [exited('s', 42)], new Map())], [0, 0, 1, 1])
})

const view = (round: number, containers: ContainerView[], more: Partial<PodView> = {}) => aView({ pod: full, round, containers, ...more })
const ctx = (nowMs = NOW) => ({ nowMs, random: seededRandom(1) })
const decide = (v: PodView, nowMs = NOW) => decidePodActions(v, ctx(nowMs)).actions.flatMap((a): unknown[] => {
  if (a.kind === 'killContainer') return [[a.kind, a.id, a.because, a.graceSeconds, a.preStop]]
  if (a.kind === 'startContainer') return [[a.kind, a.name, a.attempt, a.round, a.backoffSeconds]]
  return a.kind === 'reportStatus' ? [] : [a.kind]
})
const kill = (id: string) => ['killContainer', id, 'restartAll', 2, false]
const now = (name: string, more: Partial<ContainerView> = {}) => running(name, { restartCount: 1, round: 1, ...more })

const actions: [string, PodView, unknown[], number?][] = [
  ['all that runs is killed first, sidecars too, at once and without hooks', view(1, [exited('a', 42), running('b'), running('s'), exited('i', 0)]), [kill('b-0'), kill('s-0')]],
  ['before that all have been started; who began it stays as it is', view(0, [exited('a', 42), running('s'), exited('i', 0)]), [['startContainer', 'b', 0, undefined, 0]]],
  ['nothing starts before the last of it has ended', view(1, [exited('a', 42), exited('b', 137), running('s'), exited('i', 0)]), [kill('s-0')]],
  ['then init containers run again, the first first', view(1, [exited('a', 42), exited('b', 137), exited('s', 137), exited('i', 0)]), [['startContainer', 'i', 1, 1, 0]]],
  ['each to its end', view(1, [now('i'), exited('a', 42), exited('b', 137), exited('s', 137), exited('i', 0)]), []],
  ['then sidecars', view(1, [exited('i', 0, { restartCount: 1, round: 1 }), exited('a', 42), exited('b', 137), exited('s', 137), exited('i', 0)]), [['startContainer', 's', 1, 1, 0]]],
  ['then app containers; who began it has its crash loop to answer for', view(1, [exited('i', 0, { restartCount: 1, round: 1 }), now('s'), exited('a', 42), exited('b', 137)]), [['startContainer', 'a', 1, 1, 10]]],
  ['and waits when it does so again, while the others go on', view(2, [exited('i', 0, { restartCount: 2, round: 2 }), running('s', { restartCount: 2, round: 2 }), exited('a', 42, { restartCount: 1, round: 1, backoffSeconds: 10 }), exited('b', 137, { restartCount: 1, round: 1 })]), ['reportBackOff', ['startContainer', 'b', 2, 2, 0]]],
  ['what Never lets end in peace starts all the same', view(1, [exited('i', 0, { restartCount: 1, round: 1 }), now('s'), now('a'), exited('b', 0)]), [['startContainer', 'b', 1, 1, 0]]],
  ['a pod whose round is complete is left alone', view(1, [exited('i', 0, { restartCount: 1, round: 1 }), now('s'), now('a'), now('b')]), []],
  ['what was created before a crash is only started', view(1, [exited('i', 0, { restartCount: 1, round: 1 }), now('s'), now('a'), now('b', { state: 'created' })]), [['startContainer', 'b', 1, 1, 0]]],
  ['ephemeral containers are nobody\'s business', view(1, [exited('i', 0, { restartCount: 1, round: 1 }), now('s'), now('a'), now('b'), running('debug')], { pod: { ...full, spec: { ...full.spec!, ephemeralContainers: [{ name: 'debug', image: 'busybox:1' }] } } }), []],
]
for (const [name, v, expected, nowMs] of actions) test(`actions: ${name}`, () => assert.deepStrictEqual(decide(v, nowMs), expected))

const ended = (exitCode: number, id: string) => ({ exitCode, reason: 'RestartingAllContainers', message: 'The container is removed because RestartAllContainers in place', startedAt: '2026-01-01T00:00:00Z', finishedAt: '2026-01-01T00:00:00Z', containerID: `memory://${id}` })
const waiting = { waiting: { reason: 'RestartingAllContainers', message: 'The container is removed because RestartAllContainers in place' } }
const told = (v: PodView) => {
  const { phase, initContainerStatuses = [], containerStatuses = [], conditions } = podStatus(v, ctx())
  const restarting = conditions?.find((c) => c.type === 'AllContainersRestarting')
  return { phase, restarting: [restarting?.status, restarting?.reason, restarting?.message], ready: [...initContainerStatuses, ...containerStatuses].map((s) => s.ready), a: containerStatuses[0], i: initContainerStatuses[0] }
}

test('status: while it goes on, and after', () => {
  const reported = { phase: 'Running', conditions: [{ type: 'Initialized', status: 'True' }] }
  const during = told(view(1, [exited('a', 42), running('b'), running('s'), exited('i', 0)], { reported }))
  assert.deepStrictEqual([during.phase, during.restarting, during.ready, during.a?.state, during.a?.lastState, during.a?.restartCount, during.i?.state, during.i?.lastState],
    ['Running', ['True', 'RestartAllContainersStarted', 'container exited with restart policy rule'], [false, true, false, true], waiting, { terminated: ended(42, 'a-0') }, 0, waiting, { terminated: ended(0, 'i-0') }])
  const again = view(1, [now('i'), exited('a', 42), exited('b', 137), exited('s', 137), exited('i', 0)], { reported })
  assert.deepStrictEqual([told(again).phase, told(again).restarting, told(again).i?.restartCount, podStatus(again, ctx()).conditions?.find((c) => c.type === 'Initialized')?.status], ['Pending', ['False', undefined, undefined], 1, 'True'])
  const after = told(view(1, [exited('i', 0, { restartCount: 1, round: 1 }), now('s'), now('a'), now('b'), exited('a', 42), exited('b', 137), exited('s', 137), exited('i', 0)], { reported }))
  assert.deepStrictEqual([after.phase, after.restarting, after.ready, after.a?.state, after.a?.lastState, after.a?.restartCount, after.i?.state?.terminated?.reason, after.i?.lastState],
    ['Running', ['False', undefined, undefined], [true, true, true, true], { running: { startedAt: '2026-01-01T00:00:00Z' } }, { terminated: ended(42, 'a-0') }, 1, 'Completed', { terminated: ended(0, 'i-0') }])
})

test('status: an init container that began it fails nobody, a pod that ends shows its containers as they ended, others know nothing of it', () => {
  const init = aPod({ restartPolicy: 'Never', initContainers: [aContainer('s', { restartPolicy: 'Always' }), aContainer('i', all)] })
  const v = aView({ pod: init, round: 1, containers: [running('s'), exited('i', 42)] })
  assert.deepStrictEqual([told(v).phase, podEnd(v, NOW), decide(v)], ['Pending', undefined, [kill('s-0')]])
  const deleted = told(view(1, [exited('a', 42), running('b'), running('s'), exited('i', 0)], { pod: { ...full, metadata: { ...full.metadata, deletionTimestamp: '2026-01-01T00:00:30Z' } }, reported: { phase: 'Running' } }))
  assert.deepStrictEqual([deleted.restarting, deleted.a?.state?.terminated?.exitCode, deleted.a?.state?.terminated?.reason], [['False', undefined, undefined], 42, 'Error'])
  assert.equal(podStatus(aView({ containers: [running('app')] }), ctx()).conditions?.some((c) => c.type === 'AllContainersRestarting'), false)
})

test('a pod whose other containers never restart has not finished when all start anew', () => {
  assert.equal(podEnd(view(1, [exited('a', 42), exited('b', 137), exited('s', 137), exited('i', 0)]), NOW), undefined)
})

test('a node starts all of a pod anew in its order and its sandbox, and again after what began it waited for its back-off', async (t) => {
  const w = createNodeWorld()
  t.after(() => w.end())
  w.runtime.control.addImage('busybox:1')
  await w.startAgent()
  const shell = (name: string, command: string, more: object = {}) => ({ name, image: 'busybox:1', command: ['sh', '-c', command], ...more })
  w.create(pod('all', { restartPolicy: 'Never', initContainers: [shell('i', 'exit 0')], containers: [shell('a', 'sleep 1; exit 42', all), shell('b', 'sleep 1000')] }))
  const of = (name: string) => [...(w.pod('all')?.status?.initContainerStatuses ?? []), ...(w.pod('all')?.status?.containerStatuses ?? [])].find((s) => s.name === name)
  const counts = () => ['i', 'a', 'b'].map((name) => of(name)?.restartCount)
  await w.until('all have been restarted', () => counts().every((n) => n === 1) && of('a')?.state?.running !== undefined && of('b')?.state?.running !== undefined)
  assert.deepStrictEqual([of('i')?.state?.terminated?.exitCode, of('a')?.lastState?.terminated?.exitCode, of('b')?.lastState?.terminated?.reason, w.pod('all')?.status?.phase], [0, 42, 'RestartingAllContainers', 'Running'])
  await w.until('and once more, ten seconds later', () => counts().every((n) => n === 2) && of('a')?.state?.running !== undefined, 60_000)
  assert.equal((await w.runtime.listPodSandbox()).length, 1)
  assert.deepStrictEqual(w.events.filter((e) => e.reason === 'Killing').map((e) => [e.about, e.message]), [['spec.containers{b}', 'killing'], ['spec.containers{b}', 'killing']])
})
