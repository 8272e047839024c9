/** What must be there before an agent is started at all: one sentence that names everything missing, instead of pods that fail one by one. */
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { differenceOf, differingKernelSettings, putKernelSettings, sysctlOf } from '#agent/kubelet/node/kernel-settings.ts'
import { CodedError } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
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

/** Makes the kernel's settings as a node wants them, or throws KERNEL_DEFAULTS where they are protected; what cannot be set is told once. */
export function settleKernel(protectKernelDefaults: boolean, log: Log): void {
  const differing = differingKernelSettings()
  if (differing.length === 0) return
  if (protectKernelDefaults) throw new CodedError('KERNEL_DEFAULTS', `${differing.map(differenceOf).join('; ')}: set them (sysctl -w ${differing.map(sysctlOf).join(' ')}), or leave --protect-kernel-defaults out`)
  const failed = putKernelSettings(differing)
  const made = differing.filter((setting) => !failed.some((f) => f.setting === setting))
  if (made.length > 0) log.info('settings of the kernel changed', { settings: made.map(sysctlOf).join(' ') })
  if (failed.length > 0) log.warn('settings of the kernel are not as a node wants them, and cannot be changed from here', { settings: failed.map((f) => sysctlOf(f.setting)).join(' '), error: failed.map((f) => f.why).join('; ') })
}

function knowsOverlay(): boolean {
  return /\toverlay$/m.test(readFileSync('/proc/filesystems', 'utf8'))
}
