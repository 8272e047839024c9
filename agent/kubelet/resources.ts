/** From requests and limits to cgroup figures, as upstream computes them. Pure. */
import type { Container, Pod } from '#api/types/index.ts'
import { podLimits, podQosClass, podRequests } from '#api/types/pods.ts'
import { quantityMilli, quantityValue } from '#api/types/quantity.ts'
import type { LinuxResources } from '#cri/index.ts'
import { isCritical } from './critical.ts'

export const CPU_PERIOD_US = 100_000
const SHARES_MIN = 2
const SHARES_MAX = 262_144
const QUOTA_US_MIN = 1_000

export function cpuShares(milli: number): number {
  return milli === 0 ? SHARES_MIN : Math.min(SHARES_MAX, Math.max(SHARES_MIN, Math.floor((milli * 1024) / 1000)))
}

export function cpuQuota(milli: number, periodUs = CPU_PERIOD_US): number {
  return Math.max(QUOTA_US_MIN, Math.floor((milli * periodUs) / 1000))
}

/** What of the machine and of its settings containers' limits are made with. */
export interface NodeResources {
  memoryBytes: number
  /** Swap that containers may have their part of; default none. */
  podSwapBytes?: number
  /** The kernel ends one process of a container that has too much, not all. */
  singleProcessOomKill?: boolean
  /** In which a CPU limit is counted; 0: limits of CPU are not held. */
  cpuPeriodUs?: number
}

export function containerResources(pod: Pod, container: Container, machine: NodeResources): LinuxResources {
  const { requests = {}, limits = {} } = container.resources ?? {}
  // Pod-level limits bound each container that has none (KEP-2837).
  const bound = pod.spec?.resources?.limits
  const { cpuPeriodUs = CPU_PERIOD_US } = machine
  const requestMilli = quantityMilli(requests.cpu ?? limits.cpu)
  const limitMilli = quantityMilli(limits.cpu ?? bound?.cpu)
  const memory = quantityValue(limits.memory ?? bound?.memory)
  const hugepages = Object.entries({ ...bound, ...limits }).filter(([name]) => name.startsWith('hugepages-')).map(([name, value]) => [hugepageSize(name), quantityValue(value)])
  return {
    cpuShares: cpuShares(requestMilli),
    ...(limitMilli > 0 && cpuPeriodUs > 0 && { cpuQuota: cpuQuota(limitMilli, cpuPeriodUs), cpuPeriod: cpuPeriodUs }),
    ...(memory > 0 && { memoryLimitBytes: memory }),
    ...(hugepages.length > 0 && { hugepageLimits: Object.fromEntries(hugepages) as Record<string, number> }),
    oomScoreAdj: oomScoreAdj(pod, container, machine.memoryBytes),
    // Where the kernel has it (version 2), a container is killed whole: no half of it lives on unseen.
    unified: { ...(!machine.singleProcessOomKill && { 'memory.oom.group': '1' }), ...protectionFile(podQosClass(pod), quantityValue(requests.memory ?? limits.memory)), ...swapFile(pod, container, machine) },
  }
}

/** `hugepages-2Mi` -> `2MB`, as the hugetlb controller names its files. */
function hugepageSize(name: string): string {
  return name.slice('hugepages-'.length).replace(/([KMG])i$/, '$1B')
}

/** Whom the kernel kills first (upstream's pkg/kubelet/qos/policy.go). */
export function oomScoreAdj(pod: Pod, container: Container, capacityBytes: number): number {
  if (pod.spec?.priorityClassName === 'system-node-critical') return -997
  const qos = podQosClass(pod)
  if (qos === 'Guaranteed') return -997
  if (qos === 'BestEffort') return 1000
  if (capacityBytes <= 0) return 999
  const more = sharedRequestBytes(pod)
  const score = (c: Container) => burstableScore(quantityValue(c.resources?.requests?.memory) + more, capacityBytes)
  const own = score(container)
  // A sidecar outlives app containers, so it is not killed before them (KEP-753).
  if (container.restartPolicy !== 'Always') return own
  return Math.min(own, ...(pod.spec?.containers ?? []).map(score))
}

/** What the pod asked for beyond its containers (KEP-2837) is theirs in equal parts. */
function sharedRequestBytes(pod: Pod): number {
  const { resources, ...spec } = pod.spec ?? { containers: [] }
  const asked = quantityValue(resources?.requests?.memory)
  if (asked === 0) return 0
  const containers = (spec.containers ?? []).length + (spec.initContainers ?? []).filter((c) => c.restartPolicy === 'Always').length
  return Math.max(0, Math.floor((asked - quantityValue(podRequests({ ...pod, spec }, { withoutOverhead: true }).memory)) / Math.max(1, containers)))
}

function burstableScore(requestBytes: number, capacityBytes: number): number {
  const score = 1000 - Math.floor((1000 * requestBytes) / capacityBytes)
  return Math.min(999, Math.max(3, score))
}

/** What was asked for is not taken back under pressure: never from guaranteed pods, from burstable ones only when there is nothing else (KEP-2570). */
function protectionFile(qos: string, requestBytes: number): Record<string, string> {
  if (requestBytes === 0 || qos === 'BestEffort') return {}
  return { [qos === 'Guaranteed' ? 'memory.min' : 'memory.low']: String(requestBytes) }
}

/** Of the machine's swap as much as of its memory, for containers of burstable pods that ask for memory and may have more (KEP-2400, LimitedSwap). */
function swapFile(pod: Pod, { resources }: Container, { memoryBytes, podSwapBytes = 0 }: NodeResources): Record<string, string> {
  const requested = quantityValue(resources?.requests?.memory)
  if (podSwapBytes === 0 || podQosClass(pod) !== 'Burstable' || requested === quantityValue(resources?.limits?.memory) || isCritical(pod)) return {}
  return { 'memory.swap.max': String(Math.floor((requested / memoryBytes) * podSwapBytes)) }
}

export interface PodCgroupLimits {
  cpuShares: number
  cpuQuota?: number
  memoryLimitBytes?: number
  /** Version 2 only: what the kernel leaves to it, at any price or while others have more. */
  memoryMinBytes?: number
  memoryLowBytes?: number
}

/** The pod's own cgroup: a limit only where every container has one (upstream's ResourceConfigForPod). `cpuPeriodUs`: as of containers. */
export function podCgroupLimits(pod: Pod, cpuPeriodUs = CPU_PERIOD_US): PodCgroupLimits {
  const requests = podRequests(pod)
  const limits = podLimits(pod)
  const containers = [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])]
  const all = (name: string) => pod.spec?.resources?.limits?.[name] !== undefined || containers.every((c) => c.resources?.limits?.[name] !== undefined)
  const qos = podQosClass(pod)
  const cpu = quantityMilli(limits.cpu)
  const memory = quantityValue(limits.memory)
  const asked = quantityValue(requests.memory)
  return {
    cpuShares: qos === 'BestEffort' ? SHARES_MIN : cpuShares(quantityMilli(requests.cpu)),
    ...(qos !== 'BestEffort' && all('cpu') && cpu > 0 && cpuPeriodUs > 0 && { cpuQuota: cpuQuota(cpu, cpuPeriodUs) }),
    ...(qos !== 'BestEffort' && all('memory') && memory > 0 && { memoryLimitBytes: memory }),
    ...(qos !== 'BestEffort' && asked > 0 && { [qos === 'Guaranteed' ? 'memoryMinBytes' : 'memoryLowBytes']: asked }),
  }
}

/** Below the root prefix: `/kubepods/burstable/pod<uid>`; Guaranteed pods stand directly under `/kubepods`. */
export function podCgroupPath(root: string, pod: Pod): string {
  const qos = podQosClass(pod)
  return `${root}/kubepods${qos === 'Guaranteed' ? '' : `/${qos.toLowerCase()}`}/pod${pod.metadata?.uid ?? ''}`
}
