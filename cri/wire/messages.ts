/** CRI v1's messages (k8s.io/cri-api, `api.proto` of v1.36), without Windows' and deprecated fields. Numbers and names are the protocol's. */
import { bool, bytes, int, ints, list, map, message, one, string, strings } from '#base/protobuf/message.ts'

export const Empty = message({})
const Int64Value = message({ value: int(1) })
const UInt64Value = message({ value: int(1) })

export const Version = { request: message({ version: string(1) }), response: message({ version: string(1), runtimeName: string(2), runtimeVersion: string(3), runtimeApiVersion: string(4) }) }

const DnsConfig = message({ servers: strings(1), searches: strings(2), options: strings(3) })
const PortMapping = message({ protocol: int(1), containerPort: int(2), hostPort: int(3), hostIp: string(4) })
const IdMapping = message({ hostId: int(1), containerId: int(2), length: int(3) })
const UserNamespace = message({ mode: int(1), uids: list(2, IdMapping), gids: list(3, IdMapping) })
const NamespaceOption = message({ network: int(1), pid: int(2), ipc: int(3), targetId: string(4), usernsOptions: one(5, UserNamespace) })
const SecurityProfile = message({ profileType: int(1), localhostRef: string(2) })
const SELinuxOption = message({ user: string(1), role: string(2), type: string(3), level: string(4) })
const KeyValue = message({ key: string(1), value: string(2) })
export const ImageSpec = message({ image: string(1), annotations: map(2), userSpecifiedImage: string(18), runtimeHandler: string(19), imageRef: string(20) })
const Mount = message({
  containerPath: string(1), hostPath: string(2), readonly: bool(3), selinuxRelabel: bool(4), propagation: int(5), uidMappings: list(6, IdMapping), gidMappings: list(7, IdMapping),
  recursiveReadOnly: bool(8), image: one(9, ImageSpec), imageSubPath: string(10),
})
const HugepageLimit = message({ pageSize: string(1), limit: int(2) })
export const LinuxContainerResources = message({
  cpuPeriod: int(1), cpuQuota: int(2), cpuShares: int(3), memoryLimitInBytes: int(4), oomScoreAdj: int(5), cpusetCpus: string(6), cpusetMems: string(7), hugepageLimits: list(8, HugepageLimit), unified: map(9),
  memorySwapLimitInBytes: int(10),
})

export const LinuxSandboxSecurityContext = message({
  namespaceOptions: one(1, NamespaceOption), selinuxOptions: one(2, SELinuxOption), runAsUser: one(3, Int64Value), readonlyRootfs: bool(4), supplementalGroups: ints(5), privileged: bool(6), runAsGroup: one(8, Int64Value),
  seccomp: one(9, SecurityProfile), apparmor: one(10, SecurityProfile), supplementalGroupsPolicy: int(11),
})
const LinuxPodSandboxConfig = message({
  cgroupParent: string(1), securityContext: one(2, LinuxSandboxSecurityContext), sysctls: map(3), overhead: one(4, LinuxContainerResources), resources: one(5, LinuxContainerResources),
})
export const PodSandboxMetadata = message({ name: string(1), uid: string(2), namespace: string(3), attempt: int(4) })
export const PodSandboxConfig = message({
  metadata: one(1, PodSandboxMetadata), hostname: string(2), logDirectory: string(3), dnsConfig: one(4, DnsConfig), portMappings: list(5, PortMapping), labels: map(6), annotations: map(7), linux: one(8, LinuxPodSandboxConfig),
})
export const RunPodSandbox = { request: message({ config: one(1, PodSandboxConfig), runtimeHandler: string(2) }), response: message({ podSandboxId: string(1) }) }
export const BySandboxId = message({ podSandboxId: string(1) })
export const UpdatePodSandboxResources = message({ podSandboxId: string(1), overhead: one(2, LinuxContainerResources), resources: one(3, LinuxContainerResources) })
export const ByContainerId = message({ containerId: string(1) })

const PodIp = message({ ip: string(1) })
const PodSandboxNetworkStatus = message({ ip: string(1), additionalIps: list(2, PodIp) })
const Namespace = message({ options: one(2, NamespaceOption) })
const LinuxPodSandboxStatus = message({ namespaces: one(1, Namespace) })
export const PodSandboxStatus = message({
  id: string(1), metadata: one(2, PodSandboxMetadata), state: int(3), createdAt: int(4), network: one(5, PodSandboxNetworkStatus), linux: one(6, LinuxPodSandboxStatus), labels: map(7), annotations: map(8), runtimeHandler: string(9),
})

export const ContainerMetadata = message({ name: string(1), attempt: int(2) })
const ContainerResources = message({ linux: one(1, LinuxContainerResources) })
const LinuxContainerUser = message({ uid: int(1), gid: int(2), supplementalGroups: ints(3) })
const ContainerUser = message({ linux: one(1, LinuxContainerUser) })
export const ContainerStatus = message({
  id: string(1), metadata: one(2, ContainerMetadata), state: int(3), createdAt: int(4), startedAt: int(5), finishedAt: int(6), exitCode: int(7), image: one(8, ImageSpec), imageRef: string(9), reason: string(10), message: string(11),
  labels: map(12), annotations: map(13), mounts: list(14, Mount), logPath: string(15), resources: one(16, ContainerResources), imageId: string(17), user: one(18, ContainerUser), stopSignal: int(19),
})
export const PodSandboxStatusCall = {
  request: message({ podSandboxId: string(1), verbose: bool(2) }),
  response: message({ status: one(1, PodSandboxStatus), info: map(2), containersStatuses: list(3, ContainerStatus), timestamp: int(4) }),
}
const StateValue = message({ state: int(1) })
export const ListPodSandbox = {
  request: message({ filter: one(1, message({ id: string(1), state: one(2, StateValue), labelSelector: map(3) })) }),
  response: message({ items: list(1, message({ id: string(1), metadata: one(2, PodSandboxMetadata), state: int(3), createdAt: int(4), labels: map(5), annotations: map(6), runtimeHandler: string(7) })) }),
}

const Capability = message({ addCapabilities: strings(1), dropCapabilities: strings(2), addAmbientCapabilities: strings(3) })
export const LinuxContainerSecurityContext = message({
  capabilities: one(1, Capability), privileged: bool(2), namespaceOptions: one(3, NamespaceOption), selinuxOptions: one(4, SELinuxOption), runAsUser: one(5, Int64Value), runAsUsername: string(6), readonlyRootfs: bool(7),
  supplementalGroups: ints(8), noNewPrivs: bool(11), runAsGroup: one(12, Int64Value), maskedPaths: strings(13), readonlyPaths: strings(14), seccomp: one(15, SecurityProfile), apparmor: one(16, SecurityProfile),
  supplementalGroupsPolicy: int(17),
})
export const ContainerConfig = message({
  metadata: one(1, ContainerMetadata), image: one(2, ImageSpec), command: strings(3), args: strings(4), workingDir: string(5), envs: list(6, KeyValue), mounts: list(7, Mount),
  devices: list(8, message({ containerPath: string(1), hostPath: string(2), permissions: string(3) })), labels: map(9), annotations: map(10), logPath: string(11), stdin: bool(12), stdinOnce: bool(13), tty: bool(14),
  linux: one(15, message({ resources: one(1, LinuxContainerResources), securityContext: one(2, LinuxContainerSecurityContext) })), cdiDevices: list(17, message({ name: string(1) })), stopSignal: int(18),
})
export const CreateContainer = { request: message({ podSandboxId: string(1), config: one(2, ContainerConfig), sandboxConfig: one(3, PodSandboxConfig) }), response: ByContainerId }
export const StopContainer = message({ containerId: string(1), timeout: int(2) })
export const ListContainers = {
  request: message({ filter: one(1, message({ id: string(1), state: one(2, StateValue), podSandboxId: string(3), labelSelector: map(4) })) }),
  response: message({
    containers: list(1, message({
      id: string(1), podSandboxId: string(2), metadata: one(3, ContainerMetadata), image: one(4, ImageSpec), imageRef: string(5), state: int(6), createdAt: int(7), labels: map(8), annotations: map(9), imageId: string(10),
    })),
  }),
}
export const ContainerStatusCall = { request: message({ containerId: string(1), verbose: bool(2) }), response: message({ status: one(1, ContainerStatus), info: map(2) }) }
export const UpdateContainerResources = message({ containerId: string(1), linux: one(2, LinuxContainerResources), annotations: map(4) })

export const ExecSync = { request: message({ containerId: string(1), cmd: strings(2), timeout: int(3) }), response: message({ stdout: bytes(1), stderr: bytes(2), exitCode: int(3) }) }
export const Exec = message({ containerId: string(1), cmd: strings(2), tty: bool(3), stdin: bool(4), stdout: bool(5), stderr: bool(6) })
export const Attach = message({ containerId: string(1), stdin: bool(2), tty: bool(3), stdout: bool(4), stderr: bool(5) })
export const PortForward = message({ podSandboxId: string(1), port: ints(2) })
export const StreamUrl = message({ url: string(1) })

const CpuUsage = message({ timestamp: int(1), usageCoreNanoSeconds: one(2, UInt64Value), usageNanoCores: one(3, UInt64Value) })
const MemoryUsage = message({
  timestamp: int(1), workingSetBytes: one(2, UInt64Value), availableBytes: one(3, UInt64Value), usageBytes: one(4, UInt64Value), rssBytes: one(5, UInt64Value), pageFaults: one(6, UInt64Value), majorPageFaults: one(7, UInt64Value),
})
const FilesystemUsage = message({ timestamp: int(1), fsId: one(2, message({ mountpoint: string(1) })), usedBytes: one(3, UInt64Value), inodesUsed: one(4, UInt64Value) })
const SwapUsage = message({ timestamp: int(1), swapAvailableBytes: one(2, UInt64Value), swapUsageBytes: one(3, UInt64Value) })
export const ContainerStats = message({
  attributes: one(1, message({ id: string(1), metadata: one(2, ContainerMetadata), labels: map(3), annotations: map(4) })), cpu: one(2, CpuUsage), memory: one(3, MemoryUsage), writableLayer: one(4, FilesystemUsage),
  swap: one(5, SwapUsage),
})
export const ContainerStatsResponse = message({ stats: one(1, ContainerStats) })
export const ListContainerStats = { request: message({ filter: one(1, message({ id: string(1), podSandboxId: string(2), labelSelector: map(3) })) }), response: message({ stats: list(1, ContainerStats) }) }
const NetworkInterfaceUsage = message({ name: string(1), rxBytes: one(2, UInt64Value), rxErrors: one(3, UInt64Value), txBytes: one(4, UInt64Value), txErrors: one(5, UInt64Value) })
export const PodSandboxStats = message({
  attributes: one(1, message({ id: string(1), metadata: one(2, PodSandboxMetadata), labels: map(3), annotations: map(4) })),
  linux: one(2, message({
    cpu: one(1, CpuUsage), memory: one(2, MemoryUsage), network: one(3, message({ timestamp: int(1), defaultInterface: one(2, NetworkInterfaceUsage), interfaces: list(3, NetworkInterfaceUsage) })),
    process: one(4, message({ timestamp: int(1), processCount: one(2, UInt64Value) })), containers: list(5, ContainerStats),
  })),
})
export const PodSandboxStatsResponse = message({ stats: one(1, PodSandboxStats) })
export const ListPodSandboxStats = { request: message({ filter: one(1, message({ id: string(1), labelSelector: map(2) })) }), response: message({ stats: list(1, PodSandboxStats) }) }

export const Status = {
  request: message({ verbose: bool(1) }),
  response: message({
    status: one(1, message({ conditions: list(1, message({ type: string(1), status: bool(2), reason: string(3), message: string(4) })) })), info: map(2),
    runtimeHandlers: list(3, message({ name: string(1), features: one(2, message({ recursiveReadOnlyMounts: bool(1), userNamespaces: bool(2) })) })), features: one(4, message({ supplementalGroupsPolicy: bool(1) })),
  }),
}
export const RuntimeConfig = message({ linux: one(1, message({ cgroupDriver: int(1) })) })
export const ContainerEvent = message({
  containerId: string(1), containerEventType: int(2), createdAt: int(3), podSandboxStatus: one(4, PodSandboxStatus), containersStatuses: list(5, ContainerStatus),
})
const Metric = message({ name: string(1), timestamp: int(2), metricType: int(3), labelValues: strings(4), value: one(5, UInt64Value) })
export const ListMetricDescriptors = message({ descriptors: list(1, message({ name: string(1), help: string(2), labelKeys: strings(3) })) })
export const ListPodSandboxMetrics = message({ podMetrics: list(1, message({ podSandboxId: string(1), metrics: list(2, Metric), containerMetrics: list(3, message({ containerId: string(1), metrics: list(2, Metric) })) })) })

export const Image = message({ id: string(1), repoTags: strings(2), repoDigests: strings(3), size: int(4), uid: one(5, Int64Value), username: string(6), spec: one(7, ImageSpec), pinned: bool(8) })
export const ListImages = { request: message({ filter: one(1, message({ image: one(1, ImageSpec) })) }), response: message({ images: list(1, Image) }) }
export const ImageStatus = { request: message({ image: one(1, ImageSpec), verbose: bool(2) }), response: message({ image: one(1, Image), info: map(2) }) }
const AuthConfig = message({ username: string(1), password: string(2), auth: string(3), serverAddress: string(4), identityToken: string(5), registryToken: string(6) })
export const PullImage = { request: message({ image: one(1, ImageSpec), auth: one(2, AuthConfig), sandboxConfig: one(3, PodSandboxConfig) }), response: message({ imageRef: string(1) }) }
/** skiff's own: `path` on the runtime's machine. */
export const ImportImages = { request: message({ path: string(1) }), response: message({ images: list(1, Image) }) }
/** skiff's own, a stream of one answer: what it names stays as long as the call is open. */
export const HoldImages = { request: message({ refs: strings(1) }), response: message({ images: list(1, message({ id: string(1), names: strings(2), configBytes: bytes(3), layers: strings(4) })) }) }
export const RemoveImage = message({ image: one(1, ImageSpec) })
export const ImageFsInfo = message({ imageFilesystems: list(1, FilesystemUsage), containerFilesystems: list(2, FilesystemUsage) })
