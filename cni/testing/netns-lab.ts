/**
 * Hosts and pods as network namespaces, for tests that want a real kernel: a switch in a namespace of its own, hosts on it,
 * pods' empty namespaces for the network under test to fill. Everything ends with `close`. Only tests import this.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connectPod, type PortWish } from '../bridge/port.ts'
import { mustRun, systemExec, type Exec, type ExecResult } from '../netlink/exec.ts'

export interface Namespace {
  path: string
  /** Runs inside; records every command line in `log`. */
  exec: Exec
  /** What `createNetwork` connects pods by, as if this were the node. */
  connect: (wish: PortWish) => void
  log: string[]
  /** Runs a shell command inside and insists on success. */
  sh(script: string): Promise<string>
  /** The exit code and output, whatever they are. */
  try(script: string): Promise<ExecResult>
  /** Starts a process inside that lives until `close`. Resolves when it printed `until`, or at once. */
  spawn(argv: readonly string[], until?: string): Promise<ChildProcess>
}

export interface LabHost extends Namespace { ip: string }

/** Why real-kernel tests cannot run here; undefined when they can. */
export async function labMissing(): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return 'needs root'
  const probe = await systemExec(['unshare', '--net', 'sh', '-c', 'ip link add name probe0 type bridge && ip link add name probe1 type vxlan id 1 dstport 8472 local 127.0.0.1 && nft add table ip t && command -v busybox nsenter']).catch((error: unknown) => ({ code: 1, stdout: '', stderr: String(error) }))
  return probe.code === 0 ? undefined : `needs network namespaces, bridge, vxlan, nft and busybox: ${probe.stderr.trim().slice(0, 200)}`
}

export class NetnsLab {
  readonly #folder: string
  readonly #paths: string[] = []
  readonly #children: ChildProcess[]
  readonly #switch: Namespace
  #hosts = 0

  private constructor(made: { folder: string; paths: string[]; children: ChildProcess[]; uplink: Namespace }) {
    this.#folder = made.folder
    this.#paths = made.paths
    this.#children = made.children
    this.#switch = made.uplink
  }

  static async open(): Promise<NetnsLab> {
    const folder = await mkdtemp(join(tmpdir(), 'skiff-netns-'))
    const paths: string[] = []
    const children: ChildProcess[] = []
    const uplink = await makeNamespace(folder, 'switch', paths, children)
    await uplink.sh('ip link add sw0 type bridge && ip link set sw0 up && ip addr add 192.168.77.254/24 dev sw0')
    return new NetnsLab({ folder, paths, children, uplink })
  }

  /** The machine at the other end of every host's default route: 192.168.77.254, in no cluster. */
  get outside(): Namespace { return this.#switch }
  get folder(): string { return this.#folder }

  async host(name: string): Promise<LabHost> {
    const n = ++this.#hosts
    const ns = await makeNamespace(this.#folder, name, this.#paths, this.#children)
    const ip = `192.168.77.${n}`
    await this.#switch.sh(`ip link add up${n} type veth peer name eth0 netns ${ns.path} && ip link set up${n} master sw0 up`)
    await ns.sh(`ip link set eth0 up && ip addr add ${ip}/24 dev eth0 && ip route add default via 192.168.77.254`)
    ns.log.length = 0
    return { ...ns, ip }
  }

  /** An empty namespace, as a runtime makes for a sandbox. */
  pod(name: string): Promise<Namespace> {
    return makeNamespace(this.#folder, name, this.#paths, this.#children)
  }

  async close(): Promise<void> {
    for (const child of this.#children) child.kill('SIGKILL')
    for (const path of this.#paths) await systemExec(['umount', '-l', path])
    await rm(this.#folder, { recursive: true, force: true })
  }
}

async function makeNamespace(folder: string, name: string, paths: string[], children: ChildProcess[]): Promise<Namespace> {
  const path = join(folder, name)
  await mustRun(systemExec, ['touch', path])
  await mustRun(systemExec, ['unshare', `--net=${path}`, 'ip', 'link', 'set', 'lo', 'up'])
  paths.push(path)
  const enter = ['nsenter', `--net=${path}`, '--']
  const log: string[] = []
  const exec: Exec = (argv, options) => {
    log.push(options?.input ? `${argv.join(' ')} <<< ${options.input}` : argv.join(' '))
    return systemExec([...enter, ...argv], options)
  }
  return {
    path, exec, log,
    connect: (wish) => connectPod(wish, path),
    sh: (script) => mustRun(systemExec, [...enter, 'sh', '-c', script]),
    try: (script) => systemExec([...enter, 'sh', '-c', script]),
    spawn: (argv, until) => new Promise((resolve, reject) => {
      const [file = '', ...args] = [...enter, ...argv]
      const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'pipe'] })
      children.push(child)
      let seen = ''
      const read = (chunk: Buffer) => {
        seen += chunk.toString()
        if (until !== undefined && seen.includes(until)) resolve(child)
      }
      child.stdout.on('data', read)
      child.stderr.on('data', read)
      child.on('error', reject)
      child.on('exit', (code) => reject(new Error(`${argv.join(' ')} ended with ${code}: ${seen.slice(-500)}`)))
      if (until === undefined) child.on('spawn', () => resolve(child))
    }),
  }
}

/** Commands that change the kernel, among those a namespace recorded. */
export function changes(log: readonly string[]): string[] {
  return log.filter((line) => !/^(ip (-\S+ )*(addr|link|route|neigh) show|bridge -j fdb show|cat |nft (-j )?list )/.test(line))
}
