/** `node server/replication/driver/sim/cli.ts [SEEDS] [FIRST]`: simulated worlds of real drivers; ends with 1 at the first that fails. One seed alone tells all that happens in it. */
import { simulateDrivers, traceOfDrivers } from './simulate.ts'

const [seeds = 100, first = 1] = process.argv.slice(2).map(Number)

async function main(): Promise<void> {
  if (seeds === 1) for (const line of await traceOfDrivers(first)) console.log(line)
  try {
    console.log(JSON.stringify(await simulateDrivers(first, seeds)))
  } catch (error) {
    console.error(error instanceof Error ? error.message : error)
    process.exitCode = 1
  }
}
void main()
