/** What files below a directory take. */
import { readdir, lstat } from 'node:fs/promises'
import { join } from 'node:path'

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
