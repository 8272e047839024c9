/** `node test/power-loss/cli.ts CUTS [SEED] [SYNC_DELAY_MS]`: a server is recorded under strace, then its disk loses power so often. */
import { cutPower, recordServer, straceMissing } from './power-loss.ts'

const [cuts = Number.NaN, seed = 1, syncDelayMs = 0] = process.argv.slice(2).map(Number)
if (!(cuts > 0) || !Number.isInteger(seed)) {
  process.stderr.write('usage: scripts/power-loss.sh CUTS [SEED] [SYNC_DELAY_MS]\n')
  process.exit(2)
}
const missing = straceMissing()
if (missing !== undefined) throw new Error(missing)
const recording = await recordServer({ writers: 8, writes: 250, seed, syncDelayMs })
process.stderr.write(`${recording.events.length} calls recorded, ${recording.events.filter((e) => e.kind === 'sync').length} of them syncs, ${recording.writes.length} writes of clients\n`)
const report = await cutPower(recording, { cuts, seed, msMax: Infinity })
process.stdout.write(`${report.cuts} power cuts, ${report.betweenLogs} of them with two logs: ${JSON.stringify(report.byLoss)}\n`)
if (report.faults.length > 0) {
  process.stdout.write(`${report.faults.slice(0, 30).join('\n')}\n${report.faults.length} faults with seed ${seed}\n`)
  process.exit(1)
}
process.stdout.write('each store opened, and held what was acknowledged\n')
process.exit(0)
