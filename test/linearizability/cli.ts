/** `node test/linearizability/cli.ts MINUTES [SEED] [SERVERS]`: trials of a minute each, from SEED on, until the time is over or one shows a fault. */
import { runTrial } from './trial.ts'

const TRIAL_SECONDS = 60

const [minutes = Number.NaN, first = 1, servers = 3] = process.argv.slice(2).map(Number)
if (!(minutes > 0) || !Number.isInteger(first) || !(servers >= 1)) {
  process.stderr.write('usage: scripts/linearizability.sh MINUTES [SEED] [SERVERS]\n')
  process.exit(2)
}
const untilMs = performance.now() + minutes * 60_000
let operations = 0
let seed = first
for (; seed === first || performance.now() < untilMs; seed++) {
  const seconds = Math.min(TRIAL_SECONDS, Math.max(5, (untilMs - performance.now()) / 1_000))
  const trial = await runTrial({ servers, seconds, seed, say: (what) => { process.stderr.write(`  ${what}\n`) } })
  operations += trial.operations
  process.stdout.write(`seed ${seed}: ${trial.operations} operations in ${trial.cells} cells, ${trial.unknown} of unknown outcome (${trial.settled} never happened), ${trial.recorded.unreached} unreached, ${trial.changes} changes to 3 watches in ${trial.recorded.connections} connections, ${trial.recorded.relists} lists again, ${trial.happened.length} misfortunes\n`)
  if (trial.faults.length > 0) {
    process.stdout.write(`${trial.faults.slice(0, 20).join('\n')}\n${trial.faults.length} faults with seed ${seed}: ${JSON.stringify(trial.recorded.why)}\nhistory: ${trial.historyFile}\n`)
    process.exit(1)
  }
}
process.stdout.write(`${operations} operations, seeds ${first} to ${seed - 1}: nothing wrong\n`)
process.exit(0)
