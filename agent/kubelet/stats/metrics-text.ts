/** The Prometheus text format, and the kubelet's pages of it under upstream's names. Pure. */
import type { MetricDescriptor, PodSandboxMetrics } from '#cri/index.ts'
import type { HostFacts } from '../node/host-facts.ts'
import { SECTOR_BYTES, type DiskCounters, type HostDisk } from './host-disks.ts'
import { podTotals, processesOf, type ContainerSample, type FsSample, type NodeSample, type PodSample, type UsageSample } from './summary.ts'

/** `suffix`: of the family's name, for the parts of a histogram. */
export interface MetricSample { suffix?: string; labels?: Readonly<Record<string, string>>; value: number; atMs?: number }
export interface MetricFamily { name: string; help: string; type: 'counter' | 'gauge' | 'histogram'; samples: readonly MetricSample[] }

export function metricsText(families: readonly MetricFamily[]): string {
  return families.filter((f) => f.samples.length > 0).map(({ name, help, type, samples }) => [
    `# HELP ${name} ${help}`, `# TYPE ${name} ${type}`,
    ...samples.map(({ suffix = '', labels = {}, value, atMs }) => `${name}${suffix}${labelText(labels)} ${value === Infinity ? '+Inf' : value}${atMs === undefined ? '' : ` ${Math.round(atMs)}`}`), '',
  ].join('\n')).join('')
}

/** By name; a bucket's bound comes last, as client_golang writes it. */
function labelText(labels: Readonly<Record<string, string>>): string {
  const parts = Object.entries(labels).toSorted(([a], [b]) => (b === 'le' || (a !== 'le' && a < b) ? -1 : 1)).map(([name, value]) => `${name}="${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`)
  return parts.length === 0 ? '' : `{${parts.join(',')}}`
}

const seconds = (nanos: number): number => nanos / 1e9
const each = (pods: readonly PodSample[], sample: (c: ContainerSample, labels: Record<string, string>, pod: PodSample) => MetricSample): MetricSample[] =>
  pods.flatMap((p) => p.containers.map((c) => sample(c, { container: c.name, namespace: p.namespace, pod: p.name }, p)))

/** Of those of which it is told. */
const ofMemory = (pods: readonly PodSample[], amount: (c: ContainerSample) => number | undefined): MetricSample[] =>
  pods.flatMap((p) => p.containers.flatMap((c) => told(amount(c), { container: c.name, namespace: p.namespace, pod: p.name }, c.memory.atMs)))
const told = (value: number | undefined, labels: Record<string, string>, atMs: number): MetricSample[] => (value === undefined ? [] : [{ labels, value, atMs }])
const swapLimit = ({ swap }: ContainerSample): number | undefined => (swap?.availableBytes === undefined ? undefined : swap.availableBytes + swap.usageBytes)

/** `/metrics/resource`: what metrics-server reads. Undefined: nothing could be measured. */
export function resourceMetrics(measured: { node: NodeSample; pods: readonly PodSample[] } | undefined): string {
  if (!measured) return metricsText([{ name: 'resource_scrape_error', help: '[STABLE] 1 if there was an error while getting container metrics, 0 otherwise', type: 'gauge', samples: [{ value: 1 }] }])
  const { node, pods } = measured
  const totals = pods.flatMap((p) => {
    const total = podTotals(p)
    return total ? [{ labels: { namespace: p.namespace, pod: p.name }, ...total }] : []
  })
  return metricsText([
    { name: 'container_cpu_usage_seconds_total', help: '[STABLE] Cumulative cpu time consumed by the container in core-seconds', type: 'counter', samples: each(pods, (c, labels) => ({ labels, value: seconds(c.cpu.coreNanoSeconds), atMs: c.cpu.atMs })) },
    { name: 'container_memory_working_set_bytes', help: '[STABLE] Current working set of the container in bytes', type: 'gauge', samples: each(pods, (c, labels) => ({ labels, value: c.memory.workingSetBytes, atMs: c.memory.atMs })) },
    { name: 'container_swap_limit_bytes', help: '[ALPHA] Current amount of the container swap limit in bytes. Reported only on non-windows systems', type: 'gauge', samples: ofMemory(pods, swapLimit) },
    { name: 'container_swap_usage_bytes', help: '[ALPHA] Current amount of the container swap usage in bytes. Reported only on non-windows systems', type: 'gauge', samples: ofMemory(pods, (c) => c.swap?.usageBytes) },
    { name: 'container_start_time_seconds', help: '[STABLE] Start time of the container since unix epoch in seconds', type: 'gauge', samples: each(pods, (c, labels) => ({ labels, value: c.startedAtMs / 1000 })) },
    { name: 'node_cpu_usage_seconds_total', help: '[STABLE] Cumulative cpu time consumed by the node in core-seconds', type: 'counter', samples: [{ value: seconds(node.cpu.coreNanoSeconds), atMs: node.cpu.atMs }] },
    { name: 'node_memory_working_set_bytes', help: '[STABLE] Current working set of the node in bytes', type: 'gauge', samples: [{ value: node.memory.workingSetBytes, atMs: node.memory.atMs }] },
    { name: 'node_swap_usage_bytes', help: '[ALPHA] Current swap usage of the node in bytes. Reported only on non-windows systems', type: 'gauge', samples: told(node.swap?.usageBytes, {}, node.memory.atMs) },
    { name: 'pod_cpu_usage_seconds_total', help: '[STABLE] Cumulative cpu time consumed by the pod in core-seconds', type: 'counter', samples: totals.map((t) => ({ labels: t.labels, value: seconds(t.cpu.coreNanoSeconds), atMs: t.cpu.atMs })) },
    { name: 'pod_memory_working_set_bytes', help: '[STABLE] Current working set of the pod in bytes', type: 'gauge', samples: totals.map((t) => ({ labels: t.labels, value: t.memory.workingSetBytes, atMs: t.memory.atMs })) },
    { name: 'pod_swap_usage_bytes', help: '[ALPHA] Current amount of the pod swap usage in bytes. Reported only on non-windows systems', type: 'gauge', samples: totals.flatMap((t) => told(t.swap?.usageBytes, t.labels, t.memory.atMs)) },
    { name: 'resource_scrape_error', help: '[STABLE] 1 if there was an error while getting container metrics, 0 otherwise', type: 'gauge', samples: [{ value: 0 }] },
  ])
}

export interface CadvisorInput {
  node: NodeSample
  pods: readonly PodSample[]
  disks: readonly HostDisk[]
  machine: Pick<HostFacts, 'cpuCount' | 'cpuTopology' | 'memoryBytes' | 'swapBytes' | 'bootId' | 'machineId' | 'systemUuid' | 'kernelVersion' | 'osImage'>
  /** What the runtime counts itself, by the same names. */
  counted: { descriptors: readonly MetricDescriptor[]; pods: readonly PodSandboxMetrics[] }
}

/**
 * `/metrics/cadvisor`: what the runtime counts, or where it counts nothing what is measured here, under cAdvisor's names; the node is `id="/"`, a pod's own cgroup
 * has no container.
 */
export function cadvisorMetrics({ node, pods, disks, machine, counted }: CadvisorInput): string {
  const root = (value: number, more: Record<string, string> = {}): MetricSample => ({ labels: { container: '', id: '/', image: '', name: '', namespace: '', pod: '', ...more }, value, atMs: node.cpu.atMs })
  const of = (value: (c: ContainerSample) => number, more: Record<string, string> = {}) => each(pods, (c, labels, pod) => ({ labels: { ...labels, id: `/kubepods/pod${pod.uid}/${c.id}`, image: c.image, name: c.id, ...more }, value: value(c), atMs: c.cpu.atMs }))
  const ofPods = (value: (p: UsageSample) => number | undefined, more: Record<string, string> = {}) => pods.flatMap(({ namespace, name, own }) => (own ? told(value(own), { container: '', id: own.path, image: '', name: '', namespace, pod: name, ...more }, own.cpu.atMs) : []))
  const family = (name: string, type: MetricFamily['type'], help: string, samples: readonly MetricSample[]): MetricFamily => ({ name, help, type, samples })
  const ofMachine = (name: string, help: string, value: number) => family(`machine_${name}`, 'gauge', help, [{ labels: { boot_id: machine.bootId, machine_id: machine.machineId, system_uuid: machine.systemUuid }, value }])
  const net = (value: (i: NodeSample['interfaces'][number]) => number) => node.interfaces.map((i) => root(value(i), { interface: i.name }))
  const onDisks = (value: (d: HostDisk) => number) => disks.map((d) => root(value(d), { device: d.device }))
  const counts = (value: (c: DiskCounters) => number) => disks.flatMap((d) => (d.counters ? [root(value(d.counters), { device: d.device })] : []))
  const measured = [
    family('cadvisor_version_info', 'gauge', 'A metric with a constant \'1\' value labeled by kernel version, OS version, docker version, cadvisor version & cadvisor revision.', [{ labels: { cadvisorRevision: '', cadvisorVersion: '', dockerVersion: '', kernelVersion: machine.kernelVersion, osVersion: machine.osImage }, value: 1 }]),
    family('container_cpu_usage_seconds_total', 'counter', 'Cumulative cpu time consumed in seconds.', [root(seconds(node.cpu.coreNanoSeconds), { cpu: 'total' }), ...ofPods((p) => seconds(p.cpu.coreNanoSeconds), { cpu: 'total' }), ...of((c) => seconds(c.cpu.coreNanoSeconds), { cpu: 'total' })]),
    family('container_blkio_device_usage_total', 'counter', 'Blkio Device bytes usage', disks.flatMap(({ device, major, minor, counters }) => (counters
      ? [root(counters.sectorsRead * SECTOR_BYTES, { device, major, minor, operation: 'Read' }), root(counters.sectorsWritten * SECTOR_BYTES, { device, major, minor, operation: 'Write' })] : []))),
    family('container_fs_inodes_free', 'gauge', 'Number of available Inodes', onDisks((d) => d.inodesFree)),
    family('container_fs_inodes_total', 'gauge', 'Number of Inodes', onDisks((d) => d.inodes)),
    family('container_fs_io_current', 'gauge', 'Number of I/Os currently in progress', counts((c) => c.inProgress)),
    family('container_fs_io_time_seconds_total', 'counter', 'Cumulative count of seconds spent doing I/Os', counts((c) => c.busyMs / 1000)),
    family('container_fs_io_time_weighted_seconds_total', 'counter', 'Cumulative weighted I/O time in seconds', counts((c) => c.weightedMs / 1000)),
    family('container_fs_limit_bytes', 'gauge', 'Number of bytes that can be consumed by the container on this filesystem.', onDisks((d) => d.bytes)),
    family('container_fs_read_seconds_total', 'counter', 'Cumulative count of seconds spent reading', counts((c) => c.readMs / 1000)),
    family('container_fs_reads_bytes_total', 'counter', 'Cumulative count of bytes read', counts((c) => c.sectorsRead * SECTOR_BYTES)),
    family('container_fs_reads_merged_total', 'counter', 'Cumulative count of reads merged', counts((c) => c.readsMerged)),
    family('container_fs_reads_total', 'counter', 'Cumulative count of reads completed', counts((c) => c.reads)),
    family('container_fs_sector_reads_total', 'counter', 'Cumulative count of sector reads completed', counts((c) => c.sectorsRead)),
    family('container_fs_sector_writes_total', 'counter', 'Cumulative count of sector writes completed', counts((c) => c.sectorsWritten)),
    family('container_fs_usage_bytes', 'gauge', 'Number of bytes that are consumed by the container on this filesystem.', [...onDisks((d) => d.usedBytes), ...of((c) => c.rootfsUsedBytes)]),
    family('container_fs_write_seconds_total', 'counter', 'Cumulative count of seconds spent writing', counts((c) => c.writeMs / 1000)),
    family('container_fs_writes_bytes_total', 'counter', 'Cumulative count of bytes written', counts((c) => c.sectorsWritten * SECTOR_BYTES)),
    family('container_fs_writes_merged_total', 'counter', 'Cumulative count of writes merged', counts((c) => c.writesMerged)),
    family('container_fs_writes_total', 'counter', 'Cumulative count of writes completed', counts((c) => c.writes)),
    family('container_last_seen', 'gauge', 'Last time a container was seen by the exporter', [root(Math.floor(node.cpu.atMs / 1000)), ...of((c) => Math.floor(c.cpu.atMs / 1000))]),
    family('container_memory_rss', 'gauge', 'Size of RSS in bytes.', [root(node.memory.rssBytes), ...ofPods((p) => p.memory.rssBytes), ...of((c) => c.memory.rssBytes)]),
    family('container_memory_swap', 'gauge', 'Container swap usage in bytes.', [...(node.swap ? [root(node.swap.usageBytes)] : []), ...ofPods((p) => p.swap?.usageBytes), ...of((c) => c.swap?.usageBytes ?? 0)]),
    family('container_memory_usage_bytes', 'gauge', 'Current memory usage in bytes, including all memory regardless of when it was accessed', [root(node.memory.usageBytes), ...ofPods((p) => p.memory.usageBytes), ...of((c) => c.memory.usageBytes)]),
    family('container_memory_working_set_bytes', 'gauge', 'Current working set in bytes.', [root(node.memory.workingSetBytes), ...ofPods((p) => p.memory.workingSetBytes), ...of((c) => c.memory.workingSetBytes)]),
    family('container_network_receive_bytes_total', 'counter', 'Cumulative count of bytes received', net((i) => i.rxBytes)),
    family('container_network_receive_errors_total', 'counter', 'Cumulative count of errors encountered while receiving', net((i) => i.rxErrors)),
    family('container_network_transmit_bytes_total', 'counter', 'Cumulative count of bytes transmitted', net((i) => i.txBytes)),
    family('container_network_transmit_errors_total', 'counter', 'Cumulative count of errors encountered while transmitting', net((i) => i.txErrors)),
    family('container_processes', 'gauge', 'Number of processes running inside the container.', of(processesOf)),
    family('container_start_time_seconds', 'gauge', 'Start time of the container since unix epoch in seconds.', [root(node.bootedAtMs / 1000), ...of((c) => c.startedAtMs / 1000)]),
    family('container_scrape_error', 'gauge', '1 if there was an error while getting container metrics, 0 otherwise', [{ value: 0 }]),
    ofMachine('cpu_cores', 'Number of logical CPU cores.', machine.cpuCount),
    ofMachine('cpu_physical_cores', 'Number of physical CPU cores.', machine.cpuTopology.cores),
    ofMachine('cpu_sockets', 'Number of CPU sockets.', machine.cpuTopology.sockets),
    ofMachine('memory_bytes', 'Amount of memory installed on the machine.', machine.memoryBytes),
    family('machine_scrape_error', 'gauge', '1 if there was an error while getting machine metrics, 0 otherwise.', [{ value: 0 }]),
    ofMachine('swap_bytes', 'Amount of swap memory available on the machine.', machine.swapBytes),
  ]
  const families = new Map(measured.map((f) => [f.name, f]))
  for (const each of countedFamilies(counted)) {
    // What is of no container only this agent measures.
    const ofOthers = families.get(each.name)?.samples.filter((s) => s.labels?.['container'] === '') ?? []
    families.set(each.name, { ...each, samples: [...ofOthers, ...each.samples] })
  }
  return metricsText([...families.values()].toSorted((a, b) => (a.name < b.name ? -1 : 1)))
}

function countedFamilies({ descriptors, pods }: CadvisorInput['counted']): MetricFamily[] {
  const samples = Map.groupBy(pods.flatMap((p) => [...p.metrics, ...p.containerMetrics.flatMap((c) => c.metrics)]), (sample) => sample.name)
  return descriptors.flatMap(({ name, help, labelKeys }) => {
    const found = samples.get(name)
    const type = found?.[0]?.type
    if (!type) return []
    return [{ name, help, type, samples: found.map(({ value, atMs, labelValues }) => ({ value, ...(atMs > 0 && { atMs }), labels: Object.fromEntries(labelKeys.map((key, i) => [key, labelValues[i] ?? ''])) })) }]
  })
}

/** Of `/metrics`. */
export function logMetrics(logs: readonly { uid: string; namespace: string; pod: string; container: string; bytes: number }[]): string {
  return metricsText([{ name: 'kubelet_container_log_filesystem_used_bytes', help: '[ALPHA] Bytes used by the container\'s logs on the filesystem.', type: 'gauge', samples: logs.map(({ bytes, ...labels }) => ({ labels, value: bytes })) }])
}

/** Of `/metrics`: how full the volumes of claims are. */
export function volumeMetrics(volumes: readonly { namespace: string; claim: string; fs: FsSample }[]): string {
  const family = (name: string, help: string, of: (fs: FsSample) => number): MetricFamily => ({
    name: `kubelet_volume_stats_${name}`, help: `[ALPHA] ${help}`, type: 'gauge', samples: volumes.map(({ namespace, claim, fs }) => ({ labels: { namespace, persistentvolumeclaim: claim }, value: of(fs) })),
  })
  return metricsText([
    family('available_bytes', 'Number of available bytes in the volume', (f) => f.availableBytes), family('capacity_bytes', 'Capacity in bytes of the volume', (f) => f.capacityBytes), family('inodes', 'Maximum number of inodes in the volume', (f) => f.inodes),
    family('inodes_free', 'Number of free inodes in the volume', (f) => f.inodesFree), family('inodes_used', 'Number of used inodes in the volume', (f) => f.inodesUsed), family('used_bytes', 'Number of used bytes in the volume', (f) => f.usedBytes),
  ])
}

export interface ProbeCount { namespace: string; pod: string; podUid: string; container: string; kind: string; result: 'successful' | 'failed' | 'unknown'; count: number }

/** `/metrics/probes`. */
export function probeMetrics(counts: readonly ProbeCount[]): string {
  const name = (kind: string) => kind.charAt(0).toUpperCase() + kind.slice(1)
  return metricsText([{
    name: 'prober_probe_total', help: '[BETA] Cumulative number of a liveness, readiness or startup probe for a container by result.', type: 'counter',
    samples: counts.map((c) => ({ labels: { container: c.container, namespace: c.namespace, pod: c.pod, pod_uid: c.podUid, probe_type: name(c.kind), result: c.result }, value: c.count })),
  }])
}

/** By the resource that was short. */
export function preemptionMetrics(counts: ReadonlyMap<string, number>): MetricFamily {
  return { name: 'kubelet_preemptions', help: '[ALPHA] Cumulative number of pod preemptions by preemption resource', type: 'counter', samples: [...counts].map(([signal, value]) => ({ labels: { preemption_signal: signal }, value })) }
}
