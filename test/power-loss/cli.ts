/** `node test/power-loss/cli.ts [--member] CUTS [SEED] [SYNC_DELAY_MS]`: a server (`--member`: one of three) is recorded under strace, then its disk loses power so often. */
import { LOSSES } from './disk.ts'
import { MemberRecording } from './member.ts'
import { cutPower, recordServer, straceMissing } from './power-loss.ts'
import { resetThenReopen } from './reopen.ts'

const isMember = process.argv.includes('--member')
const [cuts = Number.NaN, seed = 1, syncDelayMs = 0] = process.argv.slice(2).filter((a) => a !== '--member').map(Number)
if (!(cuts > 0) || !Number.isInteger(seed)) {
  process.stderr.write('usage: scripts/power-loss.sh [--member] CUTS [SEED] [SYNC_DELAY_MS]\n')
  process.exit(2)
}
const missing = straceMissing()
if (missing !== undefined) throw new Error(missing)
const member = isMember ? await MemberRecording.make({ writers: 8, writes: 150, seed }) : undefined
const recording = member?.recording ?? await recordServer({ writers: 8, writes: 250, seed, syncDelayMs })
process.stderr.write(`${recording.events.length} calls recorded, ${recording.events.filter((e) => e.kind === 'sync').length} of them syncs, ${recording.writes.length} writes of clients\n`)
const report = await cutPower(recording, { cuts, seed, msMax: Infinity, ...(member && { open: resetThenReopen }) })
if (member) {
  const loss = LOSSES[seed % LOSSES.length] ?? 'nothing'
  for (const time of ['', ' once more, with all that it had acknowledged since']) report.faults.push(...(await member.rejoin(loss, seed)).map((fault) => `come back after losing ${loss}${time}: ${fault}`))
  await member[Symbol.asyncDispose]()
}
process.stdout.write(`${report.cuts} power cuts, ${report.betweenLogs} of them with two logs: ${JSON.stringify(report.byLoss)}\n`)
if (report.faults.length > 0) {
  process.stdout.write(`${report.faults.slice(0, 30).join('\n')}\n${report.faults.length} faults with seed ${seed}\n`)
  process.exit(1)
}
process.stdout.write('each store opened, and held what was acknowledged\n')
process.exit(0)
