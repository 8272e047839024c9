/** Upstream's end-to-end suite as a program that is run on a host of the lab: where it is, what it is asked, what it says. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { join } from 'node:path'
import type { LabHost } from '../lab/host.ts'

export interface SuiteRun {
  readonly host: LabHost
  readonly kubeconfig: string
  /** The suite's programs are in `<programs>/bin`. */
  readonly programs: string
  /** The source tree that it was compiled of. */
  readonly source: string
  readonly kubectl: string
  readonly nodes: number
  /** Where its output and reports go. */
  readonly out: string
  /** Tests at a time. */
  readonly procs: number
  readonly focus: string
  readonly skip: string
}

/** Test names as the suite's own lines have them. */
export interface Outcome {
  readonly passed: readonly string[]
  readonly failed: readonly string[]
  /** Those that were chosen and have no verdict. */
  readonly unrun: readonly string[]
  /** Why the verdicts are not all of them, in a sentence. */
  readonly broken: readonly string[]
}

/** What every version of the suite is told about the cluster. */
export function aboutTheCluster(run: SuiteRun): string[] {
  return [
    '--provider=skeleton', `--kubeconfig=${run.kubeconfig}`, `--repo-root=${run.source}`, `--report-dir=${run.out}`, `--kubectl-path=${run.kubectl}`,
    `--num-nodes=${run.nodes}`, '--dump-logs-on-failure=false', '--non-blocking-taints=node-role.kubernetes.io/control-plane', '--allowed-not-ready-nodes=0',
  ]
}

/** Runs a program on the host, what it prints into `<out>/<log>`. Its exit code, or null where a signal ended it. */
export async function logged(run: SuiteRun, log: string, command: readonly string[]): Promise<number | null> {
  const [program = '', ...args] = run.host.wrap([...command])
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const sink = createWriteStream(join(run.out, log))
  child.stdout.pipe(sink, { end: false })
  child.stderr.pipe(sink, { end: false })
  const [code] = await once(child, 'close') as [number | null]
  await new Promise<void>((done) => { sink.end(done) })
  return code
}
