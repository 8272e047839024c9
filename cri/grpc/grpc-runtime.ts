/** Any runtime that speaks CRI v1 on a unix socket (containerd, CRI-O, skiff's own) behind the contract. */
import type { Duplex } from 'node:stream'
import type { Clock } from '#base/clock.ts'
import { asError, CodedError, hasCode } from '#base/errors.ts'
import { KeyedLock } from '#base/keyed-lock.ts'
import type { Log } from '#base/log.ts'
import type { Read } from '#base/protobuf/message.ts'
import type {
  ContainerConfig, ContainerRuntime, ContainerState, ContainerStats, ContainerStatus, ExecRequest, ExportableImage, Image, IoSession, LinuxResources, MetricDescriptor, PodNetwork, PodSandboxConfig, PodSandboxMetrics, RuntimeEvent, SandboxState, SandboxStatus, SandboxNetwork,
} from '../runtime.ts'
import { readCgroupLayout } from '../runc/cgroups.ts'
import { execOverSpdy, portForwardOverSpdy } from '../streaming/spdy-client.ts'
import { CONTAINER_STATES, nameOf, SANDBOX_STATES } from '../wire/enums.ts'
import type { Call } from '#base/grpc/call.ts'
import { GrpcClient, type CallOptions } from '#base/grpc/grpc-client.ts'
import type * as m from '../wire/messages.ts'
import { CALLS, OWN_CALLS } from '../wire/services.ts'
import { containerStatsOf, containerStatusOf, imageOf, podSandboxMetricsOf, sandboxNetworkOf, sandboxStatusOf } from './answers.ts'
import { contractError, isUnimplemented, type CallKind } from './errors.ts'
import { LifeEvents } from './life-events.ts'
import { checkMountsImages } from './mounts-images.ts'
import { countProcesses } from './process-count.ts'
import { containerMessage, resourcesMessage, sandboxMessage } from './requests.ts'
import { RuntimeWatch } from './runtime-watch.ts'

export interface GrpcRuntimeOptions {
  /** `/run/containerd/containerd.sock`, also as `unix://...`. */
  endpoint: string
  /** Says why pods cannot have a network yet; sandboxes get theirs from a CNI plugin that asks it. */
  network?: Pick<PodNetwork, 'notReadyReason'>
  clock: Clock
  log: Log
  /** Upstream's `runtimeRequestTimeout`. Default 2 min. */
  requestTimeoutMs?: number
}

/** Its end and the time it took are told only after the runtime's own events came in. */
const SETTLED_MS = 10_000
const OUTPUT_BYTES_MAX = 1024 * 1024
/** A runtime that hangs is found by this, also under calls that may take as long as they like: pulls, events. */
const SILENCE_MS_MAX = 60_000
/** For commands that nobody gave a limit, and pulls: longer is a hang. */
const ENDLESS_MS = 24 * 3_600_000

type SandboxItem = Read<typeof m.ListPodSandbox.response>['items'][number]
type ContainerItem = Read<typeof m.ListContainers.response>['containers'][number]

export class GrpcRuntime implements ContainerRuntime {
  readonly #options: GrpcRuntimeOptions
  readonly #client: GrpcClient
  readonly #timeoutMs: number
  readonly #lock = new KeyedLock()
  readonly #listeners = new Set<(event: RuntimeEvent) => void>()
  readonly #lives = new LifeEvents((event) => this.#emit(event))
  #watch: RuntimeWatch | undefined
  #version: { runtimeName: string; runtimeVersion: string; runtimeApiVersion: string } | undefined
  #cgroupVersion: 1 | 2 | undefined
  /** What does not change any more while the state is the same: asked for once. */
  readonly #containers = new Map<string, ContainerStatus>()
  readonly #sandboxes = new Map<string, SandboxStatus>()
  /** Reference in a container's status to image id, for runtimes that tell only the former. */
  readonly #imageIds = new Map<string, string>()
  readonly #pulls = new Map<string, Promise<Image>>()

  constructor(options: GrpcRuntimeOptions) {
    this.#options = options
    this.#timeoutMs = options.requestTimeoutMs ?? 120_000
    this.#client = new GrpcClient({ endpoint: { socketPath: options.endpoint.replace(/^unix:(\/\/)?/, '') }, peer: 'the container runtime', clock: options.clock, silenceMsMax: SILENCE_MS_MAX })
  }

  /** Rejects with CRI_FAILED, naming the endpoint, when no CRI v1 runtime answers there. */
  async open(): Promise<void> {
    const { clock, log } = this.#options
    const { runtimeName } = await this.version()
    this.#watch = new RuntimeWatch({ client: this.#client, runtimeName, clock, log, look: () => this.#look() })
    await this.#look()
    this.#watch.start()
  }

  async close(): Promise<void> {
    this.#watch?.close()
    this.#client.close()
    this.#listeners.clear()
  }

  async version(): ReturnType<ContainerRuntime['version']> {
    try {
      const { runtimeName, runtimeVersion, runtimeApiVersion } = await this.#call(CALLS.version, { version: '0.1.0' })
      this.#version = { runtimeName, runtimeVersion, runtimeApiVersion }
    } catch (error) {
      // While it is down it is still the one the node has: `status` tells that it is down.
      if (!this.#version) throw error
    }
    return this.#version
  }

  async status(): ReturnType<ContainerRuntime['status']> {
    const { status, runtimeHandlers, features } = await this.#call(CALLS.status, {})
    const told = status?.conditions ?? []
    const own = this.#options.network?.notReadyReason()
    const condition = (type: 'RuntimeReady' | 'NetworkReady') => {
      const found = told.find((c) => c.type === type)
      if (type === 'NetworkReady' && own !== undefined) return { type, status: false, reason: 'NetworkPluginNotReady', message: own }
      return { type, status: found?.status ?? false, reason: found?.reason ?? 'NotReported', message: found?.message ?? `the container runtime does not report ${type}` }
    }
    const handlers = runtimeHandlers.map((h) => ({ name: h.name, recursiveReadOnlyMounts: h.features?.recursiveReadOnlyMounts ?? false, userNamespaces: h.features?.userNamespaces ?? false }))
    return { conditions: [condition('RuntimeReady'), condition('NetworkReady')], handlers, supplementalGroupsPolicy: features?.supplementalGroupsPolicy ?? false }
  }

  /** What the runtime says of itself: containerd and CRI-O put their configuration there, as JSON. */
  async info(): Promise<Record<string, string>> {
    return (await this.#call(CALLS.status, { verbose: true })).info
  }

  runPodSandbox(config: PodSandboxConfig): Promise<string> {
    const { uid, attempt } = config.metadata
    return this.#lock.run(`${uid} ${attempt}`, async () => {
      const existing = (await this.#sandboxItems()).find((s) => s.metadata?.uid === uid && s.metadata.attempt === attempt && nameOf(SANDBOX_STATES, s.state, 'notready') === 'ready')
      if (existing) return existing.id
      const { podSandboxId } = await this.#call(CALLS.runPodSandbox, { config: sandboxMessage(config), runtimeHandler: config.runtimeHandler ?? '' }, 'sandbox')
      this.#lives.sandbox(podSandboxId, 'ready')
      return podSandboxId
    })
  }

  async stopPodSandbox(id: string): Promise<void> {
    await this.#unlessGone(this.#call(CALLS.stopPodSandbox, { podSandboxId: id }, 'sandbox'))
    this.#lives.sandbox(id, 'notready')
  }

  async removePodSandbox(id: string): Promise<void> {
    await this.stopPodSandbox(id)
    await this.#unlessGone(this.#call(CALLS.removePodSandbox, { podSandboxId: id }, 'sandbox'))
    this.#sandboxes.delete(id)
    this.#lives.sandboxDeleted(id)
  }

  async podSandboxStatus(id: string): Promise<SandboxStatus> {
    const { status } = await this.#call(CALLS.podSandboxStatus, { podSandboxId: id }, 'sandbox')
    if (!status) throw new CodedError('CRI_NOT_FOUND', `the container runtime knows no sandbox "${id}"`)
    return sandboxStatusOf(status)
  }

  async listPodSandbox(filter: { podUid?: string; state?: SandboxState } = {}): Promise<SandboxStatus[]> {
    const items = (await this.#sandboxItems()).filter((s) => (filter.podUid === undefined || s.metadata?.uid === filter.podUid) && (filter.state === undefined || nameOf(SANDBOX_STATES, s.state, 'notready') === filter.state))
    return (await Promise.all(items.map((s) => this.#sandboxOf(s)))).filter((s) => s !== undefined)
  }

  async createContainer(sandboxId: string, config: ContainerConfig, sandbox: PodSandboxConfig): Promise<string> {
    if (config.mounts.some((mount) => mount.image !== undefined)) checkMountsImages(await this.version())
    const { containerId } = await this.#call(CALLS.createContainer, { podSandboxId: sandboxId, config: containerMessage(config, this.#cgroups), sandboxConfig: sandboxMessage(sandbox) }, 'create')
    this.#lives.container(containerId, sandboxId, 'created')
    return containerId
  }

  async startContainer(id: string): Promise<void> {
    try {
      await this.#call(CALLS.startContainer, { containerId: id }, 'container')
    } catch (error) {
      void this.#watch?.look()
      if (!hasCode(error, 'CRI_NOT_FOUND')) throw error
      // Runtimes say NotFound for a missing program too: the container itself tells.
      await this.containerStatus(id)
      throw new CodedError('CRI_FAILED', asError(error).message, { cause: error })
    }
    const sandboxId = this.#lives.sandboxOf(id)
    if (sandboxId !== undefined) this.#lives.container(id, sandboxId, 'running')
  }

  async stopContainer(id: string, timeoutSeconds: number): Promise<void> {
    await this.#unlessGone(this.#call(CALLS.stopContainer, { containerId: id, timeout: timeoutSeconds }, 'container', { timeoutMs: this.#timeoutMs + timeoutSeconds * 1000 }))
    const sandboxId = this.#lives.sandboxOf(id)
    if (sandboxId !== undefined) this.#lives.container(id, sandboxId, 'exited')
  }

  async removeContainer(id: string): Promise<void> {
    await this.stopContainer(id, 0)
    await this.#unlessGone(this.#call(CALLS.removeContainer, { containerId: id }, 'container'))
    this.#containers.delete(id)
    this.#lives.containerDeleted(id)
  }

  async listContainers(filter: { podUid?: string; sandboxId?: string; state?: ContainerState } = {}): Promise<ContainerStatus[]> {
    const [items, sandboxes] = await Promise.all([this.#containerItems(filter), filter.podUid === undefined ? undefined : this.#sandboxItems()])
    const ofPod = sandboxes && new Set(sandboxes.filter((s) => s.metadata?.uid === filter.podUid).map((s) => s.id))
    return (await Promise.all(items.filter((c) => ofPod === undefined || ofPod.has(c.podSandboxId)).map((c) => this.#containerOf(c)))).filter((c) => c !== undefined)
  }

  async containerStatus(id: string): Promise<ContainerStatus> {
    let sandboxId = this.#lives.sandboxOf(id)
    if (sandboxId === undefined) {
      const [item] = (await this.#call(CALLS.listContainers, { filter: { id } }, 'container')).containers
      sandboxId = item?.podSandboxId ?? ''
    }
    return this.#askStatus(id, sandboxId)
  }

  async updateContainerResources(id: string, resources: LinuxResources): Promise<void> {
    await this.#call(CALLS.updateContainerResources, { containerId: id, linux: resourcesMessage(resources, this.#cgroups) }, 'container')
    // Older ones do not tell what a container runs with.
    const known = this.#containers.get(id)
    if (known) this.#containers.set(id, await this.#askStatus(id, known.sandboxId).then((now) => ({ ...now, resources: now.resources ?? { ...known.resources, ...resources } })))
  }

  async reopenContainerLog(id: string): Promise<void> {
    await this.#call(CALLS.reopenContainerLog, { containerId: id }, 'container')
  }

  async execSync(containerId: string, cmd: string[], timeoutSeconds: number): ReturnType<ContainerRuntime['execSync']> {
    // The runtime keeps the time; what it answers late is still its answer, as upstream has it.
    const { exitCode, stdout, stderr } = await this.#call(CALLS.execSync, { containerId, cmd, timeout: Math.ceil(timeoutSeconds) }, 'container', { timeoutMs: timeoutSeconds > 0 ? this.#timeoutMs + timeoutSeconds * 1000 : ENDLESS_MS })
      .catch((error: unknown) => { throw this.#execError(error) })
    return { exitCode, stdout: stdout.subarray(0, OUTPUT_BYTES_MAX), stderr: stderr.subarray(0, OUTPUT_BYTES_MAX) }
  }

  async exec({ containerId, cmd, tty, stdin }: ExecRequest): Promise<IoSession> {
    const { url } = await this.#call(CALLS.exec, { containerId, cmd, tty, stdin, stdout: true, stderr: !tty }, 'container')
    return execOverSpdy(url, { stdin, tty }, this.#options.clock)
  }

  async attach(containerId: string, { stdin, tty }: { stdin: boolean; tty: boolean }): Promise<IoSession> {
    const { url } = await this.#call(CALLS.attach, { containerId, stdin, tty, stdout: true, stderr: !tty }, 'container')
    return execOverSpdy(url, { stdin, tty }, this.#options.clock)
  }

  async portForward(podSandboxId: string, port: number): Promise<Duplex> {
    const { url } = await this.#call(CALLS.portForward, { podSandboxId, port: [port] }, 'sandbox')
    return portForwardOverSpdy(url, port, this.#options.clock)
  }

  async containerStats(id: string): Promise<ContainerStats> {
    const { stats } = await this.#call(CALLS.containerStats, { containerId: id }, 'container')
    if (!stats) throw new CodedError('CRI_NOT_FOUND', `the container runtime has no statistics of "${id}"`)
    return this.#statsOf(stats)
  }

  async listContainerStats(): Promise<ContainerStats[]> {
    return Promise.all((await this.#call(CALLS.listContainerStats, {})).stats.map((stats) => this.#statsOf(stats)))
  }

  async listSandboxNetworks(): Promise<SandboxNetwork[]> {
    const told = await this.#ifImplemented(this.#call(CALLS.listPodSandboxStats, {}))
    return (told?.stats ?? []).flatMap((stats) => sandboxNetworkOf(stats) ?? [])
  }

  async listMetricDescriptors(): Promise<readonly MetricDescriptor[]> {
    return (await this.#ifImplemented(this.#call(CALLS.listMetricDescriptors, {})))?.descriptors ?? []
  }

  async listPodSandboxMetrics(): Promise<PodSandboxMetrics[]> {
    return (await this.#ifImplemented(this.#call(CALLS.listPodSandboxMetrics, {})))?.podMetrics.map(podSandboxMetricsOf) ?? []
  }

  events(listener: (event: RuntimeEvent) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  async listImages(): Promise<Image[]> {
    return (await this.#call(CALLS.listImages, {}, 'image')).images.map(imageOf)
  }

  async imageStatus(ref: string): Promise<Image | undefined> {
    const { image } = await this.#call(CALLS.imageStatus, { image: { image: ref } }, 'image')
    return image && imageOf(image)
  }

  pullImage(ref: string, options: Parameters<ContainerRuntime['pullImage']>[1]): Promise<Image> {
    const key = JSON.stringify([ref, options.auth])
    const joined = this.#pulls.get(key)
    if (joined) return joined
    const pull = this.#pull(ref, options).finally(() => this.#pulls.delete(key))
    this.#pulls.set(key, pull)
    return pull
  }

  async #pull(ref: string, { auth, onProgress, signal }: Parameters<ContainerRuntime['pullImage']>[1]): Promise<Image> {
    const { clock } = this.#options
    const beganMs = clock.monotonicMs()
    onProgress?.({ kind: 'resolving', ref })
    const { imageRef } = await this.#call(CALLS.pullImage, { image: { image: ref }, ...(auth && { auth }) }, 'pull', { timeoutMs: ENDLESS_MS, signal }).catch((error: unknown) => {
      // Not every runtime repeats what it was asked for.
      if (asError(error).message.includes(ref)) throw error
      throw new CodedError(error instanceof CodedError ? error.code : 'CRI_PULL_FAILED', `failed to pull image "${ref}": ${asError(error).message}`, { cause: error })
    })
    const image = await this.imageStatus(imageRef) ?? await this.imageStatus(ref)
    if (!image) throw new CodedError('CRI_PULL_FAILED', `the container runtime pulled ${ref} and then had no image of it`)
    onProgress?.({ kind: 'done', imageId: image.id, sizeBytes: image.sizeBytes, tookMs: clock.monotonicMs() - beganMs })
    return image
  }

  async removeImage(ref: string): Promise<void> {
    await this.#call(CALLS.removeImage, { image: { image: ref } }, 'image').catch((error: unknown) => {
      if (!hasCode(error, 'CRI_IMAGE_NOT_FOUND')) throw error
    })
  }

  async imageFsInfo(): ReturnType<ContainerRuntime['imageFsInfo']> {
    const [fs] = (await this.#call(CALLS.imageFsInfo, {}, 'image')).imageFilesystems
    return { mountpoint: fs?.fsId?.mountpoint ?? '', usedBytes: fs?.usedBytes?.value ?? 0, inodesUsed: fs?.inodesUsed?.value ?? 0 }
  }

  async importImages(path: string): Promise<Image[]> {
    if ((await this.version()).runtimeName !== 'skiff') throw new CodedError('CRI_INVALID', `${path}: CRI has no call that imports an image: use the runtime's own tool, for containerd \`ctr -n k8s.io images import\``)
    return (await this.#call(OWN_CALLS.importImages, { path }, 'image', { timeoutMs: ENDLESS_MS })).images.map(imageOf)
  }

  async holdImages(refs: readonly string[]): ReturnType<ContainerRuntime['holdImages']> {
    if ((await this.version()).runtimeName !== 'skiff') throw new CodedError('CRI_INVALID', 'CRI has no call that exports an image: use the runtime\'s own tool, for containerd `ctr -n k8s.io images export`')
    const abort = new AbortController()
    const images = await new Promise<ExportableImage[]>((resolve, reject) => {
      const ended = this.#client.stream(OWN_CALLS.holdImages, { refs }, (answer) => resolve(answer.images), { signal: abort.signal })
      // After the answer there is nobody left to reject: that is how it is released.
      ended.then(() => reject(new CodedError('CRI_FAILED', 'the container runtime let go of the images')), (error: unknown) => reject(contractError(error, 'image')))
    })
    return { images, release: () => abort.abort() }
  }

  get #cgroups(): 1 | 2 {
    this.#cgroupVersion ??= readCgroupLayout().version
    return this.#cgroupVersion
  }

  async #call<Request, Response, Asked, Answered>(call: Call<Request, Response, Asked, Answered>, request: Asked, kind: CallKind = 'other', options: CallOptions & { timeoutMs: number } = { timeoutMs: this.#timeoutMs }): Promise<Response> {
    try {
      return await this.#client.unary(call, request, options)
    } catch (error) {
      throw contractError(error, kind)
    }
  }

  async #unlessGone(call: Promise<unknown>): Promise<void> {
    await call.catch((error: unknown) => {
      if (!hasCode(error, 'CRI_NOT_FOUND')) throw error
    })
  }

  #execError(error: unknown): unknown {
    const { message } = asError(error)
    return /timeout .*exceeded|timed out/.test(message) ? new CodedError('CRI_TIMEOUT', message, { cause: error }) : error
  }

  async #sandboxItems(): Promise<SandboxItem[]> {
    return (await this.#call(CALLS.listPodSandbox, {}, 'sandbox')).items
  }

  async #containerItems(filter: { sandboxId?: string; state?: ContainerState }): Promise<ContainerItem[]> {
    return (await this.#call(CALLS.listContainers, { filter: { podSandboxId: filter.sandboxId, ...(filter.state !== undefined && { state: { state: CONTAINER_STATES.indexOf(filter.state) } }) } }, 'container')).containers
  }

  async #sandboxOf(item: SandboxItem): Promise<SandboxStatus | undefined> {
    const state = nameOf(SANDBOX_STATES, item.state, 'notready')
    const known = this.#sandboxes.get(item.id)
    if (known?.state === state) return known
    try {
      const status = await this.podSandboxStatus(item.id)
      this.#sandboxes.set(item.id, status)
      return status
    } catch (error) {
      if (hasCode(error, 'CRI_NOT_FOUND')) return undefined // Removed since it was listed.
      throw error
    }
  }

  async #containerOf(item: ContainerItem): Promise<ContainerStatus | undefined> {
    const state = nameOf(CONTAINER_STATES, item.state, 'unknown')
    const known = this.#containers.get(item.id)
    if (known?.state === state) return known
    try {
      const status = await this.#askStatus(item.id, item.podSandboxId)
      // Why it ended may come a moment after that it ended.
      if (status.state !== 'exited' || this.#options.clock.nowMs() - status.finishedAtMs > SETTLED_MS) this.#containers.set(item.id, status)
      return status
    } catch (error) {
      if (hasCode(error, 'CRI_NOT_FOUND')) return undefined // Removed since it was listed.
      throw error
    }
  }

  async #askStatus(id: string, sandboxId: string): Promise<ContainerStatus> {
    const { status } = await this.#call(CALLS.containerStatus, { containerId: id }, 'container')
    if (!status) throw new CodedError('CRI_NOT_FOUND', `the container runtime knows no container "${id}"`)
    return containerStatusOf(status, sandboxId, status.imageId !== '' ? status.imageId : await this.#imageIdOf(id, status.imageRef))
  }

  /** Kept by container: its image may be removed while it is there, and its id is then no longer to be had. */
  async #imageIdOf(containerId: string, ref: string): Promise<string> {
    if (/^sha256:[0-9a-f]{64}$/.test(ref)) return this.#imageIds.get(containerId) ?? ref
    const known = this.#imageIds.get(containerId)
    if (known !== undefined) return known
    const id = (await this.imageStatus(ref))?.id ?? ref
    this.#imageIds.set(containerId, id)
    return id
  }

  /** Undefined: the runtime is older than the call. */
  async #ifImplemented<T>(answer: Promise<T>): Promise<T | undefined> {
    return answer.catch((error: unknown) => {
      if (isUnimplemented(error)) return undefined
      throw error
    })
  }

  async #statsOf(stats: Read<typeof m.ContainerStats>): Promise<ContainerStats> {
    const id = stats.attributes?.id ?? ''
    const { info } = await this.#call(CALLS.containerStatus, { containerId: id, verbose: true }, 'container')
    return containerStatsOf(stats, await countProcesses(info['info'] ?? ''))
  }

  /** Both lists; what changed is told, what is gone is forgotten. */
  async #look(): Promise<void> {
    const known = this.#lives.known()
    const [sandboxes, containers] = await Promise.all([this.#sandboxItems(), this.#containerItems({})])
    this.#lives.see({
      sandboxes: sandboxes.map((s) => ({ id: s.id, state: nameOf(SANDBOX_STATES, s.state, 'notready') })),
      containers: containers.map((c) => ({ id: c.id, sandboxId: c.podSandboxId, state: nameOf(CONTAINER_STATES, c.state, 'unknown') })),
    }, known)
    const present = new Set([...sandboxes.map((s) => s.id), ...containers.map((c) => c.id)])
    for (const map of [this.#containers, this.#sandboxes, this.#imageIds]) for (const id of map.keys()) if (!present.has(id)) map.delete(id)
  }

  #emit(event: RuntimeEvent): void {
    for (const listener of this.#listeners) {
      try {
        listener(event)
      } catch (error) {
        this.#options.log.error('a listener for runtime events failed', { error: asError(error) })
      }
    }
  }
}
