/** A cluster in a lab: a server on the first host, agents on the others, the real binary, the real kubectl. */
import type { ChildProcess } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { registryWithTestImages } from '../images/test-images.ts'
import type { LabHost, RunOptions } from './host.ts'
import { Lab } from './lab.ts'
import { Program, Terminal } from './program.ts'
import { kill } from './host.ts'

/** SKIFF_BINARY: another build than dist/skiff. */
const BINARY = process.env['SKIFF_BINARY'] ?? join(import.meta.dirname, '../../dist/skiff')

export interface ClusterOptions {
  hosts: number
  /** How many of the hosts, from the first on, are servers of one cluster. Default 1. */
  servers?: number
  serverFlags?: readonly string[]
  agentFlags?: readonly string[]
  /** Makes a host ready before skiff starts on it; returns flags for this host alone. */
  prepare?: (host: LabHost) => Promise<readonly string[]>
  /** Default true; a server without an agent has no node to wait for. */
  waitForNodes?: boolean
  /** Another registry's directory than that of the usual test images, and whose registries' images it has (docker.io's in any case). */
  registryDir?: string
  mirrored?: readonly string[]
}

export class Cluster {
  readonly lab: Lab
  readonly #options: ClusterOptions
  readonly #running = new Map<string, ChildProcess>()
  readonly #hostFlags = new Map<string, readonly string[]>()

  private constructor(lab: Lab, options: ClusterOptions) {
    this.lab = lab
    this.#options = options
  }

  /** Up to the point where every node is Ready. */
  static async create(options: ClusterOptions): Promise<Cluster> {
    if (!existsSync(BINARY)) throw new Error(`${BINARY} is not there: npm run build makes dist/skiff`)
    const lab = await Lab.create({ hosts: options.hosts, registryDir: options.registryDir ?? await registryWithTestImages(), ...(options.mirrored && { mirrored: options.mirrored }) })
    const cluster = new Cluster(lab, options)
    try {
      for (const host of lab.hosts) {
        if (options.prepare) cluster.#hostFlags.set(host.name, await options.prepare(host))
        cluster.start(host)
        if (cluster.servers.includes(host)) await cluster.waitForApi(host)
      }
      if (options.waitForNodes !== false) await cluster.waitForNodes()
    } catch (error) {
      const logs = lab.hosts.map((h) => `--- ${h.name}\n${existsSync(join(h.dir, 'skiff.log')) ? h.log('skiff').split('\n').slice(-40).join('\n') : ''}`).join('\n')
      await cluster.destroy()
      throw new Error(`the cluster did not come up: ${(error as Error).message}\n${logs}`, { cause: error })
    }
    return cluster
  }

  static open(lab: Lab, options: Pick<ClusterOptions, 'servers' | 'serverFlags' | 'agentFlags'> = {}): Cluster {
    return new Cluster(lab, { ...options, hosts: lab.hosts.length })
  }

  get server(): LabHost {
    const first = this.lab.hosts[0]
    if (!first) throw new Error('the lab has no hosts')
    return first
  }

  get token(): string {
    // As the host sees it: its data may be on a disk that is mounted there alone.
    return readFileSync(join(`/proc/${this.server.holderPid}/root`, this.server.dataDir, 'server/token'), 'utf8').trim()
  }

  /** The first hosts, which run servers. */
  get servers(): LabHost[] {
    return this.lab.hosts.slice(0, this.#options.servers ?? 1)
  }

  /** The hosts that run pods. */
  get nodes(): LabHost[] {
    return this.#options.serverFlags?.includes('--disable-agent') ? this.lab.hosts.slice(this.servers.length) : this.lab.hosts
  }

  /** The server that leads: any other one that is asked to take in a member, one that is there already, names it. */
  async leader(): Promise<LabHost> {
    let leader: LabHost | undefined
    const secret = this.token.slice(this.token.lastIndexOf('::') + 2)
    await until('a server leads', 20_000, async () => {
      for (const host of this.servers) {
        const known = await host.run(['kubectl', '--kubeconfig', host.kubeconfig, 'get', 'configmap', '-n', 'kube-system', 'skiff-servers', '-o', 'jsonpath={.data}', '--request-timeout=5s'])
        if (known.code !== 0) continue
        const [id = '', entry = ''] = Object.entries(JSON.parse(known.stdout) as Record<string, string>)[0] ?? []
        const { name, address } = JSON.parse(entry) as { name: string; address: string }
        const member = JSON.stringify({ member: Number(id), name, address })
        const { stdout } = await host.run(['curl', '-sk', '-m', '5', '-H', `authorization: Bearer ${secret}`, '-H', 'content-type: application/json', '-d', member, '-w', '\n%{http_code}', `https://${host.ip}:6443/skiff/v1/members`])
        const [text = '', status] = stdout.split('\n')
        const named = status === '200' ? host.ip : status === '421' ? (JSON.parse(text) as { leader?: string }).leader?.replace(/:\d+$/, '') : undefined
        leader = this.servers.find(({ ip }) => ip === named)
        if (leader) return true
      }
      return false
    })
    if (!leader) throw new Error('unreachable: until has failed')
    return leader
  }

  /** Starts skiff on a host, as server on the first ones, as agent elsewhere. */
  start(host: LabHost, flags: readonly string[] = []): ChildProcess {
    const node = ['--data-dir', host.dataDir, '--state-dir', host.stateDir, '--node-name', host.name, '--node-ip', host.ip, '--cgroup-root', host.cgroupRoot, '--log-format', 'text', ...(this.#hostFlags.get(host.name) ?? []), ...flags]
    const child = host.start('skiff', [BINARY, ...this.#verbOf(host), ...node])
    this.#running.set(host.name, child)
    return child
  }

  #verbOf(host: LabHost): string[] {
    const known = () => ['--server', `https://${this.server.ip}:6443`, '--token', this.token]
    if (!this.servers.some((s) => s.name === host.name)) return ['agent', ...known(), ...(this.#options.agentFlags ?? [])]
    const together = this.servers.length === 1 ? [] : host.name === this.server.name ? ['--cluster-init'] : known()
    return ['server', '--write-kubeconfig', host.kubeconfig, '--advertise-address', host.ip, ...together, ...(this.#options.serverFlags ?? [])]
  }

  /** Whether skiff runs on a host. */
  runs(host: LabHost): boolean {
    return skiffOn(host).length > 0
  }

  /** Sends a signal to skiff on a host and waits for its end; containers stay. */
  async stop(host: LabHost, signal: NodeJS.Signals = 'SIGTERM'): Promise<number | null> {
    const child = this.#running.get(host.name)
    for (const { pid } of skiffOn(host)) kill(pid, signal)
    await until(`skiff on ${host.name} ends after ${signal}`, 15_000, () => !this.runs(host))
    // Gone from /proc is a moment before this process is told.
    if (child) await until(`skiff on ${host.name} has told how it ended`, 5_000, () => child.exitCode !== null || child.signalCode !== null)
    this.#running.delete(host.name)
    return child?.exitCode ?? null
  }

  /** Each cluster has its own cache: all are called https://127.0.0.1:6443. */
  #command(args: readonly string[]): string[] {
    return ['env', `KUBECACHEDIR=${join(this.server.dir, 'kubectl-cache')}`, 'kubectl', '--kubeconfig', this.server.kubeconfig, ...args]
  }

  kubectl(args: readonly string[], options: RunOptions = {}) {
    return this.server.run(this.#command(args), options)
  }

  /** Throws unless kubectl exits 0. */
  must(args: readonly string[], options: RunOptions = {}): Promise<string> {
    return this.server.must(this.#command(args), options)
  }

  /** A kubectl that runs on: watches, followed logs, forwarded ports. */
  follow(args: readonly string[]): Program {
    return new Program(this.server, this.#command(args))
  }

  /** A kubectl at a terminal. */
  terminal(args: readonly string[], size = { columns: 80, rows: 24 }): Terminal {
    return new Terminal(this.server, this.#command(args), size)
  }

  async waitForApi(host = this.server): Promise<void> {
    const isReady = () => host.run(['kubectl', '--kubeconfig', host.kubeconfig, 'get', '--raw', '/readyz'])
    await until(`the API server on ${host.name} is ready`, 30_000, async () => existsSync(host.kubeconfig) && (await isReady()).stdout === 'ok')
  }

  async waitForNodes(): Promise<void> {
    // Ready, and known to be: the taint of a new node goes a moment later, and until then pods go elsewhere.
    await until('all nodes are Ready and take pods', 60_000, async () => {
      const { stdout } = await this.kubectl(['get', 'nodes', '-o', 'jsonpath={range .items[*]}{.status.conditions[?(@.type=="Ready")].status} {.spec.taints[*].key}{"\\n"}{end}'])
      // One that was cordoned is as its test wants it.
      return stdout.split('\n').filter((l) => l.startsWith('True') && !/node\.kubernetes\.io\/(?!unschedulable)/.test(l)).length === this.nodes.length
    })
  }

  destroy(options: { keepFiles?: boolean } = {}): Promise<void> {
    return this.lab.destroy(options)
  }
}

const skiffOn = (host: LabHost) => host.processes().filter((p) => / (server|agent) .*--data-dir/.test(p.command) && !p.command.startsWith('nsenter'))

/** A machine that has other things to do may be so many times slower; who waits longer than that waits for what never comes. */
const PATIENCE = 3

/** Looks until it holds; the only wait of the whole-system tests. `quietMs`: what is plenty on a quiet machine. Fails with what was waited for. */
export const until = (what: string, quietMs: number, holds: () => boolean | Promise<boolean>): Promise<void> => within(what, quietMs * PATIENCE, holds)

/** The same, where the time itself counts. */
export async function within(what: string, timeoutMs: number, holds: () => boolean | Promise<boolean>): Promise<void> {
  for (const deadline = Date.now() + timeoutMs; ; ) {
    if (await holds()) return
    if (Date.now() > deadline) throw new Error(`not within ${timeoutMs / 1000} s: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
