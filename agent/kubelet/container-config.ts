/** The container a pod's spec asks for, once everything it refers to has been looked up. Pure. */
import type { Container, Pod, Stored } from '#api/types/index.ts'
import type { ContainerConfig, IdRange, Image, Mount } from '#cri/index.ts'
import { expandReferences } from './env-expand.ts'
import { containerAnnotations, containerLabels } from './labels.ts'
import { containerLogPath } from './pod-paths.ts'
import { containerResources, type NodeResources } from './resources.ts'
import { podNamespaces } from './sandbox-config.ts'
import { containerSecurity } from './security.ts'
import { StartError } from './start-error.ts'
import { podText } from './messages.ts'

export interface ContainerConfigInput {
  pod: Stored<Pod>
  container: Container
  attempt: number
  backoffSeconds: number
  round?: number
  image: Image
  env: readonly { key: string; value: string }[]
  /** Those of its volumes. */
  mounts: readonly Mount[]
  devices: ContainerConfig['devices']
  /** Of device plugins; `cdiDevices` of its claims, too. */
  annotations?: Readonly<Record<string, string>>
  cdiDevices?: readonly string[]
  /** Of image volumes, by name: the ids of their images. */
  volumeImages?: ReadonlyMap<string, string>
  /** Managed by the agent: undefined when the pod keeps its own. */
  etcHosts: string | undefined
  terminationLog: string
  machine: NodeResources
  seccompDir: string
  seccompDefault: boolean
  /** The container whose processes an ephemeral container looks into. */
  targetId?: string
  /** Of a pod with `hostUsers: false`. */
  users?: IdRange
}

/** Throws a StartError when the spec cannot be met. */
export function containerConfig(input: ContainerConfigInput): ContainerConfig {
  const { pod, container, image, attempt } = input
  const values = new Map(input.env.map((e) => [e.key, e.value]))
  const expand = (text: string) => expandReferences(text, (name) => values.get(name))
  const security = containerSecurity({ pod, container, image, podText: podText({ pod }), seccompDir: input.seccompDir, seccompDefault: input.seccompDefault })
  if (!security.ok) throw new StartError('CreateContainerConfigError', security.message)
  const namespaces = podNamespaces(pod, input.users)
  return {
    metadata: { name: container.name, attempt },
    image: image.id,
    command: (container.command ?? []).map(expand),
    args: (container.args ?? []).map(expand),
    workingDir: container.workingDir ?? '',
    env: [...input.env],
    mounts: [...input.mounts, ...ownMounts(input)].map((mount) => (input.users && mount.image === undefined ? { ...mount, idMapped: true } : mount)),
    devices: [...input.devices],
    labels: containerLabels(pod, container),
    annotations: { ...input.annotations, ...containerAnnotations(pod, container, { number: attempt, backoffSeconds: input.backoffSeconds, round: input.round ?? 0 }, input.volumeImages ?? new Map()) },
    logPath: containerLogPath(container.name, attempt),
    stdin: container.stdin ?? false,
    stdinOnce: container.stdinOnce ?? false,
    tty: container.tty ?? false,
    ...(input.cdiDevices && input.cdiDevices.length > 0 && { cdiDevices: input.cdiDevices }),
    ...(container.lifecycle?.stopSignal !== undefined && { stopSignal: container.lifecycle.stopSignal }),
    linux: {
      resources: containerResources(pod, container, input.machine),
      security: security.security,
      namespaces: input.targetId === undefined ? namespaces : { ...namespaces, pid: 'target', targetId: input.targetId },
    },
  }
}

/** /etc/hosts and the termination log, unless the container mounts something there itself. */
function ownMounts({ container, mounts, etcHosts, terminationLog }: ContainerConfigInput): Mount[] {
  const taken = new Set(mounts.map((m) => m.containerPath.replace(/(.)\/+$/, '$1')))
  const path = container.terminationMessagePath ?? '/dev/termination-log'
  const own: Mount[] = []
  if (etcHosts !== undefined && !taken.has('/etc/hosts')) own.push({ containerPath: '/etc/hosts', hostPath: etcHosts, readonly: container.securityContext?.readOnlyRootFilesystem ?? false, propagation: 'private' })
  if (path !== '' && !taken.has(path)) own.push({ containerPath: path, hostPath: terminationLog, readonly: false, propagation: 'private' })
  return own
}
