/** Debian's containerd for tests: a daemon of its own in a directory of the test, all gone afterwards. */
import { spawn, type ChildProcess } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { dirname, join } from 'node:path'
import { setTimeout as setTimer } from 'node:timers'
import { setTimeout as sleep } from 'node:timers/promises'
import { systemClock } from '#base/clock.ts'
import { unmountBelow } from '#cri/runc/namespace-pins.ts'
import { runCommand } from '#cri/runc/run-command.ts'

export interface ContainerdOptions {
  /** Everything it writes is below. */
  dir: string
  sandboxImage: string
  cniBinDir?: string
  cniConfDir?: string
  /** Put before the command: to run it inside a lab host. */
  prefix?: readonly string[]
  /** Registry mirrors, as containerd's `hosts.toml` files: registry to URL. */
  mirrors?: Readonly<Record<string, string>>
}

export interface TestContainerd {
  socket: string
  pid: number
  cniBinDir: string
  cniConfDir: string
  /** The daemon alone; containers and their shims go on. */
  kill(signal?: NodeJS.Signals): Promise<void>
  start(): Promise<void>
  /** The daemon, its shims, mounts and files. Containers are removed by the caller first. */
  stop(): Promise<void>
}

const START_MS_MAX = 20_000
/** On a loaded machine it waits long for its own connections. */
const STOP_MS_MAX = 20_000

/** `SKIFF_TEST_CONTAINERD`: the folder of its programs (scripts/containerd-test.sh unpacks Debian's). */
export async function findContainerd(): Promise<string | undefined> {
  const named = process.env['SKIFF_TEST_CONTAINERD']
  if (named !== undefined) return existsSync(join(named, 'containerd')) ? named : undefined
  const { exitCode, stdout } = await runCommand(['which', 'containerd'], { clock: systemClock })
  return exitCode === 0 ? dirname(stdout.toString().trim()) : undefined
}

export const CONTAINERD_MISSING = 'needs containerd: apt install containerd, or scripts/containerd-test.sh, which unpacks it privately'

export async function startContainerd(options: ContainerdOptions): Promise<TestContainerd> {
  const programs = await findContainerd()
  if (programs === undefined) throw new Error(CONTAINERD_MISSING)
  const { dir } = options
  const cniBinDir = options.cniBinDir ?? join(dir, 'cni-bin')
  const cniConfDir = options.cniConfDir ?? join(dir, 'cni-conf')
  for (const path of [dir, cniBinDir, cniConfDir]) mkdirSync(path, { recursive: true })
  const socket = join(dir, 'containerd.sock')
  const config = join(dir, 'config.toml')
  const { stdout } = await runCommand([join(programs, 'containerd'), '--version'], { clock: systemClock })
  const isTwo = / v?2\.|containerd\/v2/.test(stdout.toString())
  writeFileSync(config, (isTwo ? configTwo : configOne)({ ...options, cniBinDir, cniConfDir, socket }))
  for (const [registry, url] of Object.entries(options.mirrors ?? {})) {
    mkdirSync(join(dir, 'certs.d', registry), { recursive: true })
    writeFileSync(join(dir, 'certs.d', registry, 'hosts.toml'), `server = "${url}"\n[host."${url}"]\n  capabilities = ["pull", "resolve"]\n`)
  }
  let child: ChildProcess | undefined
  const start = async () => {
    const path = `${programs}:/usr/sbin:/usr/bin:/sbin:/bin`
    // By way of env, so that there is a first word whatever the prefix.
    const started = spawn('env', [...(options.prefix ?? []), join(programs, 'containerd'), '--config', config], { stdio: ['ignore', 'ignore', 'pipe'], env: { PATH: path } })
    let words = ''
    started.stderr.on('data', (chunk: Buffer) => {
      words = `${words}${chunk.toString()}`.slice(-20_000)
      if (process.env['SKIFF_TEST_VERBOSE']) process.stderr.write(chunk)
    })
    child = started
    for (const deadlineMs = performance.now() + START_MS_MAX; !await listens(socket); await sleep(25)) {
      if (started.exitCode !== null || performance.now() > deadlineMs) throw new Error(`containerd did not start: ${words}`)
    }
  }
  const kill = async (signal: NodeJS.Signals = 'SIGTERM') => {
    const running = child
    if (!running || running.exitCode !== null || running.signalCode !== null) return
    // Its exit, not the end of its output: shims that outlive it may hold that.
    const ended = new Promise((resolve) => { running.once('exit', resolve) })
    running.kill(signal)
    const stuck = setTimer(() => running.kill('SIGKILL'), STOP_MS_MAX)
    await ended
    clearTimeout(stuck)
    running.stderr?.destroy()
    rmSync(socket, { force: true })
  }
  await start()
  return {
    socket, cniBinDir, cniConfDir, start, kill,
    get pid() { return child?.pid ?? 0 },
    async stop() {
      await kill()
      for (const pid of shimsOf(socket)) process.kill(pid, 'SIGKILL')
      await unmountBelow([dir], systemClock)
      rmSync(dir, { recursive: true, force: true })
    },
  }
}

interface Values { dir: string; socket: string; sandboxImage: string; cniBinDir: string; cniConfDir: string }

/** Without CAP_SYS_RESOURCE an OOM score cannot be lowered; without AppArmor there is nothing to load. */
function configOne(v: Values): string {
  return `version = 2
root = "${v.dir}/root"
state = "${v.dir}/state"
disabled_plugins = ["io.containerd.internal.v1.opt", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.aufs", "io.containerd.internal.v1.tracing", "io.containerd.tracing.processor.v1.otlp"]
[grpc]
  address = "${v.socket}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${v.sandboxImage}"
  stats_collect_period = 1
  restrict_oom_score_adj = true
  disable_apparmor = true
  enable_unprivileged_ports = true
  enable_unprivileged_icmp = true
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".registry]
    config_path = "${v.dir}/certs.d"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "${v.cniBinDir}"
    conf_dir = "${v.cniConfDir}"
`
}

function configTwo(v: Values): string {
  return `version = 3
root = "${v.dir}/root"
state = "${v.dir}/state"
[grpc]
  address = "${v.socket}"
[plugins."io.containerd.cri.v1.images"]
  stats_collect_period = 1
  [plugins."io.containerd.cri.v1.images".pinned_images]
    sandbox = "${v.sandboxImage}"
  [plugins."io.containerd.cri.v1.images".registry]
    config_path = "${v.dir}/certs.d"
[plugins."io.containerd.cri.v1.runtime"]
  restrict_oom_score_adj = true
  disable_apparmor = true
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.cri.v1.runtime".cni]
    bin_dirs = ["${v.cniBinDir}"]
    conf_dir = "${v.cniConfDir}"
`
}

function shimsOf(socket: string): number[] {
  return [...processes()].filter(({ command }) => command.includes('containerd-shim') && command.includes(socket)).map(({ pid }) => pid)
}

function* processes(): Iterable<{ pid: number; command: string }> {
  for (const name of readdirSync('/proc').map(Number).filter((pid) => pid > 0)) {
    try {
      yield { pid: name, command: readFileSync(`/proc/${name}/cmdline`, 'utf8').replaceAll('\0', ' ') }
    } catch {
      continue // It ended meanwhile.
    }
  }
}

function listens(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path)
    socket.once('connect', () => { socket.destroy(); resolve(true) })
    socket.once('error', () => resolve(false))
  })
}
