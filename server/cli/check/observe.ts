/** Looks at this machine. What can be tried is tried, in namespaces and directories that are gone afterwards. */
import { execFile } from 'node:child_process'
import { accessSync, constants, existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, statfsSync, statSync, writeFileSync } from 'node:fs'
import { totalmem } from 'node:os'
import { basename, dirname, join, resolve } from 'node:path'
import { asError, hasCode } from '#base/errors.ts'
import { parseCgroupLayout } from '#agent/kubelet/cgroups/layout.ts'
import { CLOCK_MS_MIN } from '#agent/kubelet/node/board/board-watch.ts'
import { openBoardReader } from '#agent/kubelet/node/board/facts.ts'
import { decideSigns, type Sign } from '#agent/kubelet/node/board/signs.ts'
import { differingKernelSettings } from '#agent/kubelet/node/kernel-settings.ts'
import { findProgram, SYSTEM_PATH } from '../find-program.ts'
import { requiredPrograms } from './judge.ts'
import type { MachineView } from './view.ts'

/** The first time modules are loaded, all at once, from what may be a slow card. */
const PROBE_MS_MAX = 60_000

export async function observeMachine(options: { dataDir: string; ociRuntime: 'runc' | 'crun'; runtimeHandlers: ReadonlyMap<string, string>; flashProfile: 'normal' | 'gentle'; protectKernelDefaults: boolean; nowMs: number }): Promise<MachineView> {
  const { ociRuntime, runtimeHandlers, nowMs } = options
  const dataDir = observeDataDir(resolve(options.dataDir))
  const inNetwork = (script: string) => probe(['unshare', '-n', 'sh', '-ec', script])
  const [namespaces, overlayfs, bridge, veth, vxlan, nftables] = await Promise.all([
    probe(['unshare', '-m', '-n', '-i', '-u', '-p', '--fork', 'true']),
    dataDir.problem === undefined ? probeOverlay(dataDir.existing) : Promise.resolve('the data directory cannot be written'),
    inNetwork('ip link add skiff0 type bridge'),
    inNetwork('ip link add skv0 type veth peer name skv1'),
    inNetwork('ip link add skiff.1 type vxlan id 1 dstport 8472 nolearning'),
    // Everything that skiff's own tables use: maps, NAT, masquerading, fib, connection tracking.
    inNetwork(`nft -f - <<'END'\ntable ip skiff-check {\n  map m { type inet_proto . inet_service : verdict; }\n  chain p { type nat hook prerouting priority -100; fib daddr type local meta l4proto . th dport vmap @m; tcp dport 1 dnat to 127.0.0.1:2; }\n  chain q { type nat hook postrouting priority 100; ct status dnat masquerade fully-random; }\n}\nEND`),
  ])
  return {
    isRoot: process.getuid?.() === 0,
    ociRuntime, runtimeHandlers,
    programs: Object.fromEntries([...requiredPrograms(ociRuntime), ...runtimeHandlers.values(), 'modprobe'].map((name) => [name, findProgram(name)])),
    cgroups: observeCgroups(),
    probes: { namespaces, overlayfs, bridge, veth, vxlan, nftables },
    nowMs,
    hasBatteryClock: existsSync('/sys/class/rtc/rtc0'),
    dataDir,
    flashProfile: options.flashProfile,
    memoryBytes: totalmem(),
    signs: await observeBoard(dataDir.existing, nowMs),
    kernelSettings: observeKernelSettings(options.protectKernelDefaults),
    inotify: { instances: numberIn('/proc/sys/fs/inotify/max_user_instances'), watches: numberIn('/proc/sys/fs/inotify/max_user_watches') },
  }
}

async function observeBoard(dataDir: string, nowMs: number): Promise<readonly Sign[]> {
  const facts = await (await openBoardReader('/', dataDir)).read()
  return decideSigns({ facts, before: new Map(), nowMs, clockMsMin: CLOCK_MS_MIN })
}

/** Undefined when it exits 0; else its last words. */
function probe(command: readonly string[]): Promise<string | undefined> {
  const [file = '', ...args] = command
  return new Promise((settle) => {
    execFile(file, args, { timeout: PROBE_MS_MAX, killSignal: 'SIGKILL', env: { PATH: SYSTEM_PATH, LC_ALL: 'C' } }, (error, stdout, stderr) => {
      if (!error) return settle(undefined)
      if (hasCode(error, 'ENOENT')) return settle(`${file} is not installed`)
      if (error.killed) return settle(`not done within ${PROBE_MS_MAX / 1000} s`)
      settle((stderr.trim() || stdout.trim()).split('\n').find((l) => l.trim() !== '')?.trim().slice(0, 200) ?? `${file} ended with ${String(error.code ?? error.signal)}`)
    })
  })
}

async function probeOverlay(directory: string): Promise<string | undefined> {
  const scratch = mkdtempSync(join(directory, '.skiff-check-'))
  try {
    for (const name of ['lower', 'upper', 'work', 'merged']) mkdirSync(join(scratch, name))
    writeFileSync(join(scratch, 'lower', 'file'), 'lower')
    return await probe(['unshare', '-m', '--propagation', 'private', 'sh', '-ec', 'cd "$1"; mount -t overlay overlay -o lowerdir=lower,upperdir=upper,workdir=work merged; echo upper > merged/file; test "$(cat lower/file)" = lower', 'sh', scratch])
  } finally {
    rmSync(scratch, { recursive: true, force: true })
  }
}

function observeDataDir(path: string): MachineView['dataDir'] {
  let existing = path
  while (!existsSync(existing) && existing !== '/') existing = dirname(existing)
  const { bavail, bsize, ffree, files } = statfsSync(existing)
  // Some file systems count no inodes at all.
  return { path, existing, problem: writeProblem(existing), freeBytes: bavail * bsize, freeInodes: files === 0 ? Number.MAX_SAFE_INTEGER : ffree, card: cardOf(existing) }
}

function cardOf(directory: string): string | undefined {
  const { dev } = statSync(directory)
  // As glibc takes a device number apart.
  const [major, minor] = [Math.floor(dev / 256) % 4096, (dev % 256) + Math.floor(dev / 2 ** 20) * 256]
  try {
    const name = basename(realpathSync(`/sys/dev/block/${major}:${minor}`))
    return name.startsWith('mmcblk') ? name : undefined
  } catch (error) {
    // Some file systems are on no device, or on several.
    if (hasCode(error, 'ENOENT')) return undefined
    throw error
  }
}

function writeProblem(directory: string): string | undefined {
  try {
    const scratch = mkdtempSync(join(directory, '.skiff-check-'))
    rmSync(scratch, { recursive: true })
    return undefined
  } catch (error) {
    return asError(error).message.split(',')[0]
  }
}

function observeKernelSettings(areProtected: boolean): MachineView['kernelSettings'] {
  const differing = differingKernelSettings()
  return { differing, canBeSet: differing.every(({ name }) => canWrite(`/proc/sys/${name}`)), areProtected }
}

function canWrite(path: string): boolean {
  try {
    accessSync(path, constants.W_OK)
    return true
  } catch {
    // Not there, read-only, or not ours: the same to who would set it.
    return false
  }
}

function observeCgroups(): MachineView['cgroups'] {
  const mountinfo = readFileSync('/proc/self/mountinfo', 'utf8')
  const layout = parseCgroupLayout(mountinfo)
  if (!layout) return undefined
  if (layout.version === 1) return { version: 1, hybrid: / - cgroup2 /.test(mountinfo), controllers: [...layout.roots.keys()].filter((c) => c !== 'systemd') }
  return { version: 2, hybrid: false, controllers: readFileSync(join(layout.roots.get('') ?? '', 'cgroup.controllers'), 'utf8').trim().split(/\s+/).filter((c) => c !== '') }
}

function numberIn(path: string): number {
  try {
    return Number(readFileSync(path, 'utf8').trim())
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return 0
    throw error
  }
}
