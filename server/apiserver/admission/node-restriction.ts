/** A node's agent may change only its own Node, its own lease, and the pods bound to it (upstream NodeRestriction). */
import type { KubeObject, Lease, Node, Pod } from '#api/types/index.ts'
import { MIRROR_POD, PODS } from '#api/types/index.ts'
import { isReason } from '#api/client/client.ts'
import { semanticEqual } from '../kinds/semantic-equal.ts'
import { NODE_LEASE_NAMESPACE } from '../kinds/lease.ts'
import type { AdmissionApi, AdmissionPlugin, AdmissionRequest, Refusal } from '../admission.ts'
import { isFor, refuse } from './refuse.ts'

const USER_PREFIX = 'system:node:'
const GROUP = 'system:nodes'
/** Labels in Kubernetes' own domains that a node may put on itself. */
const OWN_LABELS: ReadonlySet<string> = new Set([
  'kubernetes.io/hostname', 'kubernetes.io/arch', 'kubernetes.io/os', 'beta.kubernetes.io/arch', 'beta.kubernetes.io/os', 'node.kubernetes.io/instance-type', 'beta.kubernetes.io/instance-type',
  'topology.kubernetes.io/zone', 'topology.kubernetes.io/region', 'failure-domain.beta.kubernetes.io/zone', 'failure-domain.beta.kubernetes.io/region',
])
const OWN_PREFIXES = ['kubelet.kubernetes.io', 'node.kubernetes.io']

export const nodeRestriction: AdmissionPlugin = {
  name: 'NodeRestriction',
  async mutate(request, api) {
    const node = nodeOf(request)
    if (node === undefined) return undefined
    if (node === '') return refuse('could not determine node from user "system:node:"')
    if (isFor(request, '', 'pods')) return restrictPod(node, request, api)
    if (isFor(request, '', 'nodes')) return restrictNode(node, request)
    if (isFor(request, 'coordination.k8s.io', 'leases')) return restrictLease(node, request)
    if (isFor(request, 'storage.k8s.io', 'csinodes')) return ownName(request) === node ? undefined : refuse('can only access CSINode with the same name as the requesting node')
    if (isFor(request, '', 'serviceaccounts') && request.subresource === 'token') return restrictToken(node, request, api)
    return undefined
  },
}

function nodeOf(request: AdmissionRequest): string | undefined {
  const { name, groups } = request.user
  return name.startsWith(USER_PREFIX) && groups.includes(GROUP) ? name.slice(USER_PREFIX.length) : undefined
}

const ownName = (request: AdmissionRequest): string => request.name || (request.object?.metadata?.name ?? '')

async function restrictPod(node: string, request: AdmissionRequest, api: AdmissionApi): Promise<Refusal | undefined> {
  const old = request.old as Pod | undefined
  switch (request.subresource) {
    case '':
      if (request.operation === 'CREATE') return restrictMirror(node, request.object as Pod)
      if (request.operation === 'DELETE') return old?.spec?.nodeName === node ? undefined : refuse(`node "${node}" can only delete pods with spec.nodeName set to itself`)
      return refuse(`unexpected operation "${request.operation}", node "${node}" can only create and delete mirror pods`)
    case 'status':
      if (old?.spec?.nodeName !== node) return refuse(`node "${node}" can only update pod status for pods with spec.nodeName set to itself`)
      return semanticEqual(request.object?.metadata?.labels, old.metadata?.labels) ? undefined : refuse(`node "${node}" cannot update labels through pod status`)
    case 'eviction': {
      const pod = await findPod(api, request.namespace, request.name)
      return pod?.spec?.nodeName === node ? undefined : refuse(`node "${node}" can only evict pods with spec.nodeName set to itself`)
    }
    case 'resize':
    case 'ephemeralcontainers':
      return refuse(`node "${node}" may not change pods through ${request.subresource}`)
    default:
      return refuse(`unexpected pod subresource "${request.subresource}", only 'status' and 'eviction' are allowed`)
  }
}

function restrictMirror(node: string, pod: Pod): Refusal | undefined {
  if (pod.metadata?.annotations?.[MIRROR_POD] === undefined) return refuse(`pod does not have "${MIRROR_POD}" annotation, node "${node}" can only create mirror pods`)
  if (pod.spec?.nodeName !== node) return refuse(`node "${node}" can only create pods with spec.nodeName set to itself`)
  const owners = pod.metadata.ownerReferences ?? []
  if (owners.length > 1) return refuse(`node "${node}" can only create pods with a single owner reference set to itself`)
  const owner = owners[0]
  if (owner && (owner.apiVersion !== 'v1' || owner.kind !== 'Node' || owner.name !== node)) return refuse(`node "${node}" can only create pods with an owner reference set to itself`)
  if (owner && !owner.controller) return refuse(`node "${node}" can only create pods with a controller owner reference set to itself`)
  if (owner?.blockOwnerDeletion) return refuse(`node "${node}" must not set blockOwnerDeletion on an owner reference`)
  if (pod.spec.serviceAccountName) return refuse(`node "${node}" can not create pods that reference a service account`)
  const bad = (pod.spec.volumes ?? []).find((v) => v.secret ?? v.configMap ?? v.persistentVolumeClaim ?? v.projected)
  return bad ? refuse(`node "${node}" can not create pods that reference secrets, configmaps, persistentvolumeclaims or projected volumes`) : undefined
}

function restrictNode(node: string, request: AdmissionRequest): Refusal | undefined {
  if (ownName(request) !== node) return refuse(`node "${node}" is not allowed to modify node "${ownName(request)}"`)
  const [after, before] = [request.object as Node | undefined, request.old as Node | undefined]
  if (request.operation === 'CREATE') {
    const bad = Object.keys(after?.metadata?.labels ?? {}).filter(isForbiddenLabel).sort()
    if (bad.length > 0) return refuse(`node "${node}" is not allowed to set the following labels: ${bad.join(', ')}`)
    return (after?.metadata?.ownerReferences ?? []).length > 0 ? refuse(`node "${node}" is not allowed to set ownerReferences`) : undefined
  }
  if (request.operation !== 'UPDATE') return undefined
  if (!semanticEqual(after?.spec?.taints, before?.spec?.taints)) return refuse(`node "${node}" is not allowed to modify taints`)
  if (!semanticEqual(after?.metadata?.ownerReferences, before?.metadata?.ownerReferences)) return refuse(`node "${node}" is not allowed to modify ownerReferences`)
  const bad = changedLabels(after, before).filter(isForbiddenLabel)
  return bad.length > 0 ? refuse(`is not allowed to modify labels: ${bad.join(', ')}`) : undefined
}

function changedLabels(after: KubeObject | undefined, before: KubeObject | undefined): string[] {
  const [a, b] = [after?.metadata?.labels ?? {}, before?.metadata?.labels ?? {}]
  return [...new Set([...Object.keys(a), ...Object.keys(b)])].filter((key) => a[key] !== b[key]).sort()
}

function isForbiddenLabel(key: string): boolean {
  const slash = key.indexOf('/')
  const domain = slash < 0 ? '' : key.slice(0, slash)
  const within = (parent: string): boolean => domain === parent || domain.endsWith(`.${parent}`)
  if (within('node-restriction.kubernetes.io')) return true
  if (!within('kubernetes.io') && !within('k8s.io')) return false
  return !OWN_LABELS.has(key) && !OWN_PREFIXES.some(within)
}

function restrictLease(node: string, request: AdmissionRequest): Refusal | undefined {
  if (request.namespace !== NODE_LEASE_NAMESPACE) return refuse(`can only access leases in the "${NODE_LEASE_NAMESPACE}" system namespace`)
  const name = request.operation === 'CREATE' ? ((request.object as Lease).metadata?.name ?? '') : request.name
  return name === node ? undefined : refuse('can only access node lease with the same name as the requesting node')
}

interface TokenRequest extends KubeObject { spec?: { boundObjectRef?: { kind?: string; apiVersion?: string; name?: string; uid?: string } } }

/** Tokens for pods on this node only: a stolen node key opens no more doors than the node had. */
async function restrictToken(node: string, request: AdmissionRequest, api: AdmissionApi): Promise<Refusal | undefined> {
  const bound = (request.object as TokenRequest | undefined)?.spec?.boundObjectRef
  if (!bound || bound.kind !== 'Pod' || (bound.apiVersion && bound.apiVersion !== 'v1') || !bound.name) return refuse('node requested token not bound to a pod')
  if (!bound.uid) return refuse('node requested token with a pod binding without a uid')
  const pod = await findPod(api, request.namespace, bound.name)
  if (!pod) return { code: 404, reason: 'NotFound', message: `pods "${bound.name}" not found`, about: { group: '', resource: 'pods', name: bound.name } }
  if (pod.metadata?.uid !== bound.uid) return refuse(`the UID in the bound object reference (${bound.uid}) does not match the UID in record. The object might have been deleted and then recreated`)
  if (pod.spec?.nodeName !== node) return refuse('node requested token bound to a pod scheduled on a different node')
  return (pod.spec.serviceAccountName || 'default') === request.name ? undefined : refuse('node requested token for a service account that the pod does not use')
}

async function findPod(api: AdmissionApi, namespace: string, name: string): Promise<Pod | undefined> {
  try {
    return await api.client.get<Pod>(PODS, name, namespace)
  } catch (error) {
    if (isReason(error, 'NotFound')) return undefined
    throw error
  }
}
