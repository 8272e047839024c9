/** The files of a store that runs, as kill -9 would leave them. */
import { cpSync, readdirSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { hasCode } from '#base/errors.ts'
import { systemClock } from '#base/clock.ts'

/**
 * Copies `from` to `to` at one moment: LevelDB's own thread goes on writing and removing files meanwhile, so a copy in which anything moved is made anew.
 * The event loop stands still until then, and nothing the store does afterwards is in it.
 */
export function copyAsKilled(from: string, to: string, msMax = 10_000): void {
  for (const untilMs = systemClock.monotonicMs() + msMax; ;) {
    rmSync(to, { recursive: true, force: true })
    try {
      const before = filesOf(from)
      cpSync(from, to, { recursive: true, filter: (path) => !path.endsWith('/LOCK') })
      if (filesOf(from) === before) return
    } catch (error) {
      if (!hasCode(error, 'ENOENT')) throw error
    }
    if (systemClock.monotonicMs() > untilMs) throw new Error(`${from} does not rest for long enough to be copied`)
  }
}

function filesOf(directory: string): string {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' }).sort().map((name) => {
    const { size, mtimeNs } = statSync(join(directory, name), { bigint: true })
    return `${name} ${size} ${mtimeNs}`
  }).join('\n')
}
