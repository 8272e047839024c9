/** The sandbox a pod asks for. Pure. */
import type { Pod, Stored } from '#api/types/index.ts'
import { CodedError } from '#base/errors.ts'
import type { IdRange, PodSandboxConfig } from '#cri/index.ts'
import { podLabels } from './labels.ts'
import { podDns, podNames } from './pod-dns.ts'
import type { PodPaths } from './pod-paths.ts'
import { dottedSysctl } from './sysctls.ts'

export interface SandboxInput {
  pod: Stored<Pod>
  attempt: number
  cgroupParent: string
  paths: PodPaths
  clusterDns: readonly string[]
  clusterDomain: string
  resolvConf: string
  nodeHostname: string
  /** Of the pod's RuntimeClass; needed where the sandbox is made. */
  runtimeHandler?: string
  /** Of a pod with `hostUsers: false`. */
  users?: IdRange
}

/** What the kernel holds. */
const NODENAME_CHARS_MAX = 64

/** Throws HOSTNAME_INVALID. */
export function sandboxConfig(input: SandboxInput): PodSandboxConfig {
  const { pod, attempt, paths } = input
  const { metadata, spec } = pod
  const hostNetwork = spec?.hostNetwork ?? false
  const hostname = hostNetwork ? input.nodeHostname : podNames(pod, input.clusterDomain).hostname
  if (spec?.setHostnameAsFQDN && hostname.length > NODENAME_CHARS_MAX) throw new CodedError('HOSTNAME_INVALID', `failed to construct FQDN from pod hostname and cluster domain, FQDN ${hostname} is too long (${NODENAME_CHARS_MAX} characters is the max, ${hostname.length} characters requested)`)
  return {
    metadata: { name: metadata.name, uid: metadata.uid, namespace: metadata.namespace ?? '', attempt },
    hostname,
    logDirectory: paths.logDirectory(pod),
    dnsConfig: podDns({ pod, clusterDns: input.clusterDns, clusterDomain: input.clusterDomain, resolvConf: input.resolvConf }),
    portMappings: hostNetwork ? [] : [...(spec?.initContainers ?? []).filter((c) => c.restartPolicy === 'Always'), ...(spec?.containers ?? [])].flatMap((c) => (c.ports ?? []).flatMap((p) => (p.hostPort === undefined ? [] : [{
      protocol: p.protocol === 'UDP' ? 'UDP' as const : p.protocol === 'SCTP' ? 'SCTP' as const : 'TCP' as const, containerPort: p.containerPort, hostPort: p.hostPort, hostIp: p.hostIP ?? '',
    }]))),
    labels: podLabels(pod),
    annotations: { ...metadata.annotations },
    ...(input.runtimeHandler !== undefined && { runtimeHandler: input.runtimeHandler }),
    linux: {
      cgroupParent: input.cgroupParent,
      sysctls: Object.fromEntries((spec?.securityContext?.sysctls ?? []).map((s) => [dottedSysctl(s.name), s.value])),
      namespaces: podNamespaces(pod, input.users),
    },
  }
}

export function podNamespaces(pod: Pod, users?: IdRange): PodSandboxConfig['linux']['namespaces'] {
  const { spec } = pod
  return {
    network: spec?.hostNetwork ? 'node' : 'pod',
    ipc: spec?.hostIPC ? 'node' : 'pod',
    pid: spec?.hostPID ? 'node' : spec?.shareProcessNamespace ? 'pod' : 'container',
    ...(users && { users }),
  }
}
