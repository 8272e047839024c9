/** Kills of the kernel for want of memory of the machine itself, not of a cgroup with a limit: an Event about the node (upstream's oom watcher). */
import { asError } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import type { KernelLog } from './kernel-log.ts'

export interface Victim { name: string; pid: number }

export interface SystemOomDeps { kernelLog: KernelLog; tell: (message: string) => void; log: Log }

/** Resolves when the signal aborts. A machine whose log cannot be read runs without, and says so once. */
export async function watchSystemOom({ kernelLog, tell, log }: SystemOomDeps, signal: AbortSignal): Promise<void> {
  const read = createOomReader()
  try {
    await kernelLog((line) => {
      const victim = read(line)
      if (victim) tell(`System OOM encountered, victim process: ${victim.name}, pid: ${victim.pid}`)
    }, signal)
  } catch (error) {
    if (!signal.aborted) log.info('the kernel\'s log is not read: kills for want of memory are told of containers, not of the machine', { error: asError(error) })
  }
}

/**
 * Lines of the kernel in their order to victims of the machine as a whole. A kill is a block of lines: `X invoked oom-killer: ...` begins it, `oom-kill:constraint=...` (since 5.0) or
 * `Killed process N (name)` ends it; in between one tells of the cgroup whose limit it was.
 */
export function createOomReader(): (line: string) => Victim | undefined {
  let isKill = false
  let isOfCgroup = false
  return (line) => {
    if (line.includes('invoked oom-killer:')) {
      isKill = true
      isOfCgroup = false
      return undefined
    }
    if (!isKill) return undefined
    const limit = /,oom_memcg=([^,]*),/.exec(line)?.[1] ?? /Task in .* killed as a result of limit of (.*)$/.exec(line)?.[1]
    if (limit !== undefined && limit !== '/') isOfCgroup = true
    const [, name, pid] = /^oom-kill:constraint=.*,task=(.*),pid=(\d+),uid=\d+$/.exec(line) ?? []
    const [, oldPid, oldName] = /Killed process (\d+) \((.+)\)/.exec(line) ?? []
    const victim = name !== undefined ? { name, pid: Number(pid) } : oldName !== undefined ? { name: oldName, pid: Number(oldPid) } : undefined
    if (!victim) return undefined
    isKill = false
    return isOfCgroup ? undefined : victim
  }
}
