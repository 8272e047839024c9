/** What the kernel's security modules are to containers: AppArmor's profiles and SELinux's labels. Where it has neither, nothing is asked of it. */
import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { CodedError } from '#base/errors.ts'
import type { SecurityContext, SelinuxOptions } from './runtime.ts'

/** As runc asks: the module is on, and its file system is there. */
export function isAppArmorEnabled(): boolean {
  return existsSync('/sys/kernel/security/apparmor') && readOr('/sys/module/apparmor/parameters/enabled', 'N').startsWith('Y')
}

/** Kernels for boards may be built without. */
export function isSeccompEnabled(): boolean {
  return existsSync('/proc/sys/kernel/seccomp/actions_avail')
}

export function isSelinuxEnabled(): boolean {
  return existsSync('/sys/fs/selinux/enforce')
}

/** Undefined: the kernel has no AppArmor. */
export interface AppArmor { /** Loaded by now: `name (mode)` a line in the kernel. */ profiles: ReadonlySet<string>; /** The program that loads them is there: a kernel may have AppArmor on a machine that does not use it. */ canLoad: boolean }

export const DEFAULT_PROFILE = 'skiff-default'

/** The profile of a container's process, as containerd chooses it; undefined: none. */
export function appArmorProfile({ apparmor, privileged }: Pick<SecurityContext, 'apparmor' | 'privileged'>, kernel: AppArmor | undefined): string | undefined {
  const wanted: SecurityContext['apparmor'] & object = apparmor ?? { profile: 'RuntimeDefault' }
  if (!kernel) {
    // Nobody who asks to be confined is left unconfined.
    if (apparmor && apparmor.profile !== 'Unconfined') throw new CodedError('CRI_INVALID', 'apparmor is not supported')
    return undefined
  }
  if (wanted.profile === 'Unconfined') return undefined
  if (!('name' in wanted)) {
    // As containerd: who did not ask is not kept from running.
    const mayBeHad = apparmor !== undefined || kernel.canLoad || kernel.profiles.has(DEFAULT_PROFILE)
    return privileged || !mayBeHad ? undefined : DEFAULT_PROFILE
  }
  if (!kernel.profiles.has(wanted.name)) throw new CodedError('CRI_INVALID', `apparmor profile not found ${wanted.name}`)
  return wanted.name
}

/** The kernel's list: `name (enforce)`. */
export function parseProfiles(text: string): Set<string> {
  return new Set(text.split('\n').flatMap((line) => /^(.*) \(\w+\)$/.exec(line)?.[1] ?? []))
}

export interface SelinuxLabels { process: string | undefined; mount: string }

/** container-selinux's, where the machine's policy names no others. */
const DEFAULTS = { process: 'system_u:system_r:container_t:s0', file: 'system_u:object_r:container_file_t:s0' }

/** The policy's own words for containers: `process = "..."`, `file = "..."`. */
export function parseContexts(text: string): { process: string; file: string } {
  const of = (name: string) => new RegExp(`^\\s*${name}\\s*=\\s*"([^"]+)"`, 'm').exec(text)?.[1]
  return { process: of('process') ?? DEFAULTS.process, file: of('file') ?? DEFAULTS.file }
}

/**
 * Labels of a container and its files. What is not asked for is the policy's; without a level, the pod gets two categories of its
 * own, which follow from its sandbox. A privileged process keeps the runtime's.
 */
export function selinuxLabels(options: SelinuxOptions | undefined, { privileged, sandboxId, contexts }: { privileged: boolean; sandboxId: string; contexts: { process: string; file: string } }): SelinuxLabels {
  const level = options?.level || `s0:${categoriesOf(sandboxId)}`
  const label = (context: string, own: Pick<SelinuxOptions, 'user' | 'role' | 'type'>) => {
    const [user = '', role = '', type = ''] = context.split(':')
    return [own.user || user, own.role || role, own.type || type, level].join(':')
  }
  return {
    process: privileged ? undefined : label(contexts.process, options ?? {}),
    mount: label(contexts.file, { ...(options?.user && { user: options.user }) }),
  }
}

/** Two different ones of 1,024, the smaller first. */
function categoriesOf(sandboxId: string): string {
  const hash = createHash('sha256').update(sandboxId).digest()
  const first = hash.readUInt16BE(0) % 1024
  const second = (first + 1 + (hash.readUInt16BE(2) % 1023)) % 1024
  return [first, second].sort((a, b) => a - b).map((c) => `c${c}`).join(',')
}

export function readContexts(): { process: string; file: string } {
  const type = /^\s*SELINUXTYPE\s*=\s*(\S+)/m.exec(readOr('/etc/selinux/config', ''))?.[1] ?? 'targeted'
  return parseContexts(readOr(`/etc/selinux/${type}/contexts/lxc_contexts`, ''))
}

export function canLoadProfiles(): boolean {
  return ['/sbin/apparmor_parser', '/usr/sbin/apparmor_parser'].some((path) => existsSync(path))
}

export function readProfiles(): Set<string> {
  return parseProfiles(readOr('/sys/kernel/security/apparmor/profiles', ''))
}

function readOr(path: string, otherwise: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    // Not there, or not for us: the same as not being there.
    return otherwise
  }
}
