/** A static pod out of a file, as upstream's file source makes it: named after the node, with an identity made of what it says. */
import { createHash } from 'node:crypto'
import { MIRROR_POD, type Container, type Pod, type PodSpec, type Stored } from '#api/types/index.ts'
import { CodedError } from '#base/errors.ts'
import { time } from '../time.ts'

export const CONFIG_SOURCE = 'kubernetes.io/config.source'
const CONFIG_HASH = 'kubernetes.io/config.hash'
const CONFIG_SEEN = 'kubernetes.io/config.seen'

export interface ManifestInput { /** Parsed YAML or JSON. */ document: unknown; fileName: string; nodeName: string; nowMs: number }

const NAME = /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/
const NAME_CHARS_MAX = 253

/** Throws STATIC_POD_INVALID with a sentence about what is wrong. */
export function staticPod({ document, fileName, nodeName, nowMs }: ManifestInput): Stored<Pod> {
  const given = podOf(document)
  const { name, namespace = 'default' } = given.metadata ?? {}
  const fullName = `${name ?? ''}-${nodeName}`
  if (name === undefined || !NAME.test(fullName) || fullName.length > NAME_CHARS_MAX) throw invalid(`metadata.name ${JSON.stringify(name ?? '')} does not make a pod's name`)
  const { spec } = given
  if (!spec || !Array.isArray(spec.containers) || spec.containers.length === 0) throw invalid('spec.containers: at least one is needed')
  for (const c of [...spec.containers, ...(spec.initContainers ?? [])]) if (!c.name || !c.image) throw invalid('spec.containers: each needs a name and an image')
  const reference = apiReference(spec)
  if (reference !== undefined) throw invalid(`static pods may not refer to objects of the API: ${reference}`)
  const uid = createHash('sha256').update(JSON.stringify([nodeName, fileName, given])).digest('hex').slice(0, 32)
  return {
    apiVersion: 'v1', kind: 'Pod',
    metadata: {
      ...given.metadata, name: fullName, namespace, uid, resourceVersion: '', creationTimestamp: time(nowMs),
      annotations: { ...given.metadata?.annotations, [CONFIG_HASH]: uid, [CONFIG_SEEN]: time(nowMs), [CONFIG_SOURCE]: 'file' },
    },
    spec: withDefaults({ ...spec, nodeName, tolerations: [...(spec.tolerations ?? []), { operator: 'Exists', effect: 'NoExecute' }] }),
  }
}

export function isStaticPod({ metadata }: Pod): boolean {
  return metadata?.annotations?.[CONFIG_SOURCE] === 'file'
}

/** Where a pod is from is the node's to say, as upstream: one of the API that calls itself static would be spared and make others go. */
export function fromApi(pod: Stored<Pod>): Stored<Pod> {
  const source = pod.metadata.annotations?.[CONFIG_SOURCE]
  return source === undefined || source === 'api' ? pod : { ...pod, metadata: { ...pod.metadata, annotations: { ...pod.metadata.annotations, [CONFIG_SOURCE]: 'api' } } }
}

export function isMirrorPod({ metadata }: Pod): boolean {
  return metadata?.annotations?.[MIRROR_POD] !== undefined
}

/** What the API is told of it: the same, but its annotation says whose picture it is, and its owner is the node. */
export function mirrorOf(pod: Stored<Pod>, node: { name: string; uid: string }): Pod {
  const { name, namespace, labels, annotations, uid } = pod.metadata
  return {
    apiVersion: 'v1', kind: 'Pod',
    metadata: {
      name, ...(namespace !== undefined && { namespace }), ...(labels && { labels }), annotations: { ...annotations, [MIRROR_POD]: uid },
      ownerReferences: [{ apiVersion: 'v1', kind: 'Node', name: node.name, uid: node.uid, controller: true }],
    },
    ...(pod.spec && { spec: pod.spec }),
  }
}

/** Two pictures of one pod. Seen times differ with each start of the agent. */
export function isMirrorOf(mirror: Pod, pod: Stored<Pod>): boolean {
  return mirror.metadata?.annotations?.[MIRROR_POD] === pod.metadata.uid
}

function podOf(document: unknown): Pod {
  if (typeof document !== 'object' || document === null || Array.isArray(document)) throw invalid('it is not a Pod')
  const pod = document as Pod
  if (pod.kind !== 'Pod' || pod.apiVersion !== 'v1') throw invalid(`apiVersion ${JSON.stringify(pod.apiVersion ?? '')}, kind ${JSON.stringify(pod.kind ?? '')}: a v1 Pod is needed`)
  return pod
}

/** The API may be away, and is not asked who may read what: upstream refuses such pods since 1.34. */
function apiReference(spec: PodSpec): string | undefined {
  if (spec.serviceAccountName || spec.serviceAccount) return 'a service account'
  if ((spec.imagePullSecrets ?? []).length > 0) return 'image pull secrets'
  if ((spec.resourceClaims ?? []).length > 0) return 'resource claims'
  for (const v of spec.volumes ?? []) {
    const type = (['secret', 'configMap', 'persistentVolumeClaim', 'ephemeral', 'csi'] as const).find((t) => v[t] !== undefined) ?? (v.projected?.sources?.some((s) => s.secret ?? s.configMap ?? s.serviceAccountToken ?? s.clusterTrustBundle) ? 'projected' : undefined)
    if (type !== undefined) return `volume ${v.name} of type ${type}`
  }
  const refers = (c: Container) => (c.envFrom ?? []).length > 0 || (c.env ?? []).some((e) => e.valueFrom?.secretKeyRef ?? e.valueFrom?.configMapKeyRef)
  return [...spec.containers, ...(spec.initContainers ?? [])].some(refers) ? 'environment from ConfigMaps or Secrets' : undefined
}

/** Those of the API server's defaults that are not the kubelet's own anyway. */
function withDefaults(spec: PodSpec): PodSpec {
  const own = (c: Container): Container => ({
    ...c,
    ...(c.resources?.limits && { resources: { ...c.resources, requests: { ...c.resources.limits, ...c.resources.requests } } }),
    ...(c.ports && { ports: c.ports.map((p) => ({ ...p, protocol: p.protocol ?? 'TCP', ...(spec.hostNetwork && { hostPort: p.hostPort ?? p.containerPort }) })) }),
  })
  return {
    ...spec, restartPolicy: spec.restartPolicy ?? 'Always', dnsPolicy: spec.dnsPolicy ?? 'ClusterFirst', terminationGracePeriodSeconds: spec.terminationGracePeriodSeconds ?? 30, enableServiceLinks: spec.enableServiceLinks ?? true,
    containers: spec.containers.map(own), ...(spec.initContainers && { initContainers: spec.initContainers.map(own) }),
  }
}

function invalid(message: string): CodedError {
  return new CodedError('STATIC_POD_INVALID', message)
}
