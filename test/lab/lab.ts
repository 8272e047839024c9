/**
 * The lab: N hosts on one machine. A switch (a network namespace with a bridge, an image registry and a name server's
 * address) and one LabHost per host, each with its own address, data directory, cgroup subtree, /etc/skiff and pod
 * logs. All traffic stays inside these namespaces. Needs root.
 */
import { execFileSync, spawn } from 'node:child_process'
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createHost, hold, kill, LabHost, type HostState } from './host.ts'
import { removeCgroups, unmountBelow } from './sweep.ts'

const SUBNET = '10.99.0'
const PREFIX = 24
/** The switch's own address: gateway, registry. */
export const SWITCH_IP = `${SUBNET}.1`
export const REGISTRY_PORT = 5000

export interface LabState { dir: string; switchPid: number; registryPid: number | undefined; hosts: HostState[] }

export interface LabOptions {
  hosts: number
  /** Default: a new temporary directory. */
  dir?: string
  /** Directory with what a registry serves (see test/images); undefined: no registry. */
  registryDir?: string
  /** The registries whose images it has, besides docker.io's. */
  mirrored?: readonly string[]
}

export class Lab {
  readonly dir: string
  readonly hosts: LabHost[]
  readonly #switchPid: number
  #registryPid: number | undefined

  private constructor(state: LabState) {
    this.dir = state.dir
    this.#switchPid = state.switchPid
    this.#registryPid = state.registryPid
    this.hosts = state.hosts.map((h) => new LabHost(h))
  }

  get state(): LabState {
    return { dir: this.dir, switchPid: this.#switchPid, registryPid: this.#registryPid, hosts: this.hosts.map((h) => h.state) }
  }

  /** Of this lab alone: several may be up at once. */
  get #cgroupRoot(): string { return `/skiff-lab-${this.#switchPid}` }

  static open(state: LabState): Lab {
    return new Lab(state)
  }

  static async create(options: LabOptions): Promise<Lab> {
    if (process.getuid?.() !== 0) throw new Error('the lab makes network namespaces: run it as root')
    const dir = options.dir ?? mkdtempSync(join(tmpdir(), 'skiff-lab-'))
    mkdirSync(dir, { recursive: true })
    // The users of pods that have users of their own get to their containers.
    chmodSync(dir, 0o711)
    const switchPid = hold(['--net'])
    const inSwitch = (...args: string[]) => execFileSync('nsenter', ['-t', String(switchPid), '-n', '--', ...args])
    inSwitch('ip', 'link', 'set', 'lo', 'up')
    inSwitch('ip', 'link', 'add', 'lab0', 'type', 'bridge')
    inSwitch('ip', 'address', 'add', `${SWITCH_IP}/${PREFIX}`, 'dev', 'lab0')
    inSwitch('ip', 'link', 'set', 'lab0', 'up')
    const lab = new Lab({ dir, switchPid, registryPid: undefined, hosts: [] })
    if (options.registryDir) await lab.#startRegistry(options.registryDir)
    for (let i = 1; i <= options.hosts; i++) lab.addHost(options.mirrored)
    return lab
  }

  addHost(mirrored: readonly string[] = []): LabHost {
    const n = this.hosts.length + 1
    const host = createHost({ name: `h${n}`, ip: `${SUBNET}.${10 + n}`, prefix: PREFIX, gateway: SWITCH_IP, dir: join(this.dir, `h${n}`), switchPid: this.#switchPid, port: `port${n}`, cgroupRoot: `${this.#cgroupRoot}/h${n}` })
    const mirrors = ['docker.io', ...mirrored].map((name) => `  ${name}:\n    endpoint:\n      - http://${SWITCH_IP}:${REGISTRY_PORT}\n`)
    writeFileSync(join(host.dir, 'etc/registries.yaml'), `mirrors:\n${mirrors.join('')}`)
    this.hosts.push(host)
    return host
  }

  /** What `command` becomes when it is run on the switch: for clients that are on no host, and reach all. */
  wrapOnSwitch(command: readonly string[]): string[] {
    return ['nsenter', '-t', String(this.#switchPid), '-n', '--', ...command]
  }

  runOnSwitch(...command: string[]): string {
    const [file = '', ...args] = this.wrapOnSwitch(command)
    return execFileSync(file, args, { encoding: 'utf8' })
  }

  async #startRegistry(registryDir: string): Promise<void> {
    const config = join(this.dir, 'registry.yml')
    writeFileSync(config, `version: 0.1\nlog: {level: warn}\nstorage:\n  filesystem: {rootdirectory: ${registryDir}}\nhttp: {addr: ':${REGISTRY_PORT}'}\n`)
    const child = spawn('nsenter', ['-t', String(this.#switchPid), '-n', '--', 'docker-registry', 'serve', config], { stdio: 'ignore', detached: true })
    child.unref()
    this.#registryPid = child.pid
    const probe = () => execFileSync('nsenter', ['-t', String(this.#switchPid), '-n', '--', 'busybox', 'wget', '-q', '-O', '/dev/null', `http://127.0.0.1:${REGISTRY_PORT}/v2/`], { stdio: 'ignore' })
    for (const deadline = Date.now() + 10_000; ; ) {
      try {
        probe()
        return
      } catch (error) {
        if (Date.now() > deadline) throw new Error('the registry does not answer', { cause: error })
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
    }
  }

  /** Ends everything and removes what was made: processes, mounts, cgroups, namespaces, directories. */
  async destroy(options: { keepFiles?: boolean } = {}): Promise<void> {
    for (const host of this.hosts) host.killAll()
    await Promise.all(this.hosts.map((h) => waitUntilEmpty(h)))
    for (const host of this.hosts) kill(host.holderPid)
    await removeCgroups(this.#cgroupRoot)
    if (this.#registryPid !== undefined) kill(this.#registryPid)
    kill(this.#switchPid)
    unmountBelow(this.dir)
    if (!options.keepFiles && existsSync(this.dir)) rmSync(this.dir, { recursive: true, force: true })
  }
}

export function readLabState(path: string): LabState | undefined {
  return existsSync(path) ? (JSON.parse(readFileSync(path, 'utf8')) as LabState) : undefined
}

async function waitUntilEmpty(host: LabHost): Promise<void> {
  for (const deadline = Date.now() + 10_000; host.processes().length > 0; ) {
    if (Date.now() > deadline) throw new Error(`processes of ${host.name} do not end: ${JSON.stringify(host.processes())}`)
    host.killAll()
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
