/**
 * A container's config.json for runc or crun, from CRI's words. Pure: everything looked up on the machine comes in as `facts`.
 * Defaults are containerd's; https://github.com/opencontainers/runtime-spec for the fields.
 */
import { CodedError } from '#base/errors.ts'
import type { ContainerConfig, LinuxResources, PodSandboxConfig } from '../runtime.ts'
import { containerCapabilities } from './capabilities.ts'
import type { Confinement } from './confinement.ts'
import type { ImageConfig } from './manifest.ts'
import { defaultSeccompProfile } from './seccomp-default.ts'
import type { ContainerUser } from './user-lookup.ts'

export interface OciMount { destination: string; type: string; source: string; options: string[] }
export interface OciProcess {
  terminal: boolean
  consoleSize?: { width: number; height: number }
  user: { uid: number; gid: number; additionalGids: number[] }
  args: string[]
  env: string[]
  cwd: string
  capabilities: Record<'bounding' | 'effective' | 'permitted', string[]>
  noNewPrivileges: boolean
  apparmorProfile?: string
  selinuxLabel?: string
  oomScoreAdj?: number
}
export interface OciHook { path: string; args?: string[]; env?: string[]; timeout?: number }
export interface OciDevice { path: string; type: 'c' | 'b' | 'u' | 'p'; major: number; minor: number; fileMode: number; uid: number; gid: number; access: string }
export interface OciSpec {
  ociVersion: string
  process: OciProcess
  root: { path: string; readonly: boolean }
  hostname?: string
  mounts: OciMount[]
  hooks?: Record<string, readonly OciHook[]>
  linux: Record<string, unknown>
}

/** Additions of others than the container's configuration. A device that says nothing of its owner is the container's user's. */
export interface ContainerEdits {
  readonly env: readonly string[]
  readonly devices: readonly (Omit<OciDevice, 'uid' | 'gid'> & Partial<Pick<OciDevice, 'uid' | 'gid'>>)[]
  readonly mounts: readonly OciMount[]
  /** By the moment at which they run. */
  readonly hooks: Readonly<Record<string, readonly OciHook[]>>
  readonly additionalGids: readonly number[]
  readonly intelRdt: Readonly<Record<string, string | boolean>> | undefined
}

export interface SpecFacts {
  rootfs: string
  image: Pick<ImageConfig, 'env' | 'entrypoint' | 'cmd' | 'workingDir'>
  user: ContainerUser
  ownCapabilities: readonly string[]
  /** Lowest OOM score we may give. */
  oomScoreAdjMin: number
  cgroupVersion: 1 | 2
  hasSwapLimit: boolean
  /** The OCI runtime finds the controller: on hybrid machines it does not, and huge-pages.ts does it; a kernel without holds no such limit, as with containerd. */
  hasHugePageLimit: boolean
  cgroupsPath: string
  /** To join; undefined: the host's, or for pid a new one. */
  namespacePaths: { network: string | undefined; ipc: string | undefined; uts: string | undefined; pid: string | undefined; user: string | undefined }
  /** Bind mounted where the container does not mount something itself. */
  files: { resolvConf: string; hostname: string | undefined; shm: string }
  devices: readonly OciDevice[]
  /** What comes with devices that their vendors described. */
  edits: ContainerEdits
  confinement: Confinement
  /** A profile file's content, for Localhost. */
  seccompProfile?: unknown
  arch: string
}

const DEFAULT_PATH = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'
const MASKED_PATHS = ['/proc/asound', '/proc/acpi', '/proc/interrupts', '/proc/kcore', '/proc/keys', '/proc/latency_stats', '/proc/timer_list', '/proc/timer_stats', '/proc/sched_debug', '/proc/scsi', '/sys/firmware', '/sys/devices/virtual/powercap']
const READONLY_PATHS = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger']

export function buildOciSpec(config: ContainerConfig, sandbox: PodSandboxConfig, facts: SpecFacts): OciSpec {
  const { security, resources } = config.linux
  const capabilities = containerCapabilities(security, facts.ownCapabilities)
  const propagations = new Set(config.mounts.map((mount) => mount.propagation))
  const seccomp = seccompOf(config, capabilities, facts)
  const { appArmor, selinux } = facts.confinement
  const devices = devicesOf(facts)
  return {
    ociVersion: '1.0.2',
    process: {
      terminal: config.tty,
      user: { uid: facts.user.uid, gid: facts.user.gid, additionalGids: [...new Set([...facts.user.additionalGids, ...facts.edits.additionalGids])] },
      args: argsOf(config, facts.image),
      env: envOf(config, sandbox, facts),
      cwd: config.workingDir || facts.image.workingDir || '/',
      capabilities: { bounding: capabilities, effective: capabilities, permitted: capabilities },
      noNewPrivileges: security.noNewPrivs,
      ...(appArmor !== undefined && { apparmorProfile: appArmor }),
      ...(selinux?.process !== undefined && { selinuxLabel: selinux.process }),
      // Said in any case: this runtime's own is no container's.
      oomScoreAdj: Math.max(resources.oomScoreAdj ?? 0, facts.oomScoreAdjMin),
    },
    root: { path: facts.rootfs, readonly: security.readonlyRootfs },
    mounts: mountsOf(config, facts),
    ...(Object.keys(facts.edits.hooks).length > 0 && { hooks: facts.edits.hooks }),
    linux: {
      cgroupsPath: facts.cgroupsPath,
      namespaces: namespacesOf(config, facts),
      ...idMappings(config, facts),
      resources: { devices: deviceRules(config, devices), ...ociResources(resources, facts) },
      devices: devices.map(({ path, type, major, minor, fileMode, uid, gid }) => ({ path, type, major, minor, fileMode, uid, gid })),
      ...(!security.privileged && { maskedPaths: security.maskedPaths ?? MASKED_PATHS, readonlyPaths: security.readonlyPaths ?? READONLY_PATHS }),
      ...(selinux && { mountLabel: selinux.mount }),
      ...(seccomp !== undefined && { seccomp }),
      ...(facts.edits.intelRdt && { intelRdt: facts.edits.intelRdt }),
      ...(propagations.has('bidirectional') ? { rootfsPropagation: 'rshared' } : propagations.has('hostToContainer') && { rootfsPropagation: 'rslave' }),
    },
  }
}

/**
 * Also what `runc update` takes. No swap beyond memory, as the kubelet wants it by default, unless the resources say how much: on
 * version 1 only a limit of memory can say so, on version 2 containers without one get none either.
 */
export function ociResources(resources: LinuxResources, facts: Pick<SpecFacts, 'cgroupVersion' | 'hasSwapLimit' | 'hasHugePageLimit'>): Record<string, unknown> {
  const { cpuShares, cpuQuota, cpuPeriod, cpusetCpus, cpusetMems, memoryLimitBytes, pidsLimit, hugepageLimits } = resources
  const saysSwap = facts.cgroupVersion === 2 && resources.unified?.['memory.swap.max'] !== undefined
  const unified = facts.cgroupVersion === 2 ? { ...(facts.hasSwapLimit && { 'memory.swap.max': '0' }), ...resources.unified } : {}
  return {
    ...((cpuShares || cpuQuota || cpuPeriod || cpusetCpus || cpusetMems) && {
      cpu: { ...(cpuShares && { shares: cpuShares }), ...(cpuQuota && { quota: cpuQuota }), ...(cpuPeriod && { period: cpuPeriod }), ...(cpusetCpus && { cpus: cpusetCpus }), ...(cpusetMems && { mems: cpusetMems }) },
    }),
    ...(memoryLimitBytes && { memory: { limit: memoryLimitBytes, ...(facts.hasSwapLimit && !saysSwap && { swap: memoryLimitBytes }) } }),
    ...(pidsLimit && pidsLimit > 0 && { pids: { limit: pidsLimit } }),
    ...(hugepageLimits && facts.hasHugePageLimit && { hugepageLimits: Object.entries(hugepageLimits).map(([pageSize, limit]) => ({ pageSize, limit })) }),
    ...(Object.keys(unified).length > 0 && { unified }),
  }
}

/** Kubernetes' rules for command and args over the image's Entrypoint and Cmd. */
function argsOf(config: ContainerConfig, image: SpecFacts['image']): string[] {
  const args = config.command.length > 0
    ? [...config.command, ...config.args]
    : [...image.entrypoint, ...(config.args.length > 0 ? config.args : image.cmd)]
  if (args.length === 0) throw new CodedError('CRI_INVALID', 'no command specified')
  return args
}

/** Later names win; the image's come first. */
function envOf(config: ContainerConfig, sandbox: PodSandboxConfig, facts: SpecFacts): string[] {
  const env = new Map<string, string>()
  const add = (entry: string) => {
    const equals = entry.indexOf('=')
    if (equals > 0) env.set(entry.slice(0, equals), entry)
  }
  add(DEFAULT_PATH)
  if (config.tty) add('TERM=xterm')
  if (sandbox.hostname) add(`HOSTNAME=${sandbox.hostname}`)
  facts.image.env.forEach(add)
  for (const { key, value } of config.env) env.set(key, `${key}=${value}`)
  facts.edits.env.forEach(add)
  // Last, as where runc finds it missing.
  if (!env.has('HOME')) add(`HOME=${facts.user.home || '/'}`)
  return [...env.values()]
}

function namespacesOf(config: ContainerConfig, { namespacePaths, cgroupVersion }: SpecFacts): { type: string; path?: string }[] {
  const join = (type: string, path: string | undefined) => (path === undefined ? [] : [{ type, path }])
  return [
    { type: 'mount' },
    ...join('user', namespacePaths.user), ...join('network', namespacePaths.network), ...join('ipc', namespacePaths.ipc), ...join('uts', namespacePaths.uts),
    ...(namespacePaths.pid !== undefined ? join('pid', namespacePaths.pid) : config.linux.namespaces.pid === 'node' ? [] : [{ type: 'pid' }]),
    ...(cgroupVersion === 2 && !config.linux.security.privileged ? [{ type: 'cgroup' }] : []),
  ]
}

/** Also told where the namespace is joined: the OCI runtime translates ids by them. */
function idMappings(config: ContainerConfig, { namespacePaths }: SpecFacts): Record<string, unknown> {
  const { users } = config.linux.namespaces
  if (!users || namespacePaths.user === undefined) return {}
  const mappings = [{ containerID: 0, hostID: users.hostId, size: users.length }]
  return { uidMappings: mappings, gidMappings: mappings }
}

function mountsOf(config: ContainerConfig, facts: SpecFacts): OciMount[] {
  const { privileged } = config.linux.security
  const ro = privileged ? 'rw' : 'ro'
  const pathOf = (path: string): string => path.replace(/(?<=.)\/+$/, '')
  const edited = new Set(facts.edits.mounts.map(({ destination }) => pathOf(destination)))
  const wanted = new Set([...config.mounts.map((mount) => pathOf(mount.containerPath)), ...edited])
  const own = config.mounts.filter((mount) => !edited.has(pathOf(mount.containerPath))).map((mount): OciMount => ({
    destination: mount.containerPath, type: 'bind', source: mount.hostPath,
    options: ['rbind', { private: 'rprivate', hostToContainer: 'rslave', bidirectional: 'rshared' }[mount.propagation], mount.recursiveReadOnly ? 'rro' : mount.readonly || mount.image !== undefined ? 'ro' : 'rw', ...(mount.image === undefined ? [] : ['nosuid', 'nodev'])],
  }))
  const bind = (destination: string, source: string | undefined, options: string[]): OciMount[] => (
    source === undefined || wanted.has(destination) ? [] : [{ destination, type: 'bind', source, options: ['rbind', 'rprivate', ...options] }])
  const files = config.linux.security.readonlyRootfs ? 'ro' : 'rw'
  return [
    { destination: '/proc', type: 'proc', source: 'proc', options: ['nosuid', 'noexec', 'nodev'] },
    { destination: '/dev', type: 'tmpfs', source: 'tmpfs', options: ['nosuid', 'strictatime', 'mode=755', 'size=65536k'] },
    { destination: '/dev/pts', type: 'devpts', source: 'devpts', options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5'] },
    { destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: ['nosuid', 'noexec', 'nodev'] },
    { destination: '/sys', type: 'sysfs', source: 'sysfs', options: ['nosuid', 'noexec', 'nodev', ro] },
    { destination: '/sys/fs/cgroup', type: 'cgroup', source: 'cgroup', options: ['nosuid', 'noexec', 'nodev', 'relatime', ro] },
    ...bind('/dev/shm', facts.files.shm, ['rw']),
    ...bind('/etc/resolv.conf', facts.files.resolvConf, [files]),
    ...bind('/etc/hostname', facts.files.hostname, [files]),
    // Shallow paths first, so that none hides another; the order given decides among equals.
    ...[...own, ...facts.edits.mounts].map((mount, i) => ({ mount, i, depth: mount.destination.split('/').filter(Boolean).length })).sort((a, b) => a.depth - b.depth || a.i - b.i).map(({ mount }) => mount),
  ]
}

/** Those that are described have the last word on their paths; who says nothing of an owner means the container's user. */
function devicesOf({ devices, edits, user }: SpecFacts): OciDevice[] {
  const edited = new Set(edits.devices.map(({ path }) => path))
  return [...devices.filter(({ path }) => !edited.has(path)), ...edits.devices.map((device) => ({ ...device, uid: device.uid ?? user.uid, gid: device.gid ?? user.gid }))]
}

function deviceRules(config: ContainerConfig, devices: readonly OciDevice[]): Record<string, unknown>[] {
  if (config.linux.security.privileged) return [{ allow: true, access: 'rwm' }]
  // runc adds null, zero, pts and their like itself.
  return [{ allow: false, access: 'rwm' }, ...devices.filter(({ type }) => type === 'b' || type === 'c').map(({ type, major, minor, access }) => ({ allow: true, type, major, minor, access }))]
}

function seccompOf(config: ContainerConfig, capabilities: readonly string[], facts: SpecFacts): unknown {
  const { privileged, seccomp } = config.linux.security
  if (privileged || seccomp.profile === 'Unconfined') return undefined
  return seccomp.profile === 'Localhost' ? facts.seccompProfile : defaultSeccompProfile(capabilities, facts.arch)
}
