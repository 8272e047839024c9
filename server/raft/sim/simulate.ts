/** Runs seeds and tells of the first that fails, with how to see it again. */
import { Raft } from '../raft.ts'
import type { MakeCore } from './surroundings.ts'
import { World } from './world.ts'

export interface Tally {
  seeds: number
  steps: number
  accepted: number
  reads: number
}

const realCore: MakeCore = (options, recovered, reader, random, nowMs) => new Raft(options, recovered, reader, random, nowMs)
const TRACE_LINES_MAX = 60

/** Seeds from `first` on; throws for the first that violates anything, with its last events. */
export function simulate(first: number, count: number, makeCore: MakeCore = realCore, onSeed: (seed: number, tally: Tally) => void = () => {}): Tally {
  const tally: Tally = { seeds: 0, steps: 0, accepted: 0, reads: 0 }
  for (let seed = first; seed < first + count; seed++) {
    const failure = simulateSeed(seed, makeCore, tally)
    if (failure) throw new Error(`seed ${seed} fails: ${failure.message}\nrepeat it with: scripts/simulate-raft.sh 1 ${seed}\n${traceOf(seed, makeCore).slice(-TRACE_LINES_MAX).join('\n')}`, { cause: failure })
    onSeed(seed, tally)
  }
  return tally
}

/** What went wrong, if anything; a broken assertion of the core counts as well. */
export function simulateSeed(seed: number, makeCore: MakeCore = realCore, tally?: Tally): Error | undefined {
  const world = new World(seed, makeCore)
  try {
    world.run()
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error))
  }
  if (tally) {
    tally.seeds++
    tally.steps += world.tally.steps
    tally.accepted += world.tally.accepted
    tally.reads += world.tally.reads
  }
  return undefined
}

/** What happened in a seed's world up to its end. */
export function traceOf(seed: number, makeCore: MakeCore = realCore): string[] {
  const lines: string[] = []
  const world = new World(seed, makeCore, (line) => lines.push(line))
  lines.unshift(JSON.stringify(world.plan))
  try {
    world.run()
  } catch (error) {
    lines.push(error instanceof Error ? (error.stack ?? error.message) : String(error))
  }
  return lines
}
