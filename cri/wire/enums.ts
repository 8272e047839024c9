/** CRI's enums: the contract's words at their numbers. */
import type { ContainerState, IdRange, Mount, NamespaceMode, NamespaceOptions, SandboxState } from '../runtime.ts'

export const PROTOCOLS = ['TCP', 'UDP', 'SCTP'] as const
export const PROPAGATIONS: readonly Mount['propagation'][] = ['private', 'hostToContainer', 'bidirectional']
export const NAMESPACE_MODES: readonly NamespaceMode[] = ['pod', 'container', 'node', 'target']
export const SANDBOX_STATES: readonly SandboxState[] = ['ready', 'notready']
export const CONTAINER_STATES: readonly ContainerState[] = ['created', 'running', 'exited', 'unknown']
export const SECCOMP_PROFILES = ['RuntimeDefault', 'Unconfined', 'Localhost'] as const
/** ContainerEventType. */
export const EVENT_TYPES = ['created', 'started', 'stopped', 'deleted'] as const
/** CgroupDriver. */
export const CGROUPFS = 1

const SIGNALS = `RUNTIME_DEFAULT SIGABRT SIGALRM SIGBUS SIGCHLD SIGCLD SIGCONT SIGFPE SIGHUP SIGILL SIGINT SIGIO SIGIOT SIGKILL SIGPIPE SIGPOLL SIGPROF SIGPWR SIGQUIT SIGSEGV SIGSTKFLT SIGSTOP SIGSYS SIGTERM SIGTRAP
SIGTSTP SIGTTIN SIGTTOU SIGURG SIGUSR1 SIGUSR2 SIGVTALRM SIGWINCH SIGXCPU SIGXFSZ SIGRTMIN ${Array.from({ length: 15 }, (_, i) => `SIGRTMIN+${i + 1}`).join(' ')} ${Array.from({ length: 14 }, (_, i) => `SIGRTMAX-${14 - i}`).join(' ')} SIGRTMAX`.split(/\s+/)

/** 0, the runtime's default, for none and for what CRI has no number of. */
export const signalNumberOf = (name: string | undefined): number => Math.max(0, SIGNALS.indexOf(name ?? ''))
export const signalNameOf = (number: number): string | undefined => (number > 0 ? SIGNALS[number] : undefined)

/** CRI's words for a pod's own users; POD is 0, NODE 2. */
export const idMappings = ({ hostId, length }: IdRange) => [{ hostId, containerId: 0, length }]

export function namespaceMessage(n: NamespaceOptions) {
  const mode = (name: NamespaceMode) => NAMESPACE_MODES.indexOf(name)
  return { network: mode(n.network), pid: mode(n.pid), ipc: mode(n.ipc), targetId: n.targetId, ...(n.users && { usernsOptions: { mode: mode('pod'), uids: idMappings(n.users), gids: idMappings(n.users) } }) }
}

/** Unknown numbers of a newer protocol become `fallback`. */
export const nameOf = <T>(names: readonly T[], number: number, fallback: T): T => names[number] ?? fallback
/** Of a metric's value. */
export const METRIC_TYPES = { counter: 0, gauge: 1 } as const
