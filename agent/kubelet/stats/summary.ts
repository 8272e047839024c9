/** Upstream's Summary API (k8s.io/kubelet/pkg/apis/stats/v1alpha1): what `/stats/summary` answers, from what was measured. Pure. */
import { time } from '../time.ts'

export interface CpuSample { atMs: number; coreNanoSeconds: number; /** Undefined: there was no earlier sample to compare with. */ nanoCores: number | undefined }
export interface MemorySample { atMs: number; usageBytes: number; workingSetBytes: number; rssBytes: number; availableBytes?: number }
export interface FsSample { atMs: number; capacityBytes: number; availableBytes: number; usedBytes: number; inodes: number; inodesFree: number; inodesUsed: number }
export interface InterfaceSample { name: string; rxBytes: number; rxErrors: number; txBytes: number; txErrors: number }

export interface ContainerSample { name: string; startedAtMs: number; cpu: CpuSample; memory: MemorySample; rootfsUsedBytes: number; logsUsedBytes: number; pids: number; image: string; id: string }
export interface VolumeSample {
  name: string
  usedBytes: number
  inodesUsed: number
  /** Counts as the pod's ephemeral storage. */
  isEphemeral: boolean
  /** Its own file system; default: the node's. */
  fs?: FsSample
  /** The claim that it is of, in the pod's namespace. */
  claim?: string
}
export interface PodSample { name: string; namespace: string; uid: string; startedAtMs: number; containers: readonly ContainerSample[]; volumes: readonly VolumeSample[] }
export interface NodeSample {
  name: string
  bootedAtMs: number
  cpu: CpuSample
  memory: MemorySample
  fs: FsSample
  /** Undefined: as `fs`. */
  imageFs: FsSample
  imagesUsedBytes: number
  interfaces: readonly InterfaceSample[]
  pids: number
  pidsMax: number
}

export function summaryOf(node: NodeSample, pods: readonly PodSample[], onlyCpuAndMemory = false): object {
  const { fs, imageFs, interfaces } = node
  const [first] = interfaces
  return {
    node: {
      nodeName: node.name,
      startTime: time(node.bootedAtMs),
      cpu: cpu(node.cpu),
      memory: memory(node.memory),
      ...(!onlyCpuAndMemory && {
        ...(first && { network: { time: time(node.cpu.atMs), ...interfaceStats(first), interfaces: interfaces.map(interfaceStats) } }),
        fs: fsStats(fs, fs.usedBytes),
        runtime: { imageFs: fsStats(imageFs, node.imagesUsedBytes), containerFs: fsStats(imageFs, pods.reduce((sum, p) => sum + p.containers.reduce((of, c) => of + c.rootfsUsedBytes, 0), 0)) },
        rlimit: { time: time(node.cpu.atMs), maxpid: node.pidsMax, curproc: node.pids },
      }),
    },
    pods: pods.map((pod) => podStats(pod, node, onlyCpuAndMemory)),
  }
}

function podStats(pod: PodSample, { fs, imageFs }: NodeSample, onlyCpuAndMemory: boolean): object {
  const total = podTotals(pod)
  return {
    podRef: { name: pod.name, namespace: pod.namespace, uid: pod.uid },
    startTime: time(pod.startedAtMs),
    containers: pod.containers.map((c) => ({
      name: c.name, startTime: time(c.startedAtMs), cpu: cpu(c.cpu), memory: memory(c.memory),
      ...(!onlyCpuAndMemory && { rootfs: fsStats(imageFs, c.rootfsUsedBytes), logs: fsStats(fs, c.logsUsedBytes) }),
    })),
    ...(total && { cpu: cpu(total.cpu), memory: memory(total.memory) }),
    ...(!onlyCpuAndMemory && {
      ...(pod.volumes.length > 0 && { volume: pod.volumes.map((v) => ({ ...fsStats(v.fs ?? fs, v.usedBytes), inodesUsed: v.inodesUsed, name: v.name, ...(v.claim !== undefined && { pvcRef: { name: v.claim, namespace: pod.namespace } }) })) }),
      'ephemeral-storage': fsStats(fs, ephemeralBytes(pod)),
      process_stats: { process_count: pod.containers.reduce((sum, c) => sum + c.pids, 0) },
    }),
  }
}

/** What counts against limits of ephemeral storage: writable layers, logs, and volumes on the node's disk. */
export function ephemeralBytes(pod: PodSample): number {
  return pod.containers.reduce((sum, c) => sum + c.rootfsUsedBytes + c.logsUsedBytes, 0) + pod.volumes.reduce((sum, v) => sum + (v.isEphemeral ? v.usedBytes : 0), 0)
}

/** Of all its containers; undefined: none runs. */
export function podTotals({ containers }: PodSample): { cpu: CpuSample; memory: MemorySample } | undefined {
  if (containers.length === 0) return undefined
  const sum = (of: (c: ContainerSample) => number) => containers.reduce((total, c) => total + of(c), 0)
  return {
    cpu: { atMs: Math.max(...containers.map((c) => c.cpu.atMs)), coreNanoSeconds: sum((c) => c.cpu.coreNanoSeconds), nanoCores: containers.some((c) => c.cpu.nanoCores !== undefined) ? sum((c) => c.cpu.nanoCores ?? 0) : undefined },
    memory: { atMs: Math.max(...containers.map((c) => c.memory.atMs)), usageBytes: sum((c) => c.memory.usageBytes), workingSetBytes: sum((c) => c.memory.workingSetBytes), rssBytes: sum((c) => c.memory.rssBytes) },
  }
}

function cpu(c: CpuSample): object {
  return { time: time(c.atMs), ...(c.nanoCores !== undefined && { usageNanoCores: c.nanoCores }), usageCoreNanoSeconds: c.coreNanoSeconds }
}

function memory(m: MemorySample): object {
  return { time: time(m.atMs), ...(m.availableBytes !== undefined && { availableBytes: m.availableBytes }), usageBytes: m.usageBytes, workingSetBytes: m.workingSetBytes, rssBytes: m.rssBytes }
}

function fsStats(fs: FsSample, usedBytes: number): object {
  return { time: time(fs.atMs), availableBytes: fs.availableBytes, capacityBytes: fs.capacityBytes, usedBytes, inodesFree: fs.inodesFree, inodes: fs.inodes, inodesUsed: fs.inodesUsed }
}

const interfaceStats = ({ name, rxBytes, rxErrors, txBytes, txErrors }: InterfaceSample): object => ({ name, rxBytes, rxErrors, txBytes, txErrors })
