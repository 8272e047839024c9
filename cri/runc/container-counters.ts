/** All that the kernel counts of a container, read off its cgroup and its processes when somebody asks for metrics. About thirty small files; zero for what this kernel does not count. */
import { opendir, readdir, readFile, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import { hasCode } from '#base/errors.ts'
import { processesIn, type CgroupLayout } from './cgroups.ts'

export interface Pressure { waitingSeconds: number; stalledSeconds: number }
export interface DeviceIo { major: string; minor: string; reads: number; writes: number; readBytes: number; writtenBytes: number }

export interface ContainerCounters {
  cpu: { userSeconds: number; systemSeconds: number; periods: number; throttledPeriods: number; throttledSeconds: number }
  memory: { cacheBytes: number; mappedFileBytes: number; swapBytes: number; kernelBytes: number; peakBytes: number; limitHits: number; minorFaults: number; majorFaults: number; oomKills: number }
  io: DeviceIo[]
  hugePages: { size: string; bytes: number; peakBytes: number }[]
  /** Version 2 counts it, where the kernel was built with it. */
  pressure: { cpu: Pressure; memory: Pressure; io: Pressure } | undefined
  /** `threadsMax` and limits are 0 where there is none. */
  tasks: { processes: number; threads: number; threadsMax: number; files: number; sockets: number; filesSoftLimit: number }
  limits: { cpuPeriodMicros: number; cpuQuotaMicros: number; cpuShares: number; memoryBytes: number; memoryAndSwapBytes: number; memoryReservationBytes: number }
}

/** sysconf(_SC_CLK_TCK), the same on all that Linux runs on here. */
const TICKS_PER_SECOND = 100
/** Version 1 writes "no limit" as the largest multiple of a page. */
const UNLIMITED_V1 = 2 ** 62
/** Of a container's open files so many are asked whether they are sockets, at some 50 us each; the others are counted only. */
const LINKS_READ_MAX = 4_096

export async function readContainerCounters(path: string, layout: CgroupLayout): Promise<ContainerCounters> {
  const read = async (controller: string, file: string): Promise<string> => {
    const root = layout.controllers.get(controller)
    return root === undefined ? '' : textOf(join(root, path, file))
  }
  const tasks = async () => ({ ...await readProcesses(processesIn(path, layout)), threads: number(await read('pids', 'pids.current')), threadsMax: number(await read('pids', 'pids.max')) })
  const [counted, own] = await Promise.all([layout.version === 2 ? readUnified(read) : readVersion1(read), tasks()])
  return { ...counted, hugePages: await readHugePages(path, layout), tasks: own }
}

type Read = (controller: string, file: string) => Promise<string>
type Counted = Omit<ContainerCounters, 'tasks' | 'hugePages'>

async function readUnified(read: Read): Promise<Counted> {
  const files = ['cpu.stat', 'memory.stat', 'memory.events', 'io.stat', 'cpu.max', 'cpu.weight', 'memory.swap.current', 'memory.peak', 'memory.max', 'memory.swap.max', 'memory.low', 'cpu.pressure', 'memory.pressure', 'io.pressure'] as const
  const texts = new Map(await Promise.all(files.map(async (file) => [file, await read(file.slice(0, file.indexOf('.')), file)] as const)))
  const of = (file: typeof files[number]) => texts.get(file) ?? ''
  const [cpu, memory, events] = [of('cpu.stat'), of('memory.stat'), of('memory.events')]
  const [quota = '', period = ''] = of('cpu.max').trim().split(' ')
  const weight = number(of('cpu.weight'))
  const limit = number(of('memory.max'))
  return {
    cpu: { userSeconds: field(cpu, 'user_usec') / 1e6, systemSeconds: field(cpu, 'system_usec') / 1e6, periods: field(cpu, 'nr_periods'), throttledPeriods: field(cpu, 'nr_throttled'), throttledSeconds: field(cpu, 'throttled_usec') / 1e6 },
    memory: {
      cacheBytes: field(memory, 'file'), mappedFileBytes: field(memory, 'file_mapped'), swapBytes: number(of('memory.swap.current')), kernelBytes: field(memory, 'kernel'), peakBytes: number(of('memory.peak')),
      limitHits: field(events, 'max'), minorFaults: field(memory, 'pgfault'), majorFaults: field(memory, 'pgmajfault'), oomKills: field(events, 'oom_kill'),
    },
    io: ioOf(of('io.stat')),
    pressure: of('cpu.pressure') === '' ? undefined : { cpu: pressureOf(of('cpu.pressure')), memory: pressureOf(of('memory.pressure')), io: pressureOf(of('io.pressure')) },
    limits: {
      cpuPeriodMicros: number(period), cpuQuotaMicros: number(quota), // As runc turned the one into the other.
      cpuShares: weight === 0 ? 0 : Math.round(2 + ((weight - 1) * 262_142) / 9_999),
      memoryBytes: limit, memoryAndSwapBytes: limit === 0 ? 0 : limit + number(of('memory.swap.max')), memoryReservationBytes: number(of('memory.low')),
    },
  }
}

async function readVersion1(read: Read): Promise<Counted> {
  const [ticks, cpu, memory, oom, kernel, peak, hits, bytes, operations] = await Promise.all([
    read('cpuacct', 'cpuacct.stat'), read('cpu', 'cpu.stat'), read('memory', 'memory.stat'), read('memory', 'memory.oom_control'), read('memory', 'memory.kmem.usage_in_bytes'), read('memory', 'memory.max_usage_in_bytes'), read('memory', 'memory.failcnt'),
    read('blkio', 'blkio.throttle.io_service_bytes_recursive'), read('blkio', 'blkio.throttle.io_serviced_recursive'),
  ])
  const [period, quota, shares, limit, both, reservation] = await Promise.all([
    read('cpu', 'cpu.cfs_period_us'), read('cpu', 'cpu.cfs_quota_us'), read('cpu', 'cpu.shares'), read('memory', 'memory.limit_in_bytes'), read('memory', 'memory.memsw.limit_in_bytes'), read('memory', 'memory.soft_limit_in_bytes'),
  ])
  const bounded = (text: string) => (number(text) >= UNLIMITED_V1 ? 0 : number(text))
  return {
    cpu: { userSeconds: field(ticks, 'user') / TICKS_PER_SECOND, systemSeconds: field(ticks, 'system') / TICKS_PER_SECOND, periods: field(cpu, 'nr_periods'), throttledPeriods: field(cpu, 'nr_throttled'), throttledSeconds: field(cpu, 'throttled_time') / 1e9 },
    memory: {
      cacheBytes: field(memory, 'total_cache'), mappedFileBytes: field(memory, 'total_mapped_file'), swapBytes: field(memory, 'total_swap'), kernelBytes: number(kernel), peakBytes: number(peak),
      limitHits: number(hits), minorFaults: field(memory, 'total_pgfault'), majorFaults: field(memory, 'total_pgmajfault'), oomKills: field(oom, 'oom_kill'),
    },
    io: ioOfVersion1(bytes, operations),
    pressure: undefined,
    limits: { cpuPeriodMicros: number(period), cpuQuotaMicros: Math.max(0, number(quota)), cpuShares: number(shares), memoryBytes: bounded(limit), memoryAndSwapBytes: bounded(both), memoryReservationBytes: bounded(reservation) },
  }
}

/** `8:0 rbytes=1 wbytes=2 rios=3 wios=4 …` */
function ioOf(text: string): DeviceIo[] {
  return text.split('\n').flatMap((line) => {
    const [device = '', ...figures] = line.split(' ')
    const [major, minor] = device.split(':')
    if (major === undefined || minor === undefined) return []
    const of = (name: string) => number(figures.find((f) => f.startsWith(`${name}=`))?.slice(name.length + 1) ?? '')
    return [{ major, minor, reads: of('rios'), writes: of('wios'), readBytes: of('rbytes'), writtenBytes: of('wbytes') }]
  })
}

/** `8:0 Read 1`, a line for each operation. */
function ioOfVersion1(bytes: string, operations: string): DeviceIo[] {
  const devices = new Map<string, DeviceIo>()
  for (const [text, read, write] of [[bytes, 'readBytes', 'writtenBytes'], [operations, 'reads', 'writes']] as const) {
    for (const [, major = '', minor = '', operation, count = ''] of text.matchAll(/^(\d+):(\d+) (Read|Write) (\d+)$/gm)) {
      const key = `${major}:${minor}`
      const device = devices.get(key) ?? { major, minor, reads: 0, writes: 0, readBytes: 0, writtenBytes: 0 }
      devices.set(key, device)
      device[operation === 'Read' ? read : write] = number(count)
    }
  }
  return [...devices.values()]
}

function pressureOf(text: string): Pressure {
  const total = (line: string) => Number(new RegExp(`^${line} .*total=(\\d+)$`, 'm').exec(text)?.[1] ?? 0) / 1e6
  return { waitingSeconds: total('some'), stalledSeconds: total('full') }
}

async function readHugePages(path: string, layout: CgroupLayout): Promise<ContainerCounters['hugePages']> {
  const own = layout.controllers.get('hugetlb')
  const root = own ?? (layout.hybridControllers?.has('hugetlb') ? layout.hybrid : undefined)
  if (root === undefined) return []
  const [usage, peak] = layout.version === 2 || own === undefined ? ['current', undefined] : ['usage_in_bytes', 'max_usage_in_bytes']
  const pattern = new RegExp(`^hugetlb\\.(\\d+[KMG]B)\\.${usage}$`)
  const sizes = (await readdir(join(root, path)).catch(() => [])).flatMap((name) => pattern.exec(name)?.[1] ?? [])
  return Promise.all(sizes.map(async (size) => ({
    size, bytes: number(await textOf(join(root, path, `hugetlb.${size}.${usage}`))), peakBytes: peak === undefined ? 0 : number(await textOf(join(root, path, `hugetlb.${size}.${peak}`))),
  })))
}

/** Their number and what they have open; the soft limit is the first one's. One after the other: a container may have a million files open. */
async function readProcesses(pids: readonly number[]): Promise<Pick<ContainerCounters['tasks'], 'processes' | 'files' | 'sockets' | 'filesSoftLimit'>> {
  const open = { files: 0, sockets: 0 }
  for (const pid of pids) {
    // A process that ended meanwhile has nothing open.
    const directory = await opendir(`/proc/${pid}/fd`).catch(() => undefined)
    if (!directory) continue
    try {
      for await (const { name } of directory) {
        if (open.files++ < LINKS_READ_MAX && (await readlink(join(directory.path, name)).catch(() => '')).startsWith('socket:')) open.sockets++
      }
    } catch (error) {
      if (!hasCode(error, 'ENOENT') && !hasCode(error, 'ESRCH')) throw error
    }
  }
  const limits = pids.length === 0 ? '' : await textOf(`/proc/${pids[0]}/limits`)
  return { processes: pids.length, ...open, filesSoftLimit: Number(/^Max open files +(\d+)/m.exec(limits)?.[1] ?? 0) }
}

/** '' when the file, or what it belongs to, is not there. */
async function textOf(path: string): Promise<string> {
  return readFile(path, 'utf8').catch((error: unknown) => {
    if (['ENOENT', 'ENODEV', 'EOPNOTSUPP', 'ENOTSUP', 'ESRCH'].some((code) => hasCode(error, code))) return ''
    throw error
  })
}

/** 0 for `max` and for nothing. */
const number = (text: string): number => Number(text.trim()) || 0

const field = (text: string, name: string): number => Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1] ?? 0)
