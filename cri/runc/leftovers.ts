/**
 * What an agent killed in the middle left running: processes found by the sandbox or container id that they carry in their
 * arguments or environment. Only looked for when a record says something was cut short.
 */
import { readFileSync, readdirSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '#base/clock.ts'
import { CodedError, hasCode } from '#base/errors.ts'
import { processesIn, removeCgroup } from './cgroups.ts'
import type { CgroupLayout } from './cgroups.ts'
import { identify, signalProcess } from './process-identity.ts'

const GONE_MS_MAX = 10_000

/** Kills helpers (`conmon`, `runc`, `unshare`, ...) that name one of these ids, and waits until they are gone. All processes are looked at: one call for all ids. */
export async function killHelpersNaming(ids: readonly string[], clock: Clock): Promise<void> {
  if (ids.length === 0) return
  const deadlineMs = clock.monotonicMs() + GONE_MS_MAX
  for (let pids = processesNaming(ids); pids.length > 0; pids = processesNaming(ids)) {
    if (clock.monotonicMs() > deadlineMs) throw new CodedError('CRI_TIMEOUT', `processes ${pids.join(', ')} of ${ids.join(', ')} do not end after SIGKILL`)
    for (const pid of pids) kill(pid)
    await clock.sleep(5)
  }
}

/**
 * Kills what is left in a container's cgroup, removes the cgroup, then the OCI runtime's directory: what `delete` of runc and crun comes to
 * once the container's process has gone, without a program. Repeatable.
 */
export async function clearContainerRemains(options: { id: string; cgroupPath: string; ociRoot: string; layout: CgroupLayout; clock: Clock }): Promise<void> {
  const { id, cgroupPath, ociRoot, layout, clock } = options
  const deadlineMs = clock.monotonicMs() + GONE_MS_MAX
  // A cgroup stays busy for a moment after its last process.
  for (let waitMs = 2; !removeCgroup(cgroupPath, layout); waitMs = Math.min(waitMs * 2, 100)) {
    const pids = processesIn(cgroupPath, layout)
    if (clock.monotonicMs() > deadlineMs) throw new CodedError('CRI_TIMEOUT', pids.length > 0 ? `processes ${pids.join(', ')} of container ${id} do not end after SIGKILL` : `the cgroup of container ${id} cannot be removed`)
    for (const pid of pids) kill(pid)
    await clock.sleep(waitMs)
  }
  await rm(join(ociRoot, id), { recursive: true, force: true })
}

/** In their arguments, or as their sandbox. */
export function processesNaming(ids: readonly string[]): number[] {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid).filter((name) => {
    const [command, variables] = [read(`/proc/${name}/cmdline`), read(`/proc/${name}/environ`)]
    return ids.some((id) => command.includes(id) || variables.includes(`${SANDBOX_VARIABLE}=${id}`))
  }).map(Number).filter((pid) => identify(pid) !== undefined)
}

/** Set for processes whose arguments do not name their sandbox. */
export const SANDBOX_VARIABLE = 'SKIFF_SANDBOX'

function kill(pid: number): void {
  const found = identify(pid)
  if (found) signalProcess(found, 'SIGKILL')
}

function read(path: string): string {
  try {
    return readFileSync(path, 'latin1')
  } catch (error) {
    // Processes and cgroups come and go while one looks.
    if (['ENOENT', 'ESRCH', 'EACCES', 'ENODEV'].some((code) => hasCode(error, code))) return ''
    throw error
  }
}
