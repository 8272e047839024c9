/**
 * What an agent killed in the middle left running: processes found by the sandbox or container id that they carry in their
 * arguments or environment. Only looked for when a record says something was cut short.
 */
import { readFileSync, readdirSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '#base/clock.ts'
import { CodedError, hasCode } from '#base/errors.ts'
import { cgroupDirectories, removeCgroup } from './cgroups.ts'
import type { CgroupLayout } from './cgroups.ts'
import { identify, signalProcess } from './process-identity.ts'

const GONE_MS_MAX = 10_000

/** Kills helpers (`conmon`, `runc`, `unshare`, ...) that name this id, and waits until they are gone. */
export async function killHelpersNaming(id: string, clock: Clock): Promise<void> {
  const deadlineMs = clock.monotonicMs() + GONE_MS_MAX
  for (let pids = processesNaming(id); pids.length > 0; pids = processesNaming(id)) {
    if (clock.monotonicMs() > deadlineMs) throw new CodedError('CRI_TIMEOUT', `processes ${pids.join(', ')} of ${id} do not end after SIGKILL`)
    for (const pid of pids) kill(pid)
    await clock.sleep(5)
  }
}

/** Kills what is in a container's cgroup and removes the cgroup and the OCI runtime's directory. */
export async function clearContainerRemains(options: { id: string; cgroupPath: string; ociRoot: string; layout: CgroupLayout; clock: Clock }): Promise<void> {
  const { id, cgroupPath, ociRoot, layout, clock } = options
  const deadlineMs = clock.monotonicMs() + GONE_MS_MAX
  for (let pids = processesIn(cgroupPath, layout); pids.length > 0; pids = processesIn(cgroupPath, layout)) {
    if (clock.monotonicMs() > deadlineMs) throw new CodedError('CRI_TIMEOUT', `processes ${pids.join(', ')} of container ${id} do not end after SIGKILL`)
    for (const pid of pids) kill(pid)
    await clock.sleep(5)
  }
  removeCgroup(cgroupPath, layout)
  await rm(join(ociRoot, id), { recursive: true, force: true })
}

function processesIn(cgroupPath: string, layout: CgroupLayout): number[] {
  const pids = new Set<number>()
  for (const directory of cgroupDirectories(cgroupPath, layout)) {
    for (const line of read(join(directory, 'cgroup.procs')).split('\n')) if (line && line !== '0') pids.add(Number(line))
  }
  return [...pids]
}

function processesNaming(id: string): number[] {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((name) => read(`/proc/${name}/cmdline`).includes(id) || read(`/proc/${name}/environ`).includes(`${SANDBOX_VARIABLE}=${id}`)).map(Number).filter((pid) => identify(pid) !== undefined)
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
