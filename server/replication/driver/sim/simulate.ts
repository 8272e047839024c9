/** Runs seeds and tells of the first that fails, with how to see it again. */
import { World } from './world.ts'

export interface Tally {
  seeds: number
  messages: number
  wrote: number
  read: number
  installed: number
  changed: number
}

const TRACE_LINES_MAX = 60

/** Seeds from `first` on until `count` are done or `isOver`; throws for the first that violates anything, with its last events. */
export async function simulateDrivers(first: number, count: number, isOver: () => boolean = () => false): Promise<Tally> {
  const tally: Tally = { seeds: 0, messages: 0, wrote: 0, read: 0, installed: 0, changed: 0 }
  for (let seed = first; seed < first + count && !isOver(); seed++) {
    const world = new World(seed)
    try {
      await world.run()
    } catch (error) {
      const lines = await traceOfDrivers(seed)
      throw new Error(`seed ${seed} fails: ${error instanceof Error ? error.message : String(error)}\nrepeat it with: node server/replication/driver/sim/cli.ts 1 ${seed}\n${lines.slice(-TRACE_LINES_MAX).join('\n')}`, { cause: error })
    }
    tally.seeds++
    for (const key of ['messages', 'wrote', 'read', 'installed', 'changed'] as const) tally[key] += world.tally[key]
  }
  return tally
}

/** What happens in a seed's world up to its end. */
export async function traceOfDrivers(seed: number): Promise<string[]> {
  const lines: string[] = []
  const world = new World(seed, (line) => lines.push(line))
  lines.unshift(JSON.stringify(world.plan))
  try {
    await world.run()
    lines.push(JSON.stringify(world.tally))
  } catch (error) {
    lines.push(error instanceof Error ? (error.stack ?? error.message) : String(error))
  }
  return lines
}
