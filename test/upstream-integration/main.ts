/**
 * Upstream's integration tests of the API server on skiff servers: what scripts/upstream-integration.sh ends with.
 * Prints what failed and was skipped; ends with 1 if a test failed that expected.ts does not have, or passed that it has.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { EXPECTED, LEFT_OUT } from './expected.ts'
import { DEFINITIONS, FOLDERS, INTEGRATION } from './folders.ts'
import { writeOverlay } from './source.ts'
import { parseVerdicts, type Verdicts } from './verdicts.ts'

/** Longest time for one folder. */
const FOLDER_SECONDS_MAX = 2400
/** Go's exit code of a panic. */
const PANIC = 2

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { source: { type: 'string' }, go: { type: 'string' }, cache: { type: 'string' }, binary: { type: 'string' }, out: { type: 'string' }, run: { type: 'string' }, keep: { type: 'boolean', default: false } },
})
if (values.source === undefined || values.go === undefined || values.cache === undefined || values.binary === undefined) throw new Error('scripts/upstream-integration.sh starts this, and says where things are')
const { source, go, cache, binary } = { source: resolve(values.source), go: resolve(values.go), cache: resolve(values.cache), binary: resolve(values.binary) }
const out = resolve(values.out ?? mkdtempSync(join(tmpdir(), 'skiff-upstream-integration-')))
mkdirSync(out, { recursive: true })
const overlay = writeOverlay(source, join(cache, 'integration'))

interface Result extends Verdicts { readonly folder: string; readonly seconds: number; readonly broken: string | undefined }

const shortOf = (folder: string): string => (folder.startsWith(INTEGRATION) ? folder.slice(INTEGRATION.length + 1) : folder.replace(DEFINITIONS, 'apiextensions'))
const folders = positionals.length === 0 ? FOLDERS : positionals.map((name) => FOLDERS.find((folder) => folder === name || shortOf(folder) === name) ?? join(INTEGRATION, name))
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))
const results: Result[] = []
for (const folder of folders) {
  const result = await runFolder(folder)
  results.push(result)
  tell(result)
}
process.exitCode = conclude()

async function runFolder(folder: string): Promise<Result> {
  const name = shortOf(folder).replaceAll('/', '_')
  const started = performance.now()
  const result = (verdicts: Verdicts, broken: string | undefined): Result => ({ ...verdicts, folder: shortOf(folder), seconds: Math.round((performance.now() - started) / 1000), broken })
  const none: Verdicts = { passed: [], failed: [], skipped: [], unfinished: [], begun: [] }
  // Field managers are named after it.
  const program = join(overlay.dir, name, `${basename(folder)}.test`)
  mkdirSync(dirname(program), { recursive: true })
  if (!existsSync(program)) {
    writeFileSync(join(out, `${name}.compile`), '')
    const code = await logged(join(out, `${name}.compile`), join(go, 'bin/go'), ['test', '-vet=off', '-ldflags=-s -w', '-overlay', overlay.file, '-c', '-o', program, `./${folder}`], source, {
      GOROOT: go, GOTOOLCHAIN: 'local', CGO_ENABLED: '0', GOFLAGS: '-mod=vendor', GOPROXY: 'off', GOPATH: join(cache, 'none'), GOCACHE: join(cache, 'gocache-1.26'), GOMAXPROCS: '2',
    })
    if (code !== 0 || !existsSync(program)) return result(none, `does not compile: see ${out}/${name}.compile`)
  }
  const left = LEFT_OUT.filter((entry) => entry.folder === shortOf(folder)).flatMap((entry) => entry.tests)
  const temporary = mkdtempSync(join(tmpdir(), 'skiff-integration-tests-'))
  const log = join(out, `${name}.log`)
  writeFileSync(log, '')
  try {
    // A test that panics ends the program: the others run without it.
    for (;;) {
      const before = readFileSync(log, 'utf8').length
      const code = await logged(log, program, [
        '-test.v=test2json', `-test.timeout=${FOLDER_SECONDS_MAX}s`, ...(values.run === undefined ? [] : [`-test.run=${values.run}`]), ...(left.length === 0 ? [] : [`-test.skip=${left.map(asPattern).join('|')}`]),
      ], join(source, folder), { SKIFF_BINARY: binary, TMPDIR: temporary, GOMAXPROCS: '2', ...(values.keep ? { SKIFF_KEEP: '1' } : {}) })
      const output = readFileSync(log, 'utf8')
      const { begun } = parseVerdicts(output.slice(before))
      if (code === PANIC && begun.length > 0) {
        left.push(...begun)
        continue
      }
      const verdicts = parseVerdicts(output)
      return result(verdicts, code === 0 || code === 1 && verdicts.failed.length > 0 ? undefined : `ended with ${String(code)}`)
    }
  } finally {
    if (!values.keep) rmSync(temporary, { recursive: true, force: true })
  }
}

/** For -test.skip: this test alone. */
function asPattern(test: string): string {
  return test.split('/').map((part) => `^${part.replaceAll(/\W/g, String.raw`\$&`)}$`).join('/')
}

async function logged(log: string, program: string, args: readonly string[], cwd: string, env: Readonly<Record<string, string>>): Promise<number | null> {
  const file = openSync(log, 'a')
  const child = spawn('nice', ['-n', '10', program, ...args], { cwd, stdio: ['ignore', file, file], env: { ...process.env, ...env } })
  const end = (): void => { child.kill('SIGKILL') }
  process.once('exit', end)
  const [code] = await once(child, 'exit') as [number | null]
  process.off('exit', end)
  return code
}

function judge(result: Result): { surprising: readonly string[]; expected: readonly { name: string; reason: string }[]; mended: readonly string[] } {
  const entries = EXPECTED.filter((entry) => entry.folder === result.folder)
  const entryOf = (name: string) => entries.find((entry) => entry.tests.test(name))
  return {
    surprising: result.failed.filter((name) => entryOf(name) === undefined),
    expected: result.failed.flatMap((name) => { const entry = entryOf(name); return entry ? [{ name, reason: entry.reason }] : [] }),
    mended: values.run === undefined ? entries.filter((entry) => !result.failed.some((name) => entry.tests.test(name))).map((entry) => String(entry.tests)) : [],
  }
}

function isGood(result: Result): boolean {
  const { surprising, mended } = judge(result)
  return surprising.length + mended.length + result.unfinished.length === 0 && result.broken === undefined
}

function tell(result: Result): void {
  const { surprising, expected, mended } = judge(result)
  console.log(`${isGood(result) ? 'ok  ' : 'FAIL'} ${result.folder.padEnd(36)} ${String(result.seconds).padStart(5)} s  ${result.passed.length} passed, ${surprising.length} failed, ${expected.length} failed as expected, ${result.skipped.length} skipped${result.broken === undefined ? '' : `; ${result.broken}`}`)
  for (const name of surprising) console.log(`       failed      ${name}`)
  for (const name of result.unfinished) console.log(`       unfinished  ${name}`)
  for (const name of mended) console.log(`       did not fail, though expected.ts says so: ${name}`)
}

function conclude(): number {
  const reasons = new Map<string, number>()
  for (const { reason } of results.flatMap((result) => result.skipped)) reasons.set(reason, (reasons.get(reason) ?? 0) + 1)
  console.log('\nskipped:')
  for (const [reason, count] of [...reasons].sort((a, b) => b[1] - a[1])) console.log(`${String(count).padStart(5)}  ${reason}`)
  const sum = (of: (result: Result) => number): number => results.reduce((all, result) => all + of(result), 0)
  const bad = results.filter((result) => !isGood(result))
  console.log(`\n${sum((r) => r.passed.length)} tests passed, ${sum((r) => judge(r).surprising.length)} failed, ${sum((r) => judge(r).expected.length)} failed for the reasons in test/upstream-integration/expected.ts, ${sum((r) => r.skipped.length)} were skipped; ${results.length - bad.length} of ${results.length} folders are as expected; logs are in ${out}`)
  return bad.length > 0 || results.length === 0 ? 1 : 0
}
