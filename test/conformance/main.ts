/**
 * Runs upstream's end-to-end suite against a lab cluster: what scripts/conformance.sh ends with. The suite runs on h1, or where
 * there are several servers, on one that follows, and asks that one; several tests at a time, then those marked [Serial] one
 * after the other. Lines of the suite's output are in DIR/log and DIR/serial.log, what each failure said in DIR/junit*.xml.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { Cluster } from '../lab/cluster.ts'
import type { LabHost } from '../lab/host.ts'
import { Lab, readLabState } from '../lab/lab.ts'
import { EXPECTED } from './expected.ts'

const { values } = parseArgs({
  options: {
    focus: { type: 'string', default: String.raw`\[Conformance\]` }, skip: { type: 'string' }, nodes: { type: 'string', default: '2' }, servers: { type: 'string', default: '1' }, procs: { type: 'string', default: '3' },
    lab: { type: 'string' }, out: { type: 'string' }, up: { type: 'boolean', default: false },
  },
})
const cache = process.env['SKIFF_CONFORMANCE_CACHE']
if (cache === undefined) throw new Error('scripts/conformance.sh starts this, and says where things are')
const out = resolve(values.out ?? mkdtempSync(join(tmpdir(), 'skiff-conformance-')))
const source = join(cache, 'gopath/src/k8s.io/kubernetes')

/** Test names as the suite's own lines have them. */
interface Outcome { readonly passed: string[]; readonly failed: string[]; readonly broken: string | undefined }

const running = values.lab === undefined ? undefined : readLabState(values.lab)
const servers = Number(values.servers)
const cluster = running ? Cluster.open(Lab.open(running), { servers }) : await Cluster.create({ hosts: Math.max(Number(values.nodes), servers), servers, registryDir: join(cache, 'registry/data'), mirrored: ['k8s.gcr.io', 'registry.k8s.io', 'gcr.io'] })
if (values.up) {
  if (values.lab === undefined) throw new Error('--up wants --lab FILE, where the state of the lab is kept')
  writeFileSync(values.lab, JSON.stringify(cluster.lab.state), { mode: 0o600 })
  console.log(`the lab is up: SKIFF_LAB_STATE=${values.lab} scripts/lab.sh kubectl get nodes`)
  process.exit(0)
}
const kubeconfig = join(out, 'kubeconfig')
try {
  mkdirSync(out, { recursive: true })
  const leader = servers > 1 ? await cluster.leader() : undefined
  const asked = cluster.servers.findLast((server) => server !== leader) ?? cluster.server
  // Not by loopback, which clients do not ask proxies for.
  writeFileSync(kubeconfig, readFileSync(asked.kubeconfig, 'utf8').replace('//127.0.0.1:', `//${asked.ip}:`), { mode: 0o600 })
  const { focus, skip } = values
  const always = skip === undefined ? '' : `|${skip}`
  const names = await chosen(asked, focus, String.raw`\[Disruptive\]${always}`)
  const parallel = await run(asked, 'log', Number(values.procs), focus, String.raw`\[Serial\]|\[Disruptive\]${always}`)
  const serial = names.filter((name) => name.includes('[Serial]'))
  const literally = (name: string) => name.replaceAll(/[\\^$.*+?()[\]{}|]/g, String.raw`\$&`)
  const serially = serial.length === 0 ? [] : [await run(asked, 'serial.log', 1, serial.map((name) => String.raw`${literally(name)}\s*$`).join('|'), '')]
  process.exitCode = report([parallel, ...serially], names)
} finally {
  if (!running) await cluster.destroy()
}
process.exit()

/** The names of the tests that a focus and a skip leave. */
async function chosen(asked: LabHost, focus: string, skip: string): Promise<string[]> {
  const said = await asked.must([join(cache ?? '', 'bin/e2e-edited.test'), '--ginkgo.dryRun', '--ginkgo.noColor', `--ginkgo.focus=${focus}`, `--ginkgo.skip=${skip}`, '--provider=skeleton', `--kubeconfig=${kubeconfig}`], { timeoutMs: 300_000 })
  return verdicts(said, 'PASSED')
}

/** The tests of which the suite says so, as its own lines name them. */
function verdicts(text: string, verdict: string): string[] {
  const said = text.matchAll(new RegExp(String.raw`\{"msg":("${verdict} (?:[^"\\]|\\.)*")`, 'g'))
  return [...new Set([...said].map((match) => (JSON.parse(match[1] ?? '""') as string).slice(verdict.length + 1).trim()))].toSorted()
}

async function run(asked: LabHost, log: string, procs: number, focus: string, skip: string): Promise<Outcome> {
  const command = asked.wrap([
    join(cache ?? '', 'bin/ginkgo'), `-nodes=${procs}`, '-noColor', `-focus=${focus}`, `-skip=${skip}`, join(cache ?? '', 'bin/e2e-edited.test'), '--',
    '--provider=skeleton', `--kubeconfig=${kubeconfig}`, `--repo-root=${source}`, `--report-dir=${out}`, `--report-prefix=${log}_`, `--kubectl-path=${join(cache ?? '', 'kubectl/usr/bin/kubectl')}`,
    `--num-nodes=${cluster.lab.hosts.length}`, '--dump-logs-on-failure=false', '--non-blocking-taints=node-role.kubernetes.io/control-plane', '--allowed-not-ready-nodes=0',
  ])
  for (const name of readdirSync(out)) if (name.startsWith(`junit_${log}`)) rmSync(join(out, name))
  const child = spawn(command[0] ?? '', command.slice(1), { stdio: ['ignore', 'pipe', 'pipe'] })
  const sink = createWriteStream(join(out, log))
  child.stdout.pipe(sink, { end: false })
  child.stderr.pipe(sink, { end: false })
  const [code] = await once(child, 'close') as [number | null]
  await new Promise<void>((done) => { sink.end(done) })
  const text = readFileSync(join(out, log), 'utf8')
  const ended = /Test Suite (Passed|Failed)|Will run 0 of/.test(text)
  return { passed: verdicts(text, 'PASSED'), failed: verdicts(text, 'FAILED'), broken: code === null || !ended ? `the suite did not end in order (${code}): see ${join(out, log)}` : undefined }
}

function report(outcomes: readonly Outcome[], names: readonly string[]): number {
  const passed = outcomes.flatMap((outcome) => outcome.passed)
  const failed = outcomes.flatMap((outcome) => outcome.failed)
  const expected = (name: string) => EXPECTED.find((entry) => name.includes(entry.name))
  for (const name of passed) console.log(`passed  ${name}`)
  for (const name of failed) console.log(!expected(name) ? `FAILED  ${name}` : `as expected, failed  ${name}\n        ${expected(name)?.reason}`)
  const ran = new Set([...passed, ...failed])
  const not = names.filter((name) => !ran.has(name))
  for (const name of not) console.log(`did not run  ${name}`)
  const surprising = [...failed.filter((name) => !expected(name)), ...passed.filter((name) => expected(name) && !expected(name)?.sometimes)]
  for (const { broken } of outcomes) if (broken !== undefined) console.log(broken)
  console.log(`${passed.length} passed, ${failed.length} failed, of which ${surprising.length} were not expected, ${not.length} did not run; the output is in ${out}`)
  return surprising.length > 0 || outcomes.some((outcome) => outcome.broken !== undefined) || passed.length + failed.length === 0 ? 1 : 0
}
