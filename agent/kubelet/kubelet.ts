/** The kubelet, put together: pods of this node from the API (or the disk, while it is away) to containers, and back as status. */
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { quantityValue } from '#api/types/quantity.ts'
import { NODES, type Node, PODS, SERVICES, type Pod, type PodStatus, type Service } from '#api/types/index.ts'
import { asError } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import type { PodCgroups } from './cgroups/pod-cgroups.ts'
import { runBoardDevices } from './devices/board-devices.ts'
import { openDeviceManager, type DeviceManager } from './devices/device-manager.ts'
import { createDevicePlugins, type DevicePlugins } from './devices/plugins.ts'
import { openClaimManager, type ClaimManager } from './dra/claim-manager.ts'
import { createDraDrivers } from './dra/drivers.ts'
import { asReference } from './effects.ts'
import { followPods } from './follow-pods.ts'
import { linkDirectory, removeDeadLinks } from './logs/container-links.ts'
import { rotateLog } from './logs/rotate-logs.ts'
import { readHostPressure } from './node/host-facts.ts'
import { runNodeLease } from './node/node-lease.ts'
import { memoryVolumesMaySwap } from './node/memory-volumes.ts'
import { createNodeReporter } from './node/node-reporter.ts'
import { createNodeStartup } from './node/node-startup.ts'
import { createBoardWatch } from './node/board/board-watch.ts'
import { checkReservations, nodeAllocatable, podsLimits } from './node/allocatable.ts'
import { nodeCapacity } from './node/node-status.ts'
import { createEvictionManager } from './eviction/eviction-manager.ts'
import { hasDedicatedImageFs, observeSignals } from './eviction/observe-signals.ts'
import { parseThresholds } from './eviction/thresholds.ts'
import { createGarbageCollector } from './garbage/garbage-collector.ts'
import { podPaths } from './pod-paths.ts'
import { createLoopHealth } from './loop-health.ts'
import { openPodStore } from './pod-store.ts'
import { createPodStreams } from './pod-streams.ts'
import type { PodWorkers } from './pod-worker.ts'
import { preemptionMetrics, type MetricFamily } from './stats/metrics-text.ts'
import { createPodResources, noPodResourcesCounts, podResourcesMetrics } from './pod-resources/pod-resources.ts'
import type { Prober } from './probes/prober.ts'
import { withAllocation } from './resize.ts'
import { reportedStatus } from './runtime-view.ts'
import { createNodeFigures } from './stats/node-figures.ts'
import { readFs } from './stats/host-usage.ts'
import { createStaticPods } from './static/static-pods.ts'
import { createShutdownManager, NODE_NOT_READY, NOT_ADMITTED, SHUTDOWN } from './shutdown/shutdown-manager.ts'
import { readKernelLog } from './node/kernel-log.ts'
import { watchSystemOom } from './node/system-oom.ts'
import { createKubeletDurations } from './stats/kubelet-durations.ts'
import { createPodCounts, type CountedPod } from './stats/pod-counts.ts'
import { createPodStartup } from './stats/pod-startup.ts'
import { createRuntimeOperations } from './stats/runtime-operations.ts'
import { createTerminationCounts } from './stats/termination-counts.ts'
import { createStatsSource } from './stats/stats-source.ts'
import { createStorageOperations, type VolumeCounts } from './stats/storage-operations.ts'
import type { NodeFigures, PodStreams } from './streams.ts'
import { every, pause } from './turns.ts'
import { sooner } from './termination.ts'
import { isTerminalPhase } from './view.ts'
import { createPluginWatcher } from './plugins/plugin-watcher.ts'
import { createCsiDrivers } from './volumes/csi/drivers.ts'
import { volumesInUse } from './volumes/csi/notes.ts'
import type { VolumeFigures } from './volumes/persistent-volumes.ts'
import type { KubeletOptions } from './kubelet-options.ts'
import { assemblePods } from './pod-assembly.ts'

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
/** As often as upstream's kubelet syncs a pod. */
const VOLUME_LOOK_MS = 60_000
/** Upstream's defaultReconcilePeriod of its manager of claims. */
const CLAIMS_LOOK_MS = 60_000
/** Upstream's monitoringInterval of the eviction manager. */
const EVICTION_LOOK_MS = 10_000
/** Upstream's ImageGCPeriod. */
const GARBAGE_LOOK_MS = 300_000
/** The first list of Services comes within milliseconds of the first pod; a start waits this long for it before it fails. */
const SERVICES_WAIT_MS = 5_000

export function createKubelet(given: KubeletOptions): Kubelet {
  const operations = createRuntimeOperations(given.clock)
  const options = { ...given, runtime: operations.counted(given.runtime) }
  const { nodeName, client, informers, runtime, dataDir, rootDir, config, clock, random, events } = options
  const log = options.log.with('kubelet')
  const paths = podPaths(rootDir, config.podLogsDir)
  const pods = informers.of<Pod>(PODS, { fieldSelector: `spec.nodeName=${nodeName}` })
  const services = informers.of<Service>(SERVICES)
  const pressure = options.hostPressure ?? (() => readHostPressure(rootDir))
  const nodes = informers.of<Node>(NODES)
  const storage = createStorageOperations(clock)
  const drivers = createCsiDrivers({ nodeName, client, clock, random, log, operations: storage })
  const draDrivers = createDraDrivers({ nodeName, client, clock, random, log })
  const inUse: { read?: Promise<readonly string[]> | undefined } = {}
  const board = createBoardWatch({ root: options.boardRoot ?? '/', dataDir, told: () => nodes.get(nodeName)?.status?.conditions ?? [], clock, log })
  const nodeStartup = createNodeStartup({ bootMs: options.hostFacts.bootMs, startedMs: clock.nowMs(), clock })
  const reporter = createNodeReporter({ nodeName, startup: nodeStartup, memoryVolumesMaySwap: () => memoryVolumesMaySwap(options.hostFacts, rootDir), volumesInUse: () => (inUse.read ??= volumesInUse(paths)), devices: () => devices?.capacity() ?? new Map(), signs: () => board.look(), observed: () => nodes.get(nodeName), client, runtime, config, facts: options.hostFacts, pressure, events, clock, log, servedPort: options.servedPort ?? (() => config.kubeletPort), underPressure: () => eviction.conditions, notReady: () => (shutdown.isShuttingDown ? [NODE_NOT_READY] : []) })
  let workers: PodWorkers | undefined
  let prober: Prober | undefined
  let cgroups: PodCgroups | undefined
  const pulls: { metrics?: () => MetricFamily[] } = {}
  let devices: DeviceManager | undefined
  let claims: ClaimManager | undefined
  let plugins: DevicePlugins | undefined

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
  const durations = createKubeletDurations(clock)
  const startup = createPodStartup(clock)
  const health = createLoopHealth(RESYNC_MS, clock)
  const volumeUsage: { of?: (podUid: string, volume: string) => Promise<VolumeFigures | undefined>; counts?: () => VolumeCounts } = {}
  const stats = createStatsSource({ podUsage: async (pod) => cgroups?.usage(pod), podsUsage: async () => cgroups?.podsUsage(), volumeUsage: (uid, volume) => volumeUsage.of?.(uid, volume) ?? Promise.resolve(undefined), log, runtime, pods: () => streams.pods(), nodeName, rootDir, paths, facts: options.hostFacts, pressure, clock })
  const counters = (): MetricFamily[] => [
    ...eviction.counters(), ...garbage.counters(), ...board.metrics(), ...podResourcesMetrics(resourceCalls), preemptionMetrics(preemptions), ...terminations.metrics(), ...shutdown.metrics(), ...(pulls.metrics?.() ?? []), ...(devices?.metrics() ?? []), ...(plugins?.metrics() ?? []), ...draDrivers.metrics(), ...(claims?.metrics() ?? []),
    ...podCounts.metrics(countedPods(), cgroups?.version), ...durations.metrics(), ...nodeStartup.metrics(), ...startup.metrics(), ...operations.metrics(), ...storage.metrics(volumeUsage.counts?.() ?? { desired: [], actual: [] }),
  ]
  const figures = createNodeFigures({ stats, runtime, probes: () => prober?.counts() ?? [], probeDurations: () => (prober ? [prober.durations()] : []), counters, health: () => health.checks(), nodeName, config, facts: options.hostFacts, clock, log })

  const aboutNode = (reason: string, message: string, type: 'Normal' | 'Warning' = 'Warning') => {
    const node = nodes.get(nodeName)
    events.event({ apiVersion: 'v1', kind: 'Node', name: nodeName, ...(node && { uid: node.metadata.uid }) }, type, reason, message)
  }
  const activePods = () => (workers?.list() ?? []).filter((m) => !m.rejected && !m.tornDown && m.endingSinceMs === undefined && !isTerminalPhase(m.pod.status?.phase))
  const countedPods = (): CountedPod[] => {
    const active = new Set(activePods())
    return (workers?.list() ?? []).map((m) => ({ pod: m.pod, isActive: active.has(m), hasMirror: m.mirror !== undefined, conditions: reportedStatus(m).conditions ?? [] }))
  }
  const shutdown = createShutdownManager({
    periods: config.shutdownPeriods, directory: rootDir, clock, log, onChange: () => reporter.poke(), tell: (reason, message) => aboutNode(reason, message, 'Normal'),
    // Those on their way out, too: they are waited for, and get no more time than the others.
    pods: () => (workers?.list() ?? []).filter((m) => (!m.rejected || m.rejected.eviction) && !m.tornDown && !isTerminalPhase(m.pod.status?.phase)).map((m) => m.pod),
    end({ metadata: { uid } }, graceSeconds) {
      const memory = workers?.get(uid)
      if (!memory) return
      memory.rejected = { ...SHUTDOWN, eviction: sooner({ graceSeconds, sinceMs: clock.nowMs() }, memory.rejected?.eviction) }
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
  /** Found out once: it does not change while an agent runs. */
  const imageFs: { isDedicated?: boolean } = {}
  const eviction = createEvictionManager({
    thresholds: parseThresholds(config), maxPodGraceSeconds: config.evictionMaxPodGraceSeconds, transitionMs: config.evictionTransitionMs, clock, log, tell: aboutNode,
    observe: () => observeSignals({ pressure, runtime, rootDir, memoryBytes: options.hostFacts.memoryBytes, podsMemory: async () => cgroups?.podsMemory(), clock }),
    pods: () => activePods().map((m) => withAllocation(m.pod, m.allocation)),
    measure: async () => (await stats.measure({ withNetworks: false })).pods,
    freeDisk: () => garbage.freeDisk(),
    onConditions: () => reporter.poke(),
    hasImageFs: async () => (imageFs.isDedicated ??= await hasDedicatedImageFs({ runtime, rootDir })),
    hasEnded: (uid) => workers?.get(uid)?.tornDown ?? true,
    evict({ pod, graceSeconds, message, signal, annotations }) {
      const memory = workers?.get(pod.metadata.uid)
      if (!memory) return
      memory.rejected = { reason: 'Evicted', message, eviction: { graceSeconds, sinceMs: clock.nowMs(), ...(signal.endsWith('.limit') && { condition: false }) } }
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
      const registrations = createDevicePlugins({ directory: deviceDirectory, manager, clock, log })
      plugins = registrations
      health.add('device-plugin', () => registrations.problem())
      health.passed()
      const claimManager = await openClaimManager({ directory: rootDir, drivers: draDrivers, clock, log, onHealth: (uids) => { for (const uid of uids) workers?.wake(uid) } })
      claims = claimManager
      const kept = new Map((await store.loadPods()).map((record) => [record.pod.metadata.uid, record]))
      const running = await assemblePods({ ...options, log }, { signal, paths, store, devices: manager, claims: claimManager, refusal: (pod) => (shutdown.isShuttingDown ? NOT_ADMITTED : eviction.refusal(pod)), kept: (uid) => kept.get(uid), services: knownServices, allocatable: async () => nodeAllocatable(await capacity(), config), node: () => nodes.get(nodeName), drivers,
        onPreemption: (resource) => preemptions.set(resource, (preemptions.get(resource) ?? 0) + 1),
        onStatus: (before, after) => terminations.note(before, after), podCounts, durations, startup, storage, onLook: () => shutdown.look(),
        onVolumeUse() {
          inUse.read = undefined
          reporter.poke()
        },
      })
      workers = running.workers
      volumeUsage.of = running.volumeUsage
      volumeUsage.counts = running.volumeCounts
      prober = running.prober
      cgroups = running.cgroups
      pulls.metrics = running.pullMetrics
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
      const offDraDrivers = draDrivers.onChange(() => running.retryAll())
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
          draDrivers.run(signal),
          registrations.run(signal),
          createPluginWatcher({ directory: join(rootDir, 'plugins_registry'), handlers: new Map([['CSIPlugin', drivers.handler], ['DevicePlugin', registrations.handler], ['DRAPlugin', draDrivers.handler]]), clock, log }).run(signal),
          createPodResources({
            rootDir, devices: manager, claims: claimManager, clock, log, podByName: (namespace, name) => streams.pods().find((p) => p.metadata.name === name && p.metadata.namespace === namespace),
            activePods: () => needed().list().filter((m) => !m.rejected && !m.tornDown && !isTerminalPhase(m.pod.status?.phase)).map((m) => m.pod),
          }, resourceCalls).run(signal),
          watchSystemOom({ kernelLog: options.kernelLog ?? readKernelLog, tell: (message) => aboutNode('SystemOOM', message), log }, signal),
          runBoardDevices({ rules: config.boardDevices, manager, clock, log }, signal),
          runNodeLease(client, nodeName, { clock, random, log, ...(options.connectivity && { connectivity: options.connectivity }), onReconnect: () => { reporter.poke(); running.catchUp() } }, signal),
          every('look at all pods', RESYNC_MS, { clock, log }, signal, () => { health.passed(); needed().wakeAll(); return Promise.resolve() }),
          every('look after volumes of drivers', VOLUME_LOOK_MS, { clock, log }, signal, () => { running.lookAfterVolumes(); return Promise.resolve() }),
          every('look after claims of pods that are gone', CLAIMS_LOOK_MS, { clock, log }, signal, async () => { if (pods.hasSynced()) await claimManager.reconcile(new Set(needed().list().filter((m) => !m.tornDown).map((m) => m.uid))) }),
          every('look for pressure', EVICTION_LOOK_MS, { clock, log }, signal, () => eviction.look()),
          every('collect garbage', GARBAGE_LOOK_MS, { clock, log }, signal, async () => {
            await garbage.collect()
            await running.imageAccess.prune()
          }),
          every('rotate container logs', config.containerLogMonitorMs, { clock, log }, signal, () => rotateAll(options, needed(), log)),
        ])
      } finally {
        stop.off()
        offObjects()
        offDrivers()
        offDraDrivers()
        claimManager.close()
        running.close()
      }
    },
  }
}

const emptyWorkers: PodWorkers = { upsert: () => {}, remove: () => {}, wake: () => {}, wakeAll: () => {}, setMirror: () => {}, get: () => undefined, list: () => [], holding: () => [], waiting: () => [], drop: () => {}, run: () => Promise.resolve() }

async function rotateAll({ runtime, config, clock }: KubeletOptions, workers: PodWorkers, log: Log): Promise<void> {
  const maxBytes = quantityValue(config.containerLogMaxSize)
  if (maxBytes < 0 || workers.list().length === 0) return
  for (const c of await runtime.listContainers({ state: 'running' })) {
    try {
      await rotateLog(c.logPath, { maxBytes, maxFiles: config.containerLogMaxFiles, nowMs: clock.nowMs(), reopen: () => runtime.reopenContainerLog(c.id) })
    } catch (error) {
      log.warn('cannot rotate a container log', { container: c.id, path: c.logPath, error: asError(error) })
    }
  }
}
