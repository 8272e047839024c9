/** What the machine uses, from /proc: nothing is kept running for it. */
import { readFile, statfs } from 'node:fs/promises'
import { pressuresOf, type CgroupUsage, type SwapUsage } from '#base/cgroup-usage.ts'
import { meminfoBytes } from '../node/host-facts.ts'
import type { FsSample, InterfaceSample } from './summary.ts'

export interface HostUsage extends Pick<CgroupUsage, 'pressure'> {
  cpuCoreNanoSeconds: number
  memory: { usageBytes: number; workingSetBytes: number; rssBytes: number; availableBytes: number; pageFaults?: number; majorPageFaults?: number }
  swap: SwapUsage
  bootedAtMs: number
  interfaces: InterfaceSample[]
}

/** USER_HZ: the unit of /proc/stat, 100 on every architecture that Linux offers to programs. */
const NANOS_PER_TICK = 1e7

export async function readHostUsage(): Promise<HostUsage> {
  // What this kernel was built without is not told of.
  const optional = (path: string) => readFile(path, 'utf8').catch(() => '')
  const [stat, meminfo, vmstat, net, ...pressure] = await Promise.all([
    readFile('/proc/stat', 'utf8'), readFile('/proc/meminfo', 'utf8'), optional('/proc/vmstat'), optional('/proc/net/dev'), optional('/proc/pressure/cpu'), optional('/proc/pressure/memory'), optional('/proc/pressure/io'),
  ])
  return { ...parseStat(stat), memory: { ...parseMemory(meminfo), ...parseFaults(vmstat) }, swap: parseSwap(meminfo), interfaces: parseInterfaces(net), ...pressuresOf(pressure) }
}

export function parseStat(stat: string): { cpuCoreNanoSeconds: number; bootedAtMs: number } {
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = (/^cpu +(.*)$/m.exec(stat)?.[1] ?? '').split(' ').map(Number)
  return { cpuCoreNanoSeconds: (user + nice + system + irq + softirq + steal) * NANOS_PER_TICK, bootedAtMs: Number(/^btime (\d+)$/m.exec(stat)?.[1] ?? 0) * 1000 }
}

/** Working set: what could not be given to others, so that available and it make the whole. */
export function parseMemory(meminfo: string): HostUsage['memory'] {
  const of = (name: string) => meminfoBytes(meminfo, name)
  const [total, availableBytes] = [of('MemTotal'), of('MemAvailable')]
  return { usageBytes: total - of('MemFree'), workingSetBytes: Math.max(0, total - availableBytes), rssBytes: of('AnonPages'), availableBytes }
}

/** All of it is there for whoever needs it; nothing on a machine without. */
export function parseSwap(meminfo: string): SwapUsage {
  const [total, free] = [meminfoBytes(meminfo, 'SwapTotal'), meminfoBytes(meminfo, 'SwapFree')]
  return { usageBytes: total - free, availableBytes: free }
}

export function parseFaults(vmstat: string): { pageFaults?: number; majorPageFaults?: number } {
  const of = (name: string) => new RegExp(`^${name} (\\d+)$`, 'm').exec(vmstat)?.[1]
  const [all, major] = [of('pgfault'), of('pgmajfault')]
  return { ...(all !== undefined && { pageFaults: Number(all) }), ...(major !== undefined && { majorPageFaults: Number(major) }) }
}

/** Physical ones and bridges; neither loopback nor the ends of pods' cables. */
export function parseInterfaces(dev: string): InterfaceSample[] {
  return dev.split('\n').flatMap((line) => {
    const [name = '', figures = ''] = line.trim().split(/:\s*/)
    const f = figures.split(/\s+/).map(Number)
    if (f.length < 16 || name === 'lo' || /^(veth|skv|cali|tap)/.test(name)) return []
    return [{ name, rxBytes: f[0] ?? 0, rxErrors: f[2] ?? 0, txBytes: f[8] ?? 0, txErrors: f[10] ?? 0 }]
  }).toSorted((a, b) => (isUplink(b.name) ? 1 : 0) - (isUplink(a.name) ? 1 : 0))
}

/** The one shown as the node's own comes first. */
const isUplink = (name: string): boolean => /^(eth|en|wl|ww)/.test(name)

/** Of this program, which is kubelet, runtime and proxy at once. */
export function ownUsage(): CgroupUsage & { startedAtMs: number } {
  const { user, system } = process.cpuUsage()
  const { rss } = process.memoryUsage()
  const { minorPageFault, majorPageFault } = process.resourceUsage()
  return {
    startedAtMs: performance.timeOrigin, cpuUsageCoreNanoSeconds: (user + system) * 1000, memoryUsageBytes: rss, memoryWorkingSetBytes: rss, memoryRssBytes: rss,
    pageFaults: minorPageFault + majorPageFault, majorPageFaults: majorPageFault, pids: 1,
  }
}

export async function readFs(path: string, atMs: number): Promise<FsSample> {
  const fs = await statfs(path)
  return {
    atMs, capacityBytes: fs.blocks * fs.bsize, availableBytes: fs.bavail * fs.bsize, usedBytes: (fs.blocks - fs.bfree) * fs.bsize,
    inodes: fs.files, inodesFree: fs.ffree, inodesUsed: fs.files - fs.ffree,
  }
}
