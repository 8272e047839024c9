/**
 * Runs node:test files and ends with `N passed, N failed, N skipped`, each skip with its reason.
 * `node scripts/run-tests.ts [--whole] [PATH...]`: without paths, all unit and contract tests in one process (fast),
 * or with --whole the whole-system tests in test/whole, each file in a process of its own.
 * `--lanes N`: that many processes at once (default 1): each has its share of the unit tests, or the next file of the
 * whole-system ones. `--shard I/N` is what such a process is told: the I-th of N shares.
 * `--minutes N`: how long a file of those may take (default 20).
 * `--tally FILE` appends the counts to a file instead of printing the closing line, for scripts/test.sh to add up.
 */
import { spawn } from 'node:child_process'
import { appendFileSync, globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { run } from 'node:test'
import { parseArgs } from 'node:util'

const root = join(import.meta.dirname, '..')
const { values, positionals } = parseArgs({ options: { whole: { type: 'boolean', default: false }, tally: { type: 'string' }, only: { type: 'string' }, minutes: { type: 'string', default: '20' }, lanes: { type: 'string', default: '1' }, shard: { type: 'string' } }, allowPositionals: true })

const patterns = positionals.length > 0
  ? positionals.map((p) => (p.endsWith('.ts') ? p : `${p}/**/*.test.ts`))
  : values.whole ? ['test/whole/*.test.ts'] : ['{base,api,server,agent,cri,cni,scripts,test}/**/*.test.ts']
const files = globSync(patterns, { cwd: root, exclude: (name) => name.includes('node_modules') || (!values.whole && positionals.length === 0 && name.includes('test/whole')) })
  .sort()
  .map((f) => join(root, f))
if (files.length === 0) throw new Error(`no test files match ${patterns.join(' ')}`)

const lanes = Number(values.lanes)
if (!Number.isInteger(lanes) || lanes < 1) throw new Error(`--lanes ${values.lanes}: how many processes at once, from 1`)
const counts = { passed: 0, failed: 0, skipped: 0 }
const problems: string[] = []

if (lanes > 1 && !values.whole) {
  await runShards(lanes)
  finish()
}

const [shardIndex, shardTotal] = (values.shard ?? '1/1').split('/').map(Number)
const stream = run({
  files,
  isolation: values.whole ? 'process' : 'none',
  concurrency: values.whole ? lanes : 1,
  shard: { index: shardIndex ?? 1, total: shardTotal ?? 1 },
  timeout: values.whole ? Number(values.minutes) * 60_000 : 5 * 60_000,
  ...(values.only && { testNamePatterns: [values.only] }),
})

stream.on('test:pass', (event) => {
  if (event.skip !== undefined) {
    counts.skipped++
    console.log(`skipped: ${event.name}: ${event.skip === true ? 'no reason given' : event.skip}`)
  } else if (event.details.type !== 'suite') {
    counts.passed++
    if (values.whole) console.log(`ok   ${event.name} (${(event.details.duration_ms / 1000).toFixed(1)} s)`)
  }
})
stream.on('test:fail', (event) => {
  const error = event.details.error
  // A suite fails with its tests, which tell why; when it failed by itself (a hook), only it knows.
  if (event.details.type === 'suite' && !('failureType' in error && error.failureType === 'hookFailed')) return
  counts.failed++
  const text = `FAIL ${event.name}\n     ${event.file ?? ''}:${event.line ?? ''}\n${indent(String(error.cause instanceof Error ? error.cause.stack : (error.stack ?? error.message)))}`
  problems.push(text)
  console.log(text)
})
stream.on('test:stderr', (event) => process.stderr.write(event.message))
if (values.whole) stream.on('test:stdout', (event) => process.stdout.write(event.message))

await new Promise<void>((resolve) => stream.on('close', resolve).on('end', resolve).resume())
finish()

/** One process per share of the unit tests; each tells of its own failures, its counts are added to ours. */
async function runShards(total: number): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'skiff-tests-'))
  try {
    await Promise.all(Array.from({ length: total }, async (_, i) => {
      const tally = join(dir, String(i))
      const child = spawn(process.execPath, [...process.execArgv, import.meta.filename, ...process.argv.slice(2), '--lanes', '1', '--shard', `${i + 1}/${total}`, '--tally', tally], { stdio: ['ignore', 'pipe', 'inherit'] })
      // By lines: two processes would tear each other's apart.
      createInterface({ input: child.stdout }).on('line', (line) => console.log(line))
      const code = await new Promise((resolve) => child.once('close', resolve))
      const [passed = 0, failed = 0, skipped = 0] = readTally(tally)
      counts.passed += passed
      counts.failed += failed
      counts.skipped += skipped
      if (code !== 0 && failed === 0) {
        counts.failed++
        console.log(`FAIL share ${i + 1} of ${total} of the tests ended with ${String(code)} before it could tell its counts`)
      }
    }))
  } finally {
    rmSync(dir, { recursive: true })
  }
}

function readTally(path: string): number[] {
  try {
    return readFileSync(path, 'utf8').trim().split(' ').map(Number)
  } catch {
    return []
  }
}

function finish(): never {
  if (problems.length > 0) console.log(`\n${problems.length} failed:\n${problems.map((p) => p.split('\n')[0]).join('\n')}`)
  if (values.tally) appendFileSync(values.tally, `${counts.passed} ${counts.failed} ${counts.skipped}\n`)
  else console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`)
  process.exit(counts.failed > 0 ? 1 : 0)
}

function indent(text: string): string {
  return text.split('\n').map((l) => `     ${l}`).join('\n')
}
