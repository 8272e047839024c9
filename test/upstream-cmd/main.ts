/**
 * Runs upstream's kubectl integration suites (test/cmd) against skiff: each suite against a server of its
 * own, with each kubectl. Prints a table and ends with 1 if a line failed that expected.ts does not have, or did not fail that it has.
 * `node test/upstream-cmd/main.ts --release 1.20|1.36 --source DIR --kubectl PATH... [--binary PATH] [--out DIR] [--jobs N] [--keep] [SUITE...]`
 * Logs stay in `--out` (default: a new folder in /tmp); with `--keep` the copies of the source and the servers' data, too.
 */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { copySource, suiteNames } from './copy.ts'
import { releaseNamed } from './releases.ts'
import { CmdServer } from './server.ts'

/** Longest time for one suite: kubectl_apply takes four minutes with 1.20, which prunes by trial and error. */
const SUITE_MS_MAX = 600_000

const root = join(import.meta.dirname, '../..')
const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { source: { type: 'string' }, release: { type: 'string' }, kubectl: { type: 'string', multiple: true }, binary: { type: 'string', default: join(root, 'dist/skiff') }, out: { type: 'string' }, jobs: { type: 'string', default: '2' }, keep: { type: 'boolean', default: false } },
})
if (!values.source || !values.release || !values.kubectl) throw new Error('--source DIR, its --release and --kubectl PATH are needed: scripts/upstream-cmd-test.sh has them')
const source = resolve(values.source)
const release = releaseNamed(values.release)
const binary = resolve(values.binary)
const out = resolve(values.out ?? mkdtempSync(join(tmpdir(), 'skiff-upstream-cmd-')))

interface Result { readonly kubectl: number; readonly suite: string; readonly seconds: number; readonly failed: readonly string[]; readonly missing: readonly string[]; readonly unexpected: readonly string[]; readonly broken: string | undefined }

const kubectls = values.kubectl.map((path) => ({ path: resolve(path), minor: minorOf(path) }))
const suites = positionals.length > 0 ? positionals : suiteNames(source)
const work = kubectls.flatMap(({ path, minor }) => suites.map((suite) => ({ path, minor, suite })))
const results: Result[] = []
await Promise.all(Array.from({ length: Number(values.jobs) }, async () => {
  for (let next = work.shift(); next; next = work.shift()) {
    const result = await runSuite(next.path, next.minor, next.suite)
    results.push(result)
    console.log(line(result))
  }
}))
process.exitCode = report()

async function runSuite(kubectl: string, minor: number, suite: string): Promise<Result> {
  const dir = join(out, `1.${minor}`, suite)
  rmSync(dir, { recursive: true, force: true })
  mkdirSync(join(dir, 'bin'), { recursive: true })
  symlinkSync(kubectl, join(dir, 'bin/kubectl'))
  // The plugin that Debian does not have.
  const convert = join(dirname(kubectl), 'kubectl-convert')
  if (existsSync(convert)) symlinkSync(convert, join(dir, 'bin/kubectl-convert'))
  copySource(source, join(dir, 'source'), release, minor)
  const started = performance.now()
  const failures = join(dir, 'failures')
  writeFileSync(failures, '')
  let broken: string | undefined
  let server: CmdServer | undefined
  try {
    server = await CmdServer.start(binary, dir, flags())
    copyFileSync(join(dir, 'data/server/tls/serving-kube-apiserver.crt'), join(dir, 'source/tmp/apiserver.crt'))
    const log = openSync(join(dir, 'log'), 'w')
    const child = spawn('bash', [join(import.meta.dirname, 'suite.sh'), suite], {
      cwd: join(dir, 'source'), detached: true, stdio: ['ignore', log, log],
      env: { ...process.env, TMPDIR: join(dir, 'source/tmp'), KUBE_JUNIT_REPORT_DIR: join(dir, 'junit'), KUBECTL_DIR: join(dir, 'bin'), SECURE_API_PORT: String(server.port), FAILURES: failures },
    })
    const timer = setTimeout(() => { broken = `not done after ${SUITE_MS_MAX / 1000} s`; killGroup(child) }, SUITE_MS_MAX)
    const [code] = (await once(child, 'exit')) as [number | null]
    clearTimeout(timer)
    killGroup(child)
    if (code !== 0) broken ??= `ended with ${String(code)}`
  } catch (error) {
    broken = error instanceof Error ? error.message : String(error)
  } finally {
    const ended = await server?.stop()
    if (ended !== undefined) broken = `the server ended with ${ended}`
    if (!values.keep) for (const name of ['source', 'data', 'junit', 'bin']) rmSync(join(dir, name), { recursive: true, force: true })
  }
  const failed = [...new Set(readFileSync(failures, 'utf8').split('\n').map((l) => l.split(' ')[0] ?? '').filter((l) => l !== ''))]
  const those = release.expected.filter((e) => e.suite === suite && (e.kubectl === undefined || e.kubectl(minor)))
  const expected = those.flatMap((e) => e.at)
  const sure = those.filter((e) => !e.sometimes).flatMap((e) => e.at)
  return { kubectl: minor, suite, seconds: Math.round((performance.now() - started) / 1000), failed, broken, unexpected: failed.filter((at) => !expected.includes(at)), missing: sure.filter((at) => !failed.includes(at)) }
}

/** Those with which upstream's hack/make-rules/test-cmd.sh starts kube-apiserver. */
function flags(): string[] {
  return [
    '--service-cidr', '10.0.0.0/24', '--service-account-issuer', 'https://kubernetes.default.svc', '--authorization-mode', 'RBAC,AlwaysAllow', '--enable-admission-plugins', 'LimitRanger,ResourceQuota',
    '--disable-admission-plugins', 'ServiceAccount,DefaultStorageClass,DefaultTolerationSeconds,MutatingAdmissionWebhook,ValidatingAdmissionWebhook,StorageObjectInUseProtection',
    '--client-ca-file', join(source, release.clientCa), '--token-auth-file', join(source, 'hack/testdata/auth-tokens.csv'),
  ]
}

function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return
  try {
    process.kill(-child.pid, 'SIGKILL')
  } catch (error) {
    if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error // Nobody of it was left.
  }
}

function minorOf(kubectl: string): number {
  const version = JSON.parse(execFileSync(kubectl, ['version', '--client', '-o', 'json'], { encoding: 'utf8' })) as { clientVersion: { gitVersion: string } }
  return Number(version.clientVersion.gitVersion.split('.')[1])
}

function line(r: Result): string {
  const good = r.unexpected.length + r.missing.length === 0 && r.broken === undefined
  return `${good ? (r.failed.length > 0 ? 'ok*  ' : 'ok   ') : 'FAIL '} 1.${r.kubectl}  ${r.suite.padEnd(40)} ${String(r.seconds).padStart(4)} s`
    + (r.failed.length > r.unexpected.length ? `  ${r.failed.length - r.unexpected.length} expected` : '')
    + (r.unexpected.length > 0 ? `  failed: ${r.unexpected.join(' ')}` : '') + (r.missing.length > 0 ? `  did not fail: ${r.missing.join(' ')}` : '') + (r.broken === undefined ? '' : `  ${r.broken}`)
}

function report(): number {
  console.log(`\n${'suite'.padEnd(40)} ${kubectls.map((k) => `1.${k.minor}`.padEnd(12)).join('')}`)
  for (const suite of suites) {
    console.log(`${suite.padEnd(40)} ${kubectls.map((k) => {
      const r = results.find((x) => x.kubectl === k.minor && x.suite === suite)
      if (!r) return 'not run'.padEnd(12)
      const bad = r.unexpected.length + r.missing.length
      return (r.broken !== undefined ? 'BROKEN' : bad > 0 ? `${bad} FAIL` : r.failed.length > 0 ? `ok (${r.failed.length})` : 'ok').padEnd(12)
    }).join('')}`)
  }
  const bad = results.filter((r) => r.unexpected.length + r.missing.length > 0 || r.broken !== undefined)
  console.log(`\n${results.length - bad.length} of ${results.length} as expected; (n): lines that fail with a reason in test/upstream-cmd/release-${release.name}/expected.ts; logs are in ${out}`)
  if (existsSync(out)) for (const r of bad) console.log(line(r))
  return bad.length > 0 || results.length === 0 ? 1 : 0
}
