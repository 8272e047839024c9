/** All that looks after the pods of a node, put together: workers and what they work with (images, volumes, probes, cgroups). What is about the node itself is the kubelet's. */
import type { Node, Pod, Service, Stored } from '#api/types/index.ts'
import { asError } from '#base/errors.ts'
import { isAppArmorEnabled, isSeccompEnabled } from '#cri/index.ts'
import { decideAdmission } from './admission.ts'
import { createPodCgroups } from './cgroups/pod-cgroups.ts'
import { createCredentialProviders } from './credential-providers/credential-providers.ts'
import { createServiceAccounts } from './credential-providers/service-accounts.ts'
import type { DeviceManager } from './devices/device-manager.ts'
import { deviceStatuses } from './devices/health.ts'
import type { ClaimManager } from './dra/claim-manager.ts'
import { asReference, fieldPath, podEffects } from './effects.ts'
import type { FieldContext } from './field-ref.ts'
import { createHookRunner } from './hooks.ts'
import { openImageAccess } from './image-access/image-access.ts'
import { createImagePuller } from './image-puller.ts'
import { CONTAINER_NAME_LABEL } from './labels.ts'
import { createObjectSource } from './objects.ts'
import { podPaths } from './pod-paths.ts'
import type { PodMemory } from './pod-memory.ts'
import { PREEMPTED } from './preemption.ts'
import type { PodRecord, PodStore } from './pod-store.ts'
import { createPodWorkers, type PodWorkers } from './pod-worker.ts'
import { createNodeCredentials } from './node-credentials.ts'
import { createProber } from './probes/prober.ts'
import { createRunProbe } from './probes/run-probe.ts'
import type { NodeResources } from './resources.ts'
import { withAllocation } from './resize.ts'
import { resizeInTurn } from './resize-order.ts'
import { observePod } from './runtime-view.ts'
import { isStaticPod } from './static/manifest.ts'
import type { KubeletDurations } from './stats/kubelet-durations.ts'
import type { PodCounts } from './stats/pod-counts.ts'
import type { PodStartup } from './stats/pod-startup.ts'
import type { StorageOperations } from './stats/storage-operations.ts'
import type { TerminationCounts } from './stats/termination-counts.ts'
import { podEnd } from './termination.ts'
import { terminationMessage } from './termination-message.ts'
import { createUserRanges } from './user-ranges.ts'
import { allContainers, type PodView } from './view.ts'
import { createCsiVolumes } from './volumes/csi/csi-volumes.ts'
import type { CsiDrivers } from './volumes/csi/drivers.ts'
import { systemMounter } from './volumes/mounter.ts'
import { createDisks } from './volumes/disks.ts'
import { createLocalVolumes } from './volumes/local-volumes.ts'
import { createPersistentVolumes } from './volumes/persistent-volumes.ts'
import { createOwnershipWatch } from './volumes/ownership.ts'
import { VolumeError } from './volumes/volume-error.ts'
import { createVolumeGrowth } from './volumes/volume-growth.ts'
import { createPodVolumes } from './volumes/pod-volumes.ts'
import { createTokens } from './volumes/tokens.ts'
import type { KubeletOptions } from './kubelet-options.ts'

/** However late a token is, its renewal is not tried more often. */
const REFRESH_MS_MIN = 1_000

/** What the pods' side is told of the node's. */
export interface PodAssembly {
  /** Of the kubelet's life. */
  signal: AbortSignal
  paths: ReturnType<typeof podPaths>
  store: PodStore
  devices: DeviceManager
  claims: ClaimManager
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
  durations: KubeletDurations
  startup: PodStartup
  storage: StorageOperations
  /** A pod was looked at, after whatever has changed about it. */
  onLook: () => void
  /** A volume that the cluster attached is used from now on, or no more. */
  onVolumeUse: () => void
}

export async function assemblePods(options: KubeletOptions, { signal, paths, store, devices, claims, refusal, kept, services, allocatable, node, drivers, onPreemption, onStatus, podCounts, durations, startup, storage, onLook, onVolumeUse }: PodAssembly) {
  const { client, runtime, clock, random, log, events, rootDir, nodeName } = options
  // Who asks for a profile is told that the kernel has none; who asks for nothing runs.
  const config = { ...options.config, seccompDefault: options.config.seccompDefault && isSeccompEnabled() }
  if (config.seccompDefault !== options.config.seccompDefault) log.info('this kernel has no seccomp: containers that ask for no profile run without')
  const { runtimeName } = await runtime.version()
  // One that cannot say now what it can do refuses what it cannot itself.
  const features = await runtime.status().catch(() => undefined)
  const hasStrictGroups = features?.supplementalGroupsPolicy ?? true
  const hasAppArmor = isAppArmorEnabled()
  const canRecursiveReadOnly = features?.handlers.find((h) => h.name === '')?.recursiveReadOnlyMounts ?? false
  const cgroups = durations.timedCgroups(options.cgroups ?? (await createPodCgroups({ root: config.cgroupRoot, pidsLimit: config.podPidsLimit, cpuPeriodUs: config.cpuPeriodUs, clock, log, ...(options.cgroupLayout && { layout: options.cgroupLayout }) })))
  const objects = createObjectSource(client, { clock, random, log, store })
  const tokens = createTokens(client, { clock, log, store })
  const nodeAllocated = await allocatable()
  const field = (pod: Stored<Pod>, podIps: readonly string[] = []): FieldContext => ({ pod, nodeName, hostIps: [config.nodeIp], podIps, allocatable: nodeAllocated })
  const mounter = options.mounter ?? systemMounter
  const ownership = createOwnershipWatch({ clock, log, tell: (pod, message) => events.event(asReference(pod), 'Warning', 'VolumePermissionChangeInProgress', message) })
  const csi = createCsiVolumes({ ownership, operations: storage, drivers, client, objects, tokens, mounter, paths, nodeName, rootDir, clock, onUse: onVolumeUse })
  const local = createLocalVolumes({ ownership, operations: storage, mounter, disks: createDisks(mounter), paths, rootDir, tell: (pod, message) => events.event(asReference(pod), 'Warning', 'AlreadyMountedVolume', message) })
  const growth = createVolumeGrowth({ client, events, clock, nodeName })
  const persistent = createPersistentVolumes({ objects, mounter, paths, csi, local, growth, node, operations: storage })
  const volumes = createPodVolumes({ paths, mounter, objects, tokens, persistent, clock, random, operations: storage, field: (pod) => field(pod) })
  const imageAccess = await openImageAccess({ runtime, config, rootDir, clock, log })
  const credentialProviders = config.credentialProviders && createCredentialProviders(config.credentialProviders, { clock, log, accounts: createServiceAccounts(client, clock), signal })
  const images = createImagePuller({ runtime, access: imageAccess, providers: credentialProviders, node: createNodeCredentials({ files: config.dockerConfigFiles, log }), clock, log, maxParallelPulls: config.maxParallelPulls, pulls: { begins: (uid) => startup.pulling(uid), done: (sizeBytes, tookMs) => durations.pulled(sizeBytes, tookMs) } })
  const userRanges = createUserRanges(paths, { count: config.maxPods, length: config.usersPerPod }, random)
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
    startup.looked(view)
    onLook()
  }

  // Version 1 cannot say how much a container may swap without saying how much memory it may have.
  const machine: NodeResources = { cpuPeriodUs: config.cpuPeriodUs, singleProcessOomKill: config.singleProcessOomKill, memoryBytes: options.hostFacts.memoryBytes, podSwapBytes: config.memorySwapBehavior === 'LimitedSwap' && cgroups.version === 2 ? options.hostFacts.swapBytes : 0 }
  const keep = ({ pod, endingSinceMs, allocation, resizing }: PodMemory) => store.savePod({ pod, allocation, ...(endingSinceMs !== undefined && { endingSinceMs }), ...(resizing !== undefined && { resizing }) })
  const pendingResize = ({ uid, pod, allocation }: PodMemory) => resizeInTurn({ self: { asked: pod, allocated: withAllocation(pod, allocation) }, others: workers.holding(uid), waiting: workers.waiting(uid), allocatable: nodeAllocated, machine })

  const workers: PodWorkers = createPodWorkers({
    clock, random, log,
    async observe(memory) {
      const view = await observePod(memory, {
        runtime, runtimeName, hostIps: () => [config.nodeIp], machine, canRecursiveReadOnly, restartSecondsMax: config.restartSecondsMax, pendingResize, probesOf: (uid) => prober.of(uid), devicesOf: ({ uid, pod }) => joined(deviceStatuses(devices.given(uid), () => devices.devices()), claims.statuses(pod)), holdsClaims: (uid) => claims.holds(uid), imageDigestRef,
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
    onBlind: ({ pod }, error) => events.event(asReference(pod), 'Warning', 'FailedSync', `error determining status: ${error.message}`),
    onPass: (kind, tookMs, waitedMs) => durations.pass(kind, tookMs, waitedMs),
    onObserved({ pod }, isNew) {
      if (isNew) durations.newPod(pod.spec?.containers.length ?? 0)
      startup.observed(pod)
    },
    onSpec(memory) {
      keep(memory).catch((error: unknown) => log.error('cannot keep the pod on disk: it will not be known after a restart while the server is away', { pod: memory.pod.metadata.name, error: asError(error) }))
    },
    onClaims: (memory) => retry(memory),
    admit(pod, others) {
      const refused = refusal(pod)
      const admission = refused ? { ok: false as const, ...refused } : decideAdmission({ pod, others, allocatable: nodeAllocated, node: node(), isDevice: (resource) => devices.manages(resource), hasStrictGroups, hasAppArmor, allowedSysctls: config.allowedUnsafeSysctls })
      if (admission.ok) {
        for (const victim of admission.preempt) preempt(victim, admission.resource ?? '')
        return undefined
      }
      podCounts.rejected(admission.reason)
      events.event(asReference(pod), 'Warning', admission.reason, admission.message)
      return { reason: admission.reason, message: `Pod was rejected: ${admission.message}` }
    },
    onMetadata: refresh,
    effects: (memory, view) => durations.timed(podCounts.counted(podEffects({
      runtime, client, events, clock, log, config, rootDir, paths, cgroups, volumes, devices, claims, objects, images, hooks, userRanges, services, nodeHostname: options.hostFacts.hostname,
      machine, field, pendingResize, keep,
      onStatus(before, after, { firstSeenMs }) {
        onStatus(before, after)
        startup.told(before, after, firstSeenMs)
      },
      async forget(m) {
        prober.forget(m.uid)
        startup.forget(m.uid)
        objects.release(m.uid)
        await store.removePod(m.uid)
        workers.drop(m.uid)
        onLook()
        if (isStaticPod(m.pod)) forgotten.tell()
      },
    }, memory, view), memory), memory),
  })

  /** What failed for want of something may succeed now. */
  const retry = (memory: PodMemory) => {
    memory.wantedChangedMs = clock.nowMs()
    for (const [lane, failure] of memory.failures) if (failure.reason === 'CreateContainerConfigError' || failure.reason === 'FailedMount' || failure.reason === 'FailedPrepareDynamicResources') memory.failures.delete(lane)
    workers.wake(memory.uid)
  }

  return {
    workers,
    prober,
    cgroups,
    imageAccess,
    pullMetrics: () => [...imageAccess.metrics(), ...images.metrics(), ...(credentialProviders?.metrics() ?? [])],
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
    volumeCounts: () => volumes.counts(),
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

const joined = <T>(a: ReadonlyMap<string, readonly T[]>, b: ReadonlyMap<string, readonly T[]>): ReadonlyMap<string, readonly T[]> => (b.size === 0 ? a : new Map([...a.keys(), ...b.keys()].map((key) => [key, [...(a.get(key) ?? []), ...(b.get(key) ?? [])]])))
