/** A real server writes under strace; then the power fails at many moments of that, the disk keeps what it may keep, and the store must open. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { spawnSync } from 'node:child_process'
import { asError } from '#base/errors.ts'
import { seededRandom, type Random } from '#base/random.ts'
import { until } from '../lab/cluster.ts'
import { kill } from '../lab/host.ts'
import { OneHost } from '../whole/one-host.ts'
import { Disk, LOSSES, type Loss } from './disk.ts'
import { faultsOf, type Write } from './expectation.ts'
import { reopen, type Reopened } from './reopen.ts'
import { readTrace, STRACE_OPTIONS, type FileEvent } from './trace.ts'
import type { WriterOptions } from './writer.ts'

export interface Recording { events: FileEvent[]; writes: Write[]; /** When clients began: what came before is setting up. */ beganMs?: number }

export interface PowerLossReport {
  cuts: number
  byLoss: Record<Loss, number>
  /** Moments at which two of LevelDB's logs were there: the older one may lose what the newer one builds on. */
  betweenLogs: number
  faults: string[]
}

/** Why it cannot be done here; undefined: it can. */
export function straceMissing(): string | undefined {
  const { error, status, stderr } = spawnSync('strace', ['-f', '-o', '/dev/null', 'true'], { encoding: 'utf8' })
  if (error) return 'strace is not installed'
  return status === 0 ? undefined : `strace is not permitted here: ${stderr.trim()}`
}

/** What a server may take to start or to stop under strace, which stops it at each call, on a machine that has much else to do. */
const STRACED_MS_MAX = 180_000

/** `syncDelayMs`: what a sync takes longer, as on an SD card. */
export async function recordServer(options: { writers: number; writes: number; seed: number; syncDelayMs: number }): Promise<Recording> {
  const one = await OneHost.create()
  try {
    const { host } = one
    const trace = one.path('trace')
    const slow = options.syncDelayMs > 0 ? ['-e', `inject=fsync,fdatasync:delay_enter=${options.syncDelayMs * 1000}`] : []
    const child = host.start('skiff', ['strace', '-o', trace, ...STRACE_OPTIONS, ...slow, ...one.skiff(one.serverFlags())])
    await one.waitForApi('data', STRACED_MS_MAX)
    const out = one.path('writes.json')
    const args: WriterOptions = { server: `https://${host.ip}:6443`, kubeconfig: one.path('data.yaml'), out, ...options }
    await host.must([process.execPath, join(import.meta.dirname, 'writer.ts'), JSON.stringify(args)], { timeoutMs: 300_000 })
    // Once quietly: how it ends is written, too.
    for (const pid of one.pids(/^\S*skiff\S* server /)) kill(pid, 'SIGTERM')
    await until('the server ends', STRACED_MS_MAX, () => child.exitCode !== null || child.signalCode !== null)
    return { events: await readTrace(trace, one.path('data/server/db')), writes: JSON.parse(readFileSync(out, 'utf8')) as Write[] }
  } finally {
    await one.lab.destroy()
  }
}

/** Stops early, with what was found, when the time is over. `open`: how what is left is opened; default: as that of a server alone. */
export async function cutPower({ events, writes, beganMs = 0 }: Recording, options: { cuts: number; seed: number; msMax: number; open?: (directory: string) => Promise<Reopened> }): Promise<PowerLossReport> {
  const random = seededRandom(options.seed)
  const open = options.open ?? reopen
  const report: PowerLossReport = { cuts: 0, byLoss: Object.fromEntries(LOSSES.map((l) => [l, 0])) as Record<Loss, number>, betweenLogs: 0, faults: [] }
  const moments = chooseMoments(events, options.cuts, random, beganMs)
  const endMs = performance.now() + options.msMax
  const dir = mkdtempSync(join(tmpdir(), 'skiff-power-loss-'))
  const disk = new Disk()
  try {
    for (const [i, event] of events.entries()) {
      for (let times = moments.get(i) ?? 0; times > 0 && performance.now() < endMs; times--) {
        const loss = LOSSES[report.cuts % LOSSES.length] as Loss
        const logs = disk.paths.filter((p) => p.endsWith('.log')).length
        report.cuts++
        report.byLoss[loss]++
        if (logs > 1) report.betweenLogs++
        const faults = await faultsAfter(disk.cut(loss, random), join(dir, String(report.cuts)), writes, event.startMs, open)
        if (faults.length > 0) report.faults.push(`cut ${report.cuts} before event ${i} (${event.kind}), lost: ${loss}, ${logs} logs: ${faults.slice(0, 3).join('; ')}${faults.length > 3 ? ` and ${faults.length - 3} more` : ''}`)
      }
      disk.apply(event)
    }
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
  return report
}

async function faultsAfter(files: ReadonlyMap<string, Buffer>, dir: string, writes: readonly Write[], cutMs: number, open: (directory: string) => Promise<Reopened>): Promise<string[]> {
  for (const [path, content] of files) {
    const file = join(dir, 'db', path)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, content)
  }
  try {
    const { found, nextRevision } = await open(dir)
    const faults = faultsOf(writes, cutMs, found)
    const newest = Math.max(0, ...writes.filter((w) => w.toldMs !== undefined && w.toldMs < cutMs).map((w) => w.revision ?? 0))
    if (nextRevision <= newest) faults.push(`the next write gets revision ${nextRevision}, ${newest} was acknowledged`)
    // Once more: what the first opening wrote is part of it.
    const again = await reopenAgain(dir)
    return again === undefined ? faults : [...faults, again]
  } catch (error) {
    return [`it does not open: ${asError(error).message}`]
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}

async function reopenAgain(dir: string): Promise<string | undefined> {
  try {
    await reopen(dir)
    return 'what was written after the cut is gone'
  } catch (error) {
    return asError(error).message === 'what was never written is there' ? undefined : `it does not open again: ${asError(error).message}`
  }
}

/** How often to cut before each event: everywhere, and more where names change or two logs are there. */
function chooseMoments(events: readonly FileEvent[], cuts: number, random: Random, beganMs: number): Map<number, number> {
  const special: number[] = []
  const first = Math.max(0, events.findIndex((e) => e.startMs >= beganMs))
  const disk = new Disk()
  for (const [i, event] of events.entries()) {
    if (i >= first && (event.kind === 'rename' || event.kind === 'unlink' || disk.paths.filter((p) => p.endsWith('.log')).length > 1)) special.push(i)
    disk.apply(event)
  }
  const moments = new Map<number, number>()
  for (let n = 0; n < cuts; n++) {
    const at = n % 2 === 0 && special.length > 0 ? special[Math.floor(random.next() * special.length)] ?? 0 : first + Math.floor(random.next() * (events.length - first))
    moments.set(at, (moments.get(at) ?? 0) + 1)
  }
  return moments
}
