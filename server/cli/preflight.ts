/** What must be there before an agent is started at all: one sentence that names everything missing, instead of pods that fail one by one. */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { CodedError } from '#base/errors.ts'
import { packagesOf, requiredPrograms } from './check/judge.ts'
import { findProgram, SYSTEM_PATH } from './find-program.ts'

/** Throws MACHINE_UNFIT. */
export function assertFitForPods(ociRuntime: 'runc' | 'crun'): void {
  const unfit = (what: string) => new CodedError('MACHINE_UNFIT', `this machine cannot run pods: ${what} (skiff check tells everything it lacks)`)
  if (process.getuid?.() !== 0) throw unfit('skiff must run as root')
  const missing = requiredPrograms(ociRuntime).filter((name) => findProgram(name) === undefined)
  if (missing.length > 0) throw unfit(`${missing.join(', ')} ${missing.length === 1 ? 'is' : 'are'} not installed: apt-get install ${packagesOf(missing).join(' ')}`)
  if (!knowsOverlay()) {
    // A module not loaded yet is loaded at the first mount too, but then as an error of some pod.
    spawnSync('modprobe', ['overlay'], { stdio: 'ignore', env: { PATH: SYSTEM_PATH } })
    if (!knowsOverlay()) throw unfit('its kernel has no overlayfs: modprobe overlay, or use a kernel that has it')
  }
}

function knowsOverlay(): boolean {
  return /\toverlay$/m.test(readFileSync('/proc/filesystems', 'utf8'))
}
