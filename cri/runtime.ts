/**
 * The runtime contract: CRI v1's RuntimeService and ImageService (k8s.io/cri-api, `api.proto`, v1) as TypeScript.
 * Field names and meanings are CRI's in camelCase; durations and sizes keep CRI's units. Implementations: `runc/`
 * (embedded), `grpc/` (containerd, CRI-O), `memory/` (tests). `runtime.contract.ts` is the suite for all.
 *
 * Where CRI streams through a URL (exec, attach, port-forward), this contract hands over Duplex streams instead:
 * the agent owns the wire protocol. Errors are CodedErrors: `CRI_NOT_FOUND`, `CRI_INVALID`, `CRI_EXISTS`,
 * `CRI_TIMEOUT`, `CRI_IMAGE_NOT_FOUND`, `CRI_PULL_FAILED`, `CRI_FAILED`. Stops and removals of what is not there succeed.
 */
import type { Readable, Writable } from 'node:stream'
import type { CgroupUsage } from '#base/cgroup-usage.ts'

export type SandboxState = 'ready' | 'notready'
export type ContainerState = 'created' | 'running' | 'exited' | 'unknown'
/** pod: shared in the sandbox; container: its own; node: the host's; target: another container's (`targetId`). */
export type NamespaceMode = 'pod' | 'container' | 'node' | 'target'

export interface PodSandboxMetadata { name: string; uid: string; namespace: string; attempt: number }
export interface DnsConfig { servers: string[]; searches: string[]; options: string[] }
export interface PortMapping { protocol: 'TCP' | 'UDP' | 'SCTP'; containerPort: number; hostPort: number; hostIp: string }
/** Users and groups 0 to `length` - 1 of the pod are `hostId` and up on the host. */
export interface IdRange { hostId: number; length: number }
/** `users`: the pod has its own (KEP-127); undefined: the host's. */
export interface NamespaceOptions { network: NamespaceMode; pid: NamespaceMode; ipc: NamespaceMode; targetId?: string; users?: IdRange }

export interface PodSandboxConfig {
  metadata: PodSandboxMetadata
  hostname: string
  /** Where container logs go: `<logDirectory>/<container logPath>`. */
  logDirectory: string
  /** Undefined: the container gets the host's resolv.conf. */
  dnsConfig?: DnsConfig
  portMappings: PortMapping[]
  labels: Record<string, string>
  annotations: Record<string, string>
  /** Of a RuntimeClass; undefined or '': the runtime's default. One that the runtime does not have is refused. */
  runtimeHandler?: string
  linux: {
    /** cgroupfs path below each controller's root, e.g. `/kubepods/burstable/pod<uid>`; the agent makes it. */
    cgroupParent: string
    sysctls: Record<string, string>
    namespaces: NamespaceOptions
  }
}

export interface SandboxStatus {
  id: string
  metadata: PodSandboxMetadata
  state: SandboxState
  createdAtMs: number
  /** Primary first; empty for host network. */
  ips: string[]
  labels: Record<string, string>
  annotations: Record<string, string>
  /** Path that pins the network namespace (`/run/skiff/netns/<id>`); undefined for host network. */
  netnsPath?: string
  /** Undefined: the runtime does not tell. */
  namespaces?: NamespaceOptions
}

export interface Mount {
  containerPath: string
  hostPath: string
  readonly: boolean
  propagation: 'private' | 'hostToContainer' | 'bidirectional'
  /** Read-only with all that is mounted below it; only with `readonly` and private propagation. */
  recursiveReadOnly?: boolean
  /** In a pod with users of its own: files' owners are shown as its users of the same number. */
  idMapped?: boolean
  /** Its files are the pod's own: where the kernel has SELinux they are given the pod's label. */
  selinuxRelabel?: boolean
  /** Of an image volume (KEP-4639): the resolved id of an image whose files are shown, read-only. `hostPath` is '' then. */
  image?: string
  /** Shown instead of that image's root. One that is not in it is an error: `ImageVolumeMountFailed: ...`. */
  imageSubPath?: string
}

export interface LinuxResources {
  cpuShares?: number
  cpuQuota?: number
  cpuPeriod?: number
  memoryLimitBytes?: number
  /** Desired; clamped to what the process may set (facts: without CAP_SYS_RESOURCE it cannot be lowered). */
  oomScoreAdj?: number
  pidsLimit?: number
  /** As the kernel writes lists: `0-2,4`. */
  cpusetCpus?: string
  cpusetMems?: string
  hugepageLimits?: Record<string, number>
  /** cgroup v2 keys, e.g. `memory.min`. */
  unified?: Record<string, string>
}

/** Undefined or '': the policy's own. */
export interface SelinuxOptions { user?: string; role?: string; type?: string; level?: string }

export interface SecurityContext {
  privileged: boolean
  readonlyRootfs: boolean
  runAsUser?: number
  runAsUsername?: string
  runAsGroup?: number
  supplementalGroups: number[]
  /** Strict: groups that the image gives its user are not taken. Default Merge. */
  supplementalGroupsPolicy?: 'Merge' | 'Strict'
  addCapabilities: string[]
  dropCapabilities: string[]
  noNewPrivs: boolean
  seccomp: { profile: 'RuntimeDefault' | 'Unconfined' } | { profile: 'Localhost'; path: string }
  /** Undefined: the runtime's own choice, where the kernel has AppArmor. `name`: of a profile that is loaded. */
  apparmor?: { profile: 'RuntimeDefault' | 'Unconfined' } | { profile: 'Localhost'; name: string }
  /** Means nothing where the kernel has no SELinux. */
  selinux?: SelinuxOptions
  maskedPaths?: string[]
  readonlyPaths?: string[]
}

export interface ContainerConfig {
  metadata: { name: string; attempt: number }
  /** A resolved image id (`sha256:...`) as returned by pullImage or imageStatus. */
  image: string
  /** Entrypoint override; empty: the image's. */
  command: string[]
  /** Args override; empty: the image's Cmd, unless command is set. */
  args: string[]
  /** Empty: the image's. */
  workingDir: string
  /** Added after the image's own. */
  env: { key: string; value: string }[]
  mounts: Mount[]
  devices: { containerPath: string; hostPath: string; permissions: string }[]
  /** Devices that their vendors described (CDI), by qualified name: `vendor.com/class=device`. */
  cdiDevices?: readonly string[]
  labels: Record<string, string>
  annotations: Record<string, string>
  /** Relative to the sandbox's logDirectory: `<container>/<attempt>.log`. */
  logPath: string
  stdin: boolean
  stdinOnce: boolean
  tty: boolean
  /** Signal name; default the image's StopSignal, else SIGTERM. */
  stopSignal?: string
  linux: { resources: LinuxResources; security: SecurityContext; namespaces: NamespaceOptions }
}

export interface ContainerStatus {
  id: string
  sandboxId: string
  metadata: { name: string; attempt: number }
  state: ContainerState
  createdAtMs: number
  /** 0 until started. */
  startedAtMs: number
  /** 0 until exited. */
  finishedAtMs: number
  exitCode: number
  /** Upstream's words: Completed, Error, OOMKilled, ContainerCannotRun, StartError. */
  reason: string
  message: string
  imageId: string
  /** The reference it was asked for by, e.g. `docker.io/library/busybox:1`. */
  imageRef: string
  labels: Record<string, string>
  annotations: Record<string, string>
  /** Absolute. */
  logPath: string
  /** What it runs with now. Undefined: the runtime does not tell (containerd before 1.7). */
  resources?: LinuxResources
  /** Signal name; undefined: the runtime does not tell. */
  stopSignal?: string
  /** Undefined: the runtime does not tell. */
  mounts?: readonly Mount[]
  /** Of its first process while it runs, as the runtime's machine numbers it; undefined also where the runtime does not tell. */
  pid?: number
  /** Whom its first process runs as; undefined: the runtime does not tell. */
  user?: { uid: number; gid: number; supplementalGroups: number[] }
}

export interface Image {
  /** `sha256:` digest of the image's config. */
  id: string
  repoTags: string[]
  repoDigests: string[]
  sizeBytes: number
  /** From the image's config: numeric uid, or a username. */
  uid?: number
  username?: string
  pinned: boolean
}

export interface RegistryAuth { username?: string; password?: string; identityToken?: string; registryToken?: string }
export type PullProgress =
  | { kind: 'resolving'; ref: string }
  | { kind: 'downloading'; digest: string; doneBytes: number; totalBytes: number }
  | { kind: 'unpacking'; digest: string }
  | { kind: 'done'; imageId: string; sizeBytes: number; tookMs: number }

export type RuntimeEvent =
  | { kind: 'containerCreated' | 'containerStarted' | 'containerStopped' | 'containerDeleted'; containerId: string; sandboxId: string }
  | { kind: 'sandboxStopped' | 'sandboxDeleted'; sandboxId: string }

export interface ExecRequest { containerId: string; cmd: string[]; tty: boolean; stdin: boolean }
export interface TerminalSize { width: number; height: number }

/** One running exec or attach session. `stdout` carries both when `tty`. */
export interface IoSession {
  readonly stdin: Writable | undefined
  readonly stdout: Readable
  readonly stderr: Readable | undefined
  resize(size: TerminalSize): void
  /** Exit code of the exec'ed process; for attach, 0 once the container has ended, or the input of one without `stdinOnce` has. Rejects if it could not run. */
  readonly done: Promise<number>
  /** Ends the session: an exec'ed process is killed, an attached container is left alone. */
  close(): void
}

export interface ContainerStats extends CgroupUsage {
  containerId: string
  atMs: number
  writableLayerUsedBytes: number
  /** Undefined: the runtime does not tell. */
  writableLayerInodesUsed?: number
}

/** Of a pod's network namespace; none of one that is the host's. `name`: as the pod sees it. */
export interface InterfaceUsage { name: string; rxBytes: number; rxErrors: number; txBytes: number; txErrors: number }
export interface SandboxNetwork { podSandboxId: string; interfaces: readonly InterfaceUsage[] }

/** Metrics for monitoring, as CRI words them: the labels' names are those of the descriptor with the same name. */
export interface MetricDescriptor { name: string; help: string; labelKeys: readonly string[] }
/** `atMs` 0: gathered just now. */
export interface MetricSample { name: string; type: 'counter' | 'gauge'; atMs: number; value: number; labelValues: readonly string[] }
export interface PodSandboxMetrics { podSandboxId: string; metrics: readonly MetricSample[]; containerMetrics: readonly { containerId: string; metrics: readonly MetricSample[] }[] }

/** What one handler's sandboxes can do; `name` '' is the default one. */
export interface RuntimeHandler { name: string; recursiveReadOnlyMounts: boolean; userNamespaces: boolean }

export interface RuntimeStatus {
  conditions: { type: 'RuntimeReady' | 'NetworkReady'; status: boolean; reason: string; message: string }[]
  handlers: RuntimeHandler[]
  supplementalGroupsPolicy: boolean
}

export interface RuntimeService {
  version(): Promise<{ runtimeName: string; runtimeVersion: string; runtimeApiVersion: string }>
  status(): Promise<RuntimeStatus>
  /** Idempotent by metadata (uid, attempt): a repeat after a crash returns the existing ready sandbox. */
  runPodSandbox(config: PodSandboxConfig): Promise<string>
  stopPodSandbox(id: string): Promise<void>
  /** Stops and removes what is in it first. */
  removePodSandbox(id: string): Promise<void>
  podSandboxStatus(id: string): Promise<SandboxStatus>
  listPodSandbox(filter?: { podUid?: string; state?: SandboxState }): Promise<SandboxStatus[]>
  createContainer(sandboxId: string, config: ContainerConfig, sandbox: PodSandboxConfig): Promise<string>
  startContainer(id: string): Promise<void>
  /** Stop signal, then SIGKILL after `timeoutSeconds`; resolves when it has exited. */
  stopContainer(id: string, timeoutSeconds: number): Promise<void>
  removeContainer(id: string): Promise<void>
  listContainers(filter?: { podUid?: string; sandboxId?: string; state?: ContainerState }): Promise<ContainerStatus[]>
  containerStatus(id: string): Promise<ContainerStatus>
  /** What is not named stays as it is; a quota or limit of -1 takes it away. */
  updateContainerResources(id: string, resources: LinuxResources): Promise<void>
  /** After the log file was renamed away: makes the writer open a new one. */
  reopenContainerLog(id: string): Promise<void>
  /** Runs to the end; output is bounded (1 MiB each, then cut). Throws CRI_TIMEOUT after killing it; 0: no timeout. */
  execSync(containerId: string, cmd: string[], timeoutSeconds: number): Promise<{ exitCode: number; stdout: Buffer; stderr: Buffer }>
  exec(request: ExecRequest): Promise<IoSession>
  attach(containerId: string, options: { stdin: boolean; tty: boolean }): Promise<IoSession>
  /** A byte stream to 127.0.0.1:port inside the sandbox's network namespace. Rejects when nothing listens. */
  portForward(sandboxId: string, port: number): Promise<import('node:stream').Duplex>
  containerStats(id: string): Promise<ContainerStats>
  listContainerStats(): Promise<ContainerStats[]>
  /** Traffic of ready sandboxes; those without a network of their own are left out. Empty: the runtime does not tell. */
  listSandboxNetworks(): Promise<SandboxNetwork[]>
  /** Empty: the runtime has no metrics. */
  listMetricDescriptors(): Promise<readonly MetricDescriptor[]>
  /** Of ready sandboxes and their running containers. Costs more than stats: for whoever scrapes. */
  listPodSandboxMetrics(): Promise<PodSandboxMetrics[]>
  /** Pushed, not polled. Returns the unsubscribe. Events are hints: the listener re-reads the state. */
  events(listener: (event: RuntimeEvent) => void): () => void
}

export interface ImageService {
  listImages(): Promise<Image[]>
  /** By reference, digest reference or id; undefined when absent. */
  imageStatus(ref: string): Promise<Image | undefined>
  /** Resolves to the image. One pull per reference at a time, repeats join it. */
  pullImage(ref: string, options: { auth?: RegistryAuth; onProgress?: (progress: PullProgress) => void; signal?: AbortSignal }): Promise<Image>
  removeImage(ref: string): Promise<void>
  imageFsInfo(): Promise<{ mountpoint: string; usedBytes: number; inodesUsed: number }>
  /** An OCI or docker-archive tarball from a local file; returns what it held. */
  importImages(path: string): Promise<Image[]>
  /** What an archive of these is made of, kept until `release` whatever is removed meanwhile. By name: only that name; by id: all its names. Throws CRI_IMAGE_NOT_FOUND. */
  holdImages(refs: readonly string[]): Promise<{ images: ExportableImage[]; release: () => void }>
}

export interface ExportableImage {
  id: string
  /** With tags: a digest is that of the registry's manifest, which an archive does not have. */
  names: string[]
  configBytes: Buffer
  /** Trees of unpacked layers on the runtime's machine, base first. */
  layers: string[]
}

export interface ContainerRuntime extends RuntimeService, ImageService {
  /** Lets go of watchers and sockets; containers keep running. */
  close(): Promise<void>
}

/** What the embedded runtime needs of a pod network; the agent passes `cni`'s. Both calls are idempotent. */
export interface PodNetwork {
  /** Wires the namespace and returns the pod's addresses, primary first. */
  setup(sandbox: { id: string; netnsPath: string; podName: string; podNamespace: string; podUid: string; portMappings: PortMapping[] }): Promise<{ ips: string[] }>
  teardown(sandbox: { id: string; netnsPath: string | undefined }): Promise<void>
  /** Undefined when ready, otherwise why not, for NetworkReady. */
  notReadyReason(): string | undefined
}
