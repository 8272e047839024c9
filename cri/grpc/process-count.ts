/** How many processes a container has: CRI does not tell, its first process' cgroup does. */
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { readCgroupLayout } from '../runc/cgroups.ts'

/** `info`: the verbose status, JSON: skiff's own tells `pids`, containerd and CRI-O the first process' `pid`. 0 where it cannot be known. */
export async function countProcesses(info: string): Promise<number> {
  const { pid, pids } = parse(info)
  if (typeof pids === 'number') return pids
  if (typeof pid !== 'number' || pid <= 0) return 0
  const text = await readFile(`/proc/${pid}/cgroup`, 'utf8').catch(() => '') // It may have ended since.
  const { version, controllers } = readCgroupLayout()
  const root = controllers.get('pids')
  const line = text.split('\n').map((l) => l.split(':')).find(([, names = '']) => (version === 2 ? names === '' : names.split(',').includes('pids')))
  if (root === undefined || line?.[2] === undefined) return 0
  return Number((await readFile(join(root, line[2], 'pids.current'), 'utf8').catch(() => '0')).trim())
}

function parse(info: string): { pid?: unknown; pids?: unknown } {
  try {
    return JSON.parse(info) as { pid?: unknown; pids?: unknown }
  } catch {
    return {} // A runtime that says nothing here.
  }
}
