/** What the kernel counts of containers and their pods, by cAdvisor's names, which CRI took over (KEP-2371). Pure. */
import type { ContainerStats, ContainerStatus, MetricDescriptor, MetricSample, SandboxStatus } from '../runtime.ts'
import type { ContainerCounters, DeviceIo, Pressure } from './container-counters.ts'

export interface CountedContainer {
  status: ContainerStatus
  cgroupPath: string
  stats: ContainerStats
  counters: ContainerCounters
  /** As counted, with the names of the devices. */
  io: readonly (DeviceIo & { device: string })[]
  fs: { device: string; major: string; minor: string; bytes: number }
}
export interface InterfaceCounters { name: string; receivedBytes: number; receivedPackets: number; receiveErrors: number; receiveDropped: number; sentBytes: number; sentPackets: number; sendErrors: number; sendDropped: number }

type Values = readonly { value: number; labels: readonly string[] }[]
interface Metric<T> { name: string; type: MetricSample['type']; help: string; /** Besides those of all. */ labels: readonly string[]; of: (counted: T) => Values }

const LABELS = ['container', 'id', 'image', 'name', 'namespace', 'pod'] as const

const gauge = <T>(name: string, help: string, of: (counted: T) => number): Metric<T> => ({ name, type: 'gauge', help, labels: [], of: (counted) => [{ value: of(counted), labels: [] }] })
const counter = <T>(name: string, help: string, of: (counted: T) => number): Metric<T> => ({ ...gauge(name, help, of), type: 'counter' })
const labelled = <T>(type: MetricSample['type'], name: string, help: string, labels: readonly string[], of: (counted: T) => Values): Metric<T> => ({ name, type, help, labels, of })

type C = CountedContainer
const onDevice = (of: (c: C) => number) => (c: C): Values => [{ value: of(c), labels: [c.fs.device] }]
/** A counter that has not begun is 0, as that of cAdvisor, which tells of the file system beside the cgroup. */
const begun = ({ io, fs }: C): C['io'] => (io.length > 0 ? io : [{ device: fs.device, major: fs.major, minor: fs.minor, reads: 0, writes: 0, readBytes: 0, writtenBytes: 0 }])
const byDevice = (of: (io: DeviceIo) => number) => (c: C): Values => begun(c).map((io) => ({ value: of(io), labels: [io.device] }))
const pressed = (resource: 'cpu' | 'memory' | 'io', how: keyof Pressure) => ({ counters }: C): Values => (counters.pressure ? [{ value: counters.pressure[resource][how], labels: [] }] : [])

const PRESSURE_WORDS = { cpu: 'CPU', io: 'IO', memory: 'memory' } as const

const CONTAINER_METRICS: readonly Metric<C>[] = [
  labelled('counter', 'container_blkio_device_usage_total', 'Blkio Device bytes usage', ['device', 'major', 'minor', 'operation'], (c) => begun(c).flatMap(({ device, major, minor, readBytes, writtenBytes }) => [
    { value: readBytes, labels: [device, major, minor, 'Read'] }, { value: writtenBytes, labels: [device, major, minor, 'Write'] },
  ])),
  counter('container_cpu_cfs_periods_total', 'Number of elapsed enforcement period intervals.', (c) => c.counters.cpu.periods),
  counter('container_cpu_cfs_throttled_periods_total', 'Number of throttled period intervals.', (c) => c.counters.cpu.throttledPeriods),
  counter('container_cpu_cfs_throttled_seconds_total', 'Total time duration the container has been throttled.', (c) => c.counters.cpu.throttledSeconds),
  counter('container_cpu_system_seconds_total', 'Cumulative system cpu time consumed in seconds.', (c) => c.counters.cpu.systemSeconds),
  labelled('counter', 'container_cpu_usage_seconds_total', 'Cumulative cpu time consumed in seconds.', ['cpu'], (c) => [{ value: c.stats.cpuUsageCoreNanoSeconds / 1e9, labels: ['total'] }]),
  counter('container_cpu_user_seconds_total', 'Cumulative user cpu time consumed in seconds.', (c) => c.counters.cpu.userSeconds),
  gauge('container_file_descriptors', 'Number of open file descriptors for the container.', (c) => c.counters.tasks.files),
  // cAdvisor tells of a container those that it uses as all there are, and none as free; both have to be there (critest).
  labelled('gauge', 'container_fs_inodes_free', 'Number of available Inodes', ['device'], onDevice(() => 0)),
  labelled('gauge', 'container_fs_inodes_total', 'Number of Inodes', ['device'], onDevice((c) => c.stats.writableLayerInodesUsed ?? 0)),
  labelled('gauge', 'container_fs_limit_bytes', 'Number of bytes that can be consumed by the container on this filesystem.', ['device'], onDevice((c) => c.fs.bytes)),
  labelled('counter', 'container_fs_reads_bytes_total', 'Cumulative count of bytes read', ['device'], byDevice((io) => io.readBytes)),
  labelled('counter', 'container_fs_reads_total', 'Cumulative count of reads completed', ['device'], byDevice((io) => io.reads)),
  labelled('gauge', 'container_fs_usage_bytes', 'Number of bytes that are consumed by the container on this filesystem.', ['device'], onDevice((c) => c.stats.writableLayerUsedBytes)),
  labelled('counter', 'container_fs_writes_bytes_total', 'Cumulative count of bytes written', ['device'], byDevice((io) => io.writtenBytes)),
  labelled('counter', 'container_fs_writes_total', 'Cumulative count of writes completed', ['device'], byDevice((io) => io.writes)),
  labelled('gauge', 'container_hugetlb_max_usage_bytes', 'Maximum hugepage usages recorded in bytes', ['pagesize'], (c) => c.counters.hugePages.map(({ size, peakBytes }) => ({ value: peakBytes, labels: [size] }))),
  labelled('gauge', 'container_hugetlb_usage_bytes', 'Current hugepage usage in bytes', ['pagesize'], (c) => c.counters.hugePages.map(({ size, bytes }) => ({ value: bytes, labels: [size] }))),
  gauge('container_last_seen', 'Last time a container was seen by the exporter', (c) => Math.floor(c.stats.atMs / 1_000)),
  gauge('container_memory_cache', 'Number of bytes of page cache memory.', (c) => c.counters.memory.cacheBytes),
  counter('container_memory_failcnt', 'Number of memory usage hits limits', (c) => c.counters.memory.limitHits),
  labelled('counter', 'container_memory_failures_total', 'Cumulative count of memory allocation failures.', ['failure_type', 'scope'], (c) => [
    { value: c.counters.memory.minorFaults, labels: ['pgfault', 'hierarchy'] }, { value: c.counters.memory.majorFaults, labels: ['pgmajfault', 'hierarchy'] },
  ]),
  gauge('container_memory_kernel_usage', 'Size of kernel memory allocated in bytes.', (c) => c.counters.memory.kernelBytes),
  gauge('container_memory_mapped_file', 'Size of memory mapped files in bytes.', (c) => c.counters.memory.mappedFileBytes),
  gauge('container_memory_max_usage_bytes', 'Maximum memory usage recorded in bytes', (c) => c.counters.memory.peakBytes),
  gauge('container_memory_rss', 'Size of RSS in bytes.', (c) => c.stats.memoryRssBytes),
  gauge('container_memory_swap', 'Container swap usage in bytes.', (c) => c.counters.memory.swapBytes),
  gauge('container_memory_usage_bytes', 'Current memory usage in bytes, including all memory regardless of when it was accessed', (c) => c.stats.memoryUsageBytes),
  gauge('container_memory_working_set_bytes', 'Current working set in bytes.', (c) => c.stats.memoryWorkingSetBytes),
  counter('container_oom_events_total', 'Count of out of memory events observed for the container', (c) => c.counters.memory.oomKills),
  ...(['cpu', 'io', 'memory'] as const).flatMap((resource) => [
    labelled('counter', `container_pressure_${resource}_stalled_seconds_total`, `Total time duration no tasks in the container could make progress due to ${PRESSURE_WORDS[resource]} congestion.`, [], pressed(resource, 'stalledSeconds')),
    labelled('counter', `container_pressure_${resource}_waiting_seconds_total`, `Total time duration tasks in the container have waited due to ${PRESSURE_WORDS[resource]} congestion.`, [], pressed(resource, 'waitingSeconds')),
  ]),
  gauge('container_processes', 'Number of processes running inside the container.', (c) => c.counters.tasks.processes),
  gauge('container_sockets', 'Number of open sockets for the container.', (c) => c.counters.tasks.sockets),
  gauge('container_spec_cpu_period', 'CPU period of the container.', (c) => c.counters.limits.cpuPeriodMicros),
  labelled('gauge', 'container_spec_cpu_quota', 'CPU quota of the container.', [], (c) => (c.counters.limits.cpuQuotaMicros === 0 ? [] : [{ value: c.counters.limits.cpuQuotaMicros, labels: [] }])),
  gauge('container_spec_cpu_shares', 'CPU share of the container.', (c) => c.counters.limits.cpuShares),
  gauge('container_spec_memory_limit_bytes', 'Memory limit for the container.', (c) => c.counters.limits.memoryBytes),
  gauge('container_spec_memory_reservation_limit_bytes', 'Memory reservation limit for the container.', (c) => c.counters.limits.memoryReservationBytes),
  gauge('container_spec_memory_swap_limit_bytes', 'Memory swap limit for the container.', (c) => c.counters.limits.memoryAndSwapBytes),
  gauge('container_start_time_seconds', 'Start time of the container since unix epoch in seconds.', (c) => c.status.startedAtMs / 1_000),
  gauge('container_threads', 'Number of threads running inside the container', (c) => c.counters.tasks.threads),
  gauge('container_threads_max', 'Maximum number of threads allowed inside the container, infinity if value is zero', (c) => c.counters.tasks.threadsMax),
  labelled('gauge', 'container_ulimits_soft', 'Soft ulimit values for the container root process. Unlimited if -1, except priority and nice', ['ulimit'], (c) => [{ value: c.counters.tasks.filesSoftLimit, labels: ['max_open_files'] }]),
]

const byInterface = (of: (i: InterfaceCounters) => number) => (interfaces: readonly InterfaceCounters[]): Values => interfaces.map((i) => ({ value: of(i), labels: [i.name] }))
const network = (name: string, help: string, of: (i: InterfaceCounters) => number): Metric<readonly InterfaceCounters[]> => labelled('counter', `container_network_${name}_total`, help, ['interface'], byInterface(of))

/** A pod's containers share their network: it is told of the pod. */
const POD_METRICS: readonly Metric<readonly InterfaceCounters[]>[] = [
  network('receive_bytes', 'Cumulative count of bytes received', (i) => i.receivedBytes),
  network('receive_errors', 'Cumulative count of errors encountered while receiving', (i) => i.receiveErrors),
  network('receive_packets_dropped', 'Cumulative count of packets dropped while receiving', (i) => i.receiveDropped),
  network('receive_packets', 'Cumulative count of packets received', (i) => i.receivedPackets),
  network('transmit_bytes', 'Cumulative count of bytes transmitted', (i) => i.sentBytes),
  network('transmit_errors', 'Cumulative count of errors encountered while transmitting', (i) => i.sendErrors),
  network('transmit_packets_dropped', 'Cumulative count of packets dropped while transmitting', (i) => i.sendDropped),
  network('transmit_packets', 'Cumulative count of packets transmitted', (i) => i.sentPackets),
]

export const METRIC_DESCRIPTORS: readonly MetricDescriptor[] = [...CONTAINER_METRICS, ...POD_METRICS].map(({ name, help, labels }) => ({ name, help, labelKeys: [...LABELS, ...labels] }))

export function containerMetrics(counted: CountedContainer, sandbox: SandboxStatus): MetricSample[] {
  const { status, cgroupPath, stats } = counted
  return samples(CONTAINER_METRICS, counted, [status.metadata.name, cgroupPath, status.imageRef, status.id, sandbox.metadata.namespace, sandbox.metadata.name], stats.atMs)
}

export function podMetrics(interfaces: readonly InterfaceCounters[], sandbox: SandboxStatus, cgroupPath: string, atMs: number): MetricSample[] {
  return samples(POD_METRICS, interfaces, ['', cgroupPath, '', sandbox.id, sandbox.metadata.namespace, sandbox.metadata.name], atMs)
}

function samples<T>(metrics: readonly Metric<T>[], counted: T, own: readonly string[], atMs: number): MetricSample[] {
  return metrics.flatMap(({ name, type, of }) => of(counted).map(({ value, labels }) => ({ name, type, atMs, value, labelValues: [...own, ...labels] })))
}

/** Of `/proc/net/dev`; loopback is nobody's traffic. */
export function parseNetDev(text: string): InterfaceCounters[] {
  return text.split('\n').flatMap((line) => {
    const [name = '', figures = ''] = line.trim().split(/:\s*/)
    const f = figures.split(/\s+/).map(Number)
    const at = (i: number) => f[i] ?? 0
    if (f.length < 16 || name === 'lo') return []
    return [{ name, receivedBytes: at(0), receivedPackets: at(1), receiveErrors: at(2), receiveDropped: at(3), sentBytes: at(8), sentPackets: at(9), sendErrors: at(10), sendDropped: at(11) }]
  })
}
