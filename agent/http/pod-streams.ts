/** What the kubelet's HTTP API needs of the kubelet: owned here, implemented in `agent/kubelet/`. */
import type { Duplex, Readable, Writable } from 'node:stream'
import type { Pod, Stored } from '#api/types/index.ts'

export interface TerminalSize { width: number; height: number }

/** One exec or attach session; `stdout` carries both outputs when there is a TTY. */
export interface IoSession {
  readonly stdin: Writable | undefined
  readonly stdout: Readable
  readonly stderr: Readable | undefined
  resize(size: TerminalSize): void
  /** The exit code; rejects when the command could not be run. */
  readonly done: Promise<number>
  close(): void
}

export interface LogOptions {
  previous: boolean
  follow: boolean
  timestamps: boolean
  tailLines?: number
  limitBytes?: number
  /** Only lines at or after this, ms since 1970. */
  sinceMs?: number
}

export interface ContainerTarget { namespace: string; pod: string; /** Undefined in the path of attach and exec never happens: the API server fills it in. */ container: string }

/**
 * Refusals are CodedErrors: `POD_NOT_FOUND`, `CONTAINER_NOT_FOUND` (404), `BAD_REQUEST` (400, e.g. the container is
 * still waiting to start), anything else is a 500 with its message.
 */
export interface PodStreams {
  pods(): readonly Stored<Pod>[]
  /** Resolves once it is known that there are logs to read. The reader stops them by aborting. */
  logs(target: ContainerTarget, options: LogOptions, signal: AbortSignal): Promise<AsyncIterable<Buffer>>
  exec(target: ContainerTarget, command: readonly string[], options: { tty: boolean; stdin: boolean }): Promise<IoSession>
  attach(target: ContainerTarget, options: { tty: boolean; stdin: boolean }): Promise<IoSession>
  /** Runs to the end: `/run/...`. */
  run(target: ContainerTarget, command: readonly string[]): Promise<Buffer>
  portForward(namespace: string, pod: string, port: number): Promise<Duplex>
}
