/**
 * What the agent knows of one pod at one moment: plain, complete and read-only. `runtime-view.ts` builds it,
 * `pod-actions.ts` and `pod-status.ts` read nothing else.
 */
import type { Container, Pod, PodStatus, ResourceRequirements, ResourceStatus, Stored } from '#api/types/index.ts'
import type { ContainerStatus, SandboxStatus } from '#cri/index.ts'
import type { ContainerType, PodAction } from './pod-action.ts'

export type ProbeKind = 'startup' | 'liveness' | 'readiness'
export type ProbeResult = 'success' | 'failure' | 'unknown'
export type ContainerProbes = Readonly<Partial<Record<ProbeKind, ProbeResult>>>

export interface ContainerView extends ContainerStatus {
  restartCount: number
  /** Wait this long after its end before the next attempt; 0: restart at once. */
  backoffSeconds: number
  /** Of the pod, when it was started. */
  round: number
  hash: string
  /** What the wait above is for: with another image or other resources it is tried at once. '': not known. */
  crashLoopKey: string
  /** From its termination message file, or its last log lines; '' while it runs. */
  terminationMessage: string
  /** As the API shows it: `docker.io/library/busybox@sha256:...` where the registry's digest is known. */
  imageDigestRef: string
  /** The same of its image volumes, by their names. */
  volumeImageRefs: ReadonlyMap<string, string>
}

/** The last failure of one lane; gone once the lane succeeds. */
export interface LaneFailure {
  /** A waiting reason (ErrImagePull, CreateContainerConfigError, ...) for starts, else free. */
  reason: string
  message: string
  atMs: number
  /** In a row. */
  count: number
  /** Not to be tried again before. */
  retryAtMs: number
  /** Of an image that is not the container's own, but a volume's. */
  image?: string
}

export interface InFlight { lane: string; action: PodAction; sinceMs: number }

/** Why what the spec asks for is not allocated: upstream's reasons (KEP-1287). */
export interface PendingResize { reason: 'Deferred' | 'Infeasible'; message: string }

/** The node's own word against a pod. */
export interface Rejection {
  reason: string
  message: string
  /** Set when it ran: by which it is to end, and since when (wall time). */
  eviction?: { graceSeconds: number; sinceMs: number; /** What its DisruptionTarget condition says; default: the message. False: it has none, for it was its own doing. */ condition?: string | false }
}

export interface PodView {
  /** With the resources that this node has allocated to it. */
  pod: Stored<Pod>
  /** Its spec asks for other resources than are allocated. Undefined: it does not. */
  resize: { spec: Stored<Pod>; pending: PendingResize | undefined } | undefined
  /** The generation whose resources were allocated last and are being made real; kept on disk. */
  resizing: number | undefined
  /** ... and what the pod as a whole has until then. */
  podBefore: ResourceRequirements | undefined
  /** ... and the cgroups have been made to fit. */
  resized: boolean
  /** The API no longer has it (or never had, after a restart): nobody waits for its status. */
  removed: boolean
  /** When this agent first saw that it is to end, by its own clock; kept on disk. Undefined: it is not. */
  endingSinceMs: number | undefined
  /** When this agent first saw the pod. */
  firstSeenMs: number
  /** Newest attempt first. */
  sandboxes: readonly SandboxStatus[]
  /** Newest attempt first; several names mixed. */
  containers: readonly ContainerView[]
  probes: ReadonlyMap<string, ContainerProbes>
  /** How the devices are that its containers have, by container. */
  devices: ReadonlyMap<string, readonly ResourceStatus[]>
  /** How often all its containers were to start anew (`restart-all.ts`): those of earlier rounds are done with. */
  round: number
  /** Directories, cgroup and volumes are there (checked since this agent started). */
  prepared: boolean
  /** Something is prepared for it by drivers of resources: until that is undone it has not ended. */
  holdsClaims: boolean
  /** Volumes are unmounted and the cgroup is gone. */
  tornDown: boolean
  /** The API has been told that nothing is left of it here. */
  finished: boolean
  failures: ReadonlyMap<string, LaneFailure>
  inFlight: readonly InFlight[]
  /** Containers (by id) and failing starts (by lane) whose back-off has been told in an Event. */
  backOffReported: ReadonlySet<string>
  /** Sidecars (by id) whose preStop hook has run; they wait for their turn to be stopped. */
  stopBegun: ReadonlySet<string>
  /** Containers (by id) that this agent stops to start them again: they are, however they end. */
  replacing: ReadonlySet<string>
  /** The newest status the API has from anyone. */
  reported: PodStatus
  node: { hostIps: readonly string[]; runtimeName: string; memoryBytes: number; podSwapBytes?: number; canRecursiveReadOnly: boolean; /** Of a container that keeps failing: longest wait for its next attempt. */ restartSecondsMax: number }
  /** Set when the node itself refuses or evicts it: it is failed with this and never started. */
  rejected: Rejection | undefined
}

export type { ContainerType } from './pod-action.ts'
export interface SpecContainer { type: ContainerType; spec: Container; index: number }

export function initContainers(pod: Pod): SpecContainer[] {
  return (pod.spec?.initContainers ?? []).map((spec, index) => ({ type: spec.restartPolicy === 'Always' ? 'sidecar' : 'init', spec, index }))
}

export function appContainers(pod: Pod): SpecContainer[] {
  return (pod.spec?.containers ?? []).map((spec, index) => ({ type: 'app', spec, index }))
}

export function ephemeralContainers(pod: Pod): SpecContainer[] {
  return (pod.spec?.ephemeralContainers ?? []).map((spec, index) => ({ type: 'ephemeral', spec, index }))
}

export function allContainers(pod: Pod): SpecContainer[] {
  return [...initContainers(pod), ...appContainers(pod), ...ephemeralContainers(pod)]
}

/** The newest container of that name, of all or of the present life: this sandbox, this round. */
export function newest(view: PodView, name: string, sandboxId?: string): ContainerView | undefined {
  return view.containers.find((c) => c.metadata.name === name && (sandboxId === undefined || (c.sandboxId === sandboxId && !isOutdated(view, c))))
}

/** All containers of the pod start anew, and this is one from before. */
export function isOutdated(view: PodView, c: ContainerView): boolean {
  return c.round < view.round && !ephemeralContainers(view.pod).some((e) => e.spec.name === c.metadata.name)
}

/** The sandbox pods run in, when it can take containers. */
export function readySandbox(view: PodView): SandboxStatus | undefined {
  const first = view.sandboxes[0]
  if (first?.state !== 'ready') return undefined
  return view.pod.spec?.hostNetwork || first.ips.length > 0 ? first : undefined
}

export function isStarted(view: PodView, spec: Container, c: ContainerView | undefined): boolean {
  if (c?.state !== 'running' || isStarting(view, spec.name)) return false
  return spec.startupProbe ? view.probes.get(c.id)?.startup === 'success' : true
}

export function isReady(view: PodView, spec: Container, c: ContainerView | undefined): boolean {
  if (c === undefined || !isStarted(view, spec, c)) return false
  return spec.readinessProbe ? view.probes.get(c.id)?.readiness === 'success' : true
}

export function isInFlight(view: PodView, lane: string): boolean {
  return view.inFlight.some((f) => f.lane === lane)
}

/** Its start is under way: image, creation, start or postStart hook. */
export function isStarting(view: PodView, name: string): boolean {
  return isInFlight(view, `start:${name}`)
}

export const isTerminalPhase = (phase: string | undefined): boolean => phase === 'Succeeded' || phase === 'Failed'
