/**
 * A container runtime without containers: the same contract as the real ones, on a clock that tests move. What a
 * container does (how long it runs, how it exits, whether it heeds SIGTERM, what it prints, how it answers exec) is a
 * `Program`, chosen by image. `control` is the hand of the test: exits, failures, a reboot.
 */
import { mkdirSync, appendFileSync, existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { PassThrough, type Duplex } from 'node:stream'
import type { Clock } from '#base/clock.ts'
import { CodedError } from '#base/errors.ts'
import { uuid, type Random } from '#base/random.ts'
import type {
  ContainerConfig, ContainerRuntime, ContainerStatus, Image, IoSession, LinuxResources, PodNetwork, PodSandboxConfig, RuntimeEvent, SandboxStatus,
} from '../runtime.ts'
import { createMemoryImages, type MemoryImage } from './memory-images.ts'
import { defaultProgram, memoryExec, type ExecOutcome, type Program } from './program.ts'

export type MemoryMethod = Exclude<keyof ContainerRuntime, 'events' | 'close'>

export interface MemoryRuntimeOptions {
  clock: Clock
  random: Random
  /** Pods get their addresses from it; without, 10.42.0.2 and up, never one twice. */
  network?: PodNetwork
  /** Write what programs print into the CRI log files. Default true. */
  writeLogs?: boolean
}

interface Sandbox { status: SandboxStatus; config: PodSandboxConfig }
interface Container {
  status: ContainerStatus
  config: ContainerConfig
  program: Program
  resources: LinuxResources
  logOpen: boolean
  /** Settle when the container has exited. */
  exited: Promise<void>
  setExited: () => void
  cancelTimer: (() => void) | undefined
  attached: Set<PassThrough>
}

export interface MemoryControl {
  /** Present on the "node". `ref` is normalised as the real runtime does: `busybox` is `docker.io/library/busybox:latest`. */
  addImage(ref: string, image?: Partial<MemoryImage>): Image
  /** What a registry would serve: pulls of other references fail. */
  serve(ref: string, image?: Partial<MemoryImage> & { pullMs?: number }): void
  /** The next `times` calls of `method` fail with `error`. */
  fail(method: MemoryMethod, error?: Error, times?: number): void
  /** Nothing fails any more. */
  heal(): void
  /** Calls of `method` take this long. */
  delay(method: MemoryMethod, ms: number): void
  exit(containerId: string, exitCode: number, reason?: string): void
  running(name?: string): ContainerStatus[]
  /** Everything stops, nothing is forgotten: what an agent finds after a power cut. */
  reboot(): void
  ready(type: 'RuntimeReady' | 'NetworkReady', why: string | undefined): void
  readonly calls: { method: MemoryMethod; args: unknown[] }[]
  /** Container ids in the order in which they were started; one appears once. */
  readonly started: string[]
  configOf(containerId: string): ContainerConfig
  sandboxConfigOf(sandboxId: string): PodSandboxConfig
  /** Appends a line to the container's log as its process would. */
  print(containerId: string, line: string, stream?: 'stdout' | 'stderr'): void
}

export interface MemoryRuntime extends ContainerRuntime { readonly control: MemoryControl }

export function createMemoryRuntime(options: MemoryRuntimeOptions): MemoryRuntime {
  const { clock, random } = options
  const sandboxes = new Map<string, Sandbox>()
  const containers = new Map<string, Container>()
  const failures = new Map<MemoryMethod, { error: Error; times: number }>()
  const delays = new Map<MemoryMethod, number>()
  const listeners = new Set<(event: RuntimeEvent) => void>()
  const notReady = new Map<string, string>()
  const calls: MemoryControl['calls'] = []
  const started: string[] = []
  let ipCount = 1
  let closed = false

  const emit = (event: RuntimeEvent) => { for (const l of listeners) l(event) }
  const newId = () => (uuid(random) + uuid(random)).replaceAll('-', '')

  const enter = async (method: MemoryMethod, ...args: unknown[]): Promise<void> => {
    calls.push({ method, args })
    const ms = delays.get(method)
    if (ms !== undefined) await clock.sleep(ms)
    else await Promise.resolve()
    const failure = failures.get(method)
    if (!failure) return
    if (--failure.times <= 0) failures.delete(method)
    throw failure.error
  }

  const images = createMemoryImages({ clock, enter })

  const sandboxOf = (id: string): Sandbox => {
    const found = sandboxes.get(id)
    if (!found) throw new CodedError('CRI_NOT_FOUND', `pod sandbox ${id} not found`)
    return found
  }
  const containerOf = (id: string): Container => {
    const found = containers.get(id)
    if (!found) throw new CodedError('CRI_NOT_FOUND', `container ${id} not found`)
    return found
  }
  const copyContainer = (c: Container): ContainerStatus => ({ ...c.status, metadata: { ...c.status.metadata }, labels: { ...c.status.labels }, annotations: { ...c.status.annotations }, resources: { ...c.resources } })
  const copySandbox = (s: Sandbox): SandboxStatus => ({ ...s.status, metadata: { ...s.status.metadata }, ips: [...s.status.ips] })
  const print = (c: Container, stream: 'stdout' | 'stderr', line: string) => {
    for (const out of c.attached) out.write(`${line}\n`)
    if (options.writeLogs === false || !c.logOpen) return
    const at = new Date(clock.nowMs()).toISOString().replace('Z', '000000Z')
    appendFileSync(c.status.logPath, `${at} ${stream} F ${line}\n`)
  }

  const exitContainer = (c: Container, exitCode: number, reason?: string) => {
    if (c.status.state === 'exited') return
    c.cancelTimer?.()
    c.status.state = 'exited'
    c.status.finishedAtMs = clock.nowMs()
    c.status.exitCode = exitCode
    c.status.reason = reason ?? (exitCode === 0 ? 'Completed' : 'Error')
    for (const out of c.attached) out.end()
    c.attached.clear()
    c.setExited()
    emit({ kind: 'containerStopped', containerId: c.status.id, sandboxId: c.status.sandboxId })
  }

  const stop = async (c: Container, timeoutSeconds: number): Promise<void> => {
    if (c.status.state !== 'running') {
      if (c.status.state === 'created') exitContainer(c, 137)
      return
    }
    const heeds = c.program.onTerm
    if (heeds !== 'ignore' && timeoutSeconds > 0) {
      const afterMs = heeds?.afterMs ?? 0
      if (afterMs <= timeoutSeconds * 1000) {
        const code = heeds?.exitCode ?? 143
        if (afterMs === 0) exitContainer(c, code)
        else {
          const cancel = clock.after(afterMs, () => exitContainer(c, code))
          void c.exited.then(cancel)
        }
        await c.exited
        return
      }
    }
    const cancel = clock.after(timeoutSeconds * 1000, () => exitContainer(c, 137))
    await c.exited
    cancel()
  }

  const runtime: ContainerRuntime = {
    async version() {
      await enter('version')
      return { runtimeName: 'memory', runtimeVersion: '1.0.0', runtimeApiVersion: 'v1' }
    },
    async status() {
      await enter('status')
      return {
        conditions: (['RuntimeReady', 'NetworkReady'] as const).map((type) => {
          const why = notReady.get(type)
          return { type, status: why === undefined, reason: why === undefined ? '' : type === 'NetworkReady' ? 'NetworkPluginNotReady' : 'RuntimeNotReady', message: why ?? '' }
        }),
        handlers: [{ name: '', recursiveReadOnlyMounts: true, userNamespaces: false }], supplementalGroupsPolicy: true,
      }
    },
    async runPodSandbox(config) {
      await enter('runPodSandbox', config)
      if (config.runtimeHandler) throw new CodedError('CRI_FAILED', `failed to get sandbox runtime: no runtime for ${JSON.stringify(config.runtimeHandler)} is configured`)
      const { uid, attempt } = config.metadata
      const existing = [...sandboxes.values()].find((s) => s.status.metadata.uid === uid && s.status.metadata.attempt === attempt)
      if (existing?.status.state === 'ready') return existing.status.id
      if (existing) throw new CodedError('CRI_EXISTS', `pod sandbox attempt ${attempt} of pod ${uid} exists and is not ready`)
      const id = newId()
      const host = config.linux.namespaces.network === 'node'
      const netnsPath = host ? undefined : `/run/memory/netns/${id}`
      const ips = host ? [] : options.network
        ? (await options.network.setup({ id, netnsPath: netnsPath ?? '', podName: config.metadata.name, podNamespace: config.metadata.namespace, podUid: uid, portMappings: config.portMappings })).ips
        : [nextIp(++ipCount)]
      sandboxes.set(id, {
        config,
        status: {
          id, metadata: { ...config.metadata }, state: 'ready', createdAtMs: clock.nowMs(), ips, labels: { ...config.labels }, annotations: { ...config.annotations },
          namespaces: config.linux.namespaces, ...(netnsPath !== undefined && { netnsPath }),
        },
      })
      return id
    },
    async stopPodSandbox(id) {
      await enter('stopPodSandbox', id)
      const sandbox = sandboxes.get(id)
      if (!sandbox) return
      for (const c of containers.values()) if (c.status.sandboxId === id) exitContainer(c, 137)
      if (sandbox.status.state === 'notready') return
      await options.network?.teardown({ id, netnsPath: sandbox.status.netnsPath })
      sandbox.status.state = 'notready'
      emit({ kind: 'sandboxStopped', sandboxId: id })
    },
    async removePodSandbox(id) {
      await enter('removePodSandbox', id)
      const sandbox = sandboxes.get(id)
      if (!sandbox) return
      for (const c of containers.values()) {
        if (c.status.sandboxId !== id) continue
        exitContainer(c, 137)
        containers.delete(c.status.id)
        emit({ kind: 'containerDeleted', containerId: c.status.id, sandboxId: id })
      }
      if (sandbox.status.state === 'ready') {
        await options.network?.teardown({ id, netnsPath: sandbox.status.netnsPath })
        emit({ kind: 'sandboxStopped', sandboxId: id })
      }
      sandboxes.delete(id)
      emit({ kind: 'sandboxDeleted', sandboxId: id })
    },
    async podSandboxStatus(id) {
      await enter('podSandboxStatus', id)
      return copySandbox(sandboxOf(id))
    },
    async listPodSandbox(filter = {}) {
      await enter('listPodSandbox', filter)
      return [...sandboxes.values()]
        .filter((s) => (filter.podUid === undefined || s.status.metadata.uid === filter.podUid) && (filter.state === undefined || s.status.state === filter.state))
        .map(copySandbox)
    },
    async createContainer(sandboxId, config, sandboxConfig) {
      await enter('createContainer', sandboxId, config)
      const sandbox = sandboxOf(sandboxId)
      if (sandbox.status.state !== 'ready') throw new CodedError('CRI_FAILED', `pod sandbox ${sandboxId} is not ready`)
      const image = images.find(config.image)
      if (!image) throw new CodedError('CRI_IMAGE_NOT_FOUND', `image ${config.image} not found`)
      for (const mount of config.mounts) if (mount.image !== undefined && !images.find(mount.image)) throw new CodedError('CRI_IMAGE_NOT_FOUND', `ImageVolumeMountFailed: failed to get image "${mount.image}": image not found`)
      const same = [...containers.values()].find((c) => c.status.sandboxId === sandboxId && c.status.metadata.name === config.metadata.name && c.status.metadata.attempt === config.metadata.attempt)
      if (same) throw new CodedError('CRI_EXISTS', `container ${config.metadata.name} attempt ${config.metadata.attempt} already exists in pod sandbox ${sandboxId}: ${same.status.id}`, { details: { id: same.status.id } })
      const id = newId()
      const { promise: exited, resolve: setExited } = Promise.withResolvers<void>()
      containers.set(id, {
        config, program: image.program ?? defaultProgram(config), resources: { ...config.linux.resources }, logOpen: true, exited, setExited, cancelTimer: undefined, attached: new Set(),
        status: {
          id, sandboxId, metadata: { ...config.metadata }, state: 'created', createdAtMs: clock.nowMs(), startedAtMs: 0, finishedAtMs: 0, exitCode: 0, reason: '', message: '',
          imageId: image.id, imageRef: image.repoTags[0] ?? image.repoDigests[0] ?? image.id, labels: { ...config.labels }, annotations: { ...config.annotations },
          logPath: join(sandboxConfig.logDirectory, config.logPath), stopSignal: config.stopSignal ?? 'SIGTERM', mounts: config.mounts,
        },
      })
      emit({ kind: 'containerCreated', containerId: id, sandboxId })
      return id
    },
    async startContainer(id) {
      await enter('startContainer', id)
      const c = containerOf(id)
      if (c.status.state !== 'created') throw new CodedError('CRI_FAILED', `container ${id} is in state ${c.status.state}, not created`)
      if (c.program.startError !== undefined) {
        exitContainer(c, 128, 'StartError')
        c.status.message = c.program.startError
        throw new CodedError('CRI_FAILED', `failed to start container "${id}": ${c.program.startError}`)
      }
      if (options.writeLogs !== false) {
        mkdirSync(dirname(c.status.logPath), { recursive: true })
        appendFileSync(c.status.logPath, '')
      }
      c.status.state = 'running'
      c.status.startedAtMs = clock.nowMs()
      started.push(id)
      for (const line of c.program.prints ?? []) print(c, 'stdout', line)
      emit({ kind: 'containerStarted', containerId: id, sandboxId: c.status.sandboxId })
      const ends = c.program.ends
      if (ends) c.cancelTimer = clock.after(ends.afterMs, () => exitContainer(c, ends.exitCode, ends.reason))
    },
    async stopContainer(id, timeoutSeconds) {
      await enter('stopContainer', id, timeoutSeconds)
      const c = containers.get(id)
      if (c) await stop(c, timeoutSeconds)
    },
    async removeContainer(id) {
      await enter('removeContainer', id)
      const c = containers.get(id)
      if (!c) return
      exitContainer(c, 137)
      containers.delete(id)
      emit({ kind: 'containerDeleted', containerId: id, sandboxId: c.status.sandboxId })
    },
    async listContainers(filter = {}) {
      await enter('listContainers', filter)
      return [...containers.values()]
        .filter((c) => (filter.sandboxId === undefined || c.status.sandboxId === filter.sandboxId)
          && (filter.state === undefined || c.status.state === filter.state)
          && (filter.podUid === undefined || sandboxes.get(c.status.sandboxId)?.status.metadata.uid === filter.podUid))
        .map(copyContainer)
    },
    async containerStatus(id) {
      await enter('containerStatus', id)
      return copyContainer(containerOf(id))
    },
    async updateContainerResources(id, resources) {
      await enter('updateContainerResources', id, resources)
      Object.assign(containerOf(id).resources, resources)
    },
    async reopenContainerLog(id) {
      await enter('reopenContainerLog', id)
      const c = containerOf(id)
      if (c.status.state !== 'running') throw new CodedError('CRI_FAILED', `container ${id} is not running`)
      if (options.writeLogs !== false && !existsSync(c.status.logPath)) appendFileSync(c.status.logPath, '')
    },
    async execSync(id, cmd, timeoutSeconds) {
      await enter('execSync', id, cmd, timeoutSeconds)
      const c = runningOf(containerOf(id))
      const outcome = (c.program.exec ?? memoryExec)(cmd, { nowMs: clock.nowMs(), config: c.config })
      await waitExec(outcome, timeoutSeconds, clock, cmd)
      return { exitCode: outcome.exitCode, stdout: Buffer.from(outcome.stdout ?? ''), stderr: Buffer.from(outcome.stderr ?? '') }
    },
    async exec(request) {
      await enter('exec', request)
      const c = runningOf(containerOf(request.containerId))
      return execSession(c, request.cmd, request, clock)
    },
    async attach(id, attachOptions) {
      await enter('attach', id, attachOptions)
      const c = runningOf(containerOf(id))
      const stdout = new PassThrough()
      c.attached.add(stdout)
      const stdin = attachOptions.stdin ? new PassThrough() : undefined
      if (stdin && c.program.echoesStdin) stdin.on('data', (chunk: Buffer) => stdout.write(chunk))
      return {
        stdin, stdout, stderr: attachOptions.tty ? undefined : new PassThrough().end(), resize: () => {},
        done: c.exited.then(() => 0),
        close: () => { c.attached.delete(stdout); stdout.end() },
      }
    },
    async portForward(sandboxId, port): Promise<Duplex> {
      await enter('portForward', sandboxId, port)
      const sandbox = sandboxOf(sandboxId)
      const listening = [...containers.values()].some((c) => c.status.sandboxId === sandbox.status.id && c.status.state === 'running' && c.program.listens?.includes(port))
      if (!listening) throw new CodedError('CRI_FAILED', `connect to 127.0.0.1:${port} inside pod sandbox ${sandboxId}: connection refused`)
      return new PassThrough()
    },
    async containerStats(id) {
      await enter('containerStats', id)
      return statsOf(containerOf(id), clock)
    },
    async listContainerStats() {
      await enter('listContainerStats')
      return [...containers.values()].filter((c) => c.status.state === 'running').map((c) => statsOf(c, clock))
    },
    async listSandboxNetworks() {
      await enter('listSandboxNetworks')
      return [...sandboxes.values()].filter((s) => s.status.state === 'ready' && s.status.netnsPath !== undefined).map(({ status }) => ({ podSandboxId: status.id, interfaces: [{ name: 'eth0', rxBytes: 1_000, rxErrors: 0, txBytes: 2_000, txErrors: 0 }] }))
    },
    async listMetricDescriptors() {
      await enter('listMetricDescriptors')
      return [{ name: 'container_memory_rss', help: 'Size of RSS in bytes.', labelKeys: ['container', 'pod'] }]
    },
    async listPodSandboxMetrics() {
      await enter('listPodSandboxMetrics')
      return [...sandboxes.values()].filter((s) => s.status.state === 'ready').map(({ status: sandbox }) => ({
        podSandboxId: sandbox.id, metrics: [],
        containerMetrics: [...containers.values()].filter((c) => c.status.sandboxId === sandbox.id && c.status.state === 'running').map((c) => ({
          containerId: c.status.id, metrics: [{ name: 'container_memory_rss', type: 'gauge', atMs: clock.nowMs(), value: statsOf(c, clock).memoryRssBytes, labelValues: [c.status.metadata.name, sandbox.metadata.name] }],
        })),
      }))
    },
    events(listener) {
      listeners.add(listener)
      return () => { listeners.delete(listener) }
    },
    ...images.service,
    async close() {
      if (closed) return
      closed = true
      listeners.clear()
      await Promise.resolve()
    },
  }

  const control: MemoryControl = {
    calls,
    started,
    addImage: images.add,
    serve: images.serve,
    fail: (method, error = new CodedError('CRI_FAILED', `${method} was told to fail`), times = 1) => { failures.set(method, { error, times }) },
    heal: () => failures.clear(),
    delay: (method, ms) => { if (ms > 0) delays.set(method, ms); else delays.delete(method) },
    exit: (id, exitCode, reason) => exitContainer(containerOf(id), exitCode, reason),
    running: (name) => [...containers.values()].filter((c) => c.status.state === 'running' && (name === undefined || c.status.metadata.name === name)).map(copyContainer),
    reboot() {
      for (const c of containers.values()) exitContainer(c, 255, 'Unknown')
      for (const s of sandboxes.values()) s.status.state = 'notready'
    },
    ready: (type, why) => { if (why === undefined) notReady.delete(type); else notReady.set(type, why) },
    configOf: (id) => containerOf(id).config,
    sandboxConfigOf: (id) => sandboxOf(id).config,
    print: (id, line, stream = 'stdout') => print(containerOf(id), stream, line),
  }
  return { ...runtime, control }
}

const nextIp = (n: number): string => `10.42.${Math.floor(n / 256)}.${n % 256}`

function runningOf(c: Container): Container {
  if (c.status.state !== 'running') throw new CodedError('CRI_FAILED', `container ${c.status.id} is not running`)
  return c
}

async function waitExec(outcome: ExecOutcome, timeoutSeconds: number, clock: Clock, cmd: string[]): Promise<void> {
  const takesMs = outcome.takesMs ?? 0
  if (timeoutSeconds > 0 && takesMs > timeoutSeconds * 1000) {
    await clock.sleep(timeoutSeconds * 1000)
    throw new CodedError('CRI_TIMEOUT', `command ${JSON.stringify(cmd.join(' '))} timed out: timeout ${timeoutSeconds}s exceeded`)
  }
  if (takesMs > 0) await clock.sleep(takesMs)
}

function execSession(c: Container, cmd: string[], request: { tty: boolean; stdin: boolean }, clock: Clock): IoSession {
  const stdin = request.stdin ? new PassThrough() : undefined
  const stdout = new PassThrough()
  const stderr = request.tty ? undefined : new PassThrough()
  const stopped = new AbortController()
  const done = (async () => {
    const chunks: Buffer[] = []
    if (stdin) for await (const chunk of stdin) chunks.push(chunk as Buffer)
    const outcome = (c.program.exec ?? memoryExec)(cmd, { nowMs: clock.nowMs(), config: c.config, stdin: Buffer.concat(chunks) })
    if (outcome.takesMs) await Promise.race([clock.sleep(outcome.takesMs, stopped.signal), c.exited])
    stdout.end(outcome.stdout ?? '')
    if (stderr) stderr.end(outcome.stderr ?? '')
    else if (outcome.stderr) stdout.write(outcome.stderr)
    return outcome.exitCode
  })().catch((error: unknown) => {
    stdout.end()
    stderr?.end()
    if (stopped.signal.aborted) return 137
    throw error
  })
  return { stdin, stdout, stderr, done, resize: () => {}, close: () => { stopped.abort(); stdin?.destroy() } }
}

function statsOf(c: Container, clock: Clock) {
  const running = c.status.state === 'running'
  const ranMs = running ? clock.nowMs() - c.status.startedAtMs : 0
  return {
    containerId: c.status.id, atMs: clock.nowMs(), cpuUsageCoreNanoSeconds: ranMs * 1_000, memoryWorkingSetBytes: running ? 1_048_576 : 0, memoryUsageBytes: running ? 2_097_152 : 0,
    memoryRssBytes: running ? 524_288 : 0, writableLayerUsedBytes: 0, pids: running ? 1 : 0,
  }
}
