import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { FakeClock } from '#base/clock-fake.ts'
import { silentLog } from '#base/log.ts'
import { NODES, PODS, type Node, type Pod } from '#api/types/index.ts'
import { pod, startNodeWorld } from '../testing/node-world.ts'
import { aPod } from '../testing/builders.ts'
import { CRITICAL_PRIORITY, periodsOf, shutdownGraceSeconds, shutdownGroups, totalSeconds } from './periods.ts'
import { createShutdownManager } from './shutdown-manager.ts'

const withPriority = (name: string, priority?: number): Pod => aPod(priority === undefined ? {} : { priority }, { name })

test('all pods have the whole period, the last of it is for critical ones; none is no graceful shutdown', () => {
  assert.deepEqual(periodsOf(30, 10), [{ priority: 0, seconds: 20 }, { priority: CRITICAL_PRIORITY, seconds: 10 }])
  assert.deepEqual(periodsOf(0, 0), [])
  assert.equal(totalSeconds(periodsOf(30, 10)), 30)
})

test('pods go by priority, the lowest first: each with the next period below it, those below all with the lowest', () => {
  const periods = [{ priority: 1_000, seconds: 30 }, { priority: 0, seconds: 20 }, { priority: 10_000, seconds: 10 }]
  const pods = [withPriority('below', -5), withPriority('none'), withPriority('edge', 1_000), withPriority('between', 9_999), withPriority('above', 2_000_001_000)]
  assert.deepEqual(shutdownGroups(periods, pods).map((g) => [g.priority, g.seconds, g.pods.map((p) => p.metadata?.name)]), [[0, 20, ['below', 'none']], [1_000, 30, ['edge', 'between']], [10_000, 10, ['above']]])
  assert.deepEqual(shutdownGroups(periods, [withPriority('none')]).map((g) => g.priority), [0])
})

test('a pod has its own grace where that is shorter', () => {
  const period = { priority: 0, seconds: 20 }
  assert.deepEqual([undefined, 5, 60].map((own) => shutdownGraceSeconds({ spec: { containers: [], ...(own !== undefined && { terminationGracePeriodSeconds: own }) } }, period)), [20, 5, 20])
})

test('on the way down pods end by priority, the node is not ready and takes no more; pods and an Event say why', async (t) => {
  const w = await startNodeWorld(t, { config: { shutdownPeriods: [{ priority: 0, seconds: 20 }, { priority: 1_000, seconds: 10 }] } })
  // Ends only when its grace is over.
  w.runtime.control.addImage('stubborn:1', { program: { onTerm: 'ignore' } })
  const containers = [{ name: 'app', image: 'stubborn:1', imagePullPolicy: 'IfNotPresent' as const }]
  w.create(pod('stays', { containers, priority: 1_000, terminationGracePeriodSeconds: 60 }))
  w.create(pod('goes', { containers, priority: 0, terminationGracePeriodSeconds: 5 }))
  await w.until('both run', () => ['stays', 'goes'].every((name) => w.pod(name)?.status?.phase === 'Running'))
  const begunMs = w.clock.nowMs()
  let isDown = false
  const down = w.kubelet().shutDown().then(() => { isDown = true })
  await w.until('the node says so', () => w.api.get<Node>(NODES, 'node-1')?.status?.conditions?.find((c) => c.type === 'Ready')?.status === 'False')
  const ready = w.api.get<Node>(NODES, 'node-1')?.status?.conditions?.find((c) => c.type === 'Ready')
  assert.deepEqual([ready?.reason, ready?.message], ['KubeletNotReady', 'node is shutting down'])
  w.create(pod('late'))
  await w.until('the late one is refused', () => w.pod('late')?.status?.phase === 'Failed')
  assert.deepEqual([w.pod('late')?.status?.reason, w.pod('late')?.status?.message], ['NodeShutdown', 'Pod was rejected: Pod was rejected as the node is shutting down.'])
  await w.until('the lower priority has ended', () => w.pod('goes')?.status?.phase === 'Failed')
  assert.equal(w.pod('stays')?.status?.phase, 'Running')
  const goneMs = w.clock.nowMs() - begunMs
  assert.ok(goneMs >= 5_000 && goneMs < 8_000, String(goneMs))
  await w.until('all is down', () => isDown)
  await down
  const { phase, reason, message, conditions } = w.pod('stays')?.status ?? {}
  const text = 'Pod was terminated in response to imminent node shutdown.'
  assert.deepEqual([phase, reason, message], ['Failed', 'Terminated', text])
  const disruption = conditions?.find((c) => c.type === 'DisruptionTarget')
  assert.deepEqual([disruption?.status, disruption?.reason, disruption?.message], ['True', 'TerminationByKubelet', text])
  assert.deepEqual(w.events.filter((e) => e.reason === 'Shutdown').map((e) => [e.about, e.type, e.message]), [['node-1', 'Normal', 'Shutdown manager detected shutdown event']])
  const state = JSON.parse(readFileSync(join(w.dir, 'agent', 'graceful_node_shutdown_state'), 'utf8')) as { startTime: string; endTime: string }
  assert.equal(Date.parse(state.startTime), Math.floor(begunMs / 1_000) * 1_000)
  assert.ok(Date.parse(state.endTime) - begunMs >= 14_000 && Date.parse(state.endTime) - begunMs <= 30_000, state.endTime)
  await w.stopAgent()
  await w.startAgent()
  await w.run(1_000)
  const metrics = await w.kubelet().figures.metrics('kubelet')
  assert.match(metrics, new RegExp(`^kubelet_graceful_shutdown_start_time_seconds ${Date.parse(state.startTime) / 1_000}$`, 'm'))
  assert.match(metrics, new RegExp(`^kubelet_graceful_shutdown_end_time_seconds ${Date.parse(state.endTime) / 1_000}$`, 'm'))
})

test('a pod that is being deleted already is waited for, gets no more time than the others, and is told to have ended for it', async (t) => {
  const w = await startNodeWorld(t, { config: { shutdownPeriods: [{ priority: 0, seconds: 20 }] } })
  w.runtime.control.addImage('stubborn:1', { program: { onTerm: 'ignore' } })
  w.create(pod('leaves', { containers: [{ name: 'app', image: 'stubborn:1', imagePullPolicy: 'IfNotPresent' }], terminationGracePeriodSeconds: 3_600 }))
  await w.until('it runs', () => w.pod('leaves')?.status?.phase === 'Running')
  w.api.deletePod(PODS, 'default/leaves')
  await w.run(5_000)
  const begunMs = w.clock.nowMs()
  let isDown = false
  const down = w.kubelet().shutDown().then(() => { isDown = true })
  await w.until('all is down', () => isDown)
  await down
  const tookMs = w.clock.nowMs() - begunMs
  assert.ok(tookMs >= 19_000 && tookMs < 24_000, String(tookMs))
  const told = w.api.patches.flatMap(({ path, patch }) => (path === 'pods/leaves/status' ? [(patch as Pod).status ?? {}] : []))
  assert.deepEqual(told.flatMap(({ phase, reason, message }) => (phase === 'Failed' ? [[reason, message]] : [])), [['Terminated', 'Pod was terminated in response to imminent node shutdown.']])
  assert.ok(told.some(({ conditions }) => conditions?.some((c) => c.type === 'DisruptionTarget' && c.reason === 'TerminationByKubelet')))
  assert.equal(w.pod('leaves'), undefined)
})

test('without periods nothing ends, and nothing is said', async (t) => {
  const w = await startNodeWorld(t)
  w.create(pod('web'))
  await w.until('it runs', () => w.pod('web')?.status?.phase === 'Running')
  await w.kubelet().shutDown()
  await w.run(30_000)
  assert.deepEqual([w.pod('web')?.status?.phase, w.reasons().includes('Shutdown')], ['Running', false])
})

test('it is told when pods have ended: it ends with the last of them, not with a look at the clock', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'shutdown-'))
  t.after(() => rmSync(directory, { recursive: true }))
  const clock = new FakeClock()
  const ended = new Set<string>()
  const told = new Set<string>()
  const ending = Promise.withResolvers<void>()
  const manager = createShutdownManager({
    periods: [{ priority: 0, seconds: 20 }], directory, clock, log: silentLog, onChange: () => {}, tell: () => {},
    pods: () => [aPod({}, { name: 'a', uid: 'a' }), aPod({}, { name: 'b', uid: 'b' })], end: (pod) => { if (pod.metadata.uid === 'b') ending.resolve() }, hasEnded: (uid) => ended.has(uid), isTold: (uid) => told.has(uid),
  })
  const down = manager.shutDown()
  await ending.promise
  for (const [set, uid] of [[ended, 'a'], [ended, 'b'], [told, 'a'], [told, 'b']] as const) {
    await new Promise((resolve) => setImmediate(resolve))
    set.add(uid)
    manager.look()
  }
  await down
  assert.equal(clock.monotonicMs(), new FakeClock().monotonicMs())
})
