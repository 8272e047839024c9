import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import WebSocket from 'ws'
import { systemClock } from '#base/clock.ts'
import { silentLog } from '#base/log.ts'
import type { Written } from '#base/protobuf/message.ts'
import { systemRandom } from '#base/random.ts'
import { connectRuntime, serveRuntime } from '#cri/index.ts'
import { createMemoryRuntime, type MemoryRuntime } from '../memory/runtime-memory.ts'
import type { Call } from '#base/grpc/call.ts'
import { GrpcClient } from '#base/grpc/grpc-client.ts'
import type * as m from '../wire/messages.ts'
import { CALLS } from '../wire/services.ts'

const dir = mkdtempSync(join(tmpdir(), 'skiff-cri-serve-'))
const socketPath = join(dir, 'cri.sock')
const IMAGE = 'docker.io/library/busybox:1'

describe('CRI served', () => {
  let runtime: MemoryRuntime
  let server: Awaited<ReturnType<typeof serveRuntime>>
  let client: GrpcClient
  const ask = <Request, Response, Asked, Answered>(call: Call<Request, Response, Asked, Answered>, request: Asked, timeoutMs = 10_000) => client.unary(call, request, { timeoutMs })
  const pod = (name: string, more: object = {}): Written<typeof m.PodSandboxConfig> => ({ metadata: { name, uid: `uid-${name}`, namespace: 'default', attempt: 0 }, logDirectory: join(dir, name), labels: { app: name }, ...more })
  const start = async (name: string, more: Written<typeof m.ContainerConfig> = {}) => {
    const config = pod(name)
    const { podSandboxId } = await ask(CALLS.runPodSandbox, { config })
    const { containerId } = await ask(CALLS.createContainer, { podSandboxId, config: { metadata: { name: 'main', attempt: 0 }, image: { image: IMAGE }, labels: { part: name }, logPath: 'main/0.log', ...more }, sandboxConfig: config })
    await ask(CALLS.startContainer, { containerId })
    return { podSandboxId, containerId }
  }

  before(async () => {
    runtime = createMemoryRuntime({ clock: systemClock, random: systemRandom })
    runtime.control.serve(IMAGE)
    server = await serveRuntime(runtime, { socketPath, clock: systemClock, random: systemRandom, log: silentLog })
    client = new GrpcClient({ endpoint: { socketPath }, peer: 'the container runtime', clock: systemClock })
    await ask(CALLS.pullImage, { image: { image: IMAGE } })
  })
  after(async () => {
    client.close()
    await server.close()
    await runtime.close()
    rmSync(dir, { recursive: true, force: true })
  })

  test('the socket is its owner\'s alone; the cgroup driver is cgroupfs; a method nobody knows is Unimplemented', async () => {
    assert.equal(statSync(socketPath).mode & 0o777, 0o600)
    assert.deepEqual(await ask(CALLS.runtimeConfig, {}), { linux: { cgroupDriver: 1 } })
    await assert.rejects(ask({ ...CALLS.version, path: '/runtime.v1.RuntimeService/Nothing' }, {}), { code: 'GRPC_12', message: 'unknown method Nothing for service runtime.v1.RuntimeService' })
    await assert.rejects(ask(CALLS.checkpointContainer, { containerId: 'x' }), { code: 'GRPC_12' })
  })

  test('a deadline is kept, also when the work goes on', async () => {
    runtime.control.delay('version', 2_000)
    await assert.rejects(ask(CALLS.version, {}, 50), { code: 'GRPC_4', message: 'context deadline exceeded' })
    runtime.control.delay('version', 0)
    assert.equal((await ask(CALLS.version, {})).runtimeApiVersion, 'v1')
  })

  test('lists are filtered by id, state and labels; an id may be shortened as long as it is one', async () => {
    const a = await start('a')
    const b = await start('b')
    const ids = async (filter: object) => (await ask(CALLS.listContainers, { filter })).containers.map((c) => c.id).toSorted()
    assert.deepEqual(await ids({ labelSelector: { part: 'a' } }), [a.containerId])
    assert.deepEqual(await ids({ podSandboxId: b.podSandboxId }), [b.containerId])
    assert.deepEqual(await ids({ state: { state: 1 } }), [a.containerId, b.containerId].toSorted())
    assert.deepEqual((await ask(CALLS.listPodSandbox, { filter: { labelSelector: { app: 'b' } } })).items.map((s) => s.id), [b.podSandboxId])
    assert.equal((await ask(CALLS.containerStatus, { containerId: a.containerId.slice(0, 13) })).status?.id, a.containerId)
    await assert.rejects(ask(CALLS.containerStatus, { containerId: 'zz' }), { code: 'GRPC_5' })
  })

  test('a port without a host port is no mapping; users of a pod are its own or the host\'s', async () => {
    const sandbox = (name: string, more: object) => ask(CALLS.runPodSandbox, { config: { metadata: { name, uid: `uid-${name}`, namespace: 'default', attempt: 0 }, logDirectory: '/tmp', ...more } })
    const { podSandboxId } = await sandbox('ports', { portMappings: [{ containerPort: 80 }, { containerPort: 81, hostPort: 8081 }] })
    assert.deepEqual(runtime.control.sandboxConfigOf(podSandboxId).portMappings, [{ protocol: 'TCP', containerPort: 81, hostPort: 8081, hostIp: '' }])
    const users = (mode: number) => sandbox('users', { linux: { securityContext: { namespaceOptions: { usernsOptions: { mode } } } } }).then(() => '', (error: unknown) => (error as Error).message)
    assert.deepEqual([await users(1), await users(3)], ['user namespace mode CONTAINER: there are POD and NODE', 'user namespace mode TARGET: there are POD and NODE'])
  })

  test('statistics and metrics tell of pods and their containers', async () => {
    const { podSandboxId, containerId } = await start('counted')
    const { stats } = await ask(CALLS.podSandboxStats, { podSandboxId })
    assert.deepEqual([stats?.attributes?.metadata?.name, stats?.linux?.containers.map((c) => c.attributes?.id)], ['counted', [containerId]])
    assert.deepEqual([stats?.linux?.network?.defaultInterface?.name, stats?.linux?.network?.defaultInterface?.txBytes?.value, stats?.linux?.network?.interfaces], ['eth0', 2_000, []])
    const { descriptors } = await ask(CALLS.listMetricDescriptors, {})
    assert.deepEqual(descriptors, [{ name: 'container_memory_rss', help: 'Size of RSS in bytes.', labelKeys: ['container', 'pod'] }])
    const pod = (await ask(CALLS.listPodSandboxMetrics, {})).podMetrics.find((p) => p.podSandboxId === podSandboxId)
    assert.deepEqual(pod?.containerMetrics.map((c) => [c.containerId, c.metrics.map(({ name, metricType, labelValues }) => ({ name, metricType, labelValues }))]), [[containerId, [{ name: 'container_memory_rss', metricType: 1, labelValues: ['main', 'counted'] }]]])
  })

  test('events are pushed, with the state of the pod and its containers', async () => {
    const stop = new AbortController()
    const seen: [number, string, number[]][] = []
    const enough = Promise.withResolvers<void>()
    const stream = client.stream(CALLS.getContainerEvents, {}, (event) => {
      if (event.podSandboxStatus?.metadata?.name !== 'told') return
      seen.push([event.containerEventType, event.containerId, event.containersStatuses.map((c) => c.state)])
      if (seen.length === 3) enough.resolve()
    }, { signal: stop.signal })
    // The call is on its way before those that follow: one connection, in order.
    const { containerId } = await start('told')
    await ask(CALLS.stopContainer, { containerId, timeout: 0 })
    await enough.promise
    stop.abort()
    await assert.rejects(stream, { code: 'GRPC_1' })
    assert.deepEqual(seen.map(([type, id]) => [type, id]), [[0, containerId], [1, containerId], [2, containerId]])
    assert.deepEqual(seen[2]?.[2], [2])
  })

  test('exec over WebSocket, by an URL that is good once', async () => {
    const { containerId } = await start('streamed')
    const { url } = await ask(CALLS.exec, { containerId, cmd: ['echo', 'hello'], stdout: true, stderr: true })
    const open = () => new WebSocket(url.replace('http:', 'ws:'), ['v4.channel.k8s.io'])
    const socket = open()
    const said = new Map<number, string>()
    socket.on('message', (data: Buffer) => said.set(data[0] ?? 0, `${said.get(data[0] ?? 0) ?? ''}${data.subarray(1).toString()}`))
    await new Promise((resolve, reject) => { socket.on('close', resolve).on('error', reject) })
    assert.equal((JSON.parse(said.get(3) ?? '{}') as { status?: string }).status, 'Success')
    assert.equal(said.get(1), 'hello\n')
    const again = await new Promise<Error>((resolve) => { open().on('error', resolve) })
    assert.match(again.message, /404/)
  })

  test('a mount may name an image by any of its names, and a part of it; one that is not here is refused', async () => {
    const image = { image: IMAGE }
    const { containerId } = await start('image-mount', { mounts: [{ containerPath: '/data', image, imageSubPath: 'models', readonly: true }] })
    const { id } = await runtime.imageStatus(IMAGE) ?? {}
    assert.deepStrictEqual(runtime.control.configOf(containerId).mounts, [{ containerPath: '/data', hostPath: '', readonly: true, propagation: 'private', image: id, imageSubPath: 'models' }])
    const refused = (mount: object) => start('image-mount', { metadata: { name: 'b', attempt: 0 }, mounts: [{ containerPath: '/data', readonly: true, ...mount }] }).then(() => '', (error: unknown) => (error as Error).message)
    assert.deepStrictEqual([await refused({ image: { image: 'none:1' } }), await refused({ image, hostPath: '/x' }), await refused({ imageSubPath: 'x', hostPath: '/x' }), await refused({ image, readonly: false })], [
      'ImageVolumeMountFailed: failed to get image "none:1": image not found', 'mount /data: either a host path or an image', 'mount /data: an image\'s sub path without an image',
      'mount /data: an image can only be mounted read-only',
    ])
  })

  test('a kubelet\'s words reach the runtime: processors, profiles, labels', async () => {
    const { containerId } = await start('worded', {
      mounts: [{ containerPath: '/a', hostPath: '/b', selinuxRelabel: true }],
      linux: { resources: { cpusetCpus: '0-1', cpusetMems: '0', memoryLimitInBytes: 9, memorySwapLimitInBytes: 9 }, securityContext: { apparmor: { profileType: 2, localhostRef: 'localhost/mine' }, selinuxOptions: { type: 't', level: 's0:c1' } } },
    })
    const { linux, mounts } = runtime.control.configOf(containerId)
    assert.deepStrictEqual([linux.resources, linux.security.apparmor, linux.security.selinux, mounts[0]?.selinuxRelabel], [{ memoryLimitBytes: 9, cpusetCpus: '0-1', cpusetMems: '0' }, { profile: 'Localhost', name: 'mine' }, { user: '', role: '', type: 't', level: 's0:c1' }, true])
    await ask(CALLS.updateContainerResources, { containerId, linux: { cpusetCpus: '1' } })
    assert.equal((await ask(CALLS.containerStatus, { containerId })).status?.resources?.linux?.cpusetCpus, '1')
  })

  test('a kubelet finds what it compares: namespaces of pods, signals and mounts of containers', async () => {
    const config = pod('compared', { linux: { securityContext: { namespaceOptions: { network: 2, pid: 1, usernsOptions: { mode: 0, uids: [{ hostId: 65536, containerId: 0, length: 65536 }], gids: [{ hostId: 65536, containerId: 0, length: 65536 }] } } } } })
    const { podSandboxId } = await ask(CALLS.runPodSandbox, { config })
    const { status } = await ask(CALLS.podSandboxStatus, { podSandboxId })
    const options = status?.linux?.namespaces?.options
    assert.deepStrictEqual([options?.network, options?.pid, options?.ipc, options?.usernsOptions?.uids], [2, 1, 0, [{ hostId: 65536, containerId: 0, length: 65536 }]])
    const { containerId } = await ask(CALLS.createContainer, { podSandboxId, sandboxConfig: config, config: { metadata: { name: 'main', attempt: 0 }, image: { image: IMAGE }, stopSignal: 10, mounts: [{ containerPath: '/a', hostPath: '/b', readonly: true, propagation: 1 }] } })
    const told = (await ask(CALLS.containerStatus, { containerId })).status
    assert.deepStrictEqual((await ask(CALLS.podSandboxStatus, { podSandboxId })).containersStatuses.map((c) => c.id), [containerId])
    assert.deepStrictEqual([told?.stopSignal, told?.mounts.map((mount) => [mount.containerPath, mount.hostPath, mount.readonly, mount.propagation])], [10, [['/a', '/b', true, 1]]])
  })

  test('stopping and removing what is not there, or not any more, goes well; asking about it does not', async () => {
    const { podSandboxId, containerId } = await start('repeated')
    for (const id of [containerId, 'f'.repeat(64)]) {
      for (const _ of [1, 2]) await ask(CALLS.stopContainer, { containerId: id, timeout: 0 })
      for (const _ of [1, 2]) await ask(CALLS.removeContainer, { containerId: id })
      await assert.rejects(ask(CALLS.containerStatus, { containerId: id }), { code: 'GRPC_5' })
      await assert.rejects(ask(CALLS.startContainer, { containerId: id }), { code: 'GRPC_5' })
    }
    await ask(CALLS.updatePodSandboxResources, { podSandboxId, resources: { cpuShares: 2 } })
    for (const id of [podSandboxId, 'f'.repeat(64)]) {
      for (const _ of [1, 2]) await ask(CALLS.stopPodSandbox, { podSandboxId: id })
      for (const _ of [1, 2]) await ask(CALLS.removePodSandbox, { podSandboxId: id })
      await assert.rejects(ask(CALLS.podSandboxStatus, { podSandboxId: id }), { code: 'GRPC_5' })
      await assert.rejects(ask(CALLS.updatePodSandboxResources, { podSandboxId: id }), { code: 'GRPC_5' })
    }
    for (const _ of [1, 2]) await ask(CALLS.removeImage, { image: { image: 'none:1' } })
    assert.deepStrictEqual(await ask(CALLS.imageStatus, { image: { image: 'none:1' } }), { image: undefined, info: {} })
    for (const name of ['StreamPodSandboxes', 'StreamContainers']) await assert.rejects(ask({ ...CALLS.version, path: `/runtime.v1.RuntimeService/${name}` }, {}), { code: 'GRPC_12' })
  })

  test('what this runtime cannot do is refused, not passed over', async () => {
    const { podSandboxId } = await start('plain')
    const create = (config: Written<typeof m.ContainerConfig>) => ask(CALLS.createContainer, { podSandboxId, sandboxConfig: pod('plain'), config: { metadata: { name: 'more', attempt: 0 }, image: { image: IMAGE }, ...config } })
    for (const [config, says] of [
      [{ mounts: [{ containerPath: '/a', hostPath: '/b', recursiveReadOnly: true }] }, /recursive read-only/],
      [{ linux: { resources: { memoryLimitInBytes: 5, memorySwapLimitInBytes: 9 } } }, /no swap/], [{ linux: { securityContext: { capabilities: { addAmbientCapabilities: ['CHOWN'] } } } }, /ambient capabilities \(CHOWN\)/], [{ mounts: [{ containerPath: '/a', hostPath: '/b', readonly: true, propagation: 1, recursiveReadOnly: true }] }, /private propagation/],
      [{ linux: { securityContext: { namespaceOptions: { usernsOptions: { mode: 0 } } } } }, /needs its mappings/], [{ mounts: [{ containerPath: '/a', hostPath: '/b', uidMappings: [{ hostId: 1, containerId: 5, length: 9 }] }] }, /one range from 0/], [{ linux: { securityContext: { runAsGroup: { value: 1 } } } }, /runAsGroup/],
    ] as const) await assert.rejects(create(config), (error: Error & { code?: string }) => error.code === 'GRPC_3' && says.test(error.message))
    await assert.rejects(ask(CALLS.runPodSandbox, { config: pod('x'), runtimeHandler: 'kata' }), { code: 'GRPC_2' })
    await assert.rejects(ask(CALLS.runPodSandbox, { config: pod('x', { linux: { cgroupParent: 'a.slice' } }) }), { code: 'GRPC_3' })
    await assert.rejects(ask(CALLS.exec, { containerId: 'x', cmd: ['a'], tty: true, stdout: true, stderr: true }), { code: 'GRPC_3' })
  })

  test('a client finds the runtime again after it was away, and says meanwhile that it is not there', async () => {
    const path = join(dir, 'other.sock')
    const options = { socketPath: path, clock: systemClock, random: systemRandom, log: silentLog }
    const first = await serveRuntime(runtime, options)
    const remote = await connectRuntime({ endpoint: `unix://${path}`, clock: systemClock, log: silentLog })
    await first.close()
    await assert.rejects(remote.status(), { code: 'CRI_FAILED' })
    assert.equal((await remote.version()).runtimeApiVersion, 'v1')
    const second = await serveRuntime(runtime, options)
    assert.equal((await remote.status()).conditions[0]?.status, true)
    await remote.close()
    await second.close()
  })
})
