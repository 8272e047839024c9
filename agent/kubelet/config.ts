/** What the agent is told at start; frozen. */
import type { Taint } from '#api/types/index.ts'
import type { BoardRule } from './devices/board-rules.ts'
import type { CredentialProviderSettings } from './credential-providers/settings.ts'
import { CPU_PERIOD_US } from './resources.ts'
import { BACKOFF_MAX_SECONDS } from './restart.ts'
import type { VerificationPolicy } from './image-access/access.ts'
import type { ShutdownPeriod } from './shutdown/periods.ts'
import { RANGE_UNIT } from './user-ranges.ts'

export interface KubeletConfig {
  /** Empty: pods get the node's resolv.conf only. */
  clusterDns: readonly string[]
  clusterDomain: string
  nodeIp: string
  nodeLabels: Readonly<Record<string, string>>
  nodeTaints: readonly Taint[]
  maxPods: number
  /** No more than so many for each processor either; 0: however many. */
  podsPerCore: number
  /** Above `/kubepods`: '' or e.g. `/skiff-lab/h1` where several agents share a machine. */
  cgroupRoot: string
  /** Kept from pods: capacity minus these is allocatable. Resources as pods name them, and `pid`. */
  systemReserved: Readonly<Record<string, string>>
  kubeReserved: Readonly<Record<string, string>>
  /** All pods together are held to what is not reserved, by the kernel (upstream's enforceNodeAllocatable: pods). */
  enforcePods: boolean
  /** Of this program itself, -1000 to 1000: what the kernel spares longest when memory runs out. Applied by whoever starts it. */
  oomScoreAdj: number
  /** Settings of the kernel that are not as wanted keep the agent from starting, in place of being put right. Applied by whoever starts it. */
  protectKernelDefaults: boolean
  /** Whether containers may swap (upstream's memorySwap.swapBehavior): not at all, or their part where they ask for memory. */
  memorySwapBehavior: 'NoSwap' | 'LimitedSwap'
  /** On cgroup version 2: memory that runs out in a container ends one of its processes, not all. */
  singleProcessOomKill: boolean
  /** In which CPU limits are counted (upstream's cpuCFSQuotaPeriod); 0: they are not held (cpuCFSQuota: false). */
  cpuPeriodUs: number
  /** Users that a pod with users of its own has (upstream's userNamespaces.idsPerPod). */
  usersPerPod: number
  /** Images that the node tells of, the largest first; -1: all. */
  statusImagesMax: number
  /** How often the node's conditions are looked at, which costs a few reads of /proc; and told where they are as they were (upstream's nodeStatusUpdateFrequency, nodeStatusReportFrequency). */
  statusLookMs: number
  statusReportMs: number
  /** Otherwise somebody else makes the Node. */
  registersNode: boolean
  /** What the machine is called where it comes from, told when the node registers; '': nothing. */
  providerId: string
  /** Default -1: no limit per pod. */
  podPidsLimit: number
  /** `/var/log/pods`. */
  podLogsDir: string
  /** The kubelet API's port as the node tells it; 0: it has none. */
  kubeletPort: number
  /** Of 127.0.0.1, where this machine may ask whether the agent is well; 0: nowhere. */
  healthzPort: number
  /** What the port is served with, and whose client certificates are believed there; '': the cluster's. */
  tlsCertFile: string
  tlsPrivateKeyFile: string
  clientCaFile: string
  /** What TLS it speaks, by upstream's names; no suites: all that are good. */
  tlsMinVersion: 'VersionTLS12' | 'VersionTLS13'
  tlsCipherSuites: readonly string[]
  /** `v1.36.0+skiff...`: nodeInfo.kubeletVersion. */
  version: string
  /** The file the node itself resolves by. */
  resolvConf: string
  /** Pulls at one time; the rest wait their turn. */
  maxParallelPulls: number
  /** A quantity: a log that has grown so large is rotated; less than nothing: never. */
  containerLogMaxSize: string
  /** With the present one; at least two. */
  containerLogMaxFiles: number
  /** How often their sizes are looked at. */
  containerLogMonitorMs: number
  /** Longest wait for the next attempt of a container that keeps failing. */
  restartSecondsMax: number
  /** Names, or beginnings that end in `*`. */
  allowedUnsafeSysctls: readonly string[]
  /** Containers that ask for no seccomp profile get the runtime's default one. */
  seccompDefault: boolean
  /** Directory of static pods' manifests; '': none. */
  staticPodPath: string
  /** Disk used by more than this: images that nobody uses are removed, down to the lower one. Upstream's 85 and 80. */
  imageGcHighPercent: number
  imageGcLowPercent: number
  /** An image that came less than this ago is not removed. */
  imageGcMinimumAgeMs: number
  /** One that nobody has used for so long is, however much room there is; 0: never. */
  imageGcMaximumAgeMs: number
  /** Whether pods show a registry their credentials again for images that are here (upstream's imagePullCredentialsVerificationPolicy). */
  imageVerification: VerificationPolicy
  /** Programs that tell credentials for registries (upstream's imageCredentialProviderConfig); undefined: none. */
  credentialProviders: CredentialProviderSettings | undefined
  /** Docker's config files with credentials for registries that all pods of this node may use, in the order in which they are looked for. */
  dockerConfigFiles: readonly string[]
  /** For NeverVerifyAllowlistedImages. */
  imageVerificationAllowlist: readonly string[]
  /** Upstream's words: signal to quantity or percentage, e.g. `memory.available` to `100Mi`. */
  evictionHard: Readonly<Record<string, string>>
  evictionSoft: Readonly<Record<string, string>>
  /** How long a soft threshold must be met, as Go's durations: `1m30s`. */
  evictionSoftGracePeriod: Readonly<Record<string, string>>
  /** What an eviction is to free beyond the threshold. */
  evictionMinimumReclaim: Readonly<Record<string, string>>
  /** Most grace a pod gets that is evicted by a soft threshold. */
  evictionMaxPodGraceSeconds: number
  /** So long a condition is still told after the pressure has gone. */
  evictionTransitionMs: number
  /** Time that pods get when the machine goes down, by priority; empty: no graceful shutdown. */
  shutdownPeriods: readonly ShutdownPeriod[]
  /** Devices that this agent offers without a plugin. */
  boardDevices: readonly BoardRule[]
}

export const KUBELET_DEFAULTS = {
  cpuPeriodUs: CPU_PERIOD_US, usersPerPod: RANGE_UNIT, statusImagesMax: 50, statusLookMs: 10_000, statusReportMs: 300_000, registersNode: true, providerId: '', tlsMinVersion: 'VersionTLS12', tlsCipherSuites: [],
  clusterDns: [], clusterDomain: 'cluster.local', nodeLabels: {}, nodeTaints: [], maxPods: 110, podsPerCore: 0, singleProcessOomKill: false, restartSecondsMax: BACKOFF_MAX_SECONDS, cgroupRoot: '', systemReserved: {}, kubeReserved: {}, enforcePods: true, podPidsLimit: -1, memorySwapBehavior: 'NoSwap', oomScoreAdj: -999, protectKernelDefaults: false, podLogsDir: '/var/log/pods',
  kubeletPort: 10250, healthzPort: 10248, tlsCertFile: '', tlsPrivateKeyFile: '', clientCaFile: '', version: 'v1.36.0+skiff', resolvConf: '/etc/resolv.conf', maxParallelPulls: 3, containerLogMaxSize: '10Mi', containerLogMaxFiles: 5, containerLogMonitorMs: 10_000, allowedUnsafeSysctls: [], seccompDefault: true,
  staticPodPath: '', imageGcHighPercent: 85, imageGcLowPercent: 80, imageGcMinimumAgeMs: 120_000, imageGcMaximumAgeMs: 0, imageVerification: 'NeverVerifyPreloadedImages', imageVerificationAllowlist: [], credentialProviders: undefined, dockerConfigFiles: [],
  evictionHard: { 'imagefs.available': '15%', 'imagefs.inodesFree': '5%', 'memory.available': '100Mi', 'nodefs.available': '10%', 'nodefs.inodesFree': '5%', 'pid.available': '5%' }, evictionSoft: {}, evictionSoftGracePeriod: {},
  evictionMinimumReclaim: {}, evictionMaxPodGraceSeconds: 0, evictionTransitionMs: 300_000, shutdownPeriods: [], boardDevices: [],
} as const satisfies Omit<KubeletConfig, 'nodeIp'>
