/** What the agent is told at start; frozen. */
import type { Taint } from '#api/types/index.ts'

export interface KubeletConfig {
  /** Empty: pods get the node's resolv.conf only. */
  clusterDns: readonly string[]
  clusterDomain: string
  nodeIp: string
  nodeLabels: Readonly<Record<string, string>>
  nodeTaints: readonly Taint[]
  maxPods: number
  /** Above `/kubepods`: '' or e.g. `/skiff-lab/h1` where several agents share a machine. */
  cgroupRoot: string
  /** Kept from pods: capacity minus this is allocatable. */
  systemReserved: Readonly<Record<string, string>>
  /** Default -1: no limit per pod. */
  podPidsLimit: number
  /** `/var/log/pods`. */
  podLogsDir: string
  /** The kubelet API's port as the node tells it; 0: it has none. */
  kubeletPort: number
  /** `v1.36.0+skiff...`: nodeInfo.kubeletVersion. */
  version: string
  /** The file the node itself resolves by. */
  resolvConf: string
  /** Pulls at one time; the rest wait their turn. */
  maxParallelPulls: number
  containerLogMaxBytes: number
  containerLogMaxFiles: number
  /** Names, or beginnings that end in `*`. */
  allowedUnsafeSysctls: readonly string[]
}

export const KUBELET_DEFAULTS = {
  clusterDns: [], clusterDomain: 'cluster.local', nodeLabels: {}, nodeTaints: [], maxPods: 110, cgroupRoot: '', systemReserved: {}, podPidsLimit: -1, podLogsDir: '/var/log/pods',
  kubeletPort: 10250, version: 'v1.36.0+skiff', resolvConf: '/etc/resolv.conf', maxParallelPulls: 3, containerLogMaxBytes: 10 * 1024 * 1024, containerLogMaxFiles: 5, allowedUnsafeSysctls: [],
} as const satisfies Omit<KubeletConfig, 'nodeIp'>
