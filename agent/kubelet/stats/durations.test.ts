import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Pod, Stored } from '#api/types/index.ts'
import { FakeClock } from '#base/clock-fake.ts'
import type { Effects } from '#base/reconcile/action.ts'
import { seededRandom } from '#base/random.ts'
import type { ContainerRuntime } from '#cri/index.ts'
import { createMemoryRuntime } from '#cri/memory/runtime-memory.ts'
import type { PodCgroups } from '../cgroups/pod-cgroups.ts'
import { createNodeStartup } from '../node/node-startup.ts'
import type { PodAction } from '../pod-action.ts'
import { aPod } from '../testing/builders.ts'
import { pod, startNodeWorld } from '../testing/node-world.ts'
import type { ContainerView, PodView } from '../view.ts'
import { createHistogram, exponentialBounds, SERIES_MAX } from './histogram.ts'
import { createKubeletDurations } from './kubelet-durations.ts'
import { metricsText, type MetricFamily } from './metrics-text.ts'
import { createPodStartup } from './pod-startup.ts'
import { createRuntimeOperations } from './runtime-operations.ts'

const signal = new AbortController().signal
const lines = (families: readonly MetricFamily[], pattern: RegExp) => metricsText(families).split('\n').filter((line) => pattern.test(line))

test('a histogram is written as client_golang writes it: buckets that add up, each bound last of the labels', () => {
  const histogram = createHistogram({ name: 'a_seconds', help: 'Help.', bounds: [0.5, 1], labels: ['op', 'zone'] })
  for (const value of [0.5, 0.75, 3]) histogram.observe(value, { op: 'x', zone: 'z' })
  assert.equal(metricsText([histogram.family()]), [
    '# HELP a_seconds Help.', '# TYPE a_seconds histogram', 'a_seconds_bucket{op="x",zone="z",le="0.5"} 1', 'a_seconds_bucket{op="x",zone="z",le="1"} 2', 'a_seconds_bucket{op="x",zone="z",le="+Inf"} 3',
    'a_seconds_sum{op="x",zone="z"} 4.25', 'a_seconds_count{op="x",zone="z"} 3', '',
  ].join('\n'))
  assert.deepEqual(lines([createHistogram({ name: 'b', help: '', bounds: [1] }).family()], /^b/), ['b_bucket{le="1"} 0', 'b_bucket{le="+Inf"} 0', 'b_sum 0', 'b_count 0'])
  assert.deepEqual(exponentialBounds(0.005, 2.5, 3), [0.005, 0.0125, 0.03125])
})

test('each bucket holds what is no more than its bound', () => {
  fc.assert(fc.property(fc.uniqueArray(fc.integer({ min: -50, max: 50 }), { minLength: 1, maxLength: 8 }), fc.array(fc.integer({ min: -60, max: 60 }), { maxLength: 30 }), (unsorted, values) => {
    const bounds = unsorted.toSorted((a, b) => a - b)
    const histogram = createHistogram({ name: 'h', help: '', bounds })
    for (const value of values) histogram.observe(value)
    assert.deepEqual(histogram.family().samples.map((s) => s.value), [...bounds.map((bound) => values.filter((v) => v <= bound).length), values.length, values.reduce((a, b) => a + b, 0), values.length])
  }))
})

test('labels that are many after all count as other', () => {
  const histogram = createHistogram({ name: 'h', help: '', bounds: [1], labels: ['op'] })
  for (let i = 0; i < SERIES_MAX + 10; i++) histogram.observe(1, { op: String(i) })
  assert.deepEqual(lines([histogram.family()], /_count/).slice(-2), [`h_count{op="${SERIES_MAX - 1}"} 1`, 'h_count{op="other"} 10'])
})

test('what the runtime is asked for is counted under the names of CRI, with its failures; sandboxes also by their handler', async () => {
  const clock = new FakeClock()
  const operations = createRuntimeOperations(clock)
  const memory = createMemoryRuntime({ clock, random: seededRandom(1) })
  const runtime = operations.counted(new Proxy(memory, { get: (target, key) => (key === 'runPodSandbox' ? () => clock.advance(200).then(() => { throw new Error('no') }) : Reflect.get(target, key, target) as unknown) }))
  await runtime.listImages()
  await runtime.listImages()
  const off = runtime.events(() => {})
  off()
  await assert.rejects(runtime.runPodSandbox({ runtimeHandler: 'kata' } as Parameters<ContainerRuntime['runPodSandbox']>[0]), /no/)
  assert.deepEqual(lines(operations.metrics(), /^kubelet_run.*(_total|_count|_sum|le="0.1"|le="0.25")/), [
    'kubelet_run_podsandbox_duration_seconds_bucket{runtime_handler="kata",le="0.1"} 0', 'kubelet_run_podsandbox_duration_seconds_bucket{runtime_handler="kata",le="0.25"} 1', 'kubelet_run_podsandbox_duration_seconds_sum{runtime_handler="kata"} 0.2', 'kubelet_run_podsandbox_duration_seconds_count{runtime_handler="kata"} 1',
    'kubelet_run_podsandbox_errors_total{runtime_handler="kata"} 1',
    'kubelet_runtime_operations_duration_seconds_sum{operation_type="list_images"} 0', 'kubelet_runtime_operations_duration_seconds_count{operation_type="list_images"} 2',
    'kubelet_runtime_operations_duration_seconds_sum{operation_type="run_podsandbox"} 0.2', 'kubelet_runtime_operations_duration_seconds_count{operation_type="run_podsandbox"} 1',
    'kubelet_runtime_operations_errors_total{operation_type="run_podsandbox"} 1', 'kubelet_runtime_operations_total{operation_type="list_images"} 2', 'kubelet_runtime_operations_total{operation_type="run_podsandbox"} 1',
  ])
})

test('a status is being told from its first try, resizes are timed by whether they worked, cgroups by what was done', async () => {
  const clock = new FakeClock()
  const durations = createKubeletDurations(clock)
  let isAway = true
  const effects = durations.timed({
    reportStatus: () => clock.advance(20).then(() => { if (isAway) throw new Error('away') }),
    resize: () => clock.advance(80).then(() => { throw new Error('no') }),
  } as unknown as Effects<PodAction>, {})
  const status = { kind: 'reportStatus', status: {} } as const
  await assert.rejects(async () => effects.reportStatus(status, signal))
  await clock.advance(1_000)
  isAway = false
  await effects.reportStatus(status, signal)
  await effects.reportStatus(status, signal)
  await assert.rejects(async () => effects.resize({ kind: 'resize', containers: [] }, signal))
  const cgroups = durations.timedCgroups({ ensure: () => Promise.resolve('/p'), grow: () => Promise.resolve('/p'), remove: () => Promise.resolve() } as unknown as PodCgroups)
  const one = aPod()
  for (let i = 0; i < 2; i++) await cgroups.ensure(one)
  await cgroups.grow(one)
  await cgroups.remove(one.metadata.uid)
  await cgroups.ensure(one)
  durations.pulled(42 * 1024 ** 2, 1_500)
  assert.deepEqual(lines(durations.metrics(), /^kubelet_(pod_status|pod_resize|cgroup|image).*_(sum|count)/), [
    'kubelet_cgroup_manager_duration_seconds_sum{operation_type="create"} 0', 'kubelet_cgroup_manager_duration_seconds_count{operation_type="create"} 2', 'kubelet_cgroup_manager_duration_seconds_sum{operation_type="update"} 0',
    'kubelet_cgroup_manager_duration_seconds_count{operation_type="update"} 2', 'kubelet_cgroup_manager_duration_seconds_sum{operation_type="destroy"} 0', 'kubelet_cgroup_manager_duration_seconds_count{operation_type="destroy"} 1',
    'kubelet_image_pull_duration_seconds_sum{image_size_in_bytes="10MB-100MB"} 1.5', 'kubelet_image_pull_duration_seconds_count{image_size_in_bytes="10MB-100MB"} 1',
    'kubelet_pod_resize_duration_milliseconds_sum{success="false"} 80', 'kubelet_pod_resize_duration_milliseconds_count{success="false"} 1', 'kubelet_pod_status_sync_duration_seconds_sum 1.06', 'kubelet_pod_status_sync_duration_seconds_count 2',
  ])
})

/** What one pod's start adds to the three histograms: seconds by name. */
function startup() {
  const clock = new FakeClock()
  const watch = createPodStartup(clock)
  const created = { creationTimestamp: new Date(clock.nowMs()).toISOString() }
  const at = (one: Stored<Pod>, status: Pod['status']): Stored<Pod> => ({ ...one, metadata: { ...one.metadata, ...created }, status: status ?? {} })
  const running = { startTime: created.creationTimestamp, phase: 'Running', containerStatuses: [{ name: 'app', state: { running: { startedAt: created.creationTimestamp } } }] } as Pod['status']
  return { clock, watch, at, running, sums: () => lines(watch.metrics(), /^kubelet_(first|pod_start).*(_sum|_count|seconds) /).map((line) => line.replace(/^kubelet_(.*)duration_seconds/, '$1')) }
}

test('a pod\'s start counts from its creation until the API tells that its containers run, with and without pulls and init containers', async () => {
  const w = startup()
  const one = aPod({ initContainers: [{ name: 'first' }] })
  w.watch.observed(w.at(one, {}))
  const pulls = [w.watch.pulling(one.metadata.uid), w.watch.pulling(one.metadata.uid)]
  await w.clock.advance(2_000)
  pulls[0]?.()
  await w.clock.advance(1_000)
  pulls[1]?.()
  const ran = { state: 'exited', metadata: { name: 'first', attempt: 0 }, startedAtMs: 10_000, finishedAtMs: 14_000 } as ContainerView
  w.watch.looked({ pod: one, containers: [ran, { ...ran, startedAtMs: 0 }, { ...ran, metadata: { name: 'app', attempt: 0 } }] } as unknown as PodView)
  await w.clock.advance(5_000)
  w.watch.told({ phase: 'Pending' }, { phase: 'Running' }, w.clock.nowMs() - 7_500)
  w.watch.told({ phase: 'Running' }, { phase: 'Running' }, 0)
  await w.clock.advance(500)
  w.watch.observed(w.at(one, w.running))
  w.watch.observed(w.at(one, w.running))
  assert.deepEqual(w.sums(), ['first_network_pod_start_sli_ 1.5', 'pod_start__sum 7.5', 'pod_start__count 1', 'pod_start_sli__sum 1.5', 'pod_start_sli__count 1', 'pod_start_total__sum 8.5', 'pod_start_total__count 1'])
})

test('pods with volumes of a longer life are none of the SLI, those that had begun or have failed are not counted at all', async () => {
  const w = startup()
  const kept = aPod({ volumes: [{ name: 'v', persistentVolumeClaim: { claimName: 'c' } }] })
  w.watch.observed(w.at(kept, {}))
  await w.clock.advance(3_000)
  w.watch.observed(w.at(kept, w.running))
  const known = aPod({}, { uid: 'known' })
  w.watch.observed(w.at(known, { ...w.running, phase: 'Pending', containerStatuses: [] }))
  w.watch.observed(w.at(known, w.running))
  const failed = aPod({}, { uid: 'failed' })
  w.watch.observed(w.at(failed, {}))
  w.watch.observed(w.at(failed, { phase: 'Failed' }))
  w.watch.observed(w.at(failed, w.running))
  assert.deepEqual(w.sums(), ['first_network_pod_start_sli_ 0', 'pod_start__sum 0', 'pod_start__count 0', 'pod_start_sli__sum 0', 'pod_start_sli__count 0', 'pod_start_total__sum 3', 'pod_start_total__count 1'])
})

test('a machine\'s way to become a node is told once, and only of one that the cluster did not know', async () => {
  const clock = new FakeClock()
  const startedMs = clock.nowMs()
  const fresh = createNodeStartup({ bootMs: startedMs - 30_000, startedMs, clock })
  const known = createNodeStartup({ bootMs: startedMs - 30_000, startedMs, clock })
  await clock.advance(1_000)
  for (const one of [fresh, known]) one.registers()
  await clock.advance(500)
  fresh.isRegistered()
  await clock.advance(2_000)
  for (let i = 0; i < 2; i++) {
    for (const one of [fresh, known]) one.isReady()
    await clock.advance(60_000)
  }
  const told = (startupOf: typeof fresh) => lines(startupOf.metrics(), /^kubelet/).map((line) => line.replace(/^kubelet_node_startup_(.*)duration_seconds/, '$1'))
  assert.deepEqual(told(fresh), [' 33.5', 'post_registration_ 2', 'pre_kubelet_ 30', 'pre_registration_ 1', 'registration_ 0.5'])
  assert.deepEqual(told(known), [' 0', 'post_registration_ 0', 'pre_kubelet_ 0', 'pre_registration_ 0', 'registration_ 0'])
})

test('a node that runs a pod has its figures on its pages', async (t) => {
  const w = await startNodeWorld(t)
  const { figures } = w.kubelet()
  w.create(pod('web', { containers: [{ name: 'app', image: 'busybox:1', readinessProbe: { exec: { command: ['true'] }, periodSeconds: 1 } }] }))
  await w.until('ready', () => w.pod('web')?.status?.conditions?.some((c) => c.type === 'Ready' && c.status === 'True') ?? false)
  const text = (await figures.metrics('kubelet')).split('\n')
  const value = (name: string) => Number(text.find((line) => line.startsWith(`${name} `))?.split(' ')[1])
  for (const name of ['kubelet_pod_start_duration_seconds_count', 'kubelet_pod_start_sli_duration_seconds_count', 'kubelet_pod_start_total_duration_seconds_count', 'kubelet_pod_worker_start_duration_seconds_count', 'kubelet_containers_per_pod_count_count',
    'kubelet_pod_worker_duration_seconds_count{operation_type="create"}', 'kubelet_cgroup_manager_duration_seconds_count{operation_type="create"}', 'kubelet_runtime_operations_total{operation_type="run_podsandbox"}', 'kubelet_runtime_operations_total{operation_type="start_container"}']) assert.equal(value(name), 1, name)
  assert.ok(value('kubelet_pod_status_sync_duration_seconds_count') >= 1)
  assert.match(await figures.metrics('probes'), /^prober_probe_duration_seconds_count\{container="app",namespace="default",pod="web",probe_type="Readiness"\} [1-9]/m)
})
