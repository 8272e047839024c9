/** Where the kernel's controllers are mounted: version 2, version 1, or both (hybrid, where version 1 does the work). */
import { mkdirSync, readFileSync, readdirSync, rmdirSync, existsSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { CodedError, hasCode } from '#base/errors.ts'
import { readMountTable } from './mount-table.ts'
import type { MountEntry } from './mount-table.ts'
import type { LinuxResources } from '../runtime.ts'

export interface CgroupLayout {
  version: 1 | 2
  /** Controller to mount point; all the same on version 2. */
  controllers: Map<string, string>
  /** Hybrid: where version 2 is mounted beside version 1. The OCI runtime makes its cgroups there, too. */
  hybrid?: string
  /** Controllers that are version 2's there: those that nothing of version 1 has taken. */
  hybridControllers?: ReadonlySet<string>
  /** Swap can be limited together with memory. */
  hasSwapLimit: boolean
}

const V1_CONTROLLERS = ['cpu', 'cpuacct', 'cpuset', 'memory', 'devices', 'freezer', 'blkio', 'pids', 'hugetlb', 'perf_event', 'net_cls', 'net_prio', 'rdma', 'misc', 'name=systemd']

export function readCgroupLayout(table: readonly MountEntry[] = readMountTable()): CgroupLayout {
  const controllers = new Map<string, string>()
  for (const entry of table) {
    if (entry.fsType !== 'cgroup') continue
    // The first: another mount of it, made later, may show a part only.
    for (const option of entry.options) if (V1_CONTROLLERS.includes(option) && !controllers.has(option)) controllers.set(option, entry.path)
  }
  if (controllers.size > 0) {
    const memory = controllers.get('memory')
    const hybrid = table.find((entry) => entry.fsType === 'cgroup2')?.path
    return { version: 1, controllers, ...(hybrid !== undefined && { hybrid, hybridControllers: controllersAt(hybrid) }), hasSwapLimit: memory !== undefined && existsSync(join(memory, 'memory.memsw.limit_in_bytes')) }
  }
  const unified = table.find((entry) => entry.fsType === 'cgroup2')
  if (!unified) throw new CodedError('CRI_FAILED', 'no cgroups are mounted: mount cgroup2 at /sys/fs/cgroup (systemd and cgroupfs-mount do)')
  for (const name of controllersAt(unified.path)) controllers.set(name, unified.path)
  controllers.set('', unified.path)
  return { version: 2, controllers, hasSwapLimit: controllers.has('memory') && hasSwapFile(unified.path) }
}

const controllersAt = (root: string): Set<string> => new Set(readIfThere(join(root, 'cgroup.controllers')).split(/\s+/).filter(Boolean))

/** Kernels without swap, or told swapaccount=0, lack the file; the root cgroup always does, so that one below it is looked at. */
function hasSwapFile(root: string): boolean {
  const own = /^0::(\/.*)$/m.exec(readFileSync('/proc/self/cgroup', 'utf8'))?.[1] ?? '/'
  const groups = own === '/' ? readdirSync(root, { withFileTypes: true }).filter((entry) => entry.isDirectory()).map((entry) => entry.name) : [own]
  return groups.some((group) => existsSync(join(root, group, 'memory.swap.max')))
}

/** What the OCI runtime can limit here. */
export const limitsOf = ({ version, controllers, hasSwapLimit }: CgroupLayout) => ({ cgroupVersion: version, hasSwapLimit, hasHugePageLimit: controllers.has('hugetlb') })

/** CRI_FAILED with the mend for a limit that this kernel cannot hold. */
export function checkResources(resources: LinuxResources, layout: CgroupLayout): void {
  if (resources.memoryLimitBytes && !layout.controllers.has('memory')) {
    throw new CodedError('CRI_FAILED', 'this kernel has its memory cgroup switched off, so memory limits cannot be kept: add "cgroup_enable=memory cgroup_memory=1" to the kernel command line (Raspberry Pi: /boot/firmware/cmdline.txt) and reboot')
  }
  if ((resources.cpusetCpus || resources.cpusetMems) && !layout.controllers.has('cpuset')) throw new CodedError('CRI_FAILED', 'this kernel has no cpuset cgroup (CONFIG_CPUSETS), so containers cannot be bound to processors')
  if (resources.cpuQuota && !layout.controllers.has('cpu')) throw new CodedError('CRI_FAILED', 'this kernel has no cpu cgroup (CONFIG_CFS_BANDWIDTH), so CPU limits cannot be kept')
}

/** Each directory a cgroup path has: one on version 2, one per hierarchy on version 1. */
export function cgroupDirectories(path: string, layout: CgroupLayout): string[] {
  const roots = new Set(layout.controllers.values())
  if (layout.hybrid !== undefined) roots.add(layout.hybrid)
  return [...roots].map((root) => join(root, path))
}

/** Makes the cgroup in every hierarchy and moves the process there. */
export function joinCgroup(path: string, pid: number, layout: CgroupLayout): void {
  for (const directory of cgroupDirectories(path, layout)) {
    mkdirSync(directory, { recursive: true })
    // A version 1 cpuset starts empty and takes no process until it has cpus and memory nodes.
    if (layout.version === 1 && existsSync(join(directory, 'cpuset.cpus'))) inheritCpuset(directory, layout.controllers.get('cpuset') ?? '')
    writeFileSync(join(directory, 'cgroup.procs'), String(pid))
  }
}

function inheritCpuset(directory: string, root: string): void {
  if (directory === root) return
  const parent = join(directory, '..')
  inheritCpuset(parent, root)
  for (const file of ['cpuset.cpus', 'cpuset.mems']) {
    if (readFileSync(join(directory, file), 'utf8').trim() === '') writeFileSync(join(directory, file), readFileSync(join(parent, file)))
  }
}

/** With those below it. Succeeds when it is not there; leaves one that still has processes. True: nothing is left. */
export function removeCgroup(path: string, layout: CgroupLayout): boolean {
  return cgroupDirectories(path, layout).map(removeCgroupDirectory).every(Boolean)
}

function removeCgroupDirectory(directory: string): boolean {
  if (removeEmpty(directory)) return true
  // What was allowed to write cgroups may have made some below its own.
  for (const child of cgroupsBelow(directory)) removeCgroupDirectory(child)
  return removeEmpty(directory)
}

function removeEmpty(directory: string): boolean {
  try {
    rmdirSync(directory)
  } catch (error) {
    if (hasCode(error, 'EBUSY') || hasCode(error, 'ENOTEMPTY')) return false
    if (!hasCode(error, 'ENOENT')) throw error
  }
  return true
}

/** The processes in it and in those below it. */
export function processesIn(path: string, layout: CgroupLayout): number[] {
  const pids = new Set<number>()
  const add = (directory: string) => {
    for (const line of readIfThere(join(directory, 'cgroup.procs')).split('\n')) if (line && line !== '0') pids.add(Number(line))
    for (const child of cgroupsBelow(directory)) add(child)
  }
  for (const directory of cgroupDirectories(path, layout)) add(directory)
  return [...pids]
}

function cgroupsBelow(directory: string): string[] {
  try {
    return readdirSync(directory, { withFileTypes: true }).filter((entry) => entry.isDirectory()).map((entry) => join(directory, entry.name))
  } catch (error) {
    if (hasCode(error, 'ENOENT') || hasCode(error, 'ENODEV')) return []
    throw error
  }
}

/** Cgroups come and go while one looks. */
function readIfThere(path: string): string {
  try {
    return readFileSync(path, 'latin1')
  } catch (error) {
    if (hasCode(error, 'ENOENT') || hasCode(error, 'ENODEV')) return ''
    throw error
  }
}
