/** Limits as the files of one cgroup: what to write where, on v1 and v2. Pure. */
import type { PodCgroupLimits } from '../resources.ts'
import { CPU_PERIOD_US } from '../resources.ts'
import type { CgroupLayout } from './layout.ts'

export interface Setting { controller: string; file: string; value: string }
export interface GroupLimits extends PodCgroupLimits { pidsLimit?: number }

/** `cpuPeriodUs`: what a quota is of. */
export function cgroupSettings(layout: CgroupLayout, limits: GroupLimits, cpuPeriodUs = CPU_PERIOD_US): Setting[] {
  const pids = limits.pidsLimit === undefined || limits.pidsLimit <= 0 ? 'max' : String(limits.pidsLimit)
  if (layout.version === 2) {
    return [
      { controller: 'cpu', file: 'cpu.weight', value: String(cpuWeight(limits.cpuShares)) },
      { controller: 'cpu', file: 'cpu.max', value: `${limits.cpuQuota ?? 'max'} ${cpuPeriodUs}` },
      { controller: 'memory', file: 'memory.max', value: String(limits.memoryLimitBytes ?? 'max') },
      { controller: 'memory', file: 'memory.min', value: String(limits.memoryMinBytes ?? 0) },
      { controller: 'memory', file: 'memory.low', value: String(limits.memoryLowBytes ?? 0) },
      { controller: 'pids', file: 'pids.max', value: pids },
    ]
  }
  return [
    { controller: 'cpu', file: 'cpu.shares', value: String(limits.cpuShares) },
    { controller: 'cpu', file: 'cpu.cfs_period_us', value: String(cpuPeriodUs) },
    { controller: 'cpu', file: 'cpu.cfs_quota_us', value: String(limits.cpuQuota ?? -1) },
    { controller: 'memory', file: 'memory.limit_in_bytes', value: String(limits.memoryLimitBytes ?? -1) },
    { controller: 'pids', file: 'pids.max', value: pids },
  ].filter((s) => layout.roots.has(s.controller))
}

/** Shares 2..262144 to weight 1..10000, linearly as upstream up to 1.34 and the runtimes here do. */
export function cpuWeight(shares: number): number {
  return 1 + Math.floor(((shares - 2) * 9_999) / 262_142)
}
