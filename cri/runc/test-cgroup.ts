/** Removes a cgroup with those below it; only for tests, whose processes have ended. */
import { existsSync, readdirSync, rmdirSync } from 'node:fs'
import { join } from 'node:path'

export function removeTree(directory: string): void {
  if (!existsSync(directory)) return
  for (const entry of readdirSync(directory, { withFileTypes: true })) if (entry.isDirectory()) removeTree(join(directory, entry.name))
  rmdirSync(directory)
}
