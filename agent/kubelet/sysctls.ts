/** Which kernel settings a pod may have on this node: upstream's pkg/kubelet/sysctl. Pure. */
import type { Pod } from '#api/types/index.ts'

/** As messages name them. */
type Kernel = 'IPC' | 'Net'

/** Isolated between pods, and without harm to the node. */
const SAFE: ReadonlyMap<string, Kernel> = new Map<string, Kernel>([
  ['kernel.shm_rmid_forced', 'IPC'],
  ...['ip_local_port_range', 'tcp_syncookies', 'ping_group_range', 'ip_unprivileged_port_start', 'ip_local_reserved_ports', 'tcp_keepalive_time', 'tcp_fin_timeout', 'tcp_keepalive_intvl', 'tcp_keepalive_probes', 'tcp_rmem', 'tcp_wmem']
    .map((name): [string, Kernel] => [`net.ipv4.${name}`, 'Net']),
])
/** What the kernel keeps apart; an allowed name must be among it. */
const NAMESPACED: readonly [pattern: RegExp, kernel: Kernel][] = [[/^kernel\.(?:sem$|shm|msg)/, 'IPC'], [/^fs\.mqueue\./, 'IPC'], [/^net\./, 'Net']]

/** Undefined: all may be set. `allowed`: names, or beginnings that end in `*`, which whoever runs the node lets pods set, too. */
export function forbiddenSysctl(pod: Pod, allowed: readonly string[]): string | undefined {
  const { hostNetwork = false, hostIPC = false, securityContext } = pod.spec ?? {}
  for (const { name } of securityContext?.sysctls ?? []) {
    const dotted = dottedSysctl(name)
    const kernel = SAFE.get(dotted) ?? (allowed.some((pattern) => matches(dottedSysctl(pattern), dotted)) ? kernelOf(dotted) : undefined)
    if (kernel === undefined) return `${JSON.stringify(dotted)} not allowlisted`
    if (kernel === 'Net' ? hostNetwork : hostIPC) return `${JSON.stringify(dotted)} not allowed with host ${kernel} enabled`
  }
  return undefined
}

/** `net/ipv4/conf/eth0.1/x` and `net.ipv4.conf.eth0/1.x` are the same: the first of the two separators is what parts names. */
export function dottedSysctl(name: string): string {
  const first = /[./]/.exec(name)?.[0]
  return first === '/' ? name.replaceAll(/[./]/g, (c) => (c === '/' ? '.' : '/')) : name
}

function kernelOf(name: string): Kernel | undefined {
  return NAMESPACED.find(([pattern]) => pattern.test(name))?.[1]
}

function matches(pattern: string, name: string): boolean {
  return pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern
}
