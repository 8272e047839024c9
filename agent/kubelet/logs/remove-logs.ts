/** The log of a container that is removed. */
import { readdir, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { hasCode } from '#base/errors.ts'

/** A log and what rotation made of it: `0.log`, `0.log.20261121-031500`, `….gz`. */
export async function removeLogs(logPath: string): Promise<void> {
  const dir = dirname(logPath)
  const base = logPath.slice(dir.length + 1)
  try {
    for (const name of await readdir(dir)) if (name === base || name.startsWith(`${base}.`)) await rm(join(dir, name), { force: true })
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error
  }
}
