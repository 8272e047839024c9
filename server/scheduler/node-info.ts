/**
 * What the rules may know of a node and of the pods placed on it. Plain data, built once per change and shared by
 * all decisions: rules never change it.
 */
import type { Node, Pod, Stored } from '#api/types/index.ts'
import { hostPortsOf, podRequests, type HostPort } from '#api/types/pods.ts'
import { quantityMilli, quantityValue } from '#api/types/quantity.ts'
import type { DeviceLookup } from './dynamic-resources/device-lookup.ts'
import type { VolumeLookup } from './volumes/volume-lookup.ts'

/** cpu in thousandths of a core, everything else in units (bytes, pieces). */
export interface Amounts { cpuMilli: number; memoryBytes: number; ephemeralBytes: number; /** Extended resources and hugepages. */ scalars: Readonly<Record<string, number>> }

export interface PodInfo {
  key: string
  pod: Stored<Pod>
  requests: Amounts
  /** As requests, with upstream's assumption for containers that ask for nothing: scores only. */
  assumedCpuMilli: number
  assumedMemoryBytes: number
  hostPorts: readonly HostPort[]
}

export interface NodeInfo {
  name: string
  node: Stored<Node>
  allocatable: Amounts & { pods: number }
  pods: readonly PodInfo[]
  requested: Amounts
  assumedCpuMilli: number
  assumedMemoryBytes: number
}

/** All nodes at one moment, in a stable order. */
export interface Snapshot {
  nodes: readonly NodeInfo[]
  /** Labels of namespaces, for namespaceSelector terms. */
  namespaceLabels: (namespace: string) => Readonly<Record<string, string>>
  /** Undefined: claims of volumes do not matter. */
  volumes?: VolumeLookup
  /** Undefined: claims of devices do not matter. */
  devices?: DeviceLookup
}

/** Upstream's `schedutil.DefaultMilliCPURequest` and `DefaultMemoryRequest`. */
const DEFAULT_CPU_MILLI = 100
const DEFAULT_MEMORY_BYTES = 200 * 1024 * 1024

const KNOWN = new Set(['cpu', 'memory', 'ephemeral-storage', 'pods'])

export function amountsOf(list: Readonly<Record<string, string>> | undefined): Amounts {
  const scalars: Record<string, number> = {}
  for (const [name, quantity] of Object.entries(list ?? {})) if (!KNOWN.has(name)) scalars[name] = quantityValue(quantity)
  return { cpuMilli: quantityMilli(list?.['cpu']), memoryBytes: quantityValue(list?.['memory']), ephemeralBytes: quantityValue(list?.['ephemeral-storage']), scalars }
}

export function podInfo(pod: Stored<Pod>): PodInfo {
  const requests = amountsOf(podRequests(pod, { withStatus: true }))
  let assumedCpuMilli = requests.cpuMilli
  let assumedMemoryBytes = requests.memoryBytes
  for (const container of pod.spec?.containers ?? []) {
    if (container.resources?.requests?.['cpu'] === undefined) assumedCpuMilli += DEFAULT_CPU_MILLI
    if (container.resources?.requests?.['memory'] === undefined) assumedMemoryBytes += DEFAULT_MEMORY_BYTES
  }
  return { key: `${pod.metadata.namespace ?? ''}/${pod.metadata.name}`, pod, requests, assumedCpuMilli, assumedMemoryBytes, hostPorts: hostPortsOf(pod) }
}

export function nodeInfo(node: Stored<Node>, pods: readonly PodInfo[]): NodeInfo {
  const allocatable = node.status?.allocatable ?? node.status?.capacity
  const scalars: Record<string, number> = {}
  const requested = { cpuMilli: 0, memoryBytes: 0, ephemeralBytes: 0, scalars }
  let assumedCpuMilli = 0
  let assumedMemoryBytes = 0
  for (const p of pods) {
    requested.cpuMilli += p.requests.cpuMilli
    requested.memoryBytes += p.requests.memoryBytes
    requested.ephemeralBytes += p.requests.ephemeralBytes
    for (const [name, amount] of Object.entries(p.requests.scalars)) scalars[name] = (scalars[name] ?? 0) + amount
    assumedCpuMilli += p.assumedCpuMilli
    assumedMemoryBytes += p.assumedMemoryBytes
  }
  return { name: node.metadata.name, node, allocatable: { ...amountsOf(allocatable), pods: quantityValue(allocatable?.['pods']) }, pods, requested, assumedCpuMilli, assumedMemoryBytes }
}
