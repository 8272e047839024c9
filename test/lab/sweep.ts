/** Removes what a lab may leave in places that namespaces do not take with them: cgroups and mounts. */
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, rmdirSync } from 'node:fs'
import { join } from 'node:path'

/** Deepest first; cgroup directories are removed by rmdir only, and only when no process is left in them. */
export function removeCgroups(path: string): void {
  const roots = ['/sys/fs/cgroup', ...readdirSync('/sys/fs/cgroup').map((c) => join('/sys/fs/cgroup', c))]
  for (const root of roots) {
    const dir = join(root, path)
    if (existsSync(dir)) removeTree(dir)
  }
}

function removeTree(dir: string): void {
  for (const entry of readdirSync(dir, { withFileTypes: true })) if (entry.isDirectory()) removeTree(join(dir, entry.name))
  try {
    rmdirSync(dir)
  } catch {
    // A dying process still counts for a moment; the next sweep gets it.
  }
}

export function unmountBelow(dir: string): void {
  const mounts = readFileSync('/proc/mounts', 'utf8').split('\n').map((l) => l.split(' ')[1] ?? '').filter((m) => m.startsWith(`${dir}/`))
  for (const mount of mounts.reverse()) execFileSync('umount', ['-l', mount])
}
