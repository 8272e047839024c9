/** Linux capabilities of a container: upstream's defaults, what is added and dropped, and never more than we have. */
import { readFileSync } from 'node:fs'
import { CodedError } from '#base/errors.ts'
import type { SecurityContext } from '../runtime.ts'

/** linux/capability.h, by number. */
const NAMES = [
  'CHOWN', 'DAC_OVERRIDE', 'DAC_READ_SEARCH', 'FOWNER', 'FSETID', 'KILL', 'SETGID', 'SETUID', 'SETPCAP', 'LINUX_IMMUTABLE', 'NET_BIND_SERVICE', 'NET_BROADCAST', 'NET_ADMIN', 'NET_RAW', 'IPC_LOCK',
  'IPC_OWNER', 'SYS_MODULE', 'SYS_RAWIO', 'SYS_CHROOT', 'SYS_PTRACE', 'SYS_PACCT', 'SYS_ADMIN', 'SYS_BOOT', 'SYS_NICE', 'SYS_RESOURCE', 'SYS_TIME', 'SYS_TTY_CONFIG', 'MKNOD', 'LEASE', 'AUDIT_WRITE',
  'AUDIT_CONTROL', 'SETFCAP', 'MAC_OVERRIDE', 'MAC_ADMIN', 'SYSLOG', 'WAKE_ALARM', 'BLOCK_SUSPEND', 'AUDIT_READ', 'PERFMON', 'BPF', 'CHECKPOINT_RESTORE',
]

/** containerd's (and docker's) default set. */
const DEFAULTS = ['CHOWN', 'DAC_OVERRIDE', 'FSETID', 'FOWNER', 'MKNOD', 'NET_RAW', 'SETGID', 'SETUID', 'SETFCAP', 'SETPCAP', 'NET_BIND_SERVICE', 'SYS_CHROOT', 'KILL', 'AUDIT_WRITE']

/** `own`: what this process may hand on. Returns `CAP_...` names. */
export function containerCapabilities(security: Pick<SecurityContext, 'privileged' | 'addCapabilities' | 'dropCapabilities'>, own: readonly string[]): string[] {
  const have = new Set(own)
  if (security.privileged) return own.map((name) => `CAP_${name}`)
  const add = security.addCapabilities.map(normalize)
  const drop = security.dropCapabilities.map(normalize)
  // Upstream's order: ALL first, then the single names, so that `drop: [ALL], add: [X]` leaves X.
  let set = new Set(add.includes('ALL') ? NAMES : DEFAULTS)
  if (drop.includes('ALL')) set = new Set()
  for (const name of add) if (name !== 'ALL') set.add(known(name))
  for (const name of drop) if (name !== 'ALL') set.delete(known(name))
  return NAMES.filter((name) => set.has(name) && have.has(name)).map((name) => `CAP_${name}`)
}

/** From /proc/self/status: what we are permitted. */
export function ownCapabilities(status = readFileSync('/proc/self/status', 'utf8')): string[] {
  const mask = BigInt(`0x${/^CapPrm:\s*([0-9a-f]+)$/m.exec(status)?.[1] ?? '0'}`)
  return NAMES.filter((_, bit) => (mask >> BigInt(bit)) & 1n)
}

function normalize(name: string): string {
  return name.toUpperCase().replace(/^CAP_/, '')
}

function known(name: string): string {
  if (NAMES.includes(name)) return name
  throw new CodedError('CRI_INVALID', `unknown capability "CAP_${name}"`)
}
