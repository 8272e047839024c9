/** What `skiff check` looked at: plain facts, so that judging them is pure. */
import type { KernelSetting } from '#agent/kubelet/node/kernel-settings.ts'
import type { Sign } from '#agent/kubelet/node/board/signs.ts'

export interface MachineView {
  isRoot: boolean
  ociRuntime: 'runc' | 'crun'
  runtimeHandlers: ReadonlyMap<string, string>
  /** Path of each program that was looked for; undefined when it is not there. */
  programs: Readonly<Record<string, string | undefined>>
  /** `undefined`: no cgroup file system is mounted. */
  cgroups: { version: 1 | 2; hybrid: boolean; controllers: readonly string[] } | undefined
  /** Tried for real; the text is what went wrong, undefined: it works. */
  probes: Readonly<Record<'namespaces' | 'overlayfs' | 'bridge' | 'veth' | 'vxlan' | 'nftables', string | undefined>>
  nowMs: number
  hasBatteryClock: boolean
  dataDir: { path: string; /** The nearest directory that exists. */ existing: string; problem: string | undefined; freeBytes: number; freeInodes: number; /** `mmcblk0p2`; undefined: it is on no SD card or eMMC. */ card: string | undefined }
  flashProfile: 'normal' | 'gentle'
  memoryBytes: number
  /** Settings of the kernel that are not as a node wants them. */
  kernelSettings: { differing: readonly KernelSetting[]; /** It would set them at its start. */ canBeSet: boolean; areProtected: boolean }
  inotify: { instances: number; watches: number }
  /** What the board tells of itself. */
  signs: readonly Sign[]
}

export interface Finding {
  level: 'ok' | 'warn' | 'missing'
  what: string
  /** What was found, and for the other levels the mend. */
  says: string
}
