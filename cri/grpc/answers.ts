/** CRI's messages as the contract's types. Pure. */
import type { Read } from '#base/protobuf/message.ts'
import type { ContainerStats, ContainerStatus, Image, InterfaceUsage, LinuxResources, PodSandboxMetrics, SandboxNetwork, SandboxStatus } from '../runtime.ts'
import { CONTAINER_STATES, METRIC_TYPES, nameOf, SANDBOX_STATES, signalNameOf } from '../wire/enums.ts'
import type * as m from '../wire/messages.ts'

const NANOS_PER_MS = 1e6
/** Nanoseconds beyond 2^53 are read to the nearest number, 128 ns off at most: rounded, not cut. */
export const millis = (nanos: number): number => Math.round(nanos / NANOS_PER_MS)

export function sandboxStatusOf(status: Read<typeof m.PodSandboxStatus>): SandboxStatus {
  const { id, metadata, labels, annotations, network } = status
  return {
    id, labels, annotations,
    metadata: metadata ?? { name: '', uid: '', namespace: '', attempt: 0 },
    state: nameOf(SANDBOX_STATES, status.state, 'notready'),
    createdAtMs: millis(status.createdAt),
    ips: [network?.ip ?? '', ...(network?.additionalIps ?? []).map((a) => a.ip)].filter((ip) => ip !== ''),
  }
}

/** `imageId`: older runtimes tell only a reference, the client finds the id. */
export function containerStatusOf(status: Read<typeof m.ContainerStatus>, sandboxId: string, imageId: string): ContainerStatus {
  const { id, metadata, exitCode, reason, message, labels, annotations, logPath } = status
  const state = nameOf(CONTAINER_STATES, status.state, 'unknown')
  return {
    id, sandboxId, state, exitCode, reason, message, labels, annotations, logPath, imageId,
    metadata: metadata ?? { name: '', attempt: 0 },
    createdAtMs: millis(status.createdAt),
    startedAtMs: millis(status.startedAt),
    // The runtime notes the start after it happened: what ended at once may have ended before that.
    finishedAtMs: state === 'exited' ? Math.max(millis(status.finishedAt), millis(status.startedAt)) : 0,
    imageRef: status.image?.image ?? '',
    ...(status.stopSignal > 0 && { stopSignal: signalNameOf(status.stopSignal) ?? 'SIGTERM' }),
    ...(status.user?.linux && { user: status.user.linux }),
    ...(status.resources?.linux && { resources: resourcesOf(status.resources.linux) }),
  }
}

function resourcesOf(r: NonNullable<NonNullable<Read<typeof m.ContainerStatus>['resources']>['linux']>): LinuxResources {
  return {
    ...(r.cpuShares !== 0 && { cpuShares: r.cpuShares }), ...(r.cpuQuota !== 0 && { cpuQuota: r.cpuQuota }), ...(r.cpuPeriod !== 0 && { cpuPeriod: r.cpuPeriod }), ...(r.memoryLimitInBytes !== 0 && { memoryLimitBytes: r.memoryLimitInBytes }),
  }
}

export function imageOf(image: Read<typeof m.Image>): Image {
  const { id, repoTags, repoDigests, size, uid, username, pinned } = image
  return { id, repoTags, repoDigests, sizeBytes: size, pinned, ...(uid && { uid: uid.value }), ...(username !== '' && { username }) }
}

/** `pids` is not CRI's to tell of a container: the client counts. */
export function containerStatsOf(stats: Read<typeof m.ContainerStats>, pids: number): ContainerStats {
  const { attributes, cpu, memory, writableLayer, swap } = stats
  const told = <K extends string>(name: K, amount: { value: number } | undefined) => (amount ? { [name]: amount.value } as Record<K, number> : {})
  return {
    containerId: attributes?.id ?? '', pids,
    atMs: millis(Math.max(cpu?.timestamp ?? 0, memory?.timestamp ?? 0)),
    cpuUsageCoreNanoSeconds: cpu?.usageCoreNanoSeconds?.value ?? 0,
    memoryWorkingSetBytes: memory?.workingSetBytes?.value ?? 0,
    memoryUsageBytes: memory?.usageBytes?.value ?? 0,
    memoryRssBytes: memory?.rssBytes?.value ?? 0,
    writableLayerUsedBytes: writableLayer?.usedBytes?.value ?? 0,
    ...told('writableLayerInodesUsed', writableLayer?.inodesUsed), ...told('memoryAvailableBytes', memory?.availableBytes), ...told('pageFaults', memory?.pageFaults), ...told('majorPageFaults', memory?.majorPageFaults),
    ...(swap && { swap: { usageBytes: swap.swapUsageBytes?.value ?? 0, ...told('availableBytes', swap.swapAvailableBytes) } }),
  }
}

/** Undefined: it has none of its own, or nothing is told. */
export function sandboxNetworkOf({ attributes, linux }: Read<typeof m.PodSandboxStats>): SandboxNetwork | undefined {
  const { defaultInterface, interfaces = [] } = linux?.network ?? {}
  // Some list it among the others, too.
  const all = [...(defaultInterface ? [defaultInterface] : []), ...interfaces.filter((i) => i.name !== defaultInterface?.name)]
  if (!attributes || all.length === 0) return undefined
  return { podSandboxId: attributes.id, interfaces: all.map(({ name, rxBytes, rxErrors, txBytes, txErrors }): InterfaceUsage => ({ name, rxBytes: rxBytes?.value ?? 0, rxErrors: rxErrors?.value ?? 0, txBytes: txBytes?.value ?? 0, txErrors: txErrors?.value ?? 0 })) }
}

export function podSandboxMetricsOf({ podSandboxId, metrics, containerMetrics }: Read<typeof m.ListPodSandboxMetrics>['podMetrics'][number]): PodSandboxMetrics {
  const samples = (told: typeof metrics) => told.map(({ name, metricType, timestamp, value, labelValues }) => ({ name, type: metricType === METRIC_TYPES.gauge ? 'gauge' as const : 'counter' as const, atMs: millis(timestamp), value: value?.value ?? 0, labelValues }))
  return { podSandboxId, metrics: samples(metrics), containerMetrics: containerMetrics.map((c) => ({ containerId: c.containerId, metrics: samples(c.metrics) })) }
}
