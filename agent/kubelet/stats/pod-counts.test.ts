import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Pod } from '#api/types/index.ts'
import type { Effects } from '#base/reconcile/action.ts'
import type { ContainerType, PodAction } from '../pod-action.ts'
import { StartError } from '../start-error.ts'
import { aContainer, aPod } from '../testing/builders.ts'
import type { Rejection } from '../view.ts'
import { metricsText } from './metrics-text.ts'
import { createPodCounts } from './pod-counts.ts'

const signal = new AbortController().signal
/** Only what is counted does anything. */
const effects = (createSandbox: () => Promise<void>, startContainer: () => Promise<void>): Effects<PodAction> => ({ createSandbox, startContainer }) as unknown as Effects<PodAction>
const works = () => Promise.resolve()
const fails = (reason: StartError['reason']) => () => Promise.reject(new StartError(reason, 'no'))
const sandbox = { kind: 'createSandbox', attempt: 0 } as const
const container = (type: ContainerType) => ({ kind: 'startContainer', name: 'app', type, sandboxId: 's', attempt: 0, backoffSeconds: 0 }) as const
const read = (counts: ReturnType<typeof createPodCounts>) => metricsText(counts.metrics([], 2)).split('\n').filter((line) => /^kubelet_(started|admission)/.test(line))

test('sandboxes and containers are counted with each try, those that fail also by why', async () => {
  const counts = createPodCounts()
  const memory = { pod: aPod() }
  await counts.counted(effects(works, works), memory).createSandbox(sandbox, signal)
  await assert.rejects(async () => counts.counted(effects(fails('RunContainerError'), works), memory).createSandbox(sandbox, signal))
  for (const type of ['app', 'init', 'sidecar', 'ephemeral'] as const) await counts.counted(effects(works, works), memory).startContainer(container(type), signal)
  await assert.rejects(async () => counts.counted(effects(works, fails('ErrImagePull')), memory).startContainer(container('app'), signal))
  assert.deepEqual(read(counts), [
    'kubelet_started_containers_errors_total{code="ErrImagePull",container_type="container"} 1', 'kubelet_started_containers_total{container_type="container"} 2', 'kubelet_started_containers_total{container_type="init_container"} 2',
    'kubelet_started_containers_total{container_type="ephemeral_container"} 1', 'kubelet_started_pods_errors_total 1', 'kubelet_started_pods_total 2', 'kubelet_started_user_namespaced_pods_errors_total 0', 'kubelet_started_user_namespaced_pods_total 0',
  ])
})

test('pods with users of their own are counted besides, and each of their sandboxes fails once at most, be it by its containers', async () => {
  const counts = createPodCounts()
  const memory = { pod: aPod({ hostUsers: false }) }
  await counts.counted(effects(works, works), memory).createSandbox(sandbox, signal)
  for (let i = 0; i < 2; i++) await assert.rejects(async () => counts.counted(effects(works, fails('CreateContainerError')), memory).startContainer(container('app'), signal))
  await assert.rejects(async () => counts.counted(effects(fails('RunContainerError'), works), memory).createSandbox(sandbox, signal))
  assert.deepEqual(read(counts).filter((line) => line.includes('user_namespaced')), ['kubelet_started_user_namespaced_pods_errors_total 2', 'kubelet_started_user_namespaced_pods_total 2'])
})

test('what was given up because the pod goes has not failed', async () => {
  const counts = createPodCounts()
  const gone = AbortSignal.abort()
  await assert.rejects(async () => counts.counted(effects(fails('RunContainerError'), fails('RunContainerError')), { pod: aPod({ hostUsers: false }) }).createSandbox(sandbox, gone))
  await assert.rejects(async () => counts.counted(effects(fails('RunContainerError'), fails('RunContainerError')), { pod: aPod() }).startContainer(container('app'), gone))
  assert.deepEqual(read(counts).filter((line) => line.includes('errors')), ['kubelet_started_pods_errors_total 0', 'kubelet_started_user_namespaced_pods_errors_total 0'])
})

test('a pod whose devices cannot be had counts as refused, one that is evicted meanwhile does not', async () => {
  const counts = createPodCounts()
  const memory: { pod: Pod; rejected?: Rejection } = { pod: aPod() }
  const prepare = (rejected: Rejection | undefined) => counts.counted({ preparePod: async () => { if (rejected) memory.rejected = rejected } } as unknown as Effects<PodAction>, memory).preparePod({ kind: 'preparePod' }, signal)
  for (const rejected of [undefined, { reason: 'Evicted', message: 'm', eviction: { graceSeconds: 1, sinceMs: 0 } }, { reason: 'UnexpectedAdmissionError', message: 'm' }]) await prepare(rejected)
  assert.deepEqual(read(counts).filter((line) => line.includes('admission')), ['kubelet_admission_rejections_total{reason="UnexpectedAdmissionError"} 1'])
})

test('refusals are counted by reasons that are few; pods by whether they are static and active', () => {
  const counts = createPodCounts()
  for (const reason of ['OutOfcpu', 'OutOfexample.com/radio', 'Surprise', 'OutOfcpu']) counts.rejected(reason)
  assert.deepEqual(read(counts).filter((line) => line.includes('admission')), ['kubelet_admission_rejections_total{reason="OutOfcpu"} 2', 'kubelet_admission_rejections_total{reason="OutOfExtendedResources"} 1', 'kubelet_admission_rejections_total{reason="Other"} 1'])
  const fixed = aPod({}, { annotations: { 'kubernetes.io/config.source': 'file' } })
  const helped = aPod({ ephemeralContainers: [{ name: 'debug', image: 'i' }] })
  const text = metricsText(counts.metrics([{ pod: fixed, isActive: true, hasMirror: true, conditions: [] }, { pod: helped, isActive: false, hasMirror: false, conditions: [] }], 2))
  assert.deepEqual(text.split('\n').filter((line) => /^kubelet_(active|desired|mirror|managed|cgroup)/.test(line)), [
    'kubelet_active_pods{static=""} 0', 'kubelet_active_pods{static="true"} 1', 'kubelet_cgroup_version 2', 'kubelet_desired_pods{static=""} 1', 'kubelet_desired_pods{static="true"} 1', 'kubelet_managed_ephemeral_containers 1', 'kubelet_mirror_pods 1',
  ])
})

test('resizes are counted while they wait, by why they do, and while they are made', () => {
  const counted = (...conditions: [type: string, reason?: string][]) => ({ pod: aPod(), isActive: true, hasMirror: false, conditions: conditions.map(([type, reason]) => ({ type, status: 'True', ...(reason !== undefined && { reason }) })) })
  const pods = [counted(['Ready']), counted(['PodResizePending', 'Deferred']), counted(['PodResizePending', 'Infeasible'], ['PodResizeInProgress']), counted(['PodResizePending', 'Deferred'], ['PodResizeInProgress', 'Error'])]
  const lines = (of: typeof pods) => metricsText(createPodCounts().metrics(of, 2)).split('\n').filter((line) => /^kubelet_pod_.*resizes/.test(line))
  assert.deepEqual(lines(pods), ['kubelet_pod_in_progress_resizes 2', 'kubelet_pod_pending_resizes{reason="deferred"} 2', 'kubelet_pod_pending_resizes{reason="infeasible"} 1'])
  assert.deepEqual(lines([]), ['kubelet_pod_in_progress_resizes 0'])
})

test('image volumes are counted as upstream counts them: asked for once their images are here, and mounted unless the runtime says that this failed', async () => {
  const counts = createPodCounts()
  const memory = { pod: aPod({ volumes: [{ name: 'data', image: { reference: 'registry.local/data:1' } }, { name: 'tmp', emptyDir: {} }], containers: [aContainer('app', { volumeMounts: [{ name: 'data', mountPath: '/a' }, { name: 'data', mountPath: '/b' }, { name: 'tmp', mountPath: '/tmp' }] })] }) }
  const start = (error?: StartError) => counts.counted(effects(works, () => (error ? Promise.reject(error) : Promise.resolve())), memory).startContainer(container('app'), signal).catch(() => { /* it was to fail */ })
  const values = () => ['requested_total', 'mounted_succeed_total', 'mounted_errors_total'].map((name) => counts.metrics([], 2).find((family) => family.name === `kubelet_image_volume_${name}`)?.samples[0]?.value)
  assert.deepEqual(values(), [0, 0, 0])
  await start(new StartError('ErrImagePull', 'not found', { image: 'registry.local/data:1' }))
  assert.deepEqual(values(), [0, 0, 0])
  await start(new StartError('CreateContainerError', 'ImageVolumeMountFailed: sub path "none" does not exist'))
  assert.deepEqual(values(), [1, 0, 2])
  await start()
  await start(new StartError('RunContainerError', 'no such command'))
  assert.deepEqual(values(), [3, 4, 2])
})
