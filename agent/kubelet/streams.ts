/**
 * What the kubelet API (logs, exec, attach, port-forward) needs of the kubelet. The wire is another's: this hands over
 * streams and finds the container a request means. Errors are CodedErrors: `POD_NOT_FOUND` (404), `CONTAINER_NOT_FOUND`
 * (404), `CONTAINER_NOT_READY` (400), `PREVIOUS_NOT_FOUND` (400), `LOGS_INVALID` (400), `CONTAINER_NOT_RUNNING` and `POD_NOT_RUNNING`
 * (500, as upstream), and the runtime's own.
 */
import type { Duplex } from 'node:stream'
import type { Pod, Stored } from '#api/types/index.ts'
import type { IoSession } from '#cri/index.ts'

export interface PodName { namespace: string; pod: string; /** Guards against a successor of the same name. */ uid?: string }
export interface ContainerName extends PodName { container: string }

/** Query of `/containerLogs`, as kubectl sends it through the API server. */
export interface LogOptions {
  /** The attempt before the present one. */
  previous?: boolean
  follow?: boolean
  timestamps?: boolean
  /** Lines from the end; undefined: all. */
  tailLines?: number
  /** Bytes after which it ends. */
  limitBytes?: number
  /** At most one of both. RFC 3339. */
  sinceTime?: string
  sinceSeconds?: number
  stream?: 'All' | 'Stdout' | 'Stderr'
}

export interface LogSink {
  /** Resolves when more may be written. */
  write(chunk: Buffer): Promise<void>
}

export interface PodStreams {
  /** Throws POD_NOT_FOUND. */
  pod(name: PodName): Stored<Pod>
  /** All that this node runs. */
  pods(): Stored<Pod>[]
  containerIdFor(name: ContainerName, options?: { previous?: boolean }): Promise<string>
  /** Ends at the end of the log, of the container (`follow`), at `limitBytes` or when aborted. */
  readLogs(name: ContainerName, options: LogOptions, sink: LogSink, signal: AbortSignal): Promise<void>
  /** The id of the container that runs. Rejects with POD_NOT_FOUND, CONTAINER_NOT_RUNNING, worded for what it is wanted for. */
  runningContainer(name: ContainerName, purpose: 'exec' | 'attach'): Promise<string>
  exec(containerId: string, request: { cmd: string[]; tty: boolean; stdin: boolean }): Promise<IoSession>
  attach(containerId: string, options: { stdin: boolean; tty: boolean }): Promise<IoSession>
  /** The id of the sandbox the pod runs in. Rejects with POD_NOT_FOUND, POD_NOT_RUNNING. */
  runningSandbox(name: PodName): Promise<string>
  /** A byte stream to 127.0.0.1:port in the pod's network namespace. */
  portForward(sandboxId: string, port: number): Promise<Duplex>
  /** Those with running containers, as the runtime has them: also pods that the API no longer knows. */
  runningPods(): Promise<Pod[]>
}

/** `problem`: undefined when all is well. */
export interface HealthCheck { name: string; problem: string | undefined }

/** What the kubelet API tells of the node. */
export interface NodeFigures {
  /** Upstream's Summary. */
  summary(onlyCpuAndMemory: boolean): Promise<object>
  /** Prometheus text of `/metrics`, `/metrics/resource`, `/metrics/cadvisor`, `/metrics/probes`. */
  metrics(page: 'kubelet' | 'resource' | 'cadvisor' | 'probes'): Promise<string>
  /** The KubeletConfiguration in effect. */
  configz(): object
  /** Upstream's checks of the kubelet besides `ping` and `log`. */
  health(): readonly HealthCheck[]
}
