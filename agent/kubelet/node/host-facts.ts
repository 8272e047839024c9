/** What the machine is, read once from /proc, /sys and /etc; figures that change are asked for. */
import { readFile, statfs } from 'node:fs/promises'
import { asError } from '#base/errors.ts'

export interface HostFacts {
  hostname: string
  cpuCount: number
  /** What they are made of: of machines whose kernel does not tell (ARM), as many cores as processors on one socket. */
  cpuTopology: CpuTopology
  memoryBytes: number
  /** By page size as resources name it: `2Mi`. */
  hugepageBytes: Readonly<Record<string, number>>
  /** `amd64`, `arm64`, `arm`. */
  architecture: string
  machineId: string
  systemUuid: string
  bootId: string
  /** When the machine was started, by its wall clock; undefined: not known. */
  bootMs?: number
  kernelVersion: string
  osImage: string
  swapBytes: number
}

export interface CpuTopology { cores: number; sockets: number }

/** Asked at each status: space left, memory and process ids free. */
export interface HostPressure { memoryAvailableBytes: number; fsBytes: number; fsAvailableBytes: number; fsInodes: number; fsInodesFree: number; pids: number; pidsMax: number }

export async function readHostFacts(): Promise<HostFacts> {
  const { hostname, release, cpus, arch } = await import('node:os')
  const meminfo = await read('/proc/meminfo')
  const bootSeconds = /^btime (\d+)$/m.exec(await read('/proc/stat'))?.[1]
  return {
    hostname: hostname().toLowerCase(),
    cpuCount: cpus().length,
    cpuTopology: parseTopology(await read('/proc/cpuinfo'), cpus().length),
    memoryBytes: meminfoBytes(meminfo, 'MemTotal'),
    hugepageBytes: await hugepages(),
    architecture: goArch(arch()),
    machineId: (await read('/etc/machine-id')).trim(),
    systemUuid: (await read('/sys/class/dmi/id/product_uuid')).trim().toLowerCase(),
    bootId: (await read('/proc/sys/kernel/random/boot_id')).trim(),
    ...(bootSeconds !== undefined && { bootMs: Number(bootSeconds) * 1000 }),
    kernelVersion: release(),
    osImage: osImage(await read('/etc/os-release')),
    swapBytes: meminfoBytes(meminfo, 'SwapTotal'),
  }
}

export async function readHostPressure(rootDir: string): Promise<HostPressure> {
  const [meminfo, fs, loadavg, ...limits] = [await read('/proc/meminfo'), await statfs(rootDir), await read('/proc/loadavg'), await read('/proc/sys/kernel/pid_max'), await read('/proc/sys/kernel/threads-max')]
  return {
    memoryAvailableBytes: meminfoBytes(meminfo, 'MemAvailable'),
    fsBytes: fs.blocks * fs.bsize, fsAvailableBytes: fs.bavail * fs.bsize, fsInodes: fs.files, fsInodesFree: fs.ffree,
    pids: Number(/\/(\d+)/.exec(loadavg)?.[1] ?? 0), pidsMax: tasksMax(limits),
  }
}

/** The lowest of the kernel's limits: on a small board there may be fewer threads than numbers for them. */
export function tasksMax(limits: readonly string[]): number {
  return Math.min(...limits.map((text) => Number(text) || Infinity))
}

/** Of /proc/cpuinfo: each processor says of which core of which socket it is. */
export function parseTopology(cpuinfo: string, processors: number): CpuTopology {
  const sockets = [...cpuinfo.matchAll(/^physical id\s*: (\d+)$/gm)].map(([, id]) => id ?? '')
  const cores = [...cpuinfo.matchAll(/^core id\s*: (\d+)$/gm)].map(([, id], i) => `${sockets[i] ?? ''}/${id ?? ''}`)
  return { cores: new Set(cores).size || processors, sockets: new Set(sockets).size || 1 }
}

export function meminfoBytes(meminfo: string, name: string): number {
  return Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(meminfo)?.[1] ?? 0) * 1024
}

export function osImage(osRelease: string): string {
  return /^PRETTY_NAME="?([^"\n]*)"?$/m.exec(osRelease)?.[1] ?? 'Linux'
}

export function goArch(arch: string): string {
  return arch === 'x64' ? 'amd64' : arch === 'ia32' ? '386' : arch
}

async function hugepages(): Promise<Record<string, number>> {
  const { readdir } = await import('node:fs/promises')
  const sizes: Record<string, number> = {}
  for (const name of await readdir('/sys/kernel/mm/hugepages').catch(() => [])) {
    const kib = Number(/^hugepages-(\d+)kB$/.exec(name)?.[1])
    if (!kib) continue
    const count = Number((await read(`/sys/kernel/mm/hugepages/${name}/nr_hugepages`)).trim())
    sizes[kib >= 1_048_576 ? `${kib / 1_048_576}Gi` : kib >= 1_024 ? `${kib / 1_024}Mi` : `${kib}Ki`] = count * kib * 1024
  }
  return sizes
}

/** '' where the machine has no such file (boards have no DMI, containers no machine-id). */
async function read(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    void asError(error)
    return ''
  }
}
