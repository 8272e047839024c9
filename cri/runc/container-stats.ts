/** A container's usage, read off its cgroup: 0.4 ms, no process. */
import { readFile, readdir, lstat } from 'node:fs/promises'
import { join } from 'node:path'
import { hasCode } from '#base/errors.ts'
import type { CgroupLayout } from './cgroups.ts'

export interface CgroupUsage { cpuUsageCoreNanoSeconds: number; memoryUsageBytes: number; memoryWorkingSetBytes: number; memoryRssBytes: number; pids: number }

/** Zero for what the kernel does not count, or when the cgroup is gone. */
export async function readCgroupUsage(path: string, layout: CgroupLayout): Promise<CgroupUsage> {
  const read = async (controller: string, file: string) => {
    const root = layout.controllers.get(controller)
    if (root === undefined) return ''
    return readFile(join(root, path, file), 'utf8').catch((error: unknown) => {
      if (hasCode(error, 'ENOENT') || hasCode(error, 'ENODEV')) return ''
      throw error
    })
  }
  const v2 = layout.version === 2
  const [cpu, usage, stat, pids] = await Promise.all([
    v2 ? read('cpu', 'cpu.stat') : read('cpuacct', 'cpuacct.usage'),
    read('memory', v2 ? 'memory.current' : 'memory.usage_in_bytes'),
    read('memory', 'memory.stat'),
    read('pids', 'pids.current'),
  ])
  const memoryUsageBytes = Number(usage.trim()) || 0
  const inactive = field(stat, v2 ? 'inactive_file' : 'total_inactive_file')
  return {
    cpuUsageCoreNanoSeconds: v2 ? field(cpu, 'usage_usec') * 1000 : Number(cpu.trim()) || 0,
    memoryUsageBytes,
    // As cAdvisor counts it: what could not be reclaimed easily.
    memoryWorkingSetBytes: Math.max(0, memoryUsageBytes - inactive),
    memoryRssBytes: field(stat, v2 ? 'anon' : 'total_rss'),
    pids: Number(pids.trim()) || 0,
  }
}

/** What is allocated below a directory; what vanishes meanwhile is not counted. */
export interface DiskUsage { bytes: number; inodes: number }

export async function diskUsage(directory: string): Promise<DiskUsage> {
  const total: DiskUsage = { bytes: 0, inodes: 0 }
  const pending = [directory]
  for (let path = pending.pop(); path !== undefined; path = pending.pop()) {
    const entries = await readdir(path, { withFileTypes: true }).catch(() => [])
    for (const entry of entries) {
      const child = join(path, entry.name)
      if (entry.isDirectory()) pending.push(child)
      total.bytes += await lstat(child).then((s) => s.blocks * 512, () => 0)
      total.inodes++
    }
  }
  return total
}

function field(text: string, name: string): number {
  return Number(new RegExp(`^${name} (\\d+)$`, 'm').exec(text)?.[1] ?? 0)
}
