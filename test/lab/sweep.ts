/** Removes what a lab may leave in places that namespaces do not take with them: cgroups and mounts. */
import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, rmdirSync } from 'node:fs'
import { join } from 'node:path'

/** How long a killed process may take to leave its cgroup. */
const LEAVE_MS_MAX = 5_000

/** Deepest first; cgroup directories are removed by rmdir only, and only when no process is left in them. */
export async function removeCgroups(path: string): Promise<void> {
  const roots = ['/sys/fs/cgroup', ...readdirSync('/sys/fs/cgroup').map((c) => join('/sys/fs/cgroup', c))]
  for (const deadline = Date.now() + LEAVE_MS_MAX; Date.now() < deadline; await new Promise((resolve) => setTimeout(resolve, 20))) {
    const left = roots.map((root) => join(root, path)).filter((dir) => existsSync(dir))
    if (left.length === 0) return
    for (const dir of left) removeTree(dir)
  }
}

function removeTree(dir: string): void {
  for (const entry of readdirSync(dir, { withFileTypes: true })) if (entry.isDirectory()) removeTree(join(dir, entry.name))
  try {
    rmdirSync(dir)
  } catch {
    // A dying process still counts for a moment; the next round gets it.
  }
}

export function unmountBelow(dir: string): void {
  const mounts = readFileSync('/proc/mounts', 'utf8').split('\n').map((l) => l.split(' ')[1] ?? '').filter((m) => m.startsWith(`${dir}/`))
  for (const mount of mounts.reverse()) execFileSync('umount', ['-l', mount])
}
