/** An hour without the server, by the fake clock: with exits, failing probes, an agent that is killed and a machine that boots anew in it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CONFIG_MAPS, PODS, type Pod } from '#api/types/index.ts'
import { BACKOFF_INITIAL_SECONDS, BACKOFF_MAX_SECONDS } from './restart.ts'
import { createNodeWorld, pod } from './testing/node-world.ts'

const MINUTE_MS = 60_000
const RUNS_SECONDS = 2
/** The world's clock goes in steps of this, so an hour takes seconds. */
const STEP_MS = 2_000
/** From an end to the next start, beside the back-off. */
const LATE_MS_MAX = 2 * STEP_MS

test('an hour without the server: what runs stays, what ends comes back by its back-off, nothing is asked in vain all the time; then it catches up and restarts nothing', async (t) => {
  const w = createNodeWorld()
  t.after(() => w.end())
  const { control } = w.runtime
  control.addImage('busybox:1')
  let alive = true
  control.addImage('probed:1', { program: { exec: () => ({ exitCode: alive ? 0 : 1 }) } })
  let tokens = 0
  w.api.onCreate = (_resource, _sub, object) => ({ ...object, status: { token: `token-${++tokens}`, expirationTimestamp: new Date(w.clock.nowMs() + 3_600_000).toISOString() } }) as never
  const timeline: { name: string; attempt: number; kind: 'start' | 'end'; atMs: number }[] = []
  w.runtime.events((event) => {
    if (event.kind !== 'containerStarted' && event.kind !== 'containerStopped') return
    const { metadata: { name, attempt } } = control.configOf(event.containerId)
    timeline.push({ name, attempt, kind: event.kind === 'containerStarted' ? 'start' : 'end', atMs: w.clock.nowMs() })
  })
  const starts = (name: string) => timeline.filter((e) => e.name === name && e.kind === 'start').length
  const one = (name: string, container: object = {}, spec: object = {}) => w.create(pod(name, { ...spec, containers: [{ name, image: 'busybox:1', imagePullPolicy: 'IfNotPresent', ...container }] }))
  await w.startAgent()
  w.api.put(CONFIG_MAPS, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'c', namespace: 'default' }, data: { a: '1' } })
  one('steady', { volumeMounts: [{ name: 'api', mountPath: '/api' }] }, { volumes: [{ name: 'api', projected: { sources: [{ serviceAccountToken: { path: 'token' } }, { configMap: { name: 'c' } }] } }] })
  one('probed', { image: 'probed:1', livenessProbe: { exec: { command: ['live'] }, periodSeconds: 10, failureThreshold: 3, terminationGracePeriodSeconds: 1 }, readinessProbe: { exec: { command: ['live'] }, periodSeconds: 10 } })
  one('crashing', { command: ['sh', '-c', `sleep ${RUNS_SECONDS}; exit 1`] })
  one('finished', { command: ['sh', '-c', 'sleep 90; exit 0'] }, { restartPolicy: 'OnFailure' })
  one('unwanted')
  await w.until('all have started', () => ['steady', 'probed', 'crashing', 'finished', 'unwanted'].every((name) => starts(name) > 0))
  await w.run(20_000)

  w.api.down(true)
  const wentMs = w.clock.nowMs()
  const callsBefore = w.api.calls.length
  // What people do meanwhile, elsewhere.
  w.api.deletePod(PODS, 'default/unwanted', 1)
  w.api.put(CONFIG_MAPS, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'c', namespace: 'default' }, data: { a: '2' } })
  await w.run(10 * MINUTE_MS, STEP_MS)
  alive = false
  await w.until('a failed liveness probe restarts its container', () => starts('probed') === 2)
  alive = true
  await w.run(10 * MINUTE_MS, STEP_MS)

  const running = () => control.running().map((c) => c.id).sort((a, b) => (a < b ? -1 : 1))
  const beforeKill = running()
  await w.stopAgent()
  assert.deepStrictEqual(running(), beforeKill)
  await w.startAgent()
  await w.run(18 * MINUTE_MS, STEP_MS)
  assert.deepStrictEqual([starts('steady'), starts('probed'), starts('finished')], [1, 2, 1], 'an agent that is killed restarts nothing')

  await w.stopAgent()
  const bootMs = w.clock.nowMs()
  control.reboot()
  await w.startAgent()
  await w.until('after the boot all that should run does', () => ['steady', 'probed'].every((name) => control.running(name).length === 1))
  await w.run(wentMs + 60 * MINUTE_MS - w.clock.nowMs(), STEP_MS)
  assert.deepStrictEqual([starts('steady'), starts('probed'), starts('finished'), control.running('unwanted').length], [2, 3, 1, 1])

  // Every restart of the crashing one came when its back-off was over: not before, and not long after; but a boot starts it at once.
  const crashes = timeline.filter((e) => e.name === 'crashing')
  const waits: number[] = []
  for (const [i, { kind, atMs, attempt }] of crashes.entries()) {
    const next = crashes[i + 1]
    if (kind === 'end' && next?.kind === 'start') {
      assert.equal(next.attempt, attempt + 1)
      const backOffMs = waits.length === 0 ? 0 : Math.min(BACKOFF_MAX_SECONDS, BACKOFF_INITIAL_SECONDS * 2 ** (waits.length - 1)) * 1000
      const isOverBoot = atMs <= bootMs && next.atMs >= bootMs
      const tookMs = next.atMs - (isOverBoot ? bootMs : atMs)
      const earliestMs = isOverBoot ? 0 : backOffMs
      waits.push(tookMs)
      assert.ok(tookMs >= earliestMs && tookMs <= earliestMs + LATE_MS_MAX, `${waits.length - 1} restarts before: waited ${tookMs} ms instead of ${earliestMs}`)
    }
  }
  assert.ok(waits.length >= 14, `${waits.length} restarts within the hour`)
  // Lease, statuses, lists and tokens are tried, each with its own back-off.
  const tried = w.api.calls.length - callsBefore
  assert.ok(tried > 500 && tried < 3_000, `${tried} calls in an hour`)

  const stay = running().filter((id) => !['unwanted', 'crashing'].includes(control.configOf(id).metadata.name))
  const startedBefore = timeline.length
  w.api.down(false)
  const status = (name: string) => w.api.get<Pod>(PODS, `default/${name}`)?.status
  await w.until('the deleted pod is gone, the others are told of', () => w.api.get(PODS, 'default/unwanted') === undefined && status('finished')?.phase === 'Succeeded' && status('steady')?.containerStatuses?.[0]?.restartCount === 1 && status('probed')?.containerStatuses?.[0]?.restartCount === 2, 2 * MINUTE_MS)
  await w.until('statuses are those of now', () => ['steady', 'probed'].every((name) => status(name)?.conditions?.find((c) => c.type === 'Ready')?.status === 'True'), 2 * MINUTE_MS)
  assert.deepStrictEqual([stay.length, stay.filter((id) => !running().includes(id))], [2, []], 'what ran goes on')
  assert.deepStrictEqual(timeline.slice(startedBefore).filter((e) => e.kind === 'start' && e.name !== 'crashing'), [], 'nothing is started for the server coming back')
  await w.until('the crashing one is told of', () => status('crashing')?.containerStatuses?.[0]?.restartCount === starts('crashing') - 1, 2 * MINUTE_MS)
})
