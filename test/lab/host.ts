/**
 * One lab host: a process that does nothing but hold a network and a mount namespace. Everything that "runs on the
 * host" is started inside them with nsenter (not `ip netns exec`, which remounts /sys and hides cgroup v1).
 */
import { execFile, execFileSync, spawn, type ChildProcess, type SpawnOptions } from 'node:child_process'
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, readdirSync, readlinkSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { KERNEL_SETTINGS } from '#agent/kubelet/node/kernel-settings.ts'
import { hasCode } from '#base/errors.ts'

export interface HostState { name: string; ip: string; holderPid: number; dir: string; cgroupRoot: string }
export interface RunOptions { input?: string | Buffer; timeoutMs?: number; env?: Record<string, string> }
export interface Output { code: number; stdout: string; stderr: string }

export class LabHost {
  readonly name: string
  readonly ip: string
  readonly dir: string
  /** Of everything skiff starts on this host, e.g. `/skiff-lab-4711/h1`. */
  readonly cgroupRoot: string
  readonly #holderPid: number

  constructor(state: HostState) {
    this.name = state.name
    this.ip = state.ip
    this.dir = state.dir
    this.cgroupRoot = state.cgroupRoot
    this.#holderPid = state.holderPid
  }

  get state(): HostState { return { name: this.name, ip: this.ip, dir: this.dir, holderPid: this.#holderPid, cgroupRoot: this.cgroupRoot } }
  get dataDir(): string { return join(this.dir, 'data') }
  get stateDir(): string { return join(this.dir, 'run') }
  /** The admin kubeconfig that a server on this host writes. */
  get kubeconfig(): string { return join(this.dir, 'etc/skiff.yaml') }
  get holderPid(): number { return this.#holderPid }

  /** What `command` becomes when it is run on this host. */
  wrap(command: readonly string[]): string[] {
    return ['nsenter', '-t', String(this.#holderPid), '-m', '-n', '-u', '--', ...command]
  }

  /** All clusters are called https://127.0.0.1:6443: kubectl's cache must be this host's own. */
  get #env(): NodeJS.ProcessEnv { return { ...process.env, KUBECACHEDIR: join(this.dir, 'kubectl-cache') } }

  /** Runs to the end; never throws for a non-zero exit. */
  run(command: readonly string[], options: RunOptions = {}): Promise<Output> {
    const [file = '', ...args] = this.wrap(command)
    return new Promise((resolve) => {
      const child = execFile(file, args, { encoding: 'utf8', maxBuffer: 64 << 20, timeout: options.timeoutMs ?? 60_000, killSignal: 'SIGKILL', env: { ...this.#env, ...options.env } }, (error, stdout, stderr) => {
        const code = error ? (typeof error.code === 'number' ? error.code : 124) : 0
        resolve({ code, stdout, stderr })
      })
      if (options.input !== undefined) child.stdin?.end(options.input)
    })
  }

  /** As run; throws with both outputs unless it exits 0. */
  async must(command: readonly string[], options: RunOptions = {}): Promise<string> {
    const { code, stdout, stderr } = await this.run(command, options)
    if (code !== 0) throw new Error(`on ${this.name}: ${command.join(' ')}: exit ${code}\n${stdout}${stderr}`)
    return stdout
  }

  spawn(command: readonly string[], options: SpawnOptions = {}): ChildProcess {
    const [file = '', ...args] = this.wrap(command)
    return spawn(file, args, { ...options, env: { ...this.#env, ...options.env } })
  }

  /** Starts a long-running program in the background; its output goes to `<dir>/<log>.log`. Survives this process. */
  start(log: string, command: readonly string[], env: Record<string, string> = {}): ChildProcess {
    const fd = openSync(join(this.dir, `${log}.log`), 'a')
    const child = this.spawn(command, { stdio: ['ignore', fd, fd], detached: true, env })
    closeSync(fd)
    return child
  }

  log(name: string): string {
    return readFileSync(join(this.dir, `${name}.log`), 'utf8')
  }

  /** Every process on this host: those in its mount namespace and those in its cgroups (containers). */
  processes(): { pid: number; command: string }[] {
    const mount = namespaceOf(this.#holderPid, 'mnt')
    const found: { pid: number; command: string }[] = []
    for (const entry of readdirSync('/proc')) {
      const pid = Number(entry)
      if (!Number.isInteger(pid) || pid === this.#holderPid) continue
      try {
        const isOurs = namespaceOf(pid, 'mnt') === mount || readFileSync(`/proc/${pid}/cgroup`, 'utf8').includes(`${this.cgroupRoot}/`)
        if (isOurs) found.push({ pid, command: readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim() })
      } catch {
        // The process ended between readdir and now.
      }
    }
    return found
  }

  /** As if the cable to the switch was pulled. */
  cutCable(): void { execFileSync('nsenter', ['-t', String(this.#holderPid), '-n', 'ip', 'link', 'set', 'eth0', 'down']) }
  healCable(): void {
    const inside = (...args: string[]) => execFileSync('nsenter', ['-t', String(this.#holderPid), '-n', 'ip', ...args])
    inside('link', 'set', 'eth0', 'up')
    inside('route', 'replace', 'default', 'via', `${this.ip.replace(/\.\d+$/, '')}.1`)
  }

  /** Drops all packets between this host and the other; `in`: only those that come from it, `out`: only those to it. */
  cutFrom(other: LabHost, direction: 'both' | 'in' | 'out' = 'both'): void {
    const chains = 'add table inet lab_cut\nadd chain inet lab_cut in { type filter hook input priority -300; }\nadd chain inet lab_cut out { type filter hook output priority -300; }\n'
    const rules = [...(direction === 'out' ? [] : [`add rule inet lab_cut in ip saddr ${other.ip} drop\n`]), ...(direction === 'in' ? [] : [`add rule inet lab_cut out ip daddr ${other.ip} drop\n`])]
    execFileSync('nsenter', ['-t', String(this.#holderPid), '-n', 'nft', '-f', '-'], { input: chains + rules.join('') })
  }
  healCuts(): void {
    execFileSync('nsenter', ['-t', String(this.#holderPid), '-n', 'nft', '-f', '-'], { input: 'add table inet lab_cut\ndelete table inet lab_cut\n' })
  }

  /** Power cut: every process of the host is gone at once. */
  killAll(): void {
    for (const { pid } of this.processes()) kill(pid)
  }
}

/** Makes the namespaces and directories of a host and plugs it into the switch. */
export function createHost(options: { name: string; ip: string; prefix: number; gateway: string; dir: string; switchPid: number; port: string; cgroupRoot: string }): LabHost {
  const { name, ip, dir, switchPid, port } = options
  for (const sub of ['data', 'run', 'etc', 'log-pods', 'log-containers', 'proc']) mkdirSync(join(dir, sub), { recursive: true })
  const holder = hold(['--net', '--mount', '--uts', '--propagation', 'private'])
  const inHost = (...args: string[]) => execFileSync('nsenter', ['-t', String(holder), '-m', '-n', '-u', '--', ...args])
  const inSwitch = (...args: string[]) => execFileSync('nsenter', ['-t', String(switchPid), '-n', '--', ...args])
  inSwitch('ip', 'link', 'add', port, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', String(holder))
  inSwitch('ip', 'link', 'set', port, 'master', 'lab0', 'up')
  inHost('hostname', name)
  inHost('ip', 'link', 'set', 'lo', 'up')
  inHost('ip', 'address', 'add', `${ip}/${options.prefix}`, 'dev', 'eth0')
  inHost('ip', 'link', 'set', 'eth0', 'up')
  inHost('ip', 'route', 'add', 'default', 'via', options.gateway)
  writeFileSync(join(dir, 'hosts'), `127.0.0.1 localhost\n${ip} ${name}\n`)
  writeFileSync(join(dir, 'resolv.conf'), `nameserver ${options.gateway}\n`)
  mkdirSync('/etc/skiff', { recursive: true })
  for (const path of ['/var/log/pods', '/var/log/containers']) mkdirSync(path, { recursive: true })
  inHost('mount', '--bind', join(dir, 'etc'), '/etc/skiff')
  inHost('mount', '--bind', join(dir, 'log-pods'), '/var/log/pods')
  inHost('mount', '--bind', join(dir, 'log-containers'), '/var/log/containers')
  inHost('mount', '--bind', join(dir, 'hosts'), '/etc/hosts')
  inHost('mount', '--bind', join(dir, 'resolv.conf'), '/etc/resolv.conf')
  // A node makes settings of the kernel as it wants them: those of the machine that the lab is on are its owner's.
  for (const name of KERNEL_SETTINGS.filter((s) => existsSync(join('/proc/sys', s)))) {
    const own = join(dir, 'proc-sys', name)
    mkdirSync(dirname(own), { recursive: true })
    // Not copied as a file: /proc says that each is empty.
    writeFileSync(own, readFileSync(join('/proc/sys', name)))
    inHost('mount', '--bind', own, join('/proc/sys', name))
  }
  // As systemd makes it, after all of the above: what is mounted in a container that asks for it is mounted on the host.
  inHost('mount', '--make-rshared', '/')
  // Who enters the namespaces of the first process, as tests of volumes do, is on this host. Nobody with users of their own
  // may mount a proc where none shows everything: one that does is kept aside.
  inHost('mount', '-t', 'proc', 'proc', join(dir, 'proc'))
  inHost('mount', '--bind', `/proc/${holder}`, '/proc/1')
  return new LabHost({ name, ip, dir, holderPid: holder, cgroupRoot: options.cgroupRoot })
}

/** Starts `sleep` in new namespaces and returns its pid once they exist. */
export function hold(unshareFlags: readonly string[]): number {
  const child = spawn('unshare', [...unshareFlags, 'sleep', 'infinity'], { detached: true, stdio: 'ignore' })
  child.unref()
  const pid = child.pid
  if (pid === undefined) throw new Error('unshare cannot be started: util-linux is needed, and root')
  // unshare execs sleep when the namespaces are there.
  for (let tries = 0; tries < 2_000; tries++) {
    if (readFileSync(`/proc/${pid}/comm`, 'utf8').trim() === 'sleep') return pid
    execFileSync('true')
  }
  throw new Error('unshare did not come up: this machine lets nobody make namespaces')
}

/** To a process that was found a moment ago: one that was about to become another program, or to end, may be gone. */
export function kill(pid: number, signal: NodeJS.Signals = 'SIGKILL'): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    if (!hasCode(error, 'ESRCH')) throw error
  }
}

function namespaceOf(pid: number, kind: 'mnt' | 'net'): string {
  return readlinkSync(`/proc/${pid}/ns/${kind}`)
}
