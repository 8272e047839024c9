/** A cluster, clients that write down what they see, misfortune: and the judgement of what they saw. */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { spawn } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { seededRandom } from '#base/random.ts'
import { Cluster, until } from '../lab/cluster.ts'
import { checkHistory, type Judgement } from './check-history.ts'
import type { History } from './history.ts'
import { haunt } from './nemesis.ts'
import type { RecordOptions, RecordSummary } from './record.ts'

export interface TrialOptions { servers: number; seconds: number; seed: number; clients?: number; say?: (what: string) => void }

export interface Trial extends Judgement { happened: string[]; recorded: RecordSummary; historyFile: string }

/** Leaves no cluster behind; keeps the lab's files (the history, the servers' logs) where something is wrong. */
export async function runTrial(options: TrialOptions): Promise<Trial> {
  const say = options.say ?? (() => undefined)
  const cluster = await Cluster.create({ hosts: options.servers, servers: options.servers, serverFlags: ['--disable-agent'], waitForNodes: false })
  let isFine = false
  try {
    const out = join(cluster.lab.dir, 'history.json')
    const recorder = startRecorder(cluster, { servers: cluster.servers.map((h) => `https://${h.ip}:6443`), kubeconfig: cluster.server.kubeconfig, out, clients: options.clients ?? 6, watchers: 3, seed: options.seed })
    await until('the clients have begun', 60_000, () => recorder.lines.includes('recording') || recorder.failed())
    const happened = await haunt(cluster, seededRandom(options.seed), performance.now() + options.seconds * 1_000, say)
    await sleep(1_000)
    const recorded = await recorder.end()
    const history = JSON.parse(readFileSync(out, 'utf8'), (key, value: unknown) => (key === 'returnMs' && value === 'never' ? Infinity : value)) as History
    const judgement = checkHistory(history)
    const faults = [...recorded.watchersBehind.map((w) => `a watch never came to the end: ${w}`), ...judgement.faults]
    isFine = faults.length === 0
    return { ...judgement, faults, happened, recorded, historyFile: out }
  } finally {
    await cluster.destroy({ keepFiles: !isFine })
    if (!isFine) say(`the history and the servers' logs are in ${cluster.lab.dir}`)
  }
}

function startRecorder(cluster: Cluster, options: RecordOptions) {
  const [file = '', ...args] = cluster.lab.wrapOnSwitch([process.execPath, join(import.meta.dirname, 'record.ts'), JSON.stringify(options)])
  const child = spawn(file, args, { stdio: ['pipe', 'pipe', 'inherit'] })
  const lines: string[] = []
  createInterface({ input: child.stdout }).on('line', (line) => lines.push(line))
  const closed = once(child, 'close')
  const failed = (): boolean => {
    if (child.exitCode !== null) throw new Error(`the recorder ended with ${child.exitCode}`)
    return false
  }
  return {
    lines, failed,
    async end(): Promise<RecordSummary> {
      failed()
      child.stdin.end()
      const [code] = await closed as [number | null]
      if (code !== 0) throw new Error(`the recorder ended with ${code}`)
      return JSON.parse(lines.at(-1) ?? '') as RecordSummary
    },
  }
}
