/** Measures node, pods and containers when somebody asks; nothing is sampled meanwhile. Disk usage of volumes and logs is counted at most once a minute. */
import { dirname } from 'node:path'
import type { Pod, Stored, Volume } from '#api/types/index.ts'
import type { CgroupUsage } from '#base/cgroup-usage.ts'
import type { Clock } from '#base/clock.ts'
import { asError } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import { diskUsage, type ContainerRuntime, type ContainerStats, type ContainerStatus, type DiskUsage, type InterfaceUsage } from '#cri/index.ts'
import type { PodUsage } from '../cgroups/pod-cgroups.ts'
import { CONTAINER_NAME_LABEL, POD_UID_LABEL } from '../labels.ts'
import type { HostFacts, HostPressure } from '../node/host-facts.ts'
import type { PodPaths } from '../pod-paths.ts'
import { payloadPlugin } from '../volumes/payload.ts'
import type { VolumeFigures } from '../volumes/persistent-volumes.ts'
import { ownUsage, readFs, readHostUsage } from './host-usage.ts'
import { createCpuRates } from './rates.ts'
import type { ContainerSample, FsSample, NodeSample, PodSample, SystemSample, UsageSample, VolumeSample } from './summary.ts'

export interface Measured { node: NodeSample; pods: PodSample[] }

export interface StatsSource {
  /** `onlyCpuAndMemory`: no disk is looked at. `withNetworks` false: nor is any pod's network, which another runtime takes its time for. */
  measure(options?: { onlyCpuAndMemory?: boolean; withNetworks?: boolean }): Promise<Measured>
  /** Of claims, each once. */
  claimedVolumes(): Promise<ClaimedSample[]>
  /** Of running containers. */
  logs(): Promise<LogSample[]>
}

export interface LogSample { uid: string; namespace: string; pod: string; container: string; bytes: number }
export interface ClaimedSample { namespace: string; claim: string; fs: FsSample }

export interface StatsDeps {
  runtime: Pick<ContainerRuntime, 'listContainerStats' | 'listContainers' | 'listPodSandbox' | 'listSandboxNetworks' | 'imageFsInfo'>
  pods(): readonly Stored<Pod>[]
  nodeName: string
  rootDir: string
  paths: PodPaths
  facts: HostFacts
  pressure(): Promise<HostPressure>
  clock: Clock
  log: Log
  /** Of a pod's own cgroup, and of that of all pods; undefined: there is none. */
  podUsage(pod: Pod): Promise<PodUsage | undefined>
  podsUsage(): Promise<CgroupUsage | undefined>
  /** Of a volume that is no emptyDir. */
  volumeUsage(podUid: string, volume: string): Promise<VolumeFigures | undefined>
}

/** Upstream's volumeStatsAggPeriod. */
const DISK_MS = 60_000
/** A driver that does not answer holds up nobody else; what it says later is told next time. */
const DRIVER_WAIT_MS = 2_000

export function createStatsSource(deps: StatsDeps): StatsSource {
  const { runtime, clock, paths } = deps
  const rates = createCpuRates()
  const counted = new Map<string, { usage: DiskUsage; atMs: number }>()

  const usageOf = async (path: string): Promise<DiskUsage> => {
    const known = counted.get(path)
    if (known && clock.monotonicMs() - known.atMs < DISK_MS) return known.usage
    const usage = await diskUsage(path)
    counted.set(path, { usage, atMs: clock.monotonicMs() })
    return usage
  }

  const asked = new Map<string, { figures: VolumeFigures | undefined; answer: Promise<void>; atMs: number }>()
  const figuresOf = async (uid: string, volume: string): Promise<{ figures: VolumeFigures | undefined; atMs: number }> => {
    const id = `${uid}/${volume}`
    const known = asked.get(id)
    const entry = known && clock.monotonicMs() - known.atMs < DISK_MS ? known : { figures: known?.figures, answer: Promise.resolve(), atMs: clock.monotonicMs() }
    if (entry !== known) {
      asked.set(id, entry)
      entry.answer = deps.volumeUsage(uid, volume).then((figures) => { entry.figures = figures }, (error: unknown) => deps.log.warn('a volume cannot be measured', { pod: uid, volume, error: asError(error) }))
    }
    const stop = new AbortController()
    await Promise.race([entry.answer, clock.sleep(DRIVER_WAIT_MS, stop.signal).catch(() => { /* it was answered */ })])
    stop.abort()
    return entry
  }
  const claimedOf = async ({ metadata, spec }: Stored<Pod>): Promise<(VolumeSample & { fs: FsSample })[]> => {
    const out: (VolumeSample & { fs: FsSample })[] = []
    for (const { name, csi, persistentVolumeClaim, ephemeral } of spec?.volumes ?? []) {
      if (!csi && !persistentVolumeClaim && !ephemeral) continue
      const { figures } = await figuresOf(metadata.uid, name)
      if (!figures) continue
      const { claim, ...of } = figures
      out.push({ name, usedBytes: of.usedBytes, inodesUsed: of.inodesUsed, isEphemeral: false, fs: { atMs: clock.nowMs(), ...of }, ...(claim !== undefined && { claim }) })
    }
    return out
  }

  const volumesOf = async (pod: Stored<Pod>): Promise<VolumeSample[]> => {
    const { metadata, spec } = pod
    const out: VolumeSample[] = []
    for (const volume of spec?.volumes ?? []) {
      const plugin = volume.emptyDir ? 'kubernetes.io~empty-dir' : payloadPlugin(volume)
      if (plugin === undefined) continue
      const { bytes, inodes } = await usageOf(paths.volume(metadata.uid, plugin, volume.name))
      out.push({ name: volume.name, usedBytes: bytes, inodesUsed: inodes, isEphemeral: isOnDisk(volume) })
    }
    return [...out, ...(await claimedOf(pod))]
  }

  /** `id`: by which its rate of use is kept. */
  const sampleOf = (id: string, s: CgroupUsage, atMs: number): UsageSample => ({
    cpu: { atMs, coreNanoSeconds: s.cpuUsageCoreNanoSeconds, nanoCores: rates.rate(id, s.cpuUsageCoreNanoSeconds, atMs), ...(s.pressure?.cpu && { pressure: s.pressure.cpu }) },
    memory: {
      atMs, usageBytes: s.memoryUsageBytes, workingSetBytes: s.memoryWorkingSetBytes, rssBytes: s.memoryRssBytes, ...(s.memoryAvailableBytes !== undefined && { availableBytes: s.memoryAvailableBytes }),
      ...(s.pageFaults !== undefined && { pageFaults: s.pageFaults }), ...(s.majorPageFaults !== undefined && { majorPageFaults: s.majorPageFaults }), ...(s.pressure?.memory && { pressure: s.pressure.memory }),
    },
    ...(s.swap && { swap: s.swap }), ...(s.pressure?.io && { ioPressure: s.pressure.io }),
  })

  const containerOf = async (s: ContainerStats, c: ContainerStatus, onlyCpuAndMemory: boolean): Promise<ContainerSample> => {
    const logs = onlyCpuAndMemory ? { bytes: 0, inodes: 0 } : await usageOf(dirname(c.logPath))
    return {
      name: c.labels[CONTAINER_NAME_LABEL] ?? c.metadata.name, id: c.id, image: c.imageRef, startedAtMs: c.startedAtMs, pids: s.pids, ...(s.processes !== undefined && { processes: s.processes }), ...sampleOf(c.id, s, s.atMs),
      rootfsUsedBytes: s.writableLayerUsedBytes, ...(s.writableLayerInodesUsed !== undefined && { rootfsInodesUsed: s.writableLayerInodesUsed }), logsUsedBytes: logs.bytes, logsInodesUsed: logs.inodes,
    }
  }

  /** By pod; none of those that are on the node's network. */
  const networks = async (): Promise<ReadonlyMap<string, readonly InterfaceUsage[]>> => {
    const [sandboxes, told] = await Promise.all([runtime.listPodSandbox({ state: 'ready' }), runtime.listSandboxNetworks()])
    const uids = new Map(sandboxes.map((s) => [s.id, s.metadata.uid]))
    return new Map(told.flatMap(({ podSandboxId, interfaces }) => { const uid = uids.get(podSandboxId); return uid === undefined ? [] : [[uid, interfaces]] }))
  }

  const systemContainers = async (atMs: number): Promise<SystemSample[]> => {
    const own = ownUsage()
    const pods = await deps.podsUsage()
    return [
      { name: 'kubelet', startedAtMs: own.startedAtMs, ...sampleOf('kubelet', own, atMs) },
      ...(pods ? [{ name: 'pods', startedAtMs: own.startedAtMs, ...sampleOf('pods', pods, atMs) }] : []),
    ]
  }

  const node = async (): Promise<NodeSample> => {
    const [usage, pressure, images] = [await readHostUsage(), await deps.pressure(), await runtime.imageFsInfo()]
    const atMs = clock.nowMs()
    const fs = await readFs(deps.rootDir, atMs)
    return {
      name: deps.nodeName, bootedAtMs: usage.bootedAtMs, interfaces: usage.interfaces, pids: pressure.pids, pidsMax: pressure.pidsMax,
      cpu: { atMs, coreNanoSeconds: usage.cpuCoreNanoSeconds, nanoCores: rates.rate('/', usage.cpuCoreNanoSeconds, atMs), ...(usage.pressure?.cpu && { pressure: usage.pressure.cpu }) },
      memory: { atMs, ...usage.memory, ...(usage.pressure?.memory && { pressure: usage.pressure.memory }) },
      swap: usage.swap, ...(usage.pressure?.io && { ioPressure: usage.pressure.io }), systemContainers: await systemContainers(atMs),
      fs, imageFs: images.mountpoint === '' ? fs : await readFs(images.mountpoint, atMs).catch(() => fs), // Another runtime's path may not be seen from here.
      imagesUsedBytes: images.usedBytes, ...(images.inodesUsed > 0 && { imagesInodesUsed: images.inodesUsed }),
    }
  }

  return {
    async claimedVolumes() {
      const found = new Map<string, ClaimedSample>()
      for (const pod of deps.pods()) {
        const { namespace = '' } = pod.metadata
        for (const { claim, fs } of await claimedOf(pod)) if (claim !== undefined) found.set(`${namespace}/${claim}`, { namespace, claim, fs })
      }
      return [...found.values()]
    },
    async logs() {
      const pods = new Map(deps.pods().map((pod) => [pod.metadata.uid, pod.metadata]))
      const out: LogSample[] = []
      for (const c of await runtime.listContainers({ state: 'running' })) {
        const pod = pods.get(c.labels[POD_UID_LABEL] ?? '')
        if (pod) out.push({ uid: pod.uid, namespace: pod.namespace ?? '', pod: pod.name, container: c.labels[CONTAINER_NAME_LABEL] ?? c.metadata.name, bytes: (await usageOf(dirname(c.logPath))).bytes })
      }
      return out
    },
    async measure({ onlyCpuAndMemory = false, withNetworks = !onlyCpuAndMemory } = {}) {
      const [stats, containers] = await Promise.all([runtime.listContainerStats(), runtime.listContainers({ state: 'running' })])
      const byId = new Map(containers.map((c) => [c.id, c]))
      const samples = new Map<string, ContainerSample[]>()
      for (const s of stats) {
        const c = byId.get(s.containerId)
        const uid = c?.labels[POD_UID_LABEL]
        if (!c || uid === undefined) continue
        samples.set(uid, [...(samples.get(uid) ?? []), await containerOf(s, c, onlyCpuAndMemory)])
      }
      const measured = await node()
      const interfaces = withNetworks ? await networks() : new Map<string, readonly InterfaceUsage[]>()
      const pods: PodSample[] = []
      for (const pod of deps.pods()) {
        const { name, namespace = '', uid } = pod.metadata
        const own = samples.get(uid)
        if (!own) continue
        const usage = await deps.podUsage(pod)
        const network = interfaces.get(uid)
        pods.push({
          name, namespace, uid, startedAtMs: Date.parse(pod.status?.startTime ?? pod.metadata.creationTimestamp), containers: own, volumes: onlyCpuAndMemory ? [] : await volumesOf(pod),
          ...(usage && { own: { path: usage.path, ...sampleOf(uid, usage, measured.cpu.atMs) } }), ...(network && { interfaces: network }),
        })
      }
      rates.keepOnly(new Set([...byId.keys(), ...pods.map((p) => p.uid), '/', 'kubelet', 'pods']))
      for (const [path, { atMs }] of counted) if (clock.monotonicMs() - atMs > 2 * DISK_MS) counted.delete(path)
      for (const [id, { atMs }] of asked) if (clock.monotonicMs() - atMs > 2 * DISK_MS) asked.delete(id)
      return { node: measured, pods }
    },
  }
}

/** Counts as ephemeral storage: what is in memory does not, nor what is a projection of the API, but for ConfigMaps, which are on the disk. */
const isOnDisk = ({ emptyDir, configMap }: Volume): boolean => (emptyDir ? (emptyDir.medium ?? '') === '' : configMap !== undefined)
