/** The kubelet, put together: pods of this node from the API (or the disk, while it is away) to containers, and back as status. */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Client, Informers } from '#api/client/client.ts'
import type { Connectivity } from '#api/client/connectivity.ts'
import type { EventRecorder } from '#api/client/event-recorder.ts'
import { NODES, type Node, PODS, SERVICES, type Pod, type PodStatus, type Service, type Stored } from '#api/types/index.ts'
import type { Clock } from '#base/clock.ts'
import { asError } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import type { Random } from '#base/random.ts'
import { isAppArmorEnabled, type ContainerRuntime } from '#cri/index.ts'
import { decideAdmission } from './admission.ts'
import { createPodCgroups, type PodCgroups } from './cgroups/pod-cgroups.ts'
import type { CgroupLayout } from './cgroups/layout.ts'
import type { KubeletConfig } from './config.ts'
import { createCredentialProviders } from './credential-providers/credential-providers.ts'
import { createServiceAccounts } from './credential-providers/service-accounts.ts'
import { runBoardDevices } from './devices/board-devices.ts'
import { openDeviceManager, type DeviceManager } from './devices/device-manager.ts'
import { deviceStatuses } from './devices/health.ts'
import { createDevicePlugins } from './devices/plugins.ts'
import { asReference, fieldPath, podEffects } from './effects.ts'
import type { FieldContext } from './field-ref.ts'
import { createHookRunner } from './hooks.ts'
import { openImageAccess, type ImageAccess } from './image-access/image-access.ts'
import { createImagePuller } from './image-puller.ts'
import { followPods } from './follow-pods.ts'
import { CONTAINER_NAME_LABEL } from './labels.ts'
import { linkDirectory, removeDeadLinks } from './logs/container-links.ts'
import { rotateLog } from './logs/rotate-logs.ts'
import { readHostPressure, type HostFacts, type HostPressure } from './node/host-facts.ts'
import { runNodeLease } from './node/node-lease.ts'
import { createNodeReporter } from './node/node-reporter.ts'
import { createBoardWatch } from './node/board/board-watch.ts'
import { checkReservations, nodeAllocatable, podsLimits } from './node/allocatable.ts'
import { nodeCapacity } from './node/node-status.ts'
import { createEvictionManager } from './eviction/eviction-manager.ts'
import { observeSignals } from './eviction/observe-signals.ts'
import { parseThresholds } from './eviction/thresholds.ts'
import { createGarbageCollector } from './garbage/garbage-collector.ts'
import { createObjectSource } from './objects.ts'
import { podPaths } from './pod-paths.ts'
import { createLoopHealth } from './loop-health.ts'
import type { PodMemory } from './pod-memory.ts'
import { PREEMPTED } from './preemption.ts'
import { openPodStore, type PodRecord, type PodStore } from './pod-store.ts'
import { createPodStreams } from './pod-streams.ts'
import { createPodWorkers, type PodWorkers } from './pod-worker.ts'
import { preemptionMetrics } from './stats/metrics-text.ts'
import { createPodResources, noPodResourcesCounts, podResourcesMetrics } from './pod-resources/pod-resources.ts'
import { createProber, type Prober } from './probes/prober.ts'
import { createRunProbe } from './probes/run-probe.ts'
import { pendingResize as pendingResizeOf, withAllocation } from './resize.ts'
import { observePod, reportedStatus } from './runtime-view.ts'
import { createNodeFigures } from './stats/node-figures.ts'
import { readFs } from './stats/host-usage.ts'
import { isStaticPod } from './static/manifest.ts'
import { createStaticPods } from './static/static-pods.ts'
import { createShutdownManager, NODE_NOT_READY, NOT_ADMITTED, SHUTDOWN } from './shutdown/shutdown-manager.ts'
import { readKernelLog, type KernelLog } from './node/kernel-log.ts'
import { watchSystemOom } from './node/system-oom.ts'
import { createPodCounts, type CountedPod, type PodCounts } from './stats/pod-counts.ts'
import { createTerminationCounts, type TerminationCounts } from './stats/termination-counts.ts'
import { createStatsSource } from './stats/stats-source.ts'
import type { NodeFigures, PodStreams } from './streams.ts'
import { podEnd } from './termination.ts'
import { terminationMessage } from './termination-message.ts'
import { every, pause } from './turns.ts'
import { createUserRanges } from './user-ranges.ts'
import { allContainers, isTerminalPhase, type PodView } from './view.ts'
import { createCsiVolumes } from './volumes/csi/csi-volumes.ts'
import { createCsiDrivers, type CsiDrivers } from './volumes/csi/drivers.ts'
import { volumesInUse } from './volumes/csi/notes.ts'
import { systemMounter, type Mounter } from './volumes/mounter.ts'
import { createDisks } from './volumes/disks.ts'
import { createLocalVolumes } from './volumes/local-volumes.ts'
import { createPersistentVolumes, type VolumeFigures } from './volumes/persistent-volumes.ts'
import { VolumeError } from './volumes/volume-error.ts'
import { createVolumeGrowth } from './volumes/volume-growth.ts'
import { createPodVolumes } from './volumes/pod-volumes.ts'
import { createTokens } from './volumes/tokens.ts'

export interface KubeletOptions {
  nodeName: string
  client: Client
  /** Not started yet: the kubelet adds its own, the caller starts them all. */
  informers: Informers
  runtime: ContainerRuntime
  /** `<data-dir>/agent`: what nobody else reads. */
  dataDir: string
  /** Upstream's `--root-dir`: pods' files, sockets of plugins, seccomp profiles. Absolute. */
  rootDir: string
  config: KubeletConfig
  clock: Clock
  random: Random
  log: Log
  events: EventRecorder
  hostFacts: HostFacts
  /** Where the kubelet API is reached now; 0: nowhere. Default: the configured port. */
  servedPort?: () => number
  /** Shared with all who wait for the server. */
  connectivity?: Connectivity
  /** Where /sys and /run of the board are looked for; default `/`. */
  boardRoot?: string
  /** Default: /dev/kmsg. */
  kernelLog?: KernelLog
  /** Default: read from this machine. */
  hostPressure?: () => Promise<HostPressure>
  /** Default: mount(8). Tests without the right to mount hand in a memory one. */
  mounter?: Mounter
  /** Default: this machine's tree. */
  cgroups?: PodCgroups
  cgroupLayout?: CgroupLayout
}

export interface Kubelet extends PodStreams {
  readonly figures: NodeFigures
  /** Runs until the signal aborts; containers keep running then. Rejects only when it cannot begin at all. */
  start(signal: AbortSignal): Promise<void>
  /** As this agent sees it now; undefined: it has no such pod. */
  podStatusOf(uid: string): PodStatus | undefined
  /** Something of the node has changed: its status is looked at now. */
  pokeNode(): void
  /** The machine goes down: takes no more pods and ends those that are here, each in its time, as configured. Before `start`'s signal aborts. Never rejects. */
  shutDown(): Promise<void>
}

/** All pods are looked at this often even if nothing was heard: events of a runtime are hints. */
const RESYNC_MS = 300_000
/** Upstream's containerLogMonitorInterval. */
const LOG_LOOK_MS = 10_000
/** As often as upstream's kubelet syncs a pod. */
const VOLUME_LOOK_MS = 60_000
/** Upstream's monitoringInterval of the eviction manager. */
const EVICTION_LOOK_MS = 10_000
/** Upstream's ImageGCPeriod. */
const GARBAGE_LOOK_MS = 300_000
/** The first list of Services comes within milliseconds of the first pod; a start waits this long for it before it fails. */
const SERVICES_WAIT_MS = 5_000

export function createKubelet(options: KubeletOptions): Kubelet {
  const { nodeName, client, informers, runtime, dataDir, rootDir, config, clock, random, events } = options
  const log = options.log.with('kubelet')
  const paths = podPaths(rootDir, config.podLogsDir)
  const pods = informers.of<Pod>(PODS, { fieldSelector: `spec.nodeName=${nodeName}` })
  const services = informers.of<Service>(SERVICES)
  const pressure = options.hostPressure ?? (() => readHostPressure(rootDir))
  const nodes = informers.of<Node>(NODES)
  const drivers = createCsiDrivers({ nodeName, client, rootDir, clock, log })
  const inUse: { read?: Promise<readonly string[]> | undefined } = {}
  const board = createBoardWatch({ root: options.boardRoot ?? '/', dataDir, told: () => nodes.get(nodeName)?.status?.conditions ?? [], clock, log })
  const reporter = createNodeReporter({ nodeName, volumesInUse: () => (inUse.read ??= volumesInUse(paths)), devices: () => devices?.capacity() ?? new Map(), signs: () => board.look(), observed: () => nodes.get(nodeName), client, runtime, config, facts: options.hostFacts, pressure, events, clock, log, servedPort: options.servedPort ?? (() => config.kubeletPort), underPressure: () => eviction.conditions, notReady: () => (shutdown.isShuttingDown ? [NODE_NOT_READY] : []) })
  let workers: PodWorkers | undefined
  let prober: Prober | undefined
  let cgroups: PodCgroups | undefined
  let imageAccess: ImageAccess | undefined
  let devices: DeviceManager | undefined

  const needed = (): PodWorkers => {
    if (!workers) throw new Error('bug: the kubelet has not been started')
    return workers
  }
  // Streams are handed out before start; they look the workers up at each call.
  const streams = createPodStreams({ workers: { ...emptyWorkers, get: (uid) => workers?.get(uid), list: () => workers?.list() ?? [] }, runtime, clock })

  const resourceCalls = noPodResourcesCounts()
  const preemptions = new Map<string, number>()
  const terminations = createTerminationCounts()
  const podCounts = createPodCounts()
  const health = createLoopHealth(RESYNC_MS, clock)
  const volumeUsage: { of?: (podUid: string, volume: string) => Promise<VolumeFigures | undefined> } = {}
  const stats = createStatsSource({ volumeUsage: (uid, volume) => volumeUsage.of?.(uid, volume) ?? Promise.resolve(undefined), log, runtime, pods: () => streams.pods(), nodeName, rootDir, paths, facts: options.hostFacts, pressure, clock })
  const figures = createNodeFigures({ stats, runtime, probes: () => prober?.counts() ?? [], counters: () => [...eviction.counters(), ...garbage.counters(), ...board.metrics(), ...podResourcesMetrics(resourceCalls), preemptionMetrics(preemptions), ...terminations.metrics(), ...shutdown.metrics(), ...(imageAccess?.metrics() ?? []), ...podCounts.metrics(countedPods(), cgroups?.version)], health: () => health.checks(), nodeName, config, facts: options.hostFacts, clock, log })

  const aboutNode = (reason: string, message: string, type: 'Normal' | 'Warning' = 'Warning') => {
    const node = nodes.get(nodeName)
    events.event({ apiVersion: 'v1', kind: 'Node', name: nodeName, ...(node && { uid: node.metadata.uid }) }, type, reason, message)
  }
  const activePods = () => (workers?.list() ?? []).filter((m) => !m.rejected && !m.tornDown && m.endingSinceMs === undefined && !isTerminalPhase(m.pod.status?.phase))
  const countedPods = (): CountedPod[] => {
    const active = new Set(activePods())
    return (workers?.list() ?? []).map((m) => ({ pod: m.pod, isActive: active.has(m), hasMirror: m.mirror !== undefined }))
  }
  const shutdown = createShutdownManager({
    periods: config.shutdownPeriods, directory: rootDir, clock, log, onChange: () => reporter.poke(), tell: (reason, message) => aboutNode(reason, message, 'Normal'),
    pods: () => activePods().map((m) => m.pod),
    end({ metadata: { uid } }, graceSeconds) {
      const memory = workers?.get(uid)
      if (!memory || memory.rejected) return
      memory.rejected = { ...SHUTDOWN, eviction: { graceSeconds, sinceMs: clock.nowMs() } }
      workers?.wake(uid)
    },
    hasEnded: (uid) => workers?.get(uid)?.tornDown ?? true,
    isTold(uid) {
      const memory = workers?.get(uid)
      return !memory || isTerminalPhase(reportedStatus(memory).phase)
    },
  })
  const garbage = createGarbageCollector({
    runtime, config, clock, log, tell: aboutNode, disk: (path) => readFs(path === '' ? rootDir : path, clock.nowMs()),
    isLive: (sandboxId) => (workers?.list() ?? []).some((m) => !m.tornDown && m.sandboxIds.has(sandboxId)),
  })
  const eviction = createEvictionManager({
    thresholds: parseThresholds(config), maxPodGraceSeconds: config.evictionMaxPodGraceSeconds, transitionMs: config.evictionTransitionMs, clock, log, tell: aboutNode,
    observe: () => observeSignals({ pressure, runtime, rootDir, memoryBytes: options.hostFacts.memoryBytes, podsMemory: async () => cgroups?.podsMemory(), clock }),
    pods: () => activePods().map((m) => withAllocation(m.pod, m.allocation)),
    measure: async () => (await stats.measure()).pods,
    freeDisk: () => garbage.freeDisk(),
    onConditions: () => reporter.poke(),
    evict({ pod, graceSeconds, message, annotations }) {
      const memory = workers?.get(pod.metadata.uid)
      if (!memory) return
      memory.rejected = { reason: 'Evicted', message, eviction: { graceSeconds, sinceMs: clock.nowMs() } }
      events.event(asReference(pod), 'Warning', 'Evicted', message, annotations)
      workers?.wake(memory.uid)
    },
  })

  const capacity = async () => nodeCapacity({ facts: options.hostFacts, pressure: await pressure(), config })
  /** A kernel that cannot (pods use more already) runs them without, and says so. */
  const holdPods = async (groups: PodCgroups): Promise<void> => {
    const now = await capacity()
    checkReservations(now, config)
    const limits = podsLimits(now, (await pressure()).pidsMax, config)
    try {
      await groups.holdPods(config.enforcePods ? limits : { cpuMilli: limits.cpuMilli })
    } catch (error) {
      aboutNode('FailedNodeAllocatableEnforcement', `Failed to update Node Allocatable Limits ["kubepods"]: ${asError(error).message}`)
      log.error('pods are not held to what is allocatable', { error: asError(error) })
    }
  }

  return {
    ...streams,
    figures,
    podStatusOf(uid) {
      const memory = workers?.get(uid)
      return memory && reportedStatus(memory)
    },
    pokeNode: () => reporter.poke(),
    shutDown: () => shutdown.shutDown(),
    async start(signal) {
      await mkdir(paths.podsDir, { recursive: true, mode: 0o750 })
      await removeDeadLinks(linkDirectory(config.podLogsDir)).catch((error: unknown) => log.warn('links to logs that are gone could not be removed', { error: asError(error) }))
      await shutdown.open()
      const store = await openPodStore(dataDir, { random, log })
      const knownServices = async () => {
        if (!services.hasSynced()) await Promise.race([services.synced, pause(clock, SERVICES_WAIT_MS, signal)])
        return services.hasSynced() ? services.list() : undefined
      }
      const deviceDirectory = join(rootDir, 'device-plugins')
      const manager = await openDeviceManager({
        directory: deviceDirectory, clock, log, onCapacity: () => reporter.poke(), onHealth: (uids) => { for (const uid of uids) workers?.wake(uid) },
        live: () => (pods.hasSynced() ? new Set(workers?.list().filter((m) => !m.tornDown).map((m) => m.uid)) : undefined),
      })
      devices = manager
      const plugins = createDevicePlugins({ directory: deviceDirectory, manager, clock, log })
      health.add('device-plugin', () => plugins.problem())
      health.passed()
      const kept = new Map((await store.loadPods()).map((record) => [record.pod.metadata.uid, record]))
      const running = await assemble({ ...options, log }, { signal, paths, store, devices: manager, refusal: (pod) => (shutdown.isShuttingDown ? NOT_ADMITTED : eviction.refusal(pod)), kept: (uid) => kept.get(uid), services: knownServices, allocatable: async () => nodeAllocatable(await capacity(), config), node: () => nodes.get(nodeName), drivers,
        onPreemption: (resource) => preemptions.set(resource, (preemptions.get(resource) ?? 0) + 1),
        onStatus: (before, after) => terminations.note(before, after), podCounts, onLook: () => shutdown.look(),
        onVolumeUse() {
          inUse.read = undefined
          reporter.poke()
        },
      })
      workers = running.workers
      volumeUsage.of = running.volumeUsage
      prober = running.prober
      cgroups = running.cgroups
      imageAccess = running.imageAccess
      await holdPods(running.cgroups)
      // Before the informer is compared with: what it does not have was deleted while this agent was away.
      for (const { pod } of kept.values()) if (pods.get(`${pod.metadata.namespace ?? ''}/${pod.metadata.name}`)?.metadata.uid !== pod.metadata.uid) workers.upsert(pod)
      const statics = createStaticPods({
        directory: config.staticPodPath, nodeName, client, workers: needed(), pods, clock, log,
        node() {
          const uid = nodes.get(nodeName)?.metadata.uid
          return uid === undefined ? undefined : { name: nodeName, uid }
        },
      })
      running.onForget(() => statics.poke())
      const stop = followPods({ onMirror: () => statics.poke(), workers: needed(), pods, store, runtime, clock, log, signal })
      const offObjects = running.onObjectChange()
      const offDrivers = drivers.onChange(() => running.retryAll())
      void services.synced.then(() => {
        if (!signal.aborted) running.retryAll()
      })
      try {
        await Promise.all([
          workers.run(signal),
          statics.run(signal),
          stop.reconciled,
          reporter.run(signal),
          drivers.run(signal),
          plugins.run(signal),
          createPodResources({
            rootDir, devices: manager, clock, log, podByName: (namespace, name) => streams.pods().find((p) => p.metadata.name === name && p.metadata.namespace === namespace),
            activePods: () => needed().list().filter((m) => !m.rejected && !m.tornDown && !isTerminalPhase(m.pod.status?.phase)).map((m) => m.pod),
          }, resourceCalls).run(signal),
          watchSystemOom({ kernelLog: options.kernelLog ?? readKernelLog, tell: (message) => aboutNode('SystemOOM', message), log }, signal),
          runBoardDevices({ rules: config.boardDevices, manager, clock, log }, signal),
          runNodeLease(client, nodeName, { clock, log, ...(options.connectivity && { connectivity: options.connectivity }), onReconnect: () => { reporter.poke(); running.catchUp() } }, signal),
          every('look at all pods', RESYNC_MS, { clock, log }, signal, () => { health.passed(); needed().wakeAll(); return Promise.resolve() }),
          every('look after volumes of drivers', VOLUME_LOOK_MS, { clock, log }, signal, () => { running.lookAfterVolumes(); return Promise.resolve() }),
          every('look for pressure', EVICTION_LOOK_MS, { clock, log }, signal, () => eviction.look()),
          every('collect garbage', GARBAGE_LOOK_MS, { clock, log }, signal, async () => {
            await garbage.collect()
            await running.imageAccess.prune()
          }),
          every('rotate container logs', LOG_LOOK_MS, { clock, log }, signal, () => rotateAll(options, needed(), log)),
        ])
      } finally {
        stop.off()
        offObjects()
        offDrivers()
        running.close()
      }
    },
  }
}

const emptyWorkers: PodWorkers = { upsert: () => {}, remove: () => {}, wake: () => {}, wakeAll: () => {}, setMirror: () => {}, get: () => undefined, list: () => [], holding: () => [], drop: () => {}, run: () => Promise.resolve() }

interface Assembly {
  /** Of the kubelet's life. */
  signal: AbortSignal
  paths: ReturnType<typeof podPaths>
  store: PodStore
  devices: DeviceManager
  /** Why a node that is short of something, or shuts down, takes no such pod. */
  refusal: (pod: Pod) => { reason: string; message: string } | undefined
  /** As found on disk at the start. */
  kept: (uid: string) => PodRecord | undefined
  services: () => Promise<readonly Service[] | undefined>
  allocatable: () => Promise<Record<string, string>>
  node: () => Stored<Node> | undefined
  drivers: CsiDrivers
  /** A pod was pushed out for want of this. */
  onPreemption: (resource: string) => void
  onStatus: TerminationCounts['note']
  podCounts: PodCounts
  /** A pod was looked at, after whatever has changed about it. */
  onLook: () => void
  /** A volume that the cluster attached is used from now on, or no more. */
  onVolumeUse: () => void
}

async function assemble(options: KubeletOptions, { signal, paths, store, devices, refusal, kept, services, allocatable, node, drivers, onPreemption, onStatus, podCounts, onLook, onVolumeUse }: Assembly) {
  const { client, runtime, config, clock, random, log, events, rootDir, nodeName } = options
  const { runtimeName } = await runtime.version()
  // One that cannot say now what it can do refuses what it cannot itself.
  const features = await runtime.status().catch(() => undefined)
  const hasStrictGroups = features?.supplementalGroupsPolicy ?? true
  const hasAppArmor = isAppArmorEnabled()
  const canRecursiveReadOnly = features?.handlers.find((h) => h.name === '')?.recursiveReadOnlyMounts ?? false
  const cgroups = options.cgroups ?? (await createPodCgroups({ root: config.cgroupRoot, pidsLimit: config.podPidsLimit, clock, log, ...(options.cgroupLayout && { layout: options.cgroupLayout }) }))
  const objects = createObjectSource(client, { clock, random, log, store })
  const tokens = createTokens(client, { clock, log, store })
  const nodeAllocated = await allocatable()
  const field = (pod: Stored<Pod>, podIps: readonly string[] = []): FieldContext => ({ pod, nodeName, hostIps: [config.nodeIp], podIps, allocatable: nodeAllocated })
  const mounter = options.mounter ?? systemMounter
  const csi = createCsiVolumes({ drivers, client, objects, tokens, mounter, paths, nodeName, rootDir, clock, onUse: onVolumeUse })
  const local = createLocalVolumes({ mounter, disks: createDisks(mounter), paths, rootDir })
  const growth = createVolumeGrowth({ csi, client, events, clock, nodeName })
  const persistent = createPersistentVolumes({ objects, mounter, paths, csi, local, growth, node })
  const volumes = createPodVolumes({ paths, mounter, objects, tokens, persistent, clock, random, field: (pod) => field(pod) })
  const imageAccess = await openImageAccess({ runtime, config, rootDir, clock, log })
  const images = createImagePuller({ runtime, access: imageAccess, providers: config.credentialProviders && createCredentialProviders(config.credentialProviders, { clock, log, accounts: createServiceAccounts(client, clock), signal }), clock, log, maxParallelPulls: config.maxParallelPulls })
  const userRanges = createUserRanges(paths, config.maxPods)
  const hooks = createHookRunner({ runtime, clock })
  const prober = createProber({ clock, random, log, run: createRunProbe({ runtime, clock }), onChange: (uid) => workers.wake(uid) })

  /** It goes in its own time; who comes in its place does not wait for it. */
  const preempt = ({ metadata: { uid } }: Stored<Pod>, resource: string): void => {
    const memory = workers.get(uid)
    if (!memory || memory.rejected) return
    const { reason, message, condition } = PREEMPTED
    memory.rejected = { reason, message, eviction: { graceSeconds: memory.pod.spec?.terminationGracePeriodSeconds ?? 30, sinceMs: clock.nowMs(), condition } }
    onPreemption(resource)
    events.event(asReference(memory.pod), 'Warning', reason, message)
    log.warn('a pod makes room for a critical one', { pod: `${memory.pod.metadata.namespace ?? ''}/${memory.pod.metadata.name}`, resource })
    workers.wake(uid)
  }

  const refresh = (memory: PodMemory): void => {
    if (!memory.prepared || memory.tornDown || memory.endingSinceMs !== undefined) return
    memory.refreshing = memory.refreshing.then(async () => {
      if (!memory.prepared || memory.endingSinceMs !== undefined) return
      try {
        await volumes.refresh(memory.pod)
      } catch (error) {
        const failures = error instanceof VolumeError ? error.failures : [{ reason: 'FailedMount', message: asError(error).message }]
        for (const { reason, message } of failures) events.event(asReference(memory.pod), 'Warning', reason, message)
        log.warn('a volume cannot be brought up to date', { pod: memory.pod.metadata.name, error: asError(error) })
      }
    })
  }

  const forgotten = { tell: () => {} }

  /** Images that containers here were made of; few, and an id never changes its meaning. */
  const digestRefs = new Map<string, string>()
  const imageDigestRef = async (id: string): Promise<string> => {
    const known = digestRefs.get(id)
    if (known !== undefined) return known
    const ref = (await runtime.imageStatus(id))?.repoDigests[0]
    if (ref !== undefined) digestRefs.set(id, ref)
    return ref ?? id
  }

  /** Renews tokens when the first of the pod falls due. */
  const armRefresh = (memory: PodMemory) => {
    const atMs = volumes.nextRefreshMs(memory.uid)
    memory.cancelRefresh?.()
    memory.cancelRefresh = atMs === undefined ? undefined : clock.after(Math.max(REFRESH_MS_MIN, atMs - clock.nowMs()), () => {
      refresh(memory)
      void memory.refreshing.then(() => armRefresh(memory))
    })
  }

  const onView = (memory: PodMemory, view: PodView) => {
    const ending = podEnd(view, clock.nowMs()) !== undefined
    if (!ending && memory.prepared && memory.cancelRefresh === undefined) armRefresh(memory)
    onLook()
  }

  const keep = ({ pod, endingSinceMs, allocation, resizing }: PodMemory) => store.savePod({ pod, allocation, ...(endingSinceMs !== undefined && { endingSinceMs }), ...(resizing !== undefined && { resizing }) })
  const pendingResize = ({ uid, pod }: PodMemory) => pendingResizeOf({ pod, others: workers.holding(uid), allocatable: nodeAllocated })

  const workers: PodWorkers = createPodWorkers({
    clock, random, log,
    async observe(memory) {
      const view = await observePod(memory, {
        runtime, runtimeName, hostIps: () => [config.nodeIp], memoryBytes: options.hostFacts.memoryBytes, canRecursiveReadOnly, pendingResize, probesOf: (uid) => prober.of(uid), devicesOf: (uid) => deviceStatuses(devices.given(uid), () => devices.devices()), imageDigestRef,
        async terminationMessage(m, container) {
          const known = m.terminationMessages.get(container.id)
          if (known !== undefined) return known
          const text = await terminationMessage(container, paths.terminationLog(m.uid, container.labels[CONTAINER_NAME_LABEL] ?? '', container.metadata.attempt), allContainers(m.pod).length)
          m.terminationMessages.set(container.id, text)
          return text
        },
      })
      prober.follow(view, (name, type) => (eventType, reason, message) => events.event(asReference(memory.pod, fieldPath(type, name)), eventType, reason, message))
      // Probes that have just been begun know what was told of their container before a restart.
      return { ...view, probes: prober.of(memory.uid) }
    },
    onView,
    kept,
    onSpec(memory) {
      keep(memory).catch((error: unknown) => log.error('cannot keep the pod on disk: it will not be known after a restart while the server is away', { pod: memory.pod.metadata.name, error: asError(error) }))
    },
    admit(pod, others) {
      const refused = refusal(pod)
      const admission = refused ? { ok: false as const, ...refused } : decideAdmission({ pod, others, allocatable: nodeAllocated, node: node(), hasStrictGroups, hasAppArmor, allowedSysctls: config.allowedUnsafeSysctls })
      if (admission.ok) {
        for (const victim of admission.preempt) preempt(victim, admission.resource ?? '')
        return undefined
      }
      podCounts.rejected(admission.reason)
      events.event(asReference(pod), 'Warning', admission.reason, admission.message)
      return { reason: admission.reason, message: `Pod was rejected: ${admission.message}` }
    },
    onMetadata: refresh,
    effects: (memory, view) => podCounts.counted(podEffects({
      runtime, client, events, clock, log, config, rootDir, paths, cgroups, volumes, devices, objects, images, hooks, userRanges, services, nodeHostname: options.hostFacts.hostname,
      machine: { memoryBytes: options.hostFacts.memoryBytes }, field, pendingResize, keep, onStatus,
      async forget(m) {
        prober.forget(m.uid)
        objects.release(m.uid)
        await store.removePod(m.uid)
        workers.drop(m.uid)
        onLook()
        if (isStaticPod(m.pod)) forgotten.tell()
      },
    }, memory, view), memory),
  })

  /** What failed for want of something may succeed now. */
  const retry = (memory: PodMemory) => {
    memory.wantedChangedMs = clock.nowMs()
    for (const [lane, failure] of memory.failures) if (failure.reason === 'CreateContainerConfigError' || failure.reason === 'FailedMount') memory.failures.delete(lane)
    workers.wake(memory.uid)
  }

  return {
    workers,
    prober,
    cgroups,
    imageAccess,
    /** A static pod has ended for good. */
    onForget(listener: () => void) {
      forgotten.tell = listener
    },
    onObjectChange: () => objects.onChange((uid) => {
      const memory = workers.get(uid)
      if (!memory) return
      refresh(memory)
      retry(memory)
    }),
    /** Services are known now, or a driver came. */
    retryAll() {
      for (const memory of workers.list()) retry(memory)
    },
    volumeUsage: (uid: string, volume: string) => persistent.usage(uid, volume),
    /** Drivers that want told again, claims that have grown. */
    lookAfterVolumes() {
      for (const memory of workers.list()) if (memory.pod.spec?.volumes?.some((v) => v.csi ?? v.persistentVolumeClaim ?? v.ephemeral)) refresh(memory)
    },
    /** The server is back: what was set up without it is made up to date. */
    catchUp() {
      for (const memory of workers.list()) {
        refresh(memory)
        retry(memory)
      }
    },
    close() {
      prober.close()
      objects.close()
    },
  }
}

/** However late a token is, its renewal is not tried more often. */
const REFRESH_MS_MIN = 1_000

async function rotateAll({ runtime, config, clock }: KubeletOptions, workers: PodWorkers, log: Log): Promise<void> {
  if (workers.list().length === 0) return
  for (const c of await runtime.listContainers({ state: 'running' })) {
    try {
      await rotateLog(c.logPath, { maxBytes: config.containerLogMaxBytes, maxFiles: config.containerLogMaxFiles, nowMs: clock.nowMs(), reopen: () => runtime.reopenContainerLog(c.id) })
    } catch (error) {
      log.warn('cannot rotate a container log', { container: c.id, path: c.logPath, error: asError(error) })
    }
  }
}
