/** The pod resources API over its socket, with devices of a real plugin. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import type { Pod, Stored } from '#api/types/index.ts'
import { FakeClock } from '#base/clock-fake.ts'
import { systemClock } from '#base/clock.ts'
import { GrpcClient } from '#base/grpc/grpc-client.ts'
import { GRPC } from '#base/grpc/grpc-status.ts'
import { silentLog } from '#base/log.ts'
import type { PodDevices } from '../devices/allocation.ts'
import type { Device } from '../devices/source.ts'
import { metricsText } from '../stats/metrics-text.ts'
import { aContainer, aPod } from '../testing/builders.ts'
import { ALLOCATABLE, GET, LIST, LIST_ALPHA } from './calls.ts'
import { createPodResources, noPodResourcesCounts, podResourcesMetrics } from './pod-resources.ts'

const RADIO = 'example.com/radio'
const CALL = { timeoutMs: 60_000 }
const pod: Stored<Pod> = aPod({ initContainers: [aContainer('setup'), aContainer('sidecar', { restartPolicy: 'Always' })], containers: [aContainer('app'), aContainer('none')] })
const given: PodDevices = { setup: { [RADIO]: ['a'] }, sidecar: { [RADIO]: ['a'] }, app: { [RADIO]: ['b', 'gone'], 'example.com/dice': ['1'] } }
const known = new Map<string, readonly Device[]>([[RADIO, [{ id: 'a', healthy: true }, { id: 'b', healthy: true, numaNodes: [0, 1] }, { id: 'c', healthy: false }]], ['example.com/dice', [{ id: '1', healthy: true }]]])

const CLAIMED = { claimName: 'lamp', claimNamespace: 'default', claimResources: [{ cdiDevices: [{ name: 'example.com/lamp=red' }], driverName: 'lamps.example.com', poolName: 'node-1', deviceName: 'red', shareId: '' }] }
const claimed = (_: Stored<Pod>, { name }: { name: string }) => (name === 'app' ? [CLAIMED] : [])

async function serve(t: TestContext, clock = systemClock) {
  const rootDir = mkdtempSync(join(tmpdir(), 'resources-'))
  const stop = new AbortController()
  const counts = noPodResourcesCounts()
  const devices = { devices: () => known, given: (uid: string) => (uid === 'u1' ? given : {}) }
  const ended = aPod({}, { name: 'ended', uid: 'u2' })
  const running = createPodResources({ rootDir, activePods: () => [pod], podByName: (namespace, name) => [pod, ended].find((p) => p.metadata.name === name && p.metadata.namespace === namespace), devices, claims: { resourcesOf: claimed }, clock, log: silentLog }, counts).run(stop.signal)
  const socketPath = join(rootDir, 'pod-resources', 'kubelet.sock')
  const isThere = () => statSync(socketPath, { throwIfNoEntry: false })?.isSocket() === true
  for (let i = 0; i < 12_000 && !isThere(); i++) await systemClock.sleep(5)
  const client = new GrpcClient({ endpoint: { socketPath }, peer: 'the kubelet', clock: systemClock })
  t.after(async () => {
    client.close()
    stop.abort()
    await running
    rmSync(rootDir, { recursive: true, force: true })
  })
  return { client, counts, socketPath }
}

const device = (resourceName: string, id: string, ...nodes: number[]) => ({ resourceName, deviceIds: [id], topology: nodes.length === 0 ? undefined : { nodes: nodes.map((node) => ({ id: node })) } })
const container = (name: string, ...devices: ReturnType<typeof device>[]) => ({ name, devices, cpuIds: [], memory: [], dynamicResources: name === 'app' ? [CLAIMED] : [] })
const APP = [device(RADIO, 'b', 0), device(RADIO, 'b', 1), device(RADIO, 'gone'), device('example.com/dice', '1')]
const WEB = { name: 'web', namespace: 'default', containers: [container('sidecar', device(RADIO, 'a')), container('app', ...APP), container('none')] }

test('sidecars and app containers of pods that have not ended are listed with their devices, one entry for each NUMA node of each, and the devices of their claims', async (t) => {
  const { client } = await serve(t)
  assert.deepStrictEqual(await client.unary(LIST, {}, CALL), { podResources: [WEB] })
  const [alpha] = (await client.unary(LIST_ALPHA, {}, CALL)).podResources
  assert.deepStrictEqual(alpha?.containers, [{ name: 'app', devices: [{ resourceName: RADIO, deviceIds: ['b'] }, { resourceName: RADIO, deviceIds: ['gone'] }, { resourceName: 'example.com/dice', deviceIds: ['1'] }] }, { name: 'none', devices: [] }])
})

test('what may be allocated is what is well, whoever has it; CPUs and memory are nobody\'s own', async (t) => {
  const { client } = await serve(t)
  assert.deepStrictEqual(await client.unary(ALLOCATABLE, {}, CALL), { devices: [device(RADIO, 'a'), device(RADIO, 'b', 0), device(RADIO, 'b', 1), device('example.com/dice', '1')], cpuIds: [], memory: [] })
})

test('one pod by its name, ended or not; who is not here is said in upstream\'s words, and all of it is counted', async (t) => {
  const { client, counts } = await serve(t)
  assert.deepStrictEqual((await client.unary(GET, { podName: 'web', podNamespace: 'default' }, CALL)).podResources, WEB)
  assert.deepStrictEqual((await client.unary(GET, { podName: 'ended', podNamespace: 'default' }, CALL)).podResources?.containers, [container('app')])
  await assert.rejects(client.unary(GET, { podName: 'web', podNamespace: 'other' }, CALL), { status: GRPC.unknown, message: /pod web in namespace other not found/ })
  await client.unary(LIST_ALPHA, {}, CALL)
  assert.deepStrictEqual(metricsText(podResourcesMetrics(counts)).split('\n').filter((l) => l !== '' && !l.startsWith('#')), [
    'kubelet_pod_resources_endpoint_requests_total{server_api_version="v1"} 3', 'kubelet_pod_resources_endpoint_requests_total{server_api_version="v1alpha1"} 1',
    'kubelet_pod_resources_endpoint_requests_get{server_api_version="v1"} 3', 'kubelet_pod_resources_endpoint_errors_get{server_api_version="v1"} 1',
  ])
})

test('more than ten calls at once, or a hundred a second, are refused', async (t) => {
  const clock = new FakeClock()
  const { client } = await serve(t, clock)
  const ask = async (times: number) => {
    const results = await Promise.allSettled(Array.from({ length: times }, () => client.unary(LIST, {}, CALL)))
    return results.map((r) => (r.status === 'fulfilled' ? 'answered' : (r.reason as { status: number }).status))
  }
  assert.deepStrictEqual((await ask(12)).filter((r) => r !== GRPC.resourceExhausted), Array.from({ length: 10 }, () => 'answered'))
  await clock.advance(20)
  assert.deepStrictEqual((await ask(3)).filter((r) => r === 'answered').length, 2)
})

test('where there can be no socket the node runs all the same', async () => {
  const rootDir = mkdtempSync(join(tmpdir(), 'resources-'))
  writeFileSync(join(rootDir, 'pod-resources'), '')
  await createPodResources({ rootDir, activePods: () => [], podByName: () => undefined, devices: { devices: () => new Map(), given: () => ({}) }, claims: { resourcesOf: () => [] }, clock: systemClock, log: silentLog }, noPodResourcesCounts()).run(new AbortController().signal)
  rmSync(rootDir, { recursive: true, force: true })
})
