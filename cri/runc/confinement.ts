/** Carries out what lsm.ts decides: the default AppArmor profile is loaded, volumes of a pod are given its SELinux label. */
import { CodedError, asError } from '#base/errors.ts'
import type { Clock } from '#base/clock.ts'
import type { ContainerConfig } from '../runtime.ts'
import { appArmorProfile, canLoadProfiles, DEFAULT_PROFILE, isAppArmorEnabled, isSelinuxEnabled, readContexts, readProfiles, selinuxLabels, type SelinuxLabels } from '../lsm.ts'
import { mustRun, type CommandOptions } from './run-command.ts'

export interface Confinement { appArmor?: string; selinux?: SelinuxLabels }

/** Looks at the kernel for each container: profiles come and go. */
export async function confine(config: ContainerConfig, sandboxId: string, clock: Clock): Promise<Confinement> {
  const { security } = config.linux
  const appArmor = appArmorProfile(security, isAppArmorEnabled() ? { profiles: readProfiles(), canLoad: canLoadProfiles() } : undefined)
  if (appArmor === DEFAULT_PROFILE) await loadDefaultProfile(clock)
  if (!isSelinuxEnabled()) return { ...(appArmor !== undefined && { appArmor }) }
  const selinux = selinuxLabels(security.selinux, { privileged: security.privileged, sandboxId, contexts: readContexts() })
  const paths = config.mounts.filter((m) => m.selinuxRelabel).map((m) => m.hostPath)
  if (paths.length > 0) await run(['chcon', '-R', '--', selinux.mount, ...paths], `volumes cannot be labelled ${selinux.mount}`, { clock })
  return { ...(appArmor !== undefined && { appArmor }), selinux }
}

async function loadDefaultProfile(clock: Clock): Promise<void> {
  if (readProfiles().has(DEFAULT_PROFILE)) return
  // Without a name it reads its input. /dev/stdin is none it could open: Node's pipes are sockets.
  await run(['apparmor_parser', '-Kr'], `the AppArmor profile ${DEFAULT_PROFILE} cannot be loaded (apparmor_parser is of the package apparmor)`, { clock, input: DEFAULT_RULES })
}

async function run(argv: readonly string[], problem: string, options: CommandOptions): Promise<void> {
  try {
    await mustRun(argv, options)
  } catch (error) {
    throw new CodedError('CRI_FAILED', `${problem}: ${asError(error).message}`, { cause: error })
  }
}

/**
 * What containers' default profiles have in common: all but the kernel's own switches, mounts and other programs' memory. Since AppArmor 4.0
 * runc and crun may have profiles of their own (Ubuntu's have), from which containers have to take signals, too (containerd's pull request 10123).
 */
const DEFAULT_RULES = `#include <tunables/global>
profile ${DEFAULT_PROFILE} flags=(attach_disconnected,mediate_deleted) {
  #include <abstractions/base>
  network,
  capability,
  file,
  umount,
  signal (receive) peer=unconfined,
  signal (receive) peer=runc,
  signal (receive) peer=crun,
  signal (send,receive) peer=${DEFAULT_PROFILE},
  deny @{PROC}/* w,
  deny @{PROC}/{[^1-9],[^1-9][^0-9],[^1-9s][^0-9y][^0-9s],[^1-9][^0-9][^0-9][^0-9]*}/** w,
  deny @{PROC}/sys/[^k]** w,
  deny @{PROC}/sys/kernel/{?,??,[^s][^h][^m]**} w,
  deny @{PROC}/sysrq-trigger rwklx,
  deny @{PROC}/mem rwklx,
  deny @{PROC}/kmem rwklx,
  deny @{PROC}/kcore rwklx,
  deny mount,
  deny /sys/[^f]*/** wklx,
  deny /sys/f[^s]*/** wklx,
  deny /sys/fs/[^c]*/** wklx,
  deny /sys/fs/c[^g]*/** wklx,
  deny /sys/fs/cg[^r]*/** wklx,
  deny /sys/firmware/** rwklx,
  deny /sys/kernel/security/** rwklx,
  ptrace (trace,read,tracedby,readby) peer=${DEFAULT_PROFILE},
}
`
