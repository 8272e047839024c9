/**
 * Ends a command that runc (or crun) has begun in a container, whatever that is about just now: it may not have started the command yet, or have
 * started it and not told. Until it waits for it, everything it starts is its child: its children are killed for as long as there are any. It takes
 * note of their end and ends, too, so that the command is reaped. One that does not is stopped, so that it starts nothing more, and killed last.
 */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '#base/clock.ts'
import { hasCode } from '#base/errors.ts'
import { processesNaming } from './leftovers.ts'
import { identify, isAlive, signalProcess, type ProcessIdentity } from './process-identity.ts'

/** For runc to see that its command has ended: on a machine that has no processor to spare, too. */
const REAP_MS_MAX = 10_000
/** For what was sent SIGSTOP or SIGKILL to heed it. */
const HEED_MS_MAX = 5_000
/** USER_HZ, as /proc tells times on every architecture that Node runs on. */
const TICK_MS = 10
const LOOK_MS = 3
const LOOK_MS_MAX = 100

/** Resolves when neither runc nor what it has started is there any more. */
export async function endExec(runc: ProcessIdentity, clock: Clock, reapMsMax = REAP_MS_MAX): Promise<void> {
  const giveUpMs = clock.monotonicMs() + reapMsMax
  for (let waitMs = LOOK_MS; isAlive(runc); waitMs = Math.min(waitMs * 2, LOOK_MS_MAX)) {
    if (clock.monotonicMs() >= giveUpMs) return endAtOnce(runc, clock)
    for (const child of childrenOf(runc.pid)) kill(child)
    await clock.sleep(waitMs)
  }
}

/**
 * After a restart: the commands whose agent was killed. `directory`: holds what each was begun with, `<container>.<exec>.json` and `.pid`. Nobody reads
 * what they write any more, and nobody would end them in time.
 */
export async function endLeftExecs(directory: string, clock: Clock): Promise<void> {
  const names = await readdir(directory).catch((error: unknown) => {
    if (hasCode(error, 'ENOENT')) return []
    throw error
  })
  if (names.length > 0) {
    const left = processesNaming([...new Set(names.map((name) => name.replace(/\.[a-z]+$/, '')))]).flatMap((pid) => identify(pid) ?? [])
    await Promise.all(left.map((runc) => endAtOnce(runc, clock)))
    // Their runc was killed with the agent, or before: the command is nobody's child that is known.
    for (const name of names.filter((n) => n.endsWith('.pid'))) {
      const noted = notedIn(join(directory, name))
      if (noted && isOf(noted.pid, name.split('.')[0] ?? '') && hasStartedBy(noted.pid, noted.atMs, clock)) kill(noted.pid)
    }
  }
  // They may hold secrets.
  await rm(directory, { recursive: true, force: true })
}

/** A command's pid, and when runc wrote it; undefined: it has not, or whoever began it has just cleared up after it. */
function notedIn(path: string): { pid: number; atMs: number } | undefined {
  try {
    const [pid, atMs] = [Number(readFileSync(path, 'utf8')), statSync(path).mtimeMs]
    return pid > 1 ? { pid, atMs } : undefined
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined
    throw error
  }
}

async function endAtOnce(runc: ProcessIdentity, clock: Clock): Promise<void> {
  const giveUpMs = clock.monotonicMs() + HEED_MS_MAX
  signalProcess(runc, 'SIGSTOP')
  while (isAlive(runc) && clock.monotonicMs() < giveUpMs) {
    const isStopped = tasksOf(runc.pid).every((task) => statOf(task)?.state === 'T')
    const children = childrenOf(runc.pid)
    if (isStopped && children.length === 0) break
    for (const child of children) kill(child)
    await clock.sleep(LOOK_MS)
  }
  signalProcess(runc, 'SIGKILL')
  while (isAlive(runc) && clock.monotonicMs() < giveUpMs) await clock.sleep(LOOK_MS)
}

/** Its threads, each of which may start something: as directories below /proc. */
function tasksOf(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/task`).map((task) => `${pid}/task/${task}`)
  } catch (error) {
    if (hasCode(error, 'ENOENT') || hasCode(error, 'ESRCH')) return []
    throw error
  }
}

/** Zombies are no children: whoever is one has ended. */
export function childrenOf(pid: number, listed = existsSync('/proc/thread-self/children')): number[] {
  // Each thread's own; kernels without CONFIG_PROC_CHILDREN do not tell. The list may leave one out while others end, never the only one: whoever asks looks again.
  const pids = listed ? tasksOf(pid).flatMap((task) => read(`/proc/${task}/children`).split(' ')) : readdirSync('/proc')
  return pids.filter((name) => /^\d+$/.test(name)).map(Number).filter((other) => {
    const stat = statOf(other)
    return stat?.parent === pid && stat.state !== 'Z' && stat.state !== 'X'
  })
}

/** A command leads a session and a process group of its own; what runc is made of before does not. */
function kill(pid: number): void {
  for (const target of [-pid, pid]) {
    try {
      process.kill(target, 'SIGKILL')
    } catch (error) {
      if (!hasCode(error, 'ESRCH')) throw error
    }
  }
}

const isOf = (pid: number, containerId: string): boolean => containerId !== '' && read(`/proc/${pid}/cgroup`).includes(containerId)

/** It is no later process of the same number. */
function hasStartedBy(pid: number, atMs: number, clock: Clock): boolean {
  const found = identify(pid)
  const uptimeMs = Number(read('/proc/uptime').split(' ')[0]) * 1_000
  return found !== undefined && clock.nowMs() - uptimeMs + Number(found.startTicks) * TICK_MS <= atMs + TICK_MS * 100
}

function statOf(pid: number | string): { state: string; parent: number } | undefined {
  const stat = read(`/proc/${pid}/stat`)
  // The name in parentheses may hold anything, spaces and parentheses too.
  const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return stat === '' || state === undefined ? undefined : { state, parent: Number(parent) }
}

function read(path: string): string {
  try {
    return readFileSync(path, 'latin1')
  } catch (error) {
    // Processes come and go while one looks.
    if (['ENOENT', 'ESRCH'].some((code) => hasCode(error, code))) return ''
    throw error
  }
}
