/** All the agent ever does for a pod. Each action runs in a lane: of one lane, one action at a time. */
import type { PodStatus } from '#api/types/index.ts'
import type { LinuxResources } from '#cri/index.ts'

/** Which of a pod's lists a container is in; a sidecar is an init container that restarts always (KEP-753). */
export type ContainerType = 'init' | 'sidecar' | 'app' | 'ephemeral'

export type KillReason = 'stopping' | 'liveness' | 'startup' | 'definition' | 'sandbox' | 'resize' | 'restartAll' | 'postStart'

export type PodAction =
  /** Directories, cgroup, volumes, hosts file. */
  | { kind: 'preparePod' }
  | { kind: 'createSandbox'; attempt: number }
  /** Image, creation, start, postStart hook. `createdId`: it was created before a crash and only needs its start. */
  | { kind: 'startContainer'; name: string; type: ContainerType; sandboxId: string; attempt: number; backoffSeconds: number; /** Set once all containers were started anew. */ round?: number; createdId?: string }
  /** Ends an unfinished start, its pull or hook: the pod is to end. */
  | { kind: 'cancel'; lane: string }
  /** preStop hook, then the stop signal, then SIGKILL: all within `graceSeconds`. */
  | { kind: 'killContainer'; id: string; name: string; graceSeconds: number; because: KillReason; preStop: boolean; /** By `beginStop`, its hook included. */ begun?: true }
  /** Of a sidecar that has to wait for its turn: the preStop hook alone, which waits for nobody (KEP-753). */
  | { kind: 'beginStop'; id: string; name: string; graceSeconds: number }
  /** What the spec asks for fits: it is this pod's from now on. */
  | { kind: 'allocate' }
  /** Makes the cgroups of the pod and of its containers what is allocated. */
  | { kind: 'resize'; containers: readonly { id: string; name: string; resources: LinuxResources }[] }
  /** The Events of a resize: `mark` keeps those of a pending one from being told twice. */
  | { kind: 'reportResize'; of: 'Deferred' | 'Infeasible' | 'error' | 'completed'; message: string; mark: string }
  | { kind: 'removeContainer'; id: string }
  | { kind: 'stopSandbox'; id: string }
  | { kind: 'removeSandbox'; id: string }
  /** The Event of a crash loop or failing pull; `mark` keeps it from being told twice. */
  | { kind: 'reportBackOff'; name: string; of: 'restart' | 'pull'; mark: string; message: string }
  /** The Event of a pod whose time is over, once. */
  | { kind: 'reportDeadline'; mark: string }
  | { kind: 'reportStatus'; status: PodStatus }
  /** Volumes, cgroup, directories that are of no use to a pod that has ended. */
  | { kind: 'tearDown' }
  /** Tells the API that nothing is left of it here. */
  | { kind: 'finishDeletion' }
  /** Drops the last local record of it. */
  | { kind: 'forget' }

export function laneOf(action: PodAction): string {
  switch (action.kind) {
    case 'startContainer': return `start:${action.name}`
    case 'killContainer': case 'beginStop': return `kill:${action.id}`
    case 'removeContainer': return `remove:${action.id}`
    case 'stopSandbox': return `sandbox:${action.id}`
    case 'removeSandbox': return `sandbox:${action.id}`
    case 'resize': return 'resize'
    case 'createSandbox': return 'createSandbox'
    case 'preparePod': return 'volumes'
    case 'tearDown': return 'volumes'
    case 'reportStatus': return 'status'
    case 'finishDeletion': return 'deletion'
    case 'cancel': case 'allocate': case 'reportResize': case 'reportBackOff': case 'reportDeadline': case 'forget': return 'now'
  }
}
