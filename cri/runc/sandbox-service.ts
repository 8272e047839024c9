/** Sandboxes: namespaces pinned by mounts, a few files, a network; no process. */
import { existsSync } from 'node:fs'
import { chmod, mkdir, readFile, readdir, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { CodedError } from '#base/errors.ts'
import type { PodSandboxConfig, RuntimeEvent, SandboxState, SandboxStatus } from '../runtime.ts'
import { joinCgroup, readCgroupLayout, removeCgroup } from './cgroups.ts'
import { KeyedLock } from '#base/keyed-lock.ts'
import { killHelpersNaming } from './leftovers.ts'
import { isPinned, pinNamespaces, startSharedPidInit, unpin } from './namespace-pins.ts'
import { readMountTable } from './mount-table.ts'
import { isAlive, killAndWait } from './process-identity.ts'
import { RecordStore } from './records.ts'
import type { SandboxRecord } from './records.ts'
import type { EmbeddedRuntimeOptions } from './runtime-options.ts'
import type { RuntimePaths } from './runtime-paths.ts'
import type { StartQueue } from './start-queue.ts'

/** What pods get unless they say otherwise (containerd's enable_unprivileged_ports and _icmp). */
const DEFAULT_SYSCTLS: Record<string, string> = { 'net.ipv4.ip_unprivileged_port_start': '0', 'net.ipv4.ping_group_range': '0 2147483647' }

/** Longer means a process of the pod is stuck in the kernel; the sandbox goes all the same. */
const PAUSE_KILL_MS_MAX = 5000

export class SandboxService {
  readonly #options: EmbeddedRuntimeOptions
  readonly #paths: RuntimePaths
  readonly #emit: (event: RuntimeEvent) => void
  readonly #starts: StartQueue
  readonly #records: RecordStore<SandboxRecord>
  readonly #lock = new KeyedLock()

  constructor(options: EmbeddedRuntimeOptions, paths: RuntimePaths, starts: StartQueue, emit: (event: RuntimeEvent) => void) {
    this.#options = options
    this.#paths = paths
    this.#starts = starts
    this.#emit = emit
    this.#records = new RecordStore(paths.sandboxRecords)
  }

  /** After a restart: what still stands is kept, what was half made is removed, what a reboot took is marked. */
  async open(): Promise<void> {
    const lost = await this.#records.open()
    const directories = [dirname(this.#paths.netns('x')), dirname(this.#paths.sandbox('x').dir)]
    const seen = [...lost, ...(await Promise.all(directories.map((path) => readdir(path).catch(() => [])))).flat()]
    for (const id of new Set(seen)) if (!this.#records.get(id)) await this.#release(id, undefined)
    const halfMade = this.#records.all().filter((record) => record.state === 'creating')
    await killHelpersNaming(halfMade.map(({ id }) => id), this.#options.clock)
    await Promise.all(halfMade.map((record) => this.#discard(record)))
    for (const record of this.#records.all()) {
      if (record.state === 'ready' && !this.#stands(record)) {
        this.#options.log.info('sandbox did not outlive a reboot, or was being stopped', { sandbox: record.id, pod: `${record.config.metadata.namespace}/${record.config.metadata.name}` })
        await this.#records.put({ ...record, state: 'notready' })
      }
    }
  }

  ids(): Set<string> { return new Set(this.#records.all().map((record) => record.id)) }
  find(id: string): SandboxRecord | undefined { return this.#records.get(id) }

  record(id: string): SandboxRecord {
    const record = this.#records.get(id)
    if (!record || record.state === 'creating') throw new CodedError('CRI_NOT_FOUND', `an error occurred when try to find sandbox: "${id}": not found`)
    return record
  }

  run(config: PodSandboxConfig): Promise<string> {
    const { uid, attempt } = config.metadata
    return this.#lock.run(`pod ${uid} ${attempt}`, async () => {
      const existing = this.#records.all().find((r) => r.config.metadata.uid === uid && r.config.metadata.attempt === attempt && r.state === 'ready')
      if (existing && this.#stands(existing)) return existing.id
      return this.#starts.run('sandbox', () => this.#create(config))
    })
  }

  async #create(config: PodSandboxConfig): Promise<string> {
    const { clock, network } = this.#options
    const id = this.#options.random.bytes(32).toString('hex')
    const { namespaces, sysctls } = config.linux
    const own = namespaces.network !== 'node'
    const netnsPath = own ? this.#paths.netns(id) : undefined
    const record: SandboxRecord = { id, config, state: 'creating', createdAtMs: clock.nowMs(), ips: [], netnsPath, pause: undefined }
    await this.#records.put(record)
    try {
      const files = this.#paths.sandbox(id)
      await mkdir(files.dir, { recursive: true, mode: 0o711 })
      await writeFile(files.resolvConf, await this.#resolvConf(config))
      await writeFile(files.hostname, `${config.hostname}\n`)
      await chmod(files.resolvConf, 0o644)
      await chmod(files.hostname, 0o644)
      const ownIpc = namespaces.ipc !== 'node'
      await pinNamespaces({
        ...(namespaces.users && { user: { path: files.user, range: namespaces.users } }),
        net: netnsPath, ipc: ownIpc ? files.ipc : undefined, uts: own ? files.uts : undefined, hostname: config.hostname,
        shm: ownIpc ? files.shm : undefined, // Groups that its users do not have cannot be named.
        sysctls: { ...(own && DEFAULT_SYSCTLS), ...(own && namespaces.users && { 'net.ipv4.ping_group_range': `0 ${namespaces.users.length - 1}` }), ...sysctls },
      }, clock)
      if (namespaces.pid === 'pod') {
        record.pause = await startSharedPidInit({ sandboxId: id, dataDir: this.#options.dataDir, userPath: namespaces.users && files.user, clock })
        joinCgroup(this.pauseCgroup(record), record.pause.pid, readCgroupLayout())
      }
      if (netnsPath !== undefined) {
        const { name, namespace, uid } = config.metadata
        record.ips = (await network.setup({ id, netnsPath, podName: name, podNamespace: namespace, podUid: uid, portMappings: config.portMappings })).ips
      }
      await this.#records.put({ ...record, state: 'ready' })
      return id
    } catch (error) {
      await this.#discard(record)
      throw error
    }
  }

  /** Containers in it are stopped by the caller first. */
  stop(id: string): Promise<void> {
    return this.#lock.run(id, async () => {
      const record = this.#records.get(id)
      if (!record || record.state === 'notready') return
      await this.#release(id, record)
      await this.#records.put({ ...record, state: 'notready' })
      this.#emit({ kind: 'sandboxStopped', sandboxId: id })
    })
  }

  async remove(id: string): Promise<void> {
    await this.#lock.run(id, async () => {
      const record = this.#records.get(id)
      if (!record) return
      await this.#release(id, record)
      await this.#records.delete(id)
      this.#emit({ kind: 'sandboxDeleted', sandboxId: id })
    })
  }

  status(id: string): SandboxStatus { return this.#describe(this.record(id)) }

  list(filter: { podUid?: string; state?: SandboxState } = {}): SandboxStatus[] {
    return this.#records.all().filter((record) => record.state !== 'creating').map((record) => this.#describe(record))
      .filter((s) => (filter.podUid === undefined || s.metadata.uid === filter.podUid) && (filter.state === undefined || s.state === filter.state))
  }

  pauseCgroup(record: SandboxRecord): string {
    return `${this.#options.cgroupRoot ?? ''}${record.config.linux.cgroupParent}/pause-${record.id.slice(0, 12)}`
  }

  async #discard(record: SandboxRecord): Promise<void> {
    await this.#release(record.id, record)
    await this.#records.delete(record.id)
  }

  /** Everything it holds of the machine; run twice it does no harm. */
  async #release(id: string, record: SandboxRecord | undefined): Promise<void> {
    const netnsPath = record ? record.netnsPath : this.#paths.netns(id)
    if (netnsPath !== undefined) await this.#options.network.teardown({ id, netnsPath: existsSync(netnsPath) && isPinned(netnsPath) ? netnsPath : undefined })
    if (record?.pause) {
      const gone = await killAndWait(record.pause, PAUSE_KILL_MS_MAX, this.#options.clock)
      if (!gone) this.#options.log.warn('the init of a shared process namespace does not end', { sandbox: id, pid: record.pause.pid })
      removeCgroup(this.pauseCgroup(record), readCgroupLayout())
    }
    await unpin([this.#paths.netns(id), this.#paths.sandbox(id).dir], this.#options.clock)
  }

  #stands(record: SandboxRecord): boolean {
    if (record.pause && !isAlive(record.pause)) return false
    const table = readMountTable()
    const pins = [record.netnsPath, record.config.linux.namespaces.users && this.#paths.sandbox(record.id).user, record.config.linux.namespaces.ipc === 'node' ? undefined : this.#paths.sandbox(record.id).ipc]
    return pins.every((pin) => pin === undefined || isPinned(pin, table))
  }

  async #resolvConf(config: PodSandboxConfig): Promise<string> {
    const dns = config.dnsConfig
    if (!dns) return readFile('/etc/resolv.conf', 'utf8').catch(() => '')
    return [
      ...(dns.searches.length > 0 ? [`search ${dns.searches.join(' ')}`] : []),
      ...dns.servers.map((server) => `nameserver ${server}`),
      ...(dns.options.length > 0 ? [`options ${dns.options.join(' ')}`] : []), '',
    ].join('\n')
  }

  #describe(record: SandboxRecord): SandboxStatus {
    const { id, config, createdAtMs, ips, netnsPath } = record
    return {
      id, metadata: config.metadata, state: record.state === 'ready' ? 'ready' : 'notready', createdAtMs, ips, labels: config.labels, annotations: config.annotations, namespaces: config.linux.namespaces,
      ...(netnsPath !== undefined && { netnsPath }),
    }
  }
}
