/** ListMetricDescriptors and ListPodSandboxMetrics: cAdvisor's names for what the runtime counts. */
import type { Written } from '#base/protobuf/message.ts'
import type { ContainerStats, ContainerStatus, SandboxStatus } from '../runtime.ts'
import type * as m from '../wire/messages.ts'
import { nanos } from './answers.ts'

const COUNTER = 0
const GAUGE = 1
const NANOS_PER_SECOND = 1e9

/** Label values follow these, in this order. */
const LABELS = ['id', 'name', 'namespace', 'pod', 'container']

const METRICS: readonly { name: string; help: string; type: number; of: (stats: ContainerStats) => number }[] = [
  { name: 'container_cpu_usage_seconds_total', help: 'Cumulative cpu time consumed in seconds.', type: COUNTER, of: (s) => Math.floor(s.cpuUsageCoreNanoSeconds / NANOS_PER_SECOND) },
  { name: 'container_memory_working_set_bytes', help: 'Current working set in bytes.', type: GAUGE, of: (s) => s.memoryWorkingSetBytes },
  { name: 'container_memory_usage_bytes', help: 'Current memory usage in bytes, including all memory regardless of when it was accessed.', type: GAUGE, of: (s) => s.memoryUsageBytes },
  { name: 'container_memory_rss', help: 'Size of RSS in bytes.', type: GAUGE, of: (s) => s.memoryRssBytes },
  { name: 'container_processes', help: 'Number of processes running inside the container.', type: GAUGE, of: (s) => s.pids },
  { name: 'container_fs_usage_bytes', help: 'Number of bytes that are consumed by the container on this filesystem.', type: GAUGE, of: (s) => s.writableLayerUsedBytes },
]

export function metricDescriptors(): Written<typeof m.ListMetricDescriptors> {
  return { descriptors: METRICS.map(({ name, help }) => ({ name, help, labelKeys: LABELS })) }
}

export function podMetrics(sandboxes: readonly SandboxStatus[], containers: readonly { stats: ContainerStats; status: ContainerStatus }[]): Written<typeof m.ListPodSandboxMetrics> {
  return {
    podMetrics: sandboxes.map((sandbox) => ({
      podSandboxId: sandbox.id,
      containerMetrics: containers.filter((c) => c.status.sandboxId === sandbox.id).map(({ stats, status }) => ({
        containerId: status.id,
        metrics: METRICS.map(({ name, type, of }) => ({
          name, metricType: type, timestamp: nanos(stats.atMs), value: { value: of(stats) }, labelValues: [status.id, status.metadata.name, sandbox.metadata.namespace, sandbox.metadata.name, status.metadata.name],
        })),
      })),
    })),
  }
}
