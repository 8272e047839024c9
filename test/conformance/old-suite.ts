/**
 * The suite of 1.20 (ginkgo 1): several tests at a time, then those marked [Serial] one after the other. Lines of its output
 * are in DIR/log and DIR/serial.log, what each failure said in DIR/junit*.xml.
 */
import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { aboutTheCluster, logged, type Outcome, type SuiteRun } from './suite.ts'

export async function runOldSuite(run: SuiteRun): Promise<Outcome> {
  const names = await chosen(run)
  const parallel = await part(run, 'log', { procs: run.procs, focus: run.focus, skip: String.raw`\[Serial\]|${run.skip}` })
  const serial = names.filter((name) => name.includes('[Serial]'))
  const literally = (name: string) => name.replaceAll(/[\\^$.*+?()[\]{}|]/g, String.raw`\$&`)
  const parts = serial.length === 0 ? [parallel] : [parallel, await part(run, 'serial.log', { procs: 1, focus: serial.map((name) => String.raw`${literally(name)}\s*$`).join('|'), skip: '' })]
  const passed = parts.flatMap((outcome) => outcome.passed)
  const failed = parts.flatMap((outcome) => outcome.failed)
  const ran = new Set([...passed, ...failed])
  return { passed, failed, unrun: names.filter((name) => !ran.has(name)), broken: parts.flatMap((outcome) => outcome.broken) }
}

/** The names of the tests that focus and skip leave. */
async function chosen(run: SuiteRun): Promise<string[]> {
  const said = await run.host.must([join(run.programs, 'bin/e2e-edited.test'), '--ginkgo.dryRun', '--ginkgo.noColor', `--ginkgo.focus=${run.focus}`, `--ginkgo.skip=${run.skip}`, '--provider=skeleton', `--kubeconfig=${run.kubeconfig}`], { timeoutMs: 300_000 })
  return verdicts(said, 'PASSED')
}

/** The tests of which the suite says so, as its own lines name them. */
function verdicts(text: string, verdict: string): string[] {
  const said = text.matchAll(new RegExp(String.raw`\{"msg":("${verdict} (?:[^"\\]|\\.)*")`, 'g'))
  return [...new Set([...said].map((match) => (JSON.parse(match[1] ?? '""') as string).slice(verdict.length + 1).trim()))].toSorted()
}

async function part(run: SuiteRun, log: string, { procs, focus, skip }: Pick<SuiteRun, 'procs' | 'focus' | 'skip'>): Promise<Omit<Outcome, 'unrun'>> {
  for (const name of readdirSync(run.out)) if (name.startsWith(`junit_${log}`)) rmSync(join(run.out, name))
  const code = await logged(run, log, [
    join(run.programs, 'bin/ginkgo'), `-nodes=${procs}`, '-noColor', `-focus=${focus}`, `-skip=${skip}`, join(run.programs, 'bin/e2e-edited.test'), '--', ...aboutTheCluster(run), `--report-prefix=${log}_`,
  ])
  const text = readFileSync(join(run.out, log), 'utf8')
  const ended = /Test Suite (Passed|Failed)|Will run 0 of/.test(text)
  return { passed: verdicts(text, 'PASSED'), failed: verdicts(text, 'FAILED'), broken: code === null || !ended ? [`the suite did not end in order (${code}): see ${join(run.out, log)}`] : [] }
}
