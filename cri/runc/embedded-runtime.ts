/** The embedded runtime: sandboxes, containers and images put together behind the contract. */
import { readFileSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { CodedError, asError, hasCode } from '#base/errors.ts'
import { inNetworkNamespace } from '#base/network-namespace.ts'
import type {
  ContainerConfig, ContainerRuntime, ContainerState, ContainerStats, ContainerStatus, ExecRequest, Image, IoSession, LinuxResources, MetricDescriptor, PodSandboxConfig, PodSandboxMetrics, RuntimeEvent, SandboxNetwork, SandboxState, SandboxStatus,
} from '../runtime.ts'
import { openAttach, reopenLog } from './attach-session.ts'
import { ContainerService } from './container-service.ts'
import { execSync, openExec } from './exec-session.ts'
import { endLeftExecs } from './exec-end.ts'
import type { ExecParts } from './exec-session.ts'
import { EmbeddedImageService } from './image-service.ts'
import { hostFeatures } from './features.ts'
import { containerMetrics, METRIC_DESCRIPTORS, parseNetDev, podMetrics, type InterfaceCounters } from './metrics.ts'
import { checkNative } from './native.ts'
import { OciRuntimes } from './oci-runtimes.ts'
import { connectInSandbox } from './port-forward.ts'
import type { EmbeddedRuntimeOptions } from './runtime-options.ts'
import { runtimePaths } from './runtime-paths.ts'
import type { RuntimePaths } from './runtime-paths.ts'
import { SandboxService } from './sandbox-service.ts'
import { StartQueue } from './start-queue.ts'

/** For each processor: a start waits for the kernel as long as it computes. */
const STARTS_PER_PROCESSOR = 2

export const DEFAULT_STATE_DIR = '/run/skiff'

/** None where there is no network of its own, or where it is just being taken away. */
function interfacesIn(netnsPath: string | undefined): InterfaceCounters[] {
  if (netnsPath === undefined) return []
  try {
    return inNetworkNamespace(netnsPath, () => parseNetDev(readFileSync('/proc/thread-self/net/dev', 'utf8')))
  } catch (error) {
    if (hasCode(error, 'ENOENT') || hasCode(error, 'EINVAL')) return []
    throw error
  }
}

export class EmbeddedRuntime implements ContainerRuntime {
  readonly #options: EmbeddedRuntimeOptions
  readonly #paths: RuntimePaths
  readonly #oci: OciRuntimes
  readonly #sandboxes: SandboxService
  readonly #containers: ContainerService
  readonly #images: EmbeddedImageService
  readonly #features = hostFeatures()
  readonly #listeners = new Set<(event: RuntimeEvent) => void>()

  constructor(options: EmbeddedRuntimeOptions) {
    this.#options = options
    this.#paths = runtimePaths(options.dataDir, options.stateDir ?? DEFAULT_STATE_DIR)
    this.#oci = new OciRuntimes(options, this.#paths)
    const emit = (event: RuntimeEvent) => this.#emit(event)
    const starts = new StartQueue(STARTS_PER_PROCESSOR * availableParallelism(), options.clock)
    this.#sandboxes = new SandboxService(options, this.#paths, starts, emit)
    this.#images = new EmbeddedImageService(options, () => this.#containers.chainsInUse())
    this.#containers = new ContainerService({ options, paths: this.#paths, oci: this.#oci, sandboxes: this.#sandboxes, images: this.#images, starts, emit })
  }

  /** Finds everything an earlier life left: adopts it or clears it away. */
  async open(): Promise<void> {
    checkNative()
    await onThisMachine(this.#options.dataDir, () => mkdir(this.#options.dataDir, { recursive: true, mode: 0o700 }))
    await onThisMachine(this.#paths.stateDir, () => mkdir(this.#paths.stateDir, { recursive: true, mode: 0o711 }))
    await this.#images.open()
    await this.#sandboxes.open()
    await this.#containers.open()
    await endLeftExecs(join(this.#paths.stateDir, 'exec'), this.#options.clock)
  }

  async close(): Promise<void> {
    this.#containers.close()
    this.#listeners.clear()
  }

  async version(): Promise<{ runtimeName: string; runtimeVersion: string; runtimeApiVersion: string }> {
    return { runtimeName: 'skiff', runtimeVersion: await this.#oci.default.version(), runtimeApiVersion: 'v1' }
  }

  async status(): ReturnType<ContainerRuntime['status']> {
    const problem = await this.#problem()
    const network = this.#options.network.notReadyReason()
    return {
      conditions: [
        { type: 'RuntimeReady', status: problem === undefined, reason: problem === undefined ? '' : 'RuntimeNotReady', message: problem ?? '' },
        { type: 'NetworkReady', status: network === undefined, reason: network === undefined ? '' : 'NetworkPluginNotReady', message: network ?? '' },
      ],
      handlers: this.#oci.names().map((name) => ({ name, ...this.#features })),
      supplementalGroupsPolicy: true,
    }
  }

  async #problem(): Promise<string | undefined> {
    try {
      await this.#oci.default.check()
      return undefined
    } catch (error) {
      return asError(error).message
    }
  }

  async runPodSandbox(config: PodSandboxConfig): Promise<string> {
    this.#oci.assertKnown(config.runtimeHandler ?? '')
    return this.#sandboxes.run(config)
  }

  async stopPodSandbox(id: string): Promise<void> {
    await Promise.all(this.#containers.list({ sandboxId: id }).map((container) => this.#containers.stop(container.id, 0)))
    await this.#sandboxes.stop(id)
  }

  async removePodSandbox(id: string): Promise<void> {
    await this.stopPodSandbox(id)
    await Promise.all(this.#containers.list({ sandboxId: id }).map((container) => this.#containers.remove(container.id)))
    await this.#sandboxes.remove(id)
  }

  async podSandboxStatus(id: string): Promise<SandboxStatus> { return this.#sandboxes.status(id) }
  async listPodSandbox(filter?: { podUid?: string; state?: SandboxState }): Promise<SandboxStatus[]> { return this.#sandboxes.list(filter) }

  createContainer(sandboxId: string, config: ContainerConfig, sandbox: PodSandboxConfig): Promise<string> { return this.#containers.create(sandboxId, config, sandbox) }
  startContainer(id: string): Promise<void> { return this.#containers.start(id) }
  stopContainer(id: string, timeoutSeconds: number): Promise<void> { return this.#containers.stop(id, timeoutSeconds) }
  removeContainer(id: string): Promise<void> { return this.#containers.remove(id) }
  async listContainers(filter?: { podUid?: string; sandboxId?: string; state?: ContainerState }): Promise<ContainerStatus[]> { return this.#containers.list(filter) }
  async containerStatus(id: string): Promise<ContainerStatus> { return this.#containers.status(id) }
  updateContainerResources(id: string, resources: LinuxResources): Promise<void> { return this.#containers.updateResources(id, resources) }

  async reopenContainerLog(id: string): Promise<void> {
    this.#containers.running(id)
    await reopenLog(this.#paths.container(id).control)
  }

  async execSync(containerId: string, cmd: string[], timeoutSeconds: number): Promise<{ exitCode: number; stdout: Buffer; stderr: Buffer }> {
    this.#containers.running(containerId)
    return execSync(this.#execParts(containerId), { containerId, cmd }, timeoutSeconds)
  }

  async exec(request: ExecRequest): Promise<IoSession> {
    this.#containers.running(request.containerId)
    return openExec(this.#execParts(request.containerId), request)
  }

  async attach(containerId: string, options: { stdin: boolean; tty: boolean }): Promise<IoSession> {
    const record = this.#containers.running(containerId)
    const onError = (error: Error) => this.#options.log.warn('cannot resize a terminal', { container: containerId, error })
    return openAttach(this.#paths.container(containerId), { containerId, onError, stdin: options.stdin && record.config.stdin, stdinOnce: record.config.stdinOnce, tty: record.config.tty, clock: this.#options.clock })
  }

  async portForward(sandboxId: string, port: number): Promise<Duplex> {
    const record = this.#sandboxes.record(sandboxId)
    if (record.state !== 'ready') throw new CodedError('CRI_FAILED', `sandbox container "${sandboxId}" is not running`)
    return connectInSandbox(sandboxId, record.netnsPath, port)
  }

  containerStats(id: string): Promise<ContainerStats> { return this.#containers.stats(id) }

  async listContainerStats(): Promise<ContainerStats[]> {
    const stats = this.#containers.list({ state: 'running' }).map((container) => this.#containers.stats(container.id).catch((error: unknown) => {
      if (hasCode(error, 'CRI_NOT_FOUND')) return undefined
      throw error
    }))
    return (await Promise.all(stats)).filter((s) => s !== undefined)
  }

  listSandboxNetworks(): Promise<SandboxNetwork[]> {
    const networks = this.#sandboxes.list({ state: 'ready' }).map(({ id, netnsPath }) => ({
      podSandboxId: id, interfaces: interfacesIn(netnsPath).map((i) => ({ name: i.name, rxBytes: i.receivedBytes, rxErrors: i.receiveErrors, txBytes: i.sentBytes, txErrors: i.sendErrors })),
    }))
    return Promise.resolve(networks.filter(({ interfaces }) => interfaces.length > 0))
  }

  listMetricDescriptors(): Promise<readonly MetricDescriptor[]> { return Promise.resolve(METRIC_DESCRIPTORS) }

  async listPodSandboxMetrics(): Promise<PodSandboxMetrics[]> {
    const atMs = this.#options.clock.nowMs()
    return Promise.all(this.#sandboxes.list({ state: 'ready' }).map(async (sandbox): Promise<PodSandboxMetrics> => {
      const record = this.#sandboxes.record(sandbox.id)
      const interfaces = interfacesIn(sandbox.netnsPath)
      const found = await Promise.all(this.#containers.list({ sandboxId: sandbox.id, state: 'running' }).map((c) => this.#containers.counted(c.id).catch((error: unknown) => {
        // It went meanwhile, and its files with it.
        if (hasCode(error, 'CRI_NOT_FOUND') || hasCode(error, 'ENOENT')) return undefined
        throw error
      })))
      return {
        podSandboxId: sandbox.id, metrics: podMetrics(interfaces, sandbox, record.config.linux.cgroupParent, atMs),
        containerMetrics: found.filter((c) => c !== undefined).map((c) => ({ containerId: c.status.id, metrics: containerMetrics(c, sandbox) })),
      }
    }))
  }

  events(listener: (event: RuntimeEvent) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  listImages(): Promise<Image[]> { return this.#images.listImages() }
  imageStatus(ref: string): Promise<Image | undefined> { return this.#images.imageStatus(ref) }
  pullImage(ref: string, options: Parameters<ContainerRuntime['pullImage']>[1]): Promise<Image> { return this.#images.pullImage(ref, options) }
  removeImage(ref: string): Promise<void> { return this.#images.removeImage(ref) }
  imageFsInfo(): Promise<{ mountpoint: string; usedBytes: number; inodesUsed: number }> { return this.#images.imageFsInfo() }
  importImages(path: string): Promise<Image[]> { return this.#images.importImages(path) }
  holdImages(refs: readonly string[]): ReturnType<ContainerRuntime['holdImages']> { return this.#images.holdImages(refs) }

  #execParts(containerId: string): ExecParts {
    return {
      oci: this.#containers.ociOf(containerId), clock: this.#options.clock, configPath: this.#paths.container(containerId).config, directory: join(this.#paths.stateDir, 'exec'),
      execId: this.#options.random.bytes(32).toString('hex'), loadPty: this.#options.loadPty,
    }
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

async function onThisMachine<T>(path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw new CodedError('CRI_FAILED', `cannot use ${path}: ${asError(error).message}`, { cause: error })
  }
}
