/** Settings of the kernel that a node wants, as a kubelet makes them at its start: what differs is put right, or told. */
import { closeSync, constants, openSync, readFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { asError } from '#base/errors.ts'

/** Of a setting that the kernel lacks (keys may be left out of it) `actual` is undefined. */
export interface KernelSetting { name: string; wanted: number; actual: number | undefined }

/** Each container has a key of its own (its session's), all of them root's: a million of them, of 25 bytes. */
const ROOT_KEYS_MAX = 1_000_000

/**
 * Memory may be promised beyond what there is, since pods have limits; when it runs out a process ends and not the machine;
 * a kernel that has failed starts again after 10 s, since nobody stands beside it.
 */
const WANTED: Readonly<Record<string, number>> = {
  'vm/overcommit_memory': 1,
  'vm/panic_on_oom': 0,
  'kernel/panic': 10,
  'kernel/panic_on_oops': 1,
  'kernel/keys/root_maxkeys': ROOT_KEYS_MAX,
  'kernel/keys/root_maxbytes': ROOT_KEYS_MAX * 25,
}

/** Below /proc/sys. */
export const KERNEL_SETTINGS: readonly string[] = Object.keys(WANTED)

/** Those that are not as wanted. */
export function differingKernelSettings(root = '/proc/sys'): KernelSetting[] {
  return Object.entries(WANTED).flatMap(([name, wanted]) => {
    const actual = numberIn(join(root, name))
    return actual === wanted ? [] : [{ name, wanted, actual }]
  })
}

/** Puts them right; gives back those that cannot be, each with why: /proc/sys is read-only in a container. */
export function putKernelSettings(settings: readonly KernelSetting[], root = '/proc/sys'): { setting: KernelSetting; why: string }[] {
  return settings.flatMap((setting) => {
    try {
      write(join(root, setting.name), String(setting.wanted))
      return []
    } catch (error) {
      return [{ setting, why: asError(error).message }]
    }
  })
}

/** As sysctl(8) takes it. */
export const sysctlOf = ({ name, wanted }: KernelSetting): string => `${name.replaceAll('/', '.')}=${wanted}`

/** Upstream's words. */
export const differenceOf = ({ name, wanted, actual }: KernelSetting): string => `invalid kernel flag: ${name}, expected value: ${wanted}, actual value: ${actual ?? 'none, the kernel has no such setting'}`

/** Never makes a file: what is not there the kernel does not have. */
function write(path: string, text: string): void {
  const fd = openSync(path, constants.O_WRONLY | constants.O_TRUNC)
  try {
    writeSync(fd, text)
  } finally {
    closeSync(fd)
  }
}

function numberIn(path: string): number | undefined {
  try {
    return Number(readFileSync(path, 'utf8').trim())
  } catch {
    // Not in this kernel, or not to be read by whoever asks: skiff check may be run by anyone.
    return undefined
  }
}
