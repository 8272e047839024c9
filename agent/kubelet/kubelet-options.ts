/** What a kubelet is made of and with. */
import type { Client, Informers } from '#api/client/client.ts'
import type { Connectivity } from '#api/client/connectivity.ts'
import type { EventRecorder } from '#api/client/event-recorder.ts'
import type { Clock } from '#base/clock.ts'
import type { Log } from '#base/log.ts'
import type { Random } from '#base/random.ts'
import type { ContainerRuntime } from '#cri/index.ts'
import type { PodCgroups } from './cgroups/pod-cgroups.ts'
import type { CgroupLayout } from './cgroups/layout.ts'
import type { KubeletConfig } from './config.ts'
import type { HostFacts, HostPressure } from './node/host-facts.ts'
import type { KernelLog } from './node/kernel-log.ts'
import type { Mounter } from './volumes/mounter.ts'

export interface KubeletOptions {
  nodeName: string
  client: Client
  /** Not started yet: the kubelet adds its own, the caller starts them all. */
  informers: Informers
  runtime: ContainerRuntime
  /** `<data-dir>/agent`: what nobody else reads. */
  dataDir: string
  /** Upstream's `--root-dir`: pods' files, sockets of plugins, seccomp profiles. Absolute. */
  rootDir: string
  config: KubeletConfig
  clock: Clock
  random: Random
  log: Log
  events: EventRecorder
  hostFacts: HostFacts
  /** Where the kubelet API is reached now; 0: nowhere. Default: the configured port. */
  servedPort?: () => number
  /** Shared with all who wait for the server. */
  connectivity?: Connectivity
  /** Where /sys and /run of the board are looked for; default `/`. */
  boardRoot?: string
  /** Default: /dev/kmsg. */
  kernelLog?: KernelLog
  /** Default: read from this machine. */
  hostPressure?: () => Promise<HostPressure>
  /** Default: mount(8). Tests without the right to mount hand in a memory one. */
  mounter?: Mounter
  /** Default: this machine's tree. */
  cgroups?: PodCgroups
  cgroupLayout?: CgroupLayout
}
