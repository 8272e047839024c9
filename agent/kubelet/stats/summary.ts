/** Upstream's Summary API (k8s.io/kubelet/pkg/apis/stats/v1alpha1): what `/stats/summary` answers, from what was measured. Pure. */
import type { PressureStall, SwapUsage } from '#base/cgroup-usage.ts'
import { time } from '../time.ts'

export interface CpuSample { atMs: number; coreNanoSeconds: number; /** Undefined: there was no earlier sample to compare with. */ nanoCores: number | undefined; pressure?: PressureStall }
export interface MemorySample { atMs: number; usageBytes: number; workingSetBytes: number; rssBytes: number; availableBytes?: number; pageFaults?: number; majorPageFaults?: number; pressure?: PressureStall }
/** What uses a machine's processors and memory. `swap`: undefined where nothing counts it. */
export interface UsageSample { cpu: CpuSample; memory: MemorySample; swap?: SwapUsage; ioPressure?: PressureStall }
export interface FsSample { atMs: number; capacityBytes: number; availableBytes: number; usedBytes: number; inodes: number; inodesFree: number; inodesUsed: number }
export interface InterfaceSample { name: string; rxBytes: number; rxErrors: number; txBytes: number; txErrors: number }

export interface ContainerSample extends UsageSample {
  name: string
  startedAtMs: number
  rootfsUsedBytes: number
  /** Undefined: the runtime does not tell. */
  rootfsInodesUsed?: number
  logsUsedBytes: number
  logsInodesUsed?: number
  /** Tasks. */
  pids: number
  /** Undefined: the runtime does not tell. */
  processes?: number
  image: string
  id: string
}
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
export interface PodSample {
  name: string
  namespace: string
  uid: string
  startedAtMs: number
  containers: readonly ContainerSample[]
  volumes: readonly VolumeSample[]
  /** Of its own cgroup, with what has ended; undefined: it is the sum of its containers. */
  own?: UsageSample & { /** Of its cgroup. */ path: string }
  /** Of its network; undefined: it is the node's, or nothing is told. */
  interfaces?: readonly InterfaceSample[]
}
/** Parts of the machine that upstream tells of: `kubelet`, `pods`. */
export interface SystemSample extends UsageSample { name: string; startedAtMs: number }
export interface NodeSample extends UsageSample {
  name: string
  bootedAtMs: number
  systemContainers: readonly SystemSample[]
  fs: FsSample
  /** Undefined: as `fs`. */
  imageFs: FsSample
  imagesUsedBytes: number
  /** Undefined: the runtime does not count them. */
  imagesInodesUsed?: number
  interfaces: readonly InterfaceSample[]
  pids: number
  pidsMax: number
}

export function summaryOf(node: NodeSample, pods: readonly PodSample[], onlyCpuAndMemory = false): object {
  const { fs, imageFs, interfaces } = node
  return {
    node: {
      nodeName: node.name,
      ...(node.systemContainers.length > 0 && { systemContainers: node.systemContainers.map((s) => ({ name: s.name, startTime: time(s.startedAtMs), ...usage(s, onlyCpuAndMemory) })) }),
      startTime: time(node.bootedAtMs),
      ...usage(node, onlyCpuAndMemory),
      ...(!onlyCpuAndMemory && {
        ...network(interfaces, node.cpu.atMs),
        fs: fsStats(fs, fs.usedBytes),
        runtime: { imageFs: fsStats(imageFs, node.imagesUsedBytes, node.imagesInodesUsed), containerFs: fsStats(imageFs, pods.reduce((sum, p) => sum + p.containers.reduce((of, c) => of + c.rootfsUsedBytes, 0), 0)) },
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
      name: c.name, startTime: time(c.startedAtMs), ...usage(c, onlyCpuAndMemory),
      ...(!onlyCpuAndMemory && { rootfs: fsStats(imageFs, c.rootfsUsedBytes, c.rootfsInodesUsed), logs: fsStats(fs, c.logsUsedBytes, c.logsInodesUsed) }),
    })),
    ...(total && usage(total, onlyCpuAndMemory)),
    ...(!onlyCpuAndMemory && {
      ...network(pod.interfaces ?? [], total?.cpu.atMs ?? fs.atMs),
      ...(pod.volumes.length > 0 && { volume: pod.volumes.map((v) => ({ ...fsStats(v.fs ?? fs, v.usedBytes, v.inodesUsed), name: v.name, ...(v.claim !== undefined && { pvcRef: { name: v.claim, namespace: pod.namespace } }) })) }),
      'ephemeral-storage': fsStats(fs, ephemeralBytes(pod), ephemeralInodes(pod)),
      process_stats: { process_count: pod.containers.reduce((sum, c) => sum + processesOf(c), 0) },
    }),
  }
}

/** Its tasks where nobody tells of processes. */
export const processesOf = ({ processes, pids }: ContainerSample): number => processes ?? pids

/** What counts against limits of ephemeral storage: writable layers, logs, and volumes on the node's disk. */
export function ephemeralBytes(pod: PodSample): number {
  return pod.containers.reduce((sum, c) => sum + c.rootfsUsedBytes + c.logsUsedBytes, 0) + pod.volumes.reduce((sum, v) => sum + (v.isEphemeral ? v.usedBytes : 0), 0)
}

export function ephemeralInodes(pod: PodSample): number {
  return pod.containers.reduce((sum, c) => sum + (c.rootfsInodesUsed ?? 0) + (c.logsInodesUsed ?? 0), 0) + pod.volumes.reduce((sum, v) => sum + (v.isEphemeral ? v.inodesUsed : 0), 0)
}

/** Of its cgroup, or of all its containers; undefined: none runs. */
export function podTotals({ containers, own }: PodSample): UsageSample | undefined {
  if (own || containers.length === 0) return own
  const sum = (of: (c: ContainerSample) => number) => containers.reduce((total, c) => total + of(c), 0)
  return {
    cpu: { atMs: Math.max(...containers.map((c) => c.cpu.atMs)), coreNanoSeconds: sum((c) => c.cpu.coreNanoSeconds), nanoCores: containers.some((c) => c.cpu.nanoCores !== undefined) ? sum((c) => c.cpu.nanoCores ?? 0) : undefined },
    memory: { atMs: Math.max(...containers.map((c) => c.memory.atMs)), usageBytes: sum((c) => c.memory.usageBytes), workingSetBytes: sum((c) => c.memory.workingSetBytes), rssBytes: sum((c) => c.memory.rssBytes), ...sumIfTold(containers, 'pageFaults', (c) => c.memory.pageFaults), ...sumIfTold(containers, 'majorPageFaults', (c) => c.memory.majorPageFaults) },
    ...(containers.some((c) => c.swap) && { swap: { usageBytes: sum((c) => c.swap?.usageBytes ?? 0), ...sumIfTold(containers, 'availableBytes', (c) => c.swap?.availableBytes) } }),
  }
}

/** Nothing if nothing is told of any; what is without a limit adds nothing, as upstream's. */
function sumIfTold<K extends string>(containers: readonly ContainerSample[], name: K, of: (c: ContainerSample) => number | undefined): { [key in K]?: number } {
  const told = containers.map(of).filter((value) => value !== undefined)
  return told.length === 0 ? {} : { [name]: told.reduce((sum, value) => sum + value, 0) } as { [key in K]: number }
}

function usage({ cpu, memory, swap, ioPressure }: UsageSample, onlyCpuAndMemory: boolean): object {
  return {
    cpu: cpuStats(cpu), memory: memoryStats(memory),
    ...(ioPressure && !onlyCpuAndMemory && { io: { time: time(memory.atMs), psi: ioPressure } }),
    ...(swap && { swap: { time: time(memory.atMs), ...(swap.availableBytes !== undefined && { swapAvailableBytes: swap.availableBytes }), swapUsageBytes: swap.usageBytes } }),
  }
}

function network(interfaces: readonly InterfaceSample[], atMs: number): object {
  const [first] = interfaces
  return first ? { network: { time: time(atMs), ...interfaceStats(first), interfaces: interfaces.map(interfaceStats) } } : {}
}

function cpuStats(c: CpuSample): object {
  return { time: time(c.atMs), ...(c.nanoCores !== undefined && { usageNanoCores: c.nanoCores }), usageCoreNanoSeconds: c.coreNanoSeconds, ...(c.pressure && { psi: c.pressure }) }
}

function memoryStats(m: MemorySample): object {
  return {
    time: time(m.atMs), ...(m.availableBytes !== undefined && { availableBytes: m.availableBytes }), usageBytes: m.usageBytes, workingSetBytes: m.workingSetBytes, rssBytes: m.rssBytes,
    ...(m.pageFaults !== undefined && { pageFaults: m.pageFaults }), ...(m.majorPageFaults !== undefined && { majorPageFaults: m.majorPageFaults }), ...(m.pressure && { psi: m.pressure }),
  }
}

/** `inodesUsed`: the file system's own count where the user's is not told. */
function fsStats(fs: FsSample, usedBytes: number, inodesUsed = fs.inodesUsed): object {
  return { time: time(fs.atMs), availableBytes: fs.availableBytes, capacityBytes: fs.capacityBytes, usedBytes, inodesFree: fs.inodesFree, inodes: fs.inodes, inodesUsed }
}

const interfaceStats = ({ name, rxBytes, rxErrors, txBytes, txErrors }: InterfaceSample): object => ({ name, rxBytes, rxErrors, txBytes, txErrors })
