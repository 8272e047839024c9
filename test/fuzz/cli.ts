/** `node test/fuzz/cli.ts SECONDS [SEED]`: rounds of made-up requests from SEED on, one seed a round, until the time is over or something breaks. */
import { fuzzRound, printFailure } from './fuzz.ts'

const ROUND_REQUESTS = 300
/** Rounds leave nothing behind: this much is a leak. */
const RSS_BYTES_MAX = 1_500_000_000

const [seconds = Number.NaN, first = Date.now() % 1_000_000] = process.argv.slice(2).map(Number)
if (!(seconds > 0) || !Number.isInteger(first)) {
  process.stderr.write('usage: scripts/fuzz.sh SECONDS [SEED]\n')
  process.exit(2)
}
const untilMs = performance.now() + seconds * 1000
const counts = new Map<string, number>()
let rounds = 0
for (let seed = first; performance.now() < untilMs; seed++, rounds++) {
  const failure = await fuzzRound(seed, ROUND_REQUESTS, undefined, ({ method }, { status }) => counts.set(`${method} ${status}`, (counts.get(`${method} ${status}`) ?? 0) + 1))
  if (failure) {
    process.stdout.write(`${printFailure(failure)}\n`)
    process.exit(1)
  }
  if (process.memoryUsage.rss() > RSS_BYTES_MAX) {
    process.stdout.write(`the process has grown to ${Math.round(process.memoryUsage.rss() / 1e6)} MB after ${rounds + 1} rounds from seed ${first}\n`)
    process.exit(1)
  }
}
process.stdout.write(`${Array.from(counts).toSorted(([, a], [, b]) => b - a).map(([what, n]) => `${what}: ${n}`).join(', ')}\n`)
process.stdout.write(`${rounds} rounds, ${rounds * ROUND_REQUESTS} requests, seeds ${first} to ${first + rounds - 1}: nothing broke; ${Math.round(process.memoryUsage.rss() / 1e6)} MB\n`)
