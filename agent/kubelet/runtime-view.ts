/** Observes one pod: what the runtime has of it, what the API was told, what is under way. All waiting happens here. */
import { isDeepStrictEqual } from 'node:util'
import type { PodStatus, ResourceStatus } from '#api/types/index.ts'
import type { ContainerRuntime, ContainerStatus } from '#cri/index.ts'
import { BACKOFF_ANNOTATION, CRASH_LOOP_ANNOTATION, HASH_ANNOTATION, imageVolumesOf, RESTART_COUNT_ANNOTATION, ROUND_ANNOTATION } from './labels.ts'
import type { PodMemory } from './pod-memory.ts'
import type { NodeResources } from './resources.ts'
import { podRound } from './restart-all.ts'
import { isAllocated, withAllocation } from './resize.ts'
import type { ContainerProbes, ContainerView, PendingResize, PodView } from './view.ts'

export interface ViewSources {
  runtime: ContainerRuntime
  runtimeName: string
  hostIps: () => readonly string[]
  machine: NodeResources
  canRecursiveReadOnly: boolean
  restartSecondsMax: number
  /** Why the resources that its spec asks for cannot be allocated now; undefined: they can. */
  pendingResize(memory: PodMemory): PendingResize | undefined
  probesOf(podUid: string): ReadonlyMap<string, ContainerProbes>
  devicesOf(memory: PodMemory): ReadonlyMap<string, readonly ResourceStatus[]>
  holdsClaims(podUid: string): boolean
  /** `docker.io/library/busybox@sha256:...` of an image id; the id itself when the registry's digest is not known. */
  imageDigestRef(imageId: string): Promise<string>
  /** Of a container that has ended: its message file or last log lines. */
  terminationMessage(memory: PodMemory, container: ContainerStatus): Promise<string>
}

export async function observePod(memory: PodMemory, sources: ViewSources): Promise<PodView> {
  const { runtime } = sources
  // Before the runtime is asked: a lane that settles meanwhile still counts as busy, for its result may not be in the lists.
  const inFlight = [...memory.inFlight.values()].map(({ lane, action, sinceMs }) => ({ lane, action, sinceMs }))
  const [sandboxes, statuses] = await Promise.all([runtime.listPodSandbox({ podUid: memory.uid }), runtime.listContainers({ podUid: memory.uid })])
  const containers: ContainerView[] = []
  for (const status of statuses) containers.push(await containerView(memory, status, sources))
  containers.sort((a, b) => b.restartCount - a.restartCount || b.createdAtMs - a.createdAtMs)
  forgetGone(memory, statuses)
  memory.sandboxIds = new Set(sandboxes.map((s) => s.id))
  return {
    pod: withAllocation(memory.pod, memory.allocation),
    resize: isAllocated(memory.pod, memory.allocation) ? undefined : { spec: memory.pod, pending: sources.pendingResize(memory) },
    resizing: memory.resizing,
    podBefore: memory.resizing === undefined || memory.resized === memory.resizing ? undefined : memory.allocation.podBefore,
    resized: memory.resized === memory.resizing,
    removed: memory.removed,
    endingSinceMs: memory.endingSinceMs,
    firstSeenMs: memory.firstSeenMs,
    sandboxes: sandboxes.toSorted((a, b) => b.metadata.attempt - a.metadata.attempt || b.createdAtMs - a.createdAtMs),
    containers,
    round: podRound(memory.pod, containers, memory.failures),
    probes: sources.probesOf(memory.uid),
    devices: sources.devicesOf(memory),
    prepared: memory.prepared,
    holdsClaims: sources.holdsClaims(memory.uid),
    tornDown: memory.tornDown,
    finished: memory.finished,
    failures: new Map(memory.failures),
    inFlight,
    backOffReported: new Set(memory.backOffReported),
    stopBegun: new Set(memory.stopBegun),
    replacing: new Set(memory.replacing),
    reported: reportedStatus(memory),
    node: { hostIps: sources.hostIps(), runtimeName: sources.runtimeName, ...sources.machine, canRecursiveReadOnly: sources.canRecursiveReadOnly, restartSecondsMax: sources.restartSecondsMax },
    rejected: memory.rejected,
  }
}

async function containerView(memory: PodMemory, status: ContainerStatus, sources: ViewSources): Promise<ContainerView> {
  const { annotations } = status
  const volumeImageRefs = new Map<string, string>()
  for (const [volume, id] of imageVolumesOf(annotations)) volumeImageRefs.set(volume, await sources.imageDigestRef(id))
  return {
    ...status,
    restartCount: Number(annotations[RESTART_COUNT_ANNOTATION] ?? status.metadata.attempt),
    backoffSeconds: Number(annotations[BACKOFF_ANNOTATION] ?? 0),
    round: Number(annotations[ROUND_ANNOTATION] ?? 0),
    hash: annotations[HASH_ANNOTATION] ?? '',
    crashLoopKey: annotations[CRASH_LOOP_ANNOTATION] ?? '',
    terminationMessage: status.state === 'exited' ? await sources.terminationMessage(memory, status) : '',
    imageDigestRef: status.imageRef.includes('@') ? status.imageRef : await sources.imageDigestRef(status.imageId),
    volumeImageRefs,
  }
}

/** What the API has: our last word as we said it, unless someone has written since. */
export function reportedStatus({ pod, written }: PodMemory): PodStatus {
  const status = pod.status ?? {}
  if (!written) return status
  const older = isOlder(pod.metadata.resourceVersion, written.resourceVersion)
  return older || isDeepStrictEqual(status, written.answer) ? written.sent : status
}

function isOlder(a: string, b: string): boolean {
  return /^\d+$/.test(a) && /^\d+$/.test(b) ? BigInt(a) < BigInt(b) : false
}

function forgetGone(memory: PodMemory, statuses: readonly ContainerStatus[]): void {
  const ids = new Set(statuses.map((s) => s.id))
  for (const known of [memory.terminationMessages, memory.stopBegun, memory.replacing]) for (const id of known.keys()) if (!ids.has(id)) known.delete(id)
}
