/** `node server/raft/sim/cli.ts [SEEDS] [FIRST]`: simulated worlds, one after the other; ends with 1 at the first that fails. One seed alone tells all that happens in it. */
import { simulate, traceOf } from './simulate.ts'

const [seeds = 1000, first = 1] = process.argv.slice(2).map(Number)
if (![seeds, first].every((n) => Number.isSafeInteger(n) && n > 0)) {
  console.error('usage: simulate-raft.sh [SEEDS] [FIRST]: two positive numbers')
  process.exit(2)
}
if (seeds === 1) for (const line of traceOf(first)) console.log(line)
const startNs = process.hrtime.bigint()
const perSecond = (count: number) => Math.round(count / (Number(process.hrtime.bigint() - startNs) / 1e9))
try {
  const tally = simulate(first, seeds, undefined, (seed, so) => {
    if (so.seeds % 1000 === 0) console.log(`${so.seeds} seeds up to ${seed}: ${so.steps} steps, ${perSecond(so.steps)} a second`)
  })
  console.log(`${tally.seeds} seeds from ${first} hold: ${tally.steps} steps (${perSecond(tally.steps)} a second), ${tally.accepted} writes taken, ${tally.reads} reads answered`)
} catch (error) {
  console.error(error instanceof Error ? error.message : error)
  process.exit(1)
}
