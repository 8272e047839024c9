/** Facts about a machine to findings: what is there, what would be better, what must be mended. Pure. */
import { CLOCK_MS_MIN } from '#agent/kubelet/node/board/board-watch.ts'
import { differenceOf, sysctlOf } from '#agent/kubelet/node/kernel-settings.ts'
import type { Sign } from '#agent/kubelet/node/board/signs.ts'
import type { Finding, MachineView } from './view.ts'

/** Debian's names. */
const PACKAGES: Readonly<Record<string, string>> = {
  runc: 'runc', crun: 'crun', conmon: 'conmon', nft: 'nftables', ip: 'iproute2', nsenter: 'util-linux', unshare: 'util-linux', mount: 'mount', umount: 'mount', modprobe: 'kmod',
}
/** Not shifts: those end at 31 bits. */
const MIB = 1024 ** 2
const GIB = 1024 ** 3
const MEMORY_MEND = 'add "cgroup_enable=memory cgroup_memory=1" to the kernel command line (Raspberry Pi: /boot/firmware/cmdline.txt, on its one line) and reboot'
const CLOCK_MS_MAX = Date.parse('2100-01-01T00:00:00Z')
/** An image or two; and what a server needs to write at all. */
const FREE_BYTES_GOOD = 2 * GIB
const FREE_BYTES_MIN = 256 * MIB
const FREE_INODES_MIN = 10_000
const MEMORY_BYTES_GOOD = 400 * MIB
/** Each watched log, secret and container takes some; Debian's own defaults are above. */
const INOTIFY_INSTANCES_GOOD = 128
const INOTIFY_WATCHES_GOOD = 8_192

export function requiredPrograms(ociRuntime: 'runc' | 'crun'): string[] {
  return [ociRuntime, 'conmon', 'nft', 'ip', 'nsenter', 'unshare', 'mount', 'umount']
}

export function packagesOf(programs: readonly string[]): string[] {
  return [...new Set(programs.map((p) => PACKAGES[p] ?? p))]
}

export function judgeMachine(view: MachineView): Finding[] {
  return [judgeRoot(view), ...judgePrograms(view), ...judgeCgroups(view), ...judgeProbes(view), judgeClock(view), ...judgeDataDir(view), ...judgeCard(view), judgeMemory(view), judgeKernelSettings(view), judgeInotify(view), ...judgeBoard(view)]
}

export function hasMissing(findings: readonly Finding[]): boolean {
  return findings.some((f) => f.level === 'missing')
}

export function findingLine(finding: Finding): string {
  return `${finding.level.padEnd(8)}${finding.what.padEnd(16)}${finding.says}`
}

const ok = (what: string, says: string): Finding => ({ level: 'ok', what, says })
const warn = (what: string, says: string): Finding => ({ level: 'warn', what, says })
const missing = (what: string, says: string): Finding => ({ level: 'missing', what, says })

function judgeRoot({ isRoot }: MachineView): Finding {
  return isRoot ? ok('root', 'yes') : missing('root', 'pods need namespaces, mounts and cgroups: run skiff as root')
}

function judgePrograms({ programs, ociRuntime, runtimeHandlers }: MachineView): Finding[] {
  const needed = requiredPrograms(ociRuntime).map((name) => {
    const path = programs[name]
    return path === undefined ? missing(name, `not installed: apt-get install ${PACKAGES[name] ?? name}`) : ok(name, path)
  })
  const modprobe = programs['modprobe'] === undefined ? [warn('modprobe', 'not installed, so kernel modules must be loaded some other way: apt-get install kmod')] : []
  const handlers = [...runtimeHandlers].map(([name, program]) => {
    const path = programs[program]
    return path === undefined ? missing(`handler ${name}`, `there is no ${program}: install it, or leave --runtime-handler ${name} out`) : ok(`handler ${name}`, path)
  })
  return [...needed, ...handlers, ...modprobe]
}

function judgeCgroups({ cgroups }: MachineView): Finding[] {
  if (!cgroups) return [missing('cgroups', 'not mounted: mount -t cgroup2 none /sys/fs/cgroup (systemd does it at boot)')]
  const version = `version ${cgroups.version}${cgroups.hybrid ? ', hybrid' : ''}`
  const has = (name: string) => cgroups.controllers.includes(name)
  return [
    ok('cgroups', `${version}: ${[...cgroups.controllers].sort().join(' ')}`),
    has('memory') ? ok('memory cgroup', 'limits of memory are kept') : missing('memory cgroup', `the kernel has it switched off, so limits of memory cannot be kept: ${MEMORY_MEND}`),
    ...(has('cpu') ? [] : [missing('cpu cgroup', 'the kernel lacks it (CONFIG_CGROUP_SCHED), so shares and limits of CPU cannot be kept: use a kernel that has it')]),
    ...(has('pids') ? [] : [warn('pids cgroup', 'the kernel lacks it (CONFIG_CGROUP_PIDS): a fork bomb in one pod reaches all')]),
  ]
}

const PROBE_MENDS: Readonly<Record<keyof MachineView['probes'], string>> = {
  namespaces: 'use a kernel with CONFIG_NAMESPACES (network, mount, pid, ipc, uts), and run as root',
  overlayfs: 'modprobe overlay, or use a kernel that has it; the data directory must be on ext4, xfs, btrfs or f2fs, not itself on overlayfs or NFS',
  bridge: 'modprobe bridge, or use a kernel that has it (CONFIG_BRIDGE)',
  veth: 'modprobe veth, or use a kernel that has it (CONFIG_VETH)',
  vxlan: 'modprobe vxlan (Ubuntu on Raspberry Pi: apt-get install linux-modules-extra-raspi); without it use --overlay host-gw or none',
  nftables: 'modprobe nf_tables nft_chain_nat nft_masq nft_fib_ipv4 nft_ct, or use a kernel that has them (CONFIG_NF_TABLES)',
}

function judgeProbes({ probes, dataDir }: MachineView): Finding[] {
  const tried = (Object.keys(PROBE_MENDS) as (keyof typeof PROBE_MENDS)[]).filter((name) => name !== 'overlayfs' || dataDir.problem === undefined)
  return tried.map((name) => {
    const problem = probes[name]
    if (problem === undefined) return ok(name, 'tried, works')
    // Clusters of one node, or on one link, do without it.
    return (name === 'vxlan' ? warn : missing)(name, `does not work here (${problem}): ${PROBE_MENDS[name]}`)
  })
}

function judgeClock({ nowMs, hasBatteryClock }: MachineView): Finding {
  const says = `${new Date(nowMs).toISOString().slice(0, 16).replace('T', ' ')} UTC`
  if (nowMs < CLOCK_MS_MIN || nowMs > CLOCK_MS_MAX) return missing('clock', `says ${says}, which cannot be: set it (timedatectl set-ntp true, or date -s), else certificates fail`)
  return hasBatteryClock ? ok('clock', says) : ok('clock', `${says}; no battery clock, so NTP must set it after each power cut (skiff waits for that)`)
}

function judgeDataDir({ dataDir }: MachineView): Finding[] {
  const { path, existing, problem, freeBytes, freeInodes } = dataDir
  const free = `${formatBytes(freeBytes)} free in ${existing}`
  const space = freeBytes < FREE_BYTES_MIN || freeInodes < FREE_INODES_MIN
    ? missing('disk', `${freeInodes < FREE_INODES_MIN ? `${freeInodes} inodes` : formatBytes(freeBytes)} free in ${existing}, too little to run on: make room, or pass --data-dir on another disk`)
    : freeBytes < FREE_BYTES_GOOD ? warn('disk', `${free}, which holds few images: make room, or pass --data-dir on another disk`) : ok('disk', free)
  return [problem === undefined ? ok('data directory', `${path} can be written`) : missing('data directory', `${path} cannot be written (${problem}): mend that, or pass another --data-dir`), space]
}

/** Cards wear out by being written to. */
function judgeCard({ dataDir: { card }, flashProfile }: MachineView): Finding[] {
  if (card === undefined) return []
  return [ok('flash', flashProfile === 'gentle' ? `${card}, written to as seldom as can be (--flash-profile gentle)` : `${card}; --flash-profile gentle writes to it more seldom, for a little more memory`)]
}

function judgeMemory({ memoryBytes }: MachineView): Finding {
  const says = formatBytes(memoryBytes)
  return memoryBytes >= MEMORY_BYTES_GOOD ? ok('memory', says) : warn('memory', `${says}: enough for skiff agent, little for skiff server with pods`)
}

const SIGN_NAMES: Readonly<Record<Sign['type'], string>> = { UnderVoltage: 'voltage', Throttled: 'throttling', HighTemperature: 'temperature', StorageWornOut: 'storage life', FilesystemErrors: 'file systems', ReadonlyFilesystem: 'read-only', ClockNotSet: 'clock set' }

/** The node's own conditions, before there is a node. A wrong clock and a disk that cannot be written have lines of their own. */
function judgeBoard({ signs }: MachineView): Finding[] {
  return signs.filter((s) => s.type !== 'ReadonlyFilesystem' && s.reason !== 'ClockIsBeforeBuild').map((s) => (s.fine ? ok : warn)(SIGN_NAMES[s.type], s.message))
}

function judgeKernelSettings({ kernelSettings: { differing, canBeSet, areProtected } }: MachineView): Finding {
  const what = 'kernel settings'
  const settings = differing.map(sysctlOf).join(' ')
  if (differing.length === 0) return ok(what, 'as a node wants them')
  const mend = `sysctl -w ${settings}, and put it into /etc/sysctl.d/`
  if (areProtected) return missing(what, `${differing.map(differenceOf).join('; ')}, and --protect-kernel-defaults keeps skiff from starting so: ${mend}`)
  return canBeSet ? ok(what, `skiff sets ${settings} when it starts`) : warn(what, `not as a node wants them, and skiff cannot change them from here: on the machine itself, ${mend}`)
}

function judgeInotify({ inotify: { instances, watches } }: MachineView): Finding {
  const low = [...(instances < INOTIFY_INSTANCES_GOOD ? [`fs.inotify.max_user_instances=${INOTIFY_INSTANCES_GOOD}`] : []), ...(watches < INOTIFY_WATCHES_GOOD ? [`fs.inotify.max_user_watches=${INOTIFY_WATCHES_GOOD}`] : [])]
  const says = `${instances} instances, ${watches} watches`
  return low.length === 0 ? ok('inotify', says) : warn('inotify', `${says}, so programs that watch files may fail: sysctl -w ${low.join(' ')}, and put it into /etc/sysctl.d/`)
}

function formatBytes(bytes: number): string {
  return bytes >= GIB ? `${(bytes / GIB).toFixed(1)} GiB` : `${Math.floor(bytes / MIB)} MiB`
}
