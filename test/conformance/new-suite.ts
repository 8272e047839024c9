/**
 * The suite since 1.25 (ginkgo 2), which knows itself which of its tests want to be alone. Its output is in DIR/log, its
 * verdicts in DIR/ginkgo/report.json, what each failure said in DIR/junit_01.xml.
 */
import { existsSync, readFileSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { aboutTheCluster, logged, type Outcome, type SuiteRun } from './suite.ts'

/** What is read of ginkgo's own report: an array with one of these for each suite. */
interface Report { readonly SpecReports: readonly Spec[] | null }
interface Spec { readonly ContainerHierarchyTexts: readonly string[] | null; readonly LeafNodeType: string; readonly LeafNodeText: string; readonly State: string }

export async function runNewSuite(run: SuiteRun): Promise<Outcome> {
  const file = join(run.out, 'ginkgo/report.json')
  rmSync(file, { force: true })
  const code = await logged(run, 'log', [
    join(run.programs, 'bin/ginkgo'), 'run', `--procs=${run.procs}`, '--no-color', '--timeout=24h', `--focus=${run.focus}`, `--skip=${run.skip}`, join(run.programs, 'bin/e2e.test'), '--', ...aboutTheCluster(run), '--report-complete-ginkgo',
  ])
  if (!existsSync(file)) return { passed: [], failed: [], unrun: [], broken: [`the suite did not end in order (${code}): see ${join(run.out, 'log')}`] }
  return ginkgoVerdicts(readFileSync(file, 'utf8'))
}

/** What focus and skip left out has the state `skipped` and no part in this; nor has what a test skipped by itself. */
export function ginkgoVerdicts(report: string): Outcome {
  const specs = (JSON.parse(report) as Report[]).flatMap((each) => each.SpecReports ?? []).filter((spec) => spec.LeafNodeType === 'It')
  const named = (states: readonly string[]) => specs.filter((spec) => states.includes(spec.State)).map((spec) => [...spec.ContainerHierarchyTexts ?? [], spec.LeafNodeText].join(' ')).toSorted()
  return { passed: named(['passed']), failed: named(['failed', 'panicked', 'timedout', 'aborted', 'interrupted']), unrun: [], broken: [] }
}
