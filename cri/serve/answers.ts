/** The contract's types as CRI's messages. Pure. */
import type { Written } from '#base/protobuf/message.ts'
import type { ContainerStats, ContainerStatus, Image, InterfaceUsage, LinuxResources, SandboxStatus } from '../runtime.ts'
import { CONTAINER_STATES, namespaceMessage, PROPAGATIONS, SANDBOX_STATES, signalNumberOf } from '../wire/enums.ts'
import type * as m from '../wire/messages.ts'

const NANOS_PER_MS = 1e6
export const nanos = (ms: number): number => ms * NANOS_PER_MS

export function sandboxMessage(s: SandboxStatus): Written<typeof m.PodSandboxStatus> {
  const [ip, ...more] = s.ips
  return {
    id: s.id, metadata: s.metadata, state: SANDBOX_STATES.indexOf(s.state), createdAt: nanos(s.createdAtMs), labels: s.labels, annotations: s.annotations,
    network: { ip, additionalIps: more.map((each) => ({ ip: each })) }, linux: { ...(s.namespaces && { namespaces: { options: namespaceMessage(s.namespaces) } }) },
  }
}

export function sandboxItem(s: SandboxStatus): Written<typeof m.ListPodSandbox.response>['items'] extends readonly (infer Item)[] | undefined ? Item : never {
  return { id: s.id, metadata: s.metadata, state: SANDBOX_STATES.indexOf(s.state), createdAt: nanos(s.createdAtMs), labels: s.labels, annotations: s.annotations }
}

/** `imageRef` is a digest reference where the image has one, as containerd's. */
export function containerMessage(c: ContainerStatus, imageDigestRef: string | undefined): Written<typeof m.ContainerStatus> {
  return {
    id: c.id, metadata: c.metadata, state: CONTAINER_STATES.indexOf(c.state), createdAt: nanos(c.createdAtMs), startedAt: nanos(c.startedAtMs), finishedAt: nanos(c.finishedAtMs), exitCode: c.exitCode,
    image: { image: c.imageRef }, imageRef: imageDigestRef ?? c.imageId, reason: c.reason, message: c.message, labels: c.labels, annotations: c.annotations, logPath: c.logPath, imageId: c.imageId,
    stopSignal: signalNumberOf(c.stopSignal), mounts: (c.mounts ?? []).map(({ image, ...mount }) => ({ ...mount, propagation: PROPAGATIONS.indexOf(mount.propagation), ...(image !== undefined && { image: { image, imageRef: image } }) })),
    ...(c.user && { user: { linux: c.user } }),
    ...(c.resources && { resources: { linux: resourcesMessage(c.resources) } }),
  }
}

function resourcesMessage(r: LinuxResources): Written<typeof m.LinuxContainerResources> {
  return { cpuShares: r.cpuShares, cpuQuota: r.cpuQuota, cpuPeriod: r.cpuPeriod, cpusetCpus: r.cpusetCpus, cpusetMems: r.cpusetMems, memoryLimitInBytes: r.memoryLimitBytes, oomScoreAdj: r.oomScoreAdj, hugepageLimits: Object.entries(r.hugepageLimits ?? {}).map(([pageSize, limit]) => ({ pageSize, limit })), unified: r.unified }
}

export function containerItem(c: ContainerStatus, imageDigestRef: string | undefined): Written<typeof m.ListContainers.response>['containers'] extends readonly (infer Item)[] | undefined ? Item : never {
  return {
    id: c.id, podSandboxId: c.sandboxId, metadata: c.metadata, image: { image: c.imageId }, imageRef: imageDigestRef ?? c.imageId, state: CONTAINER_STATES.indexOf(c.state), createdAt: nanos(c.createdAtMs),
    labels: c.labels, annotations: c.annotations, imageId: c.imageId,
  }
}

export function imageMessage(i: Image): Written<typeof m.Image> {
  return {
    id: i.id, repoTags: i.repoTags, repoDigests: i.repoDigests, size: i.sizeBytes, pinned: i.pinned, ...(i.uid !== undefined && { uid: { value: i.uid } }), username: i.username ?? '',
    spec: { image: i.id },
  }
}

export function statsMessage(s: ContainerStats, container: ContainerStatus, mountpoint: string): Written<typeof m.ContainerStats> {
  const timestamp = nanos(s.atMs)
  const told = (value: number | undefined) => (value === undefined ? undefined : { value })
  return {
    attributes: { id: s.containerId, metadata: container.metadata, labels: container.labels, annotations: container.annotations },
    cpu: { timestamp, usageCoreNanoSeconds: told(s.cpuUsageCoreNanoSeconds) },
    memory: {
      timestamp, workingSetBytes: told(s.memoryWorkingSetBytes), availableBytes: told(s.memoryAvailableBytes), usageBytes: told(s.memoryUsageBytes), rssBytes: told(s.memoryRssBytes),
      pageFaults: told(s.pageFaults), majorPageFaults: told(s.majorPageFaults),
    },
    writableLayer: { timestamp, fsId: { mountpoint }, usedBytes: told(s.writableLayerUsedBytes), inodesUsed: told(s.writableLayerInodesUsed) },
    ...(s.swap && { swap: { timestamp, swapAvailableBytes: told(s.swap.availableBytes), swapUsageBytes: told(s.swap.usageBytes) } }),
  }
}

/** Of all its containers; `interfaces`: none of a pod that is on the host's network. */
export function sandboxStatsMessage(s: SandboxStatus, { containers, interfaces, mountpoint, nowMs }: { containers: readonly { stats: ContainerStats; status: ContainerStatus }[]; interfaces: readonly InterfaceUsage[]; mountpoint: string; nowMs: number }): Written<typeof m.PodSandboxStats> {
  const timestamp = nanos(nowMs)
  const sum = (of: (stats: ContainerStats) => number) => ({ value: containers.reduce((total, { stats }) => total + of(stats), 0) })
  return {
    attributes: { id: s.id, metadata: s.metadata, labels: s.labels, annotations: s.annotations },
    linux: {
      cpu: { timestamp, usageCoreNanoSeconds: sum((c) => c.cpuUsageCoreNanoSeconds) },
      memory: { timestamp, workingSetBytes: sum((c) => c.memoryWorkingSetBytes), usageBytes: sum((c) => c.memoryUsageBytes), rssBytes: sum((c) => c.memoryRssBytes) },
      ...(interfaces.length > 0 && { network: networkMessage(interfaces, timestamp) }),
      process: { timestamp, processCount: sum((c) => c.processes ?? c.pids) },
      containers: containers.map(({ stats, status }) => statsMessage(stats, status, mountpoint)),
    },
  }
}

/** As containerd tells it: the pod's own interface first, then the others. */
function networkMessage([first, ...others]: readonly InterfaceUsage[], timestamp: number) {
  const told = ({ name, rxBytes, rxErrors, txBytes, txErrors }: InterfaceUsage) => ({ name, rxBytes: { value: rxBytes }, rxErrors: { value: rxErrors }, txBytes: { value: txBytes }, txErrors: { value: txErrors } })
  return { timestamp, ...(first && { defaultInterface: told(first) }), interfaces: others.map(told) }
}
