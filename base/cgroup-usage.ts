/** What the processes of a cgroup use, read off its files when somebody asks: a dozen small reads, no process. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { hasCode } from './errors.ts'

/** How long tasks have waited for something: `some` of them, and all of them at once (`full`). */
export interface PressureStall { full: StallTimes; some: StallTimes }
/** Percentages of the last 10, 60 and 300 s, and microseconds in all. */
export interface StallTimes { total: number; avg10: number; avg60: number; avg300: number }

export interface CgroupUsage {
  cpuUsageCoreNanoSeconds: number
  memoryUsageBytes: number
  /** As cAdvisor counts it: what could not be reclaimed easily. */
  memoryWorkingSetBytes: number
  memoryRssBytes: number
  /** Of its limit less the working set; undefined: no limit, or not told. */
  memoryAvailableBytes?: number
  pageFaults?: number
  majorPageFaults?: number
  /** Undefined: memory is not counted here. As cAdvisor says it, none is used where the kernel does not count it. `availableBytes` undefined: no limit. */
  swap?: SwapUsage
  /** Version 2 counts it, where the kernel was built with it. */
  pressure?: Pressures
  /** Tasks, which the kernel limits: each thread of a process is one. */
  pids: number
  /** Of this cgroup itself; undefined: not told. */
  processes?: number
}
export interface SwapUsage { usageBytes: number; availableBytes?: number }
export interface Pressures { cpu?: PressureStall; memory?: PressureStall; io?: PressureStall }

/** `root`: where a controller's tree is mounted; on version 2 the same for all that it has. */
export interface CgroupRoots { version: 1 | 2; root: (controller: string) => string | undefined }

/** Version 1 writes "no limit" as the largest multiple of a page. */
const UNLIMITED_V1 = 2 ** 62

/** Zero for what the kernel does not count, or when the cgroup is gone. */
export async function readCgroupUsage(path: string, { version, root }: CgroupRoots): Promise<CgroupUsage> {
  const read = async (controller: string, file: string): Promise<string> => {
    const tree = root(controller)
    return tree === undefined ? '' : textOf(join(tree, path, file))
  }
  return version === 2 ? readUnified(read) : readVersion1(read)
}

type Read = (controller: string, file: string) => Promise<string>

async function readUnified(read: Read): Promise<CgroupUsage> {
  const [cpu, usage, stat, limit, swap, swapLimit, pids, procs, ...pressure] = await Promise.all([
    read('cpu', 'cpu.stat'), read('memory', 'memory.current'), read('memory', 'memory.stat'), read('memory', 'memory.max'), read('memory', 'memory.swap.current'), read('memory', 'memory.swap.max'), read('pids', 'pids.current'), read('pids', 'cgroup.procs'),
    read('cpu', 'cpu.pressure'), read('memory', 'memory.pressure'), read('io', 'io.pressure'),
  ])
  return {
    cpuUsageCoreNanoSeconds: field(cpu, 'usage_usec') * 1000,
    ...memoryOf({ usage, limit: limited(limit), stat, names: { inactive: 'inactive_file', rss: 'anon', faults: 'pgfault', majorFaults: 'pgmajfault' } }),
    ...(stat !== '' && { swap: swapOf(number(swap), limited(swapLimit)) }),
    ...pressuresOf(pressure),
    pids: number(pids), ...processesOf(procs),
  }
}

async function readVersion1(read: Read): Promise<CgroupUsage> {
  const [cpu, usage, stat, limitText, bothText, pids, procs] = await Promise.all([
    read('cpuacct', 'cpuacct.usage'), read('memory', 'memory.usage_in_bytes'), read('memory', 'memory.stat'), read('memory', 'memory.limit_in_bytes'), read('memory', 'memory.memsw.limit_in_bytes'), read('pids', 'pids.current'), read('pids', 'cgroup.procs'),
  ])
  const [limit, both] = [limited(limitText), limited(bothText)]
  // Version 1 limits memory and swap together.
  const swapLimit = both === undefined ? undefined : both - (limit ?? both)
  return {
    cpuUsageCoreNanoSeconds: number(cpu),
    ...memoryOf({ usage, limit, stat, names: { inactive: 'total_inactive_file', rss: 'total_rss', faults: 'total_pgfault', majorFaults: 'total_pgmajfault' } }),
    ...(stat !== '' && { swap: swapOf(field(stat, 'total_swap'), swapLimit) }),
    pids: number(pids), ...processesOf(procs),
  }
}

const processesOf = (procs: string): { processes?: number } => (procs === '' ? {} : { processes: procs.trimEnd().split('\n').length })

interface MemoryFiles { usage: string; limit: number | undefined; stat: string; names: { inactive: string; rss: string; faults: string; majorFaults: string } }

function memoryOf({ usage, limit, stat, names }: MemoryFiles): Pick<CgroupUsage, 'memoryUsageBytes' | 'memoryWorkingSetBytes' | 'memoryRssBytes' | 'memoryAvailableBytes' | 'pageFaults' | 'majorPageFaults'> {
  const memoryUsageBytes = number(usage)
  const memoryWorkingSetBytes = Math.max(0, memoryUsageBytes - field(stat, names.inactive))
  return {
    memoryUsageBytes, memoryWorkingSetBytes, memoryRssBytes: field(stat, names.rss), ...(limit !== undefined && { memoryAvailableBytes: Math.max(0, limit - memoryWorkingSetBytes) }),
    ...(stat !== '' && { pageFaults: field(stat, names.faults), majorPageFaults: field(stat, names.majorFaults) }),
  }
}

const swapOf = (usageBytes: number, limit: number | undefined): SwapUsage => ({ usageBytes, ...(limit !== undefined && { availableBytes: Math.max(0, limit - usageBytes) }) })

/** Of CPU, memory and IO. */
export function pressuresOf(texts: readonly string[]): { pressure?: Pressures } {
  const [cpu, memory, io] = texts.map(parsePressure)
  return cpu || memory || io ? { pressure: { ...(cpu && { cpu }), ...(memory && { memory }), ...(io && { io }) } } : {}
}

/** `some avg10=0.00 avg60=0.00 avg300=0.00 total=0`, and the same of `full`, which older kernels do not tell of CPU. Undefined: nothing is told. */
function parsePressure(text: string): PressureStall | undefined {
  const times = (line: string): StallTimes => {
    const of = (name: string) => Number(new RegExp(`^${line} .*\\b${name}=([\\d.]+)`, 'm').exec(text)?.[1] ?? 0)
    return { total: of('total'), avg10: of('avg10'), avg60: of('avg60'), avg300: of('avg300') }
  }
  return text === '' ? undefined : { full: times('full'), some: times('some') }
}

/** '' when the file, or what it belongs to, is not there. */
async function textOf(path: string): Promise<string> {
  return readFile(path, 'utf8').catch((error: unknown) => {
    if (['ENOENT', 'ENODEV', 'EOPNOTSUPP', 'ENOTSUP'].some((code) => hasCode(error, code))) return ''
    throw error
  })
}

/** 0 for `max` and for nothing. */
const number = (text: string): number => Number(text.trim()) || 0

/** Undefined: no limit. */
function limited(text: string): number | undefined {
  const amount = Number(text.trim() || 'none')
  return Number.isNaN(amount) || amount >= UNLIMITED_V1 ? undefined : amount
}

const field = (text: string, name: string): number => Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1] ?? 0)
