/**
 * Containers: one runc (or crun) container with its conmon each. The record says what was asked for and how it ended;
 * whether it runs is read off the machine, so that an agent killed at any point finds its containers again.
 *
 *   created --start--> running --exit file--> exited
 *      `-- start failed (StartError) ---------^
 */
import { existsSync } from 'node:fs'
import { chmod, mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { dirname, join, normalize } from 'node:path'
import { CodedError, asError, hasCode } from '#base/errors.ts'
import type { ContainerConfig, ContainerState, ContainerStats, ContainerStatus, LinuxResources, PodSandboxConfig, RuntimeEvent } from '../runtime.ts'
import { ownCapabilities } from './capabilities.ts'
import { checkResources, limitsOf, readCgroupLayout } from './cgroups.ts'
import type { CgroupLayout } from './cgroups.ts'
import { limitHugePagesBeside } from './huge-pages.ts'
import { confine } from './confinement.ts'
import { ContainerFigures } from './container-figures.ts'
import { CDI_DIRS, cdiEdits, wantedCdiDevices } from './cdi/cdi-devices.ts'
import { allHostDevices, requestedDevices } from './devices.ts'
import { ExitWatch } from './exit-watch.ts'
import type { EmbeddedImageService } from './image-service.ts'
import { KeyedLock } from '#base/keyed-lock.ts'
import { clearContainerRemains, killHelpersNaming } from './leftovers.ts'
import { idMapMounts } from './id-mapped-mounts.ts'
import { prepareMountSources } from './mount-sources.ts'
import type { CountedContainer } from './metrics.ts'
import { unmountBelow } from './namespace-pins.ts'
import { buildOciSpec, ociResources } from './oci-spec.ts'
import type { SpecFacts } from './oci-spec.ts'
import type { OciRuntime } from './oci-runtime.ts'
import type { OciRuntimes } from './oci-runtimes.ts'
import { bootId, identify, isAlive, signalProcess } from './process-identity.ts'
import { RecordStore } from './records.ts'
import type { ContainerRecord, SandboxRecord } from './records.ts'
import { mountImageVolumes, mountRootfs, type VolumeImage } from './rootfs.ts'
import type { EmbeddedRuntimeOptions } from './runtime-options.ts'
import type { RuntimePaths } from './runtime-paths.ts'
import type { SandboxService } from './sandbox-service.ts'
import type { StartQueue } from './start-queue.ts'
import { lookUpUser } from './user-lookup.ts'

export interface ContainerServiceParts {
  options: EmbeddedRuntimeOptions
  paths: RuntimePaths
  oci: OciRuntimes
  sandboxes: SandboxService
  images: EmbeddedImageService
  starts: StartQueue
  emit: (event: RuntimeEvent) => void
}

/** What containerd reports for a process that never ran. */
const START_ERROR_EXIT_CODE = 128
/** For a container whose end nobody saw (reboot, conmon killed); containerd's number, too. */
const UNKNOWN_EXIT_CODE = 255
/** From SIGKILL to gone; longer means a process stuck in the kernel. */
const KILL_MS_MAX = 10_000
const LIVENESS_MS = 200
/** While somebody waits for an end, a lost event costs no more than this. */
const MISSED_EXIT_MS = 1_000
const LOG_MODE = 0o640

export class ContainerService {
  readonly #parts: ContainerServiceParts
  readonly #records: RecordStore<ContainerRecord>
  readonly #lock = new KeyedLock()
  readonly #exits: ExitWatch
  readonly #exitWaiters = new Map<string, Set<() => void>>()
  readonly #figures: ContainerFigures
  #cgroups: CgroupLayout | undefined

  constructor(parts: ContainerServiceParts) {
    this.#parts = parts
    this.#records = new RecordStore(parts.paths.containerRecords)
    this.#exits = new ExitWatch(parts.paths.exits)
    this.#figures = new ContainerFigures(parts.paths, parts.options.clock)
  }

  /** After a restart: every record is compared with reality; what belongs to no record is removed. */
  async open(): Promise<void> {
    const { paths, options } = this.#parts
    await this.#records.open()
    await this.#exits.open((id) => this.#onExitFile(id), (error) => options.log.error('cannot watch for exits', { error }))
    await mkdir(join(paths.stateDir, 'containers'), { recursive: true, mode: 0o711 })
    for (const record of this.#records.all()) await this.#lock.run(record.id, () => this.#readopt(record.id))
    for (const directory of [join(paths.stateDir, 'containers'), join(paths.dataDir, 'writable'), paths.ociRoot]) {
      for (const id of await readdir(directory).catch(() => [])) if (!this.#records.get(id)) await this.#clear(id)
    }
  }

  close(): void { this.#exits.close() }

  *chainsInUse(): Iterable<string> {
    for (const record of this.#records.all()) {
      yield* record.chain
      for (const image of record.volumeImages ?? []) yield* image.chain
    }
  }

  find(id: string): ContainerRecord | undefined { return this.#records.get(id) }

  /** That of its sandbox. */
  ociOf(id: string): OciRuntime {
    const { oci, sandboxes } = this.#parts
    return oci.of(sandboxes.find(this.#records.get(id)?.sandboxId ?? '')?.config.runtimeHandler ?? '')
  }

  record(id: string): ContainerRecord {
    const record = this.#records.get(id)
    if (!record) throw new CodedError('CRI_NOT_FOUND', `an error occurred when try to find container "${id}": not found`)
    return record
  }

  running(id: string): ContainerRecord {
    const record = this.record(id)
    if (record.state !== 'running') throw new CodedError('CRI_FAILED', `container "${id}" is in ${stateName(record.state)} state`)
    return record
  }

  get cgroups(): CgroupLayout {
    this.#cgroups ??= readCgroupLayout()
    return this.#cgroups
  }

  create(sandboxId: string, config: ContainerConfig, sandboxConfig: PodSandboxConfig): Promise<string> {
    const { sandboxes, options } = this.#parts
    const { name, attempt } = config.metadata
    return this.#lock.run(`${sandboxId} ${name} ${attempt}`, async () => {
      const sandbox = sandboxes.record(sandboxId)
      if (sandbox.state !== 'ready') throw new CodedError('CRI_FAILED', `sandbox container "${sandboxId}" is not running`)
      const taken = this.#records.all().find((r) => r.sandboxId === sandboxId && r.config.metadata.name === name && r.config.metadata.attempt === attempt)
      if (taken) throw new CodedError('CRI_EXISTS', `failed to reserve container name "${name}_${attempt}" in sandbox ${sandboxId}: name is reserved for "${taken.id}"`)
      const id = options.random.bytes(32).toString('hex')
      return this.#lock.run(id, () => this.#create(id, sandbox, config, sandboxConfig))
    })
  }

  async #create(id: string, sandbox: SandboxRecord, config: ContainerConfig, sandboxConfig: PodSandboxConfig): Promise<string> {
    const { images, options, paths, emit } = this.#parts
    const image = images.record(config.image)
    if (!image) throw new CodedError('CRI_IMAGE_NOT_FOUND', `failed to get image from containerd "${config.image}": image not found`.replace(' from containerd', ''))
    const volumeImages = new Map(config.mounts.flatMap((mount) => (mount.image === undefined ? [] : [[mount.image, this.#volumeImage(mount.image)] as const])))
    const record: ContainerRecord = {
      id, sandboxId: sandbox.id, config, state: 'created', imageId: image.id,
      imageRef: images.nameOf(image.id), chain: image.chain, ...(volumeImages.size > 0 && { volumeImages: [...volumeImages.values()].map(({ id: imageId, chain }) => ({ id: imageId, chain: [...chain] })) }),
      stopSignal: signalName(config.stopSignal ?? image.config.stopSignal),
      createdAtMs: options.clock.nowMs(), startedAtMs: 0, finishedAtMs: 0, exitCode: 0, reason: '', message: '',
      logPath: config.logPath ? join(sandboxConfig.logDirectory, normalize(`/${config.logPath}`)) : join(paths.container(id).bundle, 'log'),
      cgroupPath: `${options.cgroupRoot ?? ''}${sandboxConfig.linux.cgroupParent}/${id}`,
      process: undefined, conmon: undefined,
    }
    const release = images.layers.hold([...image.chain, ...[...volumeImages.values()].flatMap((v) => v.chain)])
    try {
      checkResources(config.linux.resources, this.cgroups)
      const own = paths.container(id)
      await mkdir(own.bundle, { recursive: true, mode: 0o711 })
      const { users } = sandbox.config.linux.namespaces
      const ownUsers = users && { path: paths.sandbox(sandbox.id).user, range: users }
      await mountRootfs(own, image.chain, images.layers, options.clock, ownUsers)
      const facts = await this.#facts(record, sandbox, image.config)
      const { uid, gid, additionalGids } = facts.user
      record.user = { uid, gid, supplementalGroups: additionalGids }
      const mounts = await mountImageVolumes(own, config.mounts, (wanted) => volumeImages.get(wanted) ?? this.#volumeImage(wanted), images.layers, options.clock, ownUsers)
      const shifted: ContainerConfig = ownUsers ? { ...config, mounts: await idMapMounts(own.shiftedMounts, mounts, ownUsers.path), linux: { ...config.linux, namespaces: { ...config.linux.namespaces, users: ownUsers.range } } } : { ...config, mounts }
      const spec = buildOciSpec(shifted, sandboxConfig, facts)
      await writeFile(own.config, JSON.stringify(spec), { mode: 0o600 })
      await this.#records.put(record)
    } catch (error) {
      await this.#clear(id)
      throw error
    } finally {
      release()
    }
    emit({ kind: 'containerCreated', containerId: id, sandboxId: sandbox.id })
    return id
  }

  #volumeImage(id: string): VolumeImage {
    const { images } = this.#parts
    const image = images.record(id)
    if (!image) throw new CodedError('CRI_IMAGE_NOT_FOUND', `ImageVolumeMountFailed: failed to get image "${id}": image not found`)
    return { id: image.id, ref: images.nameOf(image.id), chain: image.chain }
  }

  start(id: string): Promise<void> {
    return this.#lock.run(id, async () => {
      const record = this.record(id)
      const { paths, options, starts, emit } = this.#parts
      const oci = this.ociOf(id)
      if (record.state !== 'created') throw new CodedError('CRI_FAILED', `container "${id}" is in ${stateName(record.state)} state: only created containers can be started`)
      const own = paths.container(id)
      await writeFile(own.starting, '')
      try {
        await mkdir(dirname(record.logPath), { recursive: true, mode: 0o755 })
        await starts.run('container', async () => {
          await limitHugePagesBeside(record.cgroupPath, record.config.linux.resources, this.cgroups)
          const { process, conmon } = await oci.create({ id, logPath: record.logPath, terminal: record.config.tty, stdin: record.config.stdin, stdinOnce: record.config.stdinOnce })
          await chmod(record.logPath, LOG_MODE).catch(ignoreMissing)
          await oci.start(id, process)
          await this.#records.put({ ...record, state: 'running', startedAtMs: options.clock.nowMs(), process, conmon })
        })
      } catch (error) {
        await this.#failStart(record, asError(error))
        throw new CodedError(hasCode(error, 'CRI_TIMEOUT') ? 'CRI_TIMEOUT' : 'CRI_FAILED', `failed to start container "${id}": ${asError(error).message}`, { cause: error })
      } finally {
        await rm(own.starting, { force: true })
      }
      emit({ kind: 'containerStarted', containerId: id, sandboxId: record.sandboxId })
    }).finally(() => {
      // It may have ended before the record said running, and nobody is told twice.
      this.#onExitFile(id)
    })
  }

  async #failStart(record: ContainerRecord, error: Error): Promise<void> {
    const { options, emit } = this.#parts
    await this.ociOf(record.id).delete(record.id, true).catch((failure: unknown) => options.log.warn('cannot remove what a failed start left', { container: record.id, error: asError(failure) }))
    await this.#exits.forget(record.id)
    await this.#records.put({ ...record, state: 'exited', finishedAtMs: options.clock.nowMs(), exitCode: START_ERROR_EXIT_CODE, reason: 'StartError', message: error.message })
    this.#wake(record.id)
    emit({ kind: 'containerStopped', containerId: record.id, sandboxId: record.sandboxId })
  }

  async stop(id: string, timeoutSeconds: number): Promise<void> {
    const record = this.#records.get(id)
    if (!record || record.state !== 'running' || !record.process) return
    const { clock } = this.#parts.options
    if (timeoutSeconds > 0) {
      signalProcess(record.process, signalNumber(record.stopSignal))
      if (await this.#waitExit(id, timeoutSeconds * 1000)) return
    }
    signalProcess(record.process, 'SIGKILL')
    if (await this.#waitExit(id, KILL_MS_MAX)) return
    if (!isAlive(record.process)) return this.#lock.run(id, () => this.#finish(id, { exitCode: 137, atMs: clock.nowMs() }))
    throw new CodedError('CRI_TIMEOUT', `an error occurs during waiting for container "${id}" to be killed: process ${record.process.pid} is still there ${KILL_MS_MAX / 1000} s after SIGKILL`)
  }

  async remove(id: string): Promise<void> {
    const { images, emit } = this.#parts
    const record = this.#records.get(id)
    if (!record) return
    await this.stop(id, 0)
    await this.#lock.run(id, async () => {
      if (!this.#records.get(id)) return
      await this.#clear(id)
      await this.#records.delete(id)
      this.#figures.forget(id)
      emit({ kind: 'containerDeleted', containerId: id, sandboxId: record.sandboxId })
    })
    if ([record.imageId, ...(record.volumeImages ?? []).map((v) => v.id)].some((imageId) => !images.record(imageId))) await images.dropUnusedLayers()
  }

  list(filter: { podUid?: string; sandboxId?: string; state?: ContainerState } = {}): ContainerStatus[] {
    const { sandboxes } = this.#parts
    return this.#records.all().filter((record) => {
      if (filter.sandboxId !== undefined && record.sandboxId !== filter.sandboxId) return false
      if (filter.podUid !== undefined && sandboxes.find(record.sandboxId)?.config.metadata.uid !== filter.podUid) return false
      // Not of other pods: each pod's turn lists its own.
      this.#notice(record)
      return filter.state === undefined || record.state === filter.state
    }).map(describe)
  }

  status(id: string): ContainerStatus {
    const record = this.record(id)
    this.#notice(record)
    return describe(record)
  }

  updateResources(id: string, resources: LinuxResources): Promise<void> {
    return this.#lock.run(id, async () => {
      const record = this.record(id)
      if (record.state !== 'running' && record.state !== 'created') throw new CodedError('CRI_FAILED', `cannot update container "${id}" in ${stateName(record.state)} state`)
      checkResources(resources, this.cgroups)
      const merged = { ...record.config.linux.resources, ...resources }
      const config: ContainerConfig = { ...record.config, linux: { ...record.config.linux, resources: merged } }
      const oci = ociResources(merged, limitsOf(this.cgroups))
      if (record.state === 'running') {
        await limitHugePagesBeside(record.cgroupPath, merged, this.cgroups)
        await this.ociOf(id).update(id, oci)
      } else {
        const path = this.#parts.paths.container(id).config
        const spec = JSON.parse(await readFile(path, 'utf8')) as { linux: { resources: Record<string, unknown> } }
        spec.linux.resources = { devices: spec.linux.resources.devices, ...oci }
        await writeFile(path, JSON.stringify(spec), { mode: 0o600 })
      }
      await this.#records.put({ ...record, config })
    })
  }

  async stats(id: string): Promise<ContainerStats> { return this.#figures.stats(this.record(id), this.cgroups) }

  /** For metrics: stats and all else that is counted. */
  async counted(id: string): Promise<CountedContainer> {
    const record = this.record(id)
    return { status: describe(record), cgroupPath: record.cgroupPath, ...await this.#figures.counted(record, this.cgroups) }
  }

  /** Resolves at once when it does not run. False after `timeoutMs`. */
  waitExit(id: string, timeoutMs: number): Promise<boolean> { return this.#waitExit(id, timeoutMs) }

  #onExitFile(id: string): void {
    if (this.#records.get(id)?.state !== 'running') return
    const { log } = this.#parts.options
    this.#lock.run(id, async () => {
      const exit = this.#exits.read(id)
      if (exit) await this.#finish(id, exit)
    }).catch((error: unknown) => log.error('cannot record the exit of a container', { container: id, error: asError(error) }))
  }

  /** Under the container's lock. */
  async #finish(id: string, exit: { exitCode: number; atMs: number }): Promise<void> {
    const record = this.#records.get(id)
    if (!record || record.state !== 'running') return
    const { paths, emit, options } = this.#parts
    const own = paths.container(id)
    const oomKilled = existsSync(join(own.persist, 'oom')) || existsSync(join(own.bundle, 'oom'))
    const reason = oomKilled ? 'OOMKilled' : exit.exitCode === 0 ? 'Completed' : 'Error'
    const kept = this.#records.put({ ...record, state: 'exited', finishedAtMs: Math.max(exit.atMs, record.startedAtMs), exitCode: exit.exitCode, reason })
    // Told before it is on disk: until the container is removed its exit file says the same.
    this.#wake(id)
    emit({ kind: 'containerStopped', containerId: id, sandboxId: record.sandboxId })
    await kept
    // A failure here is made good when it is removed.
    await this.#clearRemains(record).catch((error: unknown) => options.log.warn('cannot free the cgroup of an exited container', { container: id, error: asError(error) }))
    await unmountBelow([own.rootfs, own.shiftedMounts, own.imageVolumes], options.clock).catch((error: unknown) => options.log.warn('cannot unmount the root of an exited container', { container: id, error: asError(error) }))
  }

  /** conmon tells of every exit; only when it was killed itself must the process be looked at. */
  #notice(record: ContainerRecord): void {
    if (record.state !== 'running' || isAlive(record.process)) return
    const { id } = record
    const { options } = this.#parts
    this.#lock.run(id, async () => {
      // Looked at before the file: conmon writes it, then goes.
      const mayWriteYet = isAlive(record.conmon)
      const exit = this.#exits.read(id)
      if (exit) return this.#finish(id, exit)
      if (!mayWriteYet) await this.#finish(id, { exitCode: UNKNOWN_EXIT_CODE, atMs: options.clock.nowMs() })
    }).catch((error: unknown) => options.log.error('cannot record the exit of a container', { container: id, error: asError(error) }))
  }

  async #readopt(id: string): Promise<void> {
    const { paths, options } = this.#parts
    const oci = this.ociOf(id)
    let record = this.record(id)
    const own = paths.container(id)
    const startCut = await readFile(own.starting).then(() => true, () => false)
    if (startCut && record.state === 'created') {
      await rm(own.starting, { force: true })
      if (oci.hasStarted(id) && existsSync(own.pidFile)) {
        const process = identify(Number(await readFile(own.pidFile, 'utf8').catch(() => '0')))
        const conmon = identify(Number(await readFile(own.conmonPidFile, 'utf8').catch(() => '0')))
        record = await this.#records.put({ ...record, state: 'running', startedAtMs: options.clock.nowMs(), process, conmon })
      } else {
        // Created but never let go: taken back, so that it can be started from the beginning.
        await killHelpersNaming([id], options.clock)
        await oci.delete(id, true)
        await this.#clearRemains(record)
        await this.#exits.forget(id)
      }
    }
    if (record.state !== 'running') return
    const mayWriteYet = isAlive(record.conmon)
    const exit = this.#exits.read(id)
    if (exit && (record.process?.bootId ?? bootId()) === bootId()) return this.#finish(id, exit)
    if (!isAlive(record.process) && !mayWriteYet) await this.#finish(id, { exitCode: UNKNOWN_EXIT_CODE, atMs: options.clock.nowMs() })
  }

  #clearRemains({ id, cgroupPath }: ContainerRecord): Promise<void> {
    const { paths, options } = this.#parts
    return clearContainerRemains({ id, cgroupPath, ociRoot: paths.ociRoot, layout: this.cgroups, clock: options.clock })
  }

  /** Everything a container holds of the machine. Repeatable. */
  async #clear(id: string): Promise<void> {
    const { paths } = this.#parts
    const own = paths.container(id)
    const known = await readdir(join(paths.ociRoot, id)).then(() => true, () => false)
    if (known) await this.ociOf(id).delete(id, true)
    await unmountBelow([own.bundle], this.#parts.options.clock)
    await rm(own.bundle, { recursive: true, force: true })
    await rm(own.writable, { recursive: true, force: true })
    await this.#exits.forget(id)
  }

  async #facts(record: ContainerRecord, sandbox: SandboxRecord, image: SpecFacts['image'] & { user: string }): Promise<SpecFacts> {
    const { paths, sandboxes } = this.#parts
    const { config } = record
    const { security, namespaces } = config.linux
    const own = paths.container(record.id)
    const files = paths.sandbox(sandbox.id)
    const hostIpc = namespaces.ipc === 'node'
    const hostNetwork = sandbox.netnsPath === undefined
    const target = namespaces.pid === 'target' ? this.record(namespaces.targetId ?? '').process : undefined
    if (namespaces.pid === 'target' && !isAlive(target)) throw new CodedError('CRI_FAILED', `failed to target container "${namespaces.targetId}": it is not running`)
    const sharedPid = namespaces.pid === 'pod' ? sandboxes.record(sandbox.id).pause : target
    await prepareMountSources(config.mounts)
    const capabilities = ownCapabilities()
    const ownScore = Number(await readFile('/proc/self/oom_score_adj', 'utf8'))
    return {
      rootfs: own.rootfs, image, user: lookUpUser(own.rootfs, security, image.user), ownCapabilities: capabilities,
      oomScoreAdjMin: capabilities.includes('SYS_RESOURCE') ? -1000 : ownScore,
      ...limitsOf(this.cgroups), cgroupsPath: record.cgroupPath,
      namespacePaths: {
        network: sandbox.netnsPath, ipc: hostIpc ? undefined : files.ipc, uts: hostNetwork ? undefined : files.uts,
        pid: sharedPid ? `/proc/${sharedPid.pid}/ns/pid` : undefined,
        user: sandbox.config.linux.namespaces.users ? files.user : undefined,
      },
      files: { resolvConf: files.resolvConf, hostname: hostNetwork ? '/etc/hostname' : files.hostname, shm: hostIpc ? '/dev/shm' : files.shm },
      devices: security.privileged ? allHostDevices() : requestedDevices(config.devices),
      edits: await cdiEdits(wantedCdiDevices(config), this.#parts.options.cdiDirs ?? CDI_DIRS),
      confinement: await confine(config, sandbox.id, this.#parts.options.clock),
      ...(security.seccomp.profile === 'Localhost' && !security.privileged && { seccompProfile: await readSeccomp(security.seccomp.path) }),
      arch: process.arch,
    }
  }

  #wake(id: string): void {
    for (const waiter of this.#exitWaiters.get(id) ?? []) waiter()
    this.#exitWaiters.delete(id)
  }

  async #waitExit(id: string, timeoutMs: number): Promise<boolean> {
    const { clock } = this.#parts.options
    const hasExited = () => this.#records.get(id)?.state !== 'running'
    const deadlineMs = clock.monotonicMs() + timeoutMs
    while (!hasExited()) {
      const leftMs = deadlineMs - clock.monotonicMs()
      if (leftMs <= 0) return false
      const record = this.#records.get(id)
      if (!record) return true
      // Without conmon nobody writes an exit file, and the kernel drops events when too many come at once: look at the process now and then.
      const conmonGone = !isAlive(record.conmon)
      this.#notice(record)
      await new Promise<void>((resolve) => {
        const waiters = this.#exitWaiters.get(id) ?? new Set()
        this.#exitWaiters.set(id, waiters)
        const cancel = clock.after(Math.min(leftMs, conmonGone ? LIVENESS_MS : MISSED_EXIT_MS), done)
        function done() {
          cancel()
          waiters.delete(done)
          resolve()
        }
        waiters.add(done)
      })
    }
    return true
  }
}

function describe(record: ContainerRecord): ContainerStatus {
  const { id, sandboxId, config, state, createdAtMs, startedAtMs, finishedAtMs, exitCode, reason, message, imageId, imageRef, logPath } = record
  return { id, sandboxId, metadata: config.metadata, state, createdAtMs, startedAtMs, finishedAtMs, exitCode, reason, message, imageId, imageRef, labels: config.labels, annotations: config.annotations, logPath, resources: config.linux.resources, stopSignal: record.stopSignal, mounts: config.mounts, ...(state === 'running' && record.process && { pid: record.process.pid }), ...(record.user && { user: record.user }) }
}

function stateName(state: ContainerState): string {
  return `CONTAINER_${state.toUpperCase()}`
}

async function readSeccomp(path: string): Promise<unknown> {
  try {
    return JSON.parse(await readFile(path, 'utf8'))
  } catch (error) {
    throw new CodedError('CRI_INVALID', `cannot load seccomp profile "${path}": ${asError(error).message}`, { cause: error })
  }
}

/** `15`, `TERM` and `SIGTERM` are the same; unknown names are an error when the container is created. */
function signalName(text: string | undefined): string {
  if (!text) return 'SIGTERM'
  const { constants } = process.getBuiltinModule('node:os')
  if (/^\d+$/.test(text)) return text
  const name = text.toUpperCase().startsWith('SIG') ? text.toUpperCase() : `SIG${text.toUpperCase()}`
  if (Object.hasOwn(constants.signals, name) || /^SIGRTM(?:IN(?:\+\d+)?|AX(?:-\d+)?)$/.test(name)) return name
  throw new CodedError('CRI_INVALID', `unknown stop signal "${text}"`)
}

/** Real-time signals are 34 to 64 in glibc's and musl's count (systemd's SIGRTMIN+3). */
function signalNumber(name: string): number {
  if (/^\d+$/.test(name)) return Number(name)
  const realTime = /^SIGRT(MIN|MAX)(?:[+-](\d+))?$/.exec(name)
  if (realTime) return realTime[1] === 'MIN' ? 34 + Number(realTime[2] ?? 0) : 64 - Number(realTime[2] ?? 0)
  const { constants } = process.getBuiltinModule('node:os')
  return constants.signals[name as NodeJS.Signals]
}

function ignoreMissing(error: unknown): void {
  if (!hasCode(error, 'ENOENT')) throw error
}
