/** Which process a remembered pid meant: the pid with its start time and the boot, since numbers are used again. */
import { readFileSync } from 'node:fs'
import type { Clock } from '#base/clock.ts'
import { hasCode } from '#base/errors.ts'

export interface ProcessIdentity { pid: number; /** Clock ticks since boot; field 22 of /proc/<pid>/stat. */ startTicks: string; bootId: string }

/** Undefined when there is no such process. */
export function identify(pid: number): ProcessIdentity | undefined {
  const startTicks = startOf(pid)
  return startTicks === undefined ? undefined : { pid, startTicks, bootId: bootId() }
}

/** A zombie counts as gone. */
export function isAlive(process: ProcessIdentity | undefined): boolean {
  return process !== undefined && process.bootId === bootId() && startOf(process.pid) === process.startTicks
}

/** False when it is gone already. */
export function signalProcess(target: ProcessIdentity, signal: number | NodeJS.Signals): boolean {
  if (!isAlive(target)) return false
  try {
    process.kill(target.pid, signal)
    return true
  } catch (error) {
    if (hasCode(error, 'ESRCH')) return false
    throw error
  }
}

/** SIGKILL, and back once it is gone; false if it is still there after `timeoutMs`. */
export async function killAndWait(target: ProcessIdentity, timeoutMs: number, clock: Clock): Promise<boolean> {
  signalProcess(target, 'SIGKILL')
  const deadlineMs = clock.monotonicMs() + timeoutMs
  while (isAlive(target)) {
    if (clock.monotonicMs() > deadlineMs) return false
    await clock.sleep(2)
  }
  return true
}

/** Read once: a process does not outlive its boot. */
const read: { bootId?: string } = {}

export function bootId(): string {
  read.bootId ??= readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()
  return read.bootId
}

function startOf(pid: number): string | undefined {
  let stat: string
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  } catch (error) {
    if (hasCode(error, 'ENOENT') || hasCode(error, 'ESRCH')) return undefined
    throw error
  }
  // The name in parentheses may hold anything, spaces and parentheses too.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19]
}
