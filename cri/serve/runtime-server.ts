/** CRI v1 served: RuntimeService and ImageService of any runtime behind the contract, on a unix socket, so that crictl and every other CRI client works with it. */
import type { Clock } from '#base/clock.ts'
import { asError, CodedError, hasCode } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import type { Random } from '#base/random.ts'
import type { Written } from '#base/protobuf/message.ts'
import { grpcError } from '../rpc-status.ts'
import type { ContainerRuntime, ContainerStats, ContainerStatus, RuntimeEvent, SandboxStatus } from '../runtime.ts'
import { CGROUPFS, CONTAINER_STATES, EVENT_TYPES, SANDBOX_STATES } from '../wire/enums.ts'
import type { Call } from '#base/grpc/call.ts'
import { GrpcServer, type Unary } from '#base/grpc/grpc-server.ts'
import { GRPC, GrpcError } from '#base/grpc/grpc-status.ts'
import type * as m from '../wire/messages.ts'
import { CALLS, OWN_CALLS } from '../wire/services.ts'
import { containerItem, containerMessage, imageMessage, nanos, sandboxItem, sandboxMessage, sandboxStatsMessage, statsMessage } from './answers.ts'
import { descriptorsMessage, podMetricsMessage } from './metrics.ts'
import { authOf, containerConfigOf, resourcesOf, sandboxConfigOf } from './requests.ts'
import { StreamingServer } from './streaming-server.ts'

export interface ServeRuntimeOptions { socketPath: string; clock: Clock; random: Random; log: Log }

export interface RuntimeServer { close(): Promise<void> }

const ID_LENGTH = 64

/** Resolves once it listens. The runtime stays its owner's. */
export async function serveRuntime(runtime: ContainerRuntime, options: ServeRuntimeOptions): Promise<RuntimeServer> {
  const { clock } = options
  const log = options.log.with('cri')
  const server = new GrpcServer({ clock, log })
  const streaming = new StreamingServer({ clock, random: options.random, log })
  const answer = <Request, Response, Asked, Answered>(call: Call<Request, Response, Asked, Answered>, serve: Unary<Request, Answered>) => server.unary(call, async (request, signal) => {
    try {
      return await serve(request, signal)
    } catch (error) {
      throw grpcError(error)
    }
  })

  const containerId = async (id: string) => (id.length >= ID_LENGTH ? id : fullId(id, (await runtime.listContainers()).map((c) => c.id)))
  const sandboxId = async (id: string) => (id.length >= ID_LENGTH ? id : fullId(id, (await runtime.listPodSandbox()).map((s) => s.id)))
  const digestRefs = async () => new Map((await runtime.listImages()).map((i) => [i.id, i.repoDigests[0]]))
  const mountpoint = async () => (await runtime.imageFsInfo()).mountpoint
  const runningStats = async (): Promise<{ stats: ContainerStats; status: ContainerStatus }[]> => {
    const [all, statuses] = await Promise.all([runtime.listContainerStats(), runtime.listContainers()])
    const byId = new Map(statuses.map((s) => [s.id, s]))
    return all.flatMap((stats) => { const status = byId.get(stats.containerId); return status ? [{ stats, status }] : [] })
  }

  answer(CALLS.version, async () => ({ version: '0.1.0', ...await runtime.version() }))
  answer(CALLS.status, async ({ verbose }) => {
    const { conditions, handlers, supplementalGroupsPolicy } = await runtime.status()
    return {
      status: { conditions }, runtimeHandlers: handlers.map(({ name, ...features }) => ({ name, features })), features: { supplementalGroupsPolicy },
      ...(verbose && { info: { config: JSON.stringify({ imageFs: await runtime.imageFsInfo() }) } }),
    }
  })
  answer(CALLS.runtimeConfig, async () => ({ linux: { cgroupDriver: CGROUPFS } }))
  // The pod network is the agent's: there is nothing to be told.
  answer(CALLS.updateRuntimeConfig, async () => ({}))
  answer(CALLS.checkpointContainer, async () => { throw new GrpcError(GRPC.unimplemented, 'this runtime does not checkpoint containers') })

  answer(CALLS.runPodSandbox, async ({ config, runtimeHandler }) => {
    if (runtimeHandler !== '' && !(await runtime.status()).handlers.some((h) => h.name === runtimeHandler)) throw new CodedError('CRI_FAILED', `no runtime for ${JSON.stringify(runtimeHandler)} is configured`)
    return { podSandboxId: await runtime.runPodSandbox({ ...sandboxConfigOf(config), ...(runtimeHandler !== '' && { runtimeHandler }) }) }
  })
  answer(CALLS.stopPodSandbox, async ({ podSandboxId }) => { await runtime.stopPodSandbox(await sandboxId(podSandboxId)); return {} })
  answer(CALLS.removePodSandbox, async ({ podSandboxId }) => { await runtime.removePodSandbox(await sandboxId(podSandboxId)); return {} })
  answer(CALLS.podSandboxStatus, async ({ podSandboxId, verbose }) => {
    const status = await runtime.podSandboxStatus(await sandboxId(podSandboxId))
    const refs = await digestRefs()
    const containersStatuses = (await runtime.listContainers({ sandboxId: status.id })).map((c) => containerMessage(c, refs.get(c.imageId)))
    return { status: sandboxMessage(status), containersStatuses, ...(verbose && { info: { info: JSON.stringify({ netns: status.netnsPath ?? '' }) } }), timestamp: nanos(clock.nowMs()) }
  })
  answer(CALLS.listPodSandbox, async ({ filter }) => {
    const state = filter?.state ? SANDBOX_STATES[filter.state.state] : undefined
    return { items: (await runtime.listPodSandbox(state === undefined ? {} : { state })).filter((s) => s.id.startsWith(filter?.id ?? '') && carries(s.labels, filter?.labelSelector)).map(sandboxItem) }
  })

  answer(CALLS.createContainer, async (request) => {
    const ref = request.config?.image?.image ?? ''
    const image = await runtime.imageStatus(ref)
    const sandbox = await sandboxId(request.podSandboxId)
    if (!image) throw new CodedError('CRI_IMAGE_NOT_FOUND', `failed to get image ${JSON.stringify(ref)}: image not found`)
    const volumeImages = new Map<string, string>()
    for (const { image: wanted } of request.config?.mounts ?? []) {
      if (!wanted || wanted.image === '') continue
      const found = await runtime.imageStatus(wanted.image)
      if (!found) throw new CodedError('CRI_IMAGE_NOT_FOUND', `ImageVolumeMountFailed: failed to get image ${JSON.stringify(wanted.image)}: image not found`)
      volumeImages.set(wanted.image, found.id)
    }
    return { containerId: await runtime.createContainer(sandbox, containerConfigOf(request.config, image.id, volumeImages), sandboxConfigOf(request.sandboxConfig)) }
  })
  answer(CALLS.startContainer, async (request) => { await runtime.startContainer(await containerId(request.containerId)); return {} })
  answer(CALLS.stopContainer, async (request) => { await runtime.stopContainer(await containerId(request.containerId), request.timeout); return {} })
  answer(CALLS.removeContainer, async (request) => { await runtime.removeContainer(await containerId(request.containerId)); return {} })
  answer(CALLS.listContainers, async ({ filter }) => {
    const state = filter?.state ? CONTAINER_STATES[filter.state.state] : undefined
    const [found, refs] = await Promise.all([runtime.listContainers(state === undefined ? {} : { state }), digestRefs()])
    return {
      containers: found.filter((c) => c.id.startsWith(filter?.id ?? '') && c.sandboxId.startsWith(filter?.podSandboxId ?? '') && carries(c.labels, filter?.labelSelector)).map((c) => containerItem(c, refs.get(c.imageId))),
    }
  })
  answer(CALLS.containerStatus, async (request) => {
    const status = await runtime.containerStatus(await containerId(request.containerId))
    const info = async () => {
      const pids = status.state === 'running' ? (await runtime.containerStats(status.id)).pids : 0
      return { info: JSON.stringify({ sandboxID: status.sandboxId, ...(status.pid !== undefined && { pid: status.pid }), pids }) }
    }
    return { status: containerMessage(status, (await digestRefs()).get(status.imageId)), ...(request.verbose && { info: await info() }) }
  })
  answer(CALLS.updateContainerResources, async (request) => { await runtime.updateContainerResources(await containerId(request.containerId), resourcesOf(request.linux)); return {} })
  // The pod's cgroup is the caller's own; what is in it gets its share by UpdateContainerResources.
  answer(CALLS.updatePodSandboxResources, async (request) => { await runtime.podSandboxStatus(await sandboxId(request.podSandboxId)); return {} })
  answer(CALLS.reopenContainerLog, async (request) => { await runtime.reopenContainerLog(await containerId(request.containerId)); return {} })

  answer(CALLS.execSync, async (request) => runtime.execSync(await containerId(request.containerId), request.cmd, request.timeout))
  answer(CALLS.exec, async ({ cmd, tty, stdin, stdout, stderr, ...request }) => {
    assertStreams({ tty, stdin, stdout, stderr })
    const id = await running(runtime, await containerId(request.containerId))
    return { url: await streaming.offer({ kind: 'exec', flags: { stdin, stdout, stderr, tty }, open: () => runtime.exec({ containerId: id, cmd, tty, stdin }) }) }
  })
  answer(CALLS.attach, async ({ tty, stdin, stdout, stderr, ...request }) => {
    assertStreams({ tty, stdin, stdout, stderr })
    const id = await running(runtime, await containerId(request.containerId))
    return { url: await streaming.offer({ kind: 'attach', flags: { stdin, stdout, stderr, tty }, open: () => runtime.attach(id, { stdin, tty }) }) }
  })
  answer(CALLS.portForward, async ({ podSandboxId, port }) => {
    const sandbox = await runtime.podSandboxStatus(await sandboxId(podSandboxId))
    if (sandbox.state !== 'ready') throw new CodedError('CRI_FAILED', `sandbox container ${JSON.stringify(sandbox.id)} is not running`)
    return { url: await streaming.offer({ kind: 'portForward', ports: port, dial: (each) => runtime.portForward(sandbox.id, each) }) }
  })

  answer(CALLS.containerStats, async (request) => {
    const id = await containerId(request.containerId)
    const [stats, status] = await Promise.all([runtime.containerStats(id), runtime.containerStatus(id)])
    return { stats: statsMessage(stats, status, await mountpoint()) }
  })
  answer(CALLS.listContainerStats, async ({ filter }) => {
    const [found, mount] = await Promise.all([runningStats(), mountpoint()])
    return {
      stats: found.filter(({ status }) => status.id.startsWith(filter?.id ?? '') && status.sandboxId.startsWith(filter?.podSandboxId ?? '') && carries(status.labels, filter?.labelSelector)).map(({ stats, status }) => statsMessage(stats, status, mount)),
    }
  })
  const sandboxStats = async (wanted: (sandbox: SandboxStatus) => boolean) => {
    const [sandboxes, found, networks, mount] = await Promise.all([runtime.listPodSandbox({ state: 'ready' }), runningStats(), runtime.listSandboxNetworks(), mountpoint()])
    const interfacesOf = new Map(networks.map((n) => [n.podSandboxId, n.interfaces]))
    return sandboxes.filter(wanted).map((s) => sandboxStatsMessage(s, { containers: found.filter((c) => c.status.sandboxId === s.id), interfaces: interfacesOf.get(s.id) ?? [], mountpoint: mount, nowMs: clock.nowMs() }))
  }
  answer(CALLS.podSandboxStats, async (request) => {
    const id = (await runtime.podSandboxStatus(await sandboxId(request.podSandboxId))).id
    const [stats] = await sandboxStats((s) => s.id === id)
    if (!stats) throw new CodedError('CRI_FAILED', `sandbox container ${JSON.stringify(id)} is not running`)
    return { stats }
  })
  answer(CALLS.listPodSandboxStats, async ({ filter }) => ({ stats: await sandboxStats((s) => s.id.startsWith(filter?.id ?? '') && carries(s.labels, filter?.labelSelector)) }))
  answer(CALLS.listMetricDescriptors, async () => descriptorsMessage(await runtime.listMetricDescriptors()))
  answer(CALLS.listPodSandboxMetrics, async () => podMetricsMessage(await runtime.listPodSandboxMetrics()))

  server.streaming(CALLS.getContainerEvents, (_, send, signal) => new Promise((resolve) => {
    // One after the other: what an event tells is read after it happened.
    let turn = Promise.resolve()
    const stop = runtime.events((event) => { turn = turn.then(async () => send(await eventMessage(runtime, event, clock.nowMs()))).catch((error: unknown) => log.debug('an event could not be told', { error: asError(error) })) })
    signal.addEventListener('abort', () => { stop(); resolve() }, { once: true })
  }))

  answer(CALLS.listImages, async ({ filter }) => {
    const ref = filter?.image?.image ?? ''
    if (ref === '') return { images: (await runtime.listImages()).map(imageMessage) }
    const image = await runtime.imageStatus(ref)
    return { images: image ? [imageMessage(image)] : [] }
  })
  answer(CALLS.imageStatus, async ({ image }) => {
    const found = await runtime.imageStatus(image?.image ?? '')
    return found ? { image: imageMessage(found) } : {}
  })
  answer(CALLS.pullImage, async ({ image, auth }, signal) => {
    const given = authOf(auth)
    const pulled = await runtime.pullImage(image?.image ?? '', { signal, ...(given && { auth: given }) })
    return { imageRef: pulled.id }
  })
  answer(OWN_CALLS.importImages, async ({ path }) => ({ images: (await runtime.importImages(path)).map(imageMessage) }))
  server.streaming(OWN_CALLS.holdImages, async ({ refs }, send, signal) => {
    const { images, release } = await runtime.holdImages(refs).catch((error: unknown) => { throw grpcError(error) })
    try {
      send({ images })
      if (!signal.aborted) await new Promise((resolve) => { signal.addEventListener('abort', resolve, { once: true }) })
    } finally {
      release()
    }
  })
  answer(CALLS.removeImage, async ({ image }) => { await runtime.removeImage(image?.image ?? ''); return {} })
  answer(CALLS.imageFsInfo, async () => {
    const { mountpoint: path, usedBytes, inodesUsed } = await runtime.imageFsInfo()
    const usage = { timestamp: nanos(clock.nowMs()), fsId: { mountpoint: path }, usedBytes: { value: usedBytes }, inodesUsed: { value: inodesUsed } }
    return { imageFilesystems: [usage], containerFilesystems: [usage] }
  })

  await server.listen(options.socketPath)
  return {
    async close() {
      await server.close()
      await streaming.close()
    },
  }
}

async function running(runtime: ContainerRuntime, id: string): Promise<string> {
  const { state } = await runtime.containerStatus(id)
  if (state !== 'running') throw new CodedError('CRI_FAILED', `container is in CONTAINER_${state.toUpperCase()} state`)
  return id
}

/** As upstream's streaming server. */
function assertStreams({ tty, stdin, stdout, stderr }: { tty: boolean; stdin: boolean; stdout: boolean; stderr: boolean }): void {
  if (tty && stderr) throw new CodedError('CRI_INVALID', 'tty and stderr cannot both be true')
  if (!stdin && !stdout && !stderr) throw new CodedError('CRI_INVALID', 'one of stdin, stdout, or stderr must be set')
}

/** People type the beginning of an id; what it is the beginning of must be one. */
function fullId(prefix: string, ids: readonly string[]): string {
  const found = prefix === '' ? [] : ids.filter((id) => id.startsWith(prefix))
  if (found.length > 1) throw new CodedError('CRI_INVALID', `${JSON.stringify(prefix)} is the beginning of ${found.length} ids: give more of it`)
  return found[0] ?? prefix
}

function carries(labels: Readonly<Record<string, string>>, selector: Readonly<Record<string, string>> | undefined): boolean {
  return Object.entries(selector ?? {}).every(([key, value]) => labels[key] === value)
}

async function eventMessage(runtime: ContainerRuntime, event: RuntimeEvent, nowMs: number): Promise<Written<typeof m.ContainerEvent>> {
  const type = event.kind.replace(/^(container|sandbox)/, '').toLowerCase() as (typeof EVENT_TYPES)[number]
  const unlessGone = <T>(look: Promise<T>) => look.catch((error: unknown) => {
    if (hasCode(error, 'CRI_NOT_FOUND')) return undefined
    throw error
  })
  const [sandbox, containers] = await Promise.all([unlessGone(runtime.podSandboxStatus(event.sandboxId)), runtime.listContainers({ sandboxId: event.sandboxId })])
  return {
    containerId: 'containerId' in event ? event.containerId : event.sandboxId, containerEventType: EVENT_TYPES.indexOf(type), createdAt: nanos(nowMs),
    ...(sandbox && { podSandboxStatus: sandboxMessage(sandbox) }), containersStatuses: containers.map((c) => containerMessage(c, undefined)),
  }
}
