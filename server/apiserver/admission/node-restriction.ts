/** A node's agent may change only its own Node, its own lease, and the pods bound to it (upstream NodeRestriction). */
import type { KubeObject, Lease, Node, PersistentVolumeClaim, Pod } from '#api/types/index.ts'
import { MIRROR_POD, NODES, PODS } from '#api/types/index.ts'
import { isReason } from '#api/client/client.ts'
import { semanticEqual } from '../kinds/semantic-equal.ts'
import { NODE_LEASE_NAMESPACE } from '../kinds/lease.ts'
import type { AdmissionApi, AdmissionPlugin, AdmissionRequest, Refusal } from '../admission.ts'
import { podReferences } from './pod-references.ts'
import { refuse } from './refuse.ts'
import { audienceRefusal } from './token-audience.ts'

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
  mutate(request, api) {
    const node = nodeOf(request)
    return node === undefined || request.operation === 'CONNECT' ? undefined : restrict(node, request, api)
  },
}

async function restrict(node: string, request: AdmissionRequest, api: AdmissionApi): Promise<Refusal | undefined> {
  if (node === '') return refuse('could not determine node from user "system:node:"')
  switch (`${request.ref.group}/${request.ref.resource}`) {
    case '/pods': return restrictPod(node, request, api)
    case '/nodes': return restrictNode(node, request)
    case '/persistentvolumeclaims': return restrictClaim(node, request)
    case '/serviceaccounts': return request.subresource === 'token' && request.operation === 'CREATE' ? restrictToken(node, request, api) : undefined
    case 'coordination.k8s.io/leases': return restrictLease(node, request)
    case 'storage.k8s.io/csinodes': return ownName(request) === node ? undefined : refuse('can only access CSINode with the same name as the requesting node')
    case 'resource.k8s.io/resourceslices': return restrictResourceSlice(node, request)
    default: return undefined
  }
}

function nodeOf(request: AdmissionRequest): string | undefined {
  const { name, groups } = request.user
  return name.startsWith(USER_PREFIX) && groups.includes(GROUP) ? name.slice(USER_PREFIX.length) : undefined
}

const ownName = (request: AdmissionRequest): string => request.name || (request.object?.metadata?.name ?? '')

const podMissing = (name: string): Refusal => ({ code: 404, reason: 'NotFound', message: `pods "${name}" not found`, about: { group: '', resource: 'pods', name } })

async function restrictPod(node: string, request: AdmissionRequest, api: AdmissionApi): Promise<Refusal | undefined> {
  const old = request.old as Pod | undefined
  switch (request.subresource) {
    case '':
      if (request.operation === 'CREATE') return restrictMirror(node, request.object as Pod, api)
      if (request.operation === 'DELETE') return old?.spec?.nodeName === node ? undefined : refuse(`node "${node}" can only delete pods with spec.nodeName set to itself`)
      return refuse(`unexpected operation "${request.operation}", node "${node}" can only create and delete mirror pods`)
    case 'status': {
      if (request.operation !== 'UPDATE') return refuse(`unexpected operation "${request.operation}"`)
      if (old?.spec?.nodeName !== node) return refuse(`node "${node}" can only update pod status for pods with spec.nodeName set to itself`)
      if (!semanticEqual(request.object?.metadata?.labels, old.metadata?.labels)) return refuse(`node "${node}" cannot update labels through pod status`)
      return semanticEqual((request.object as Pod).status?.resourceClaimStatuses, old.status?.resourceClaimStatuses) ? undefined : refuse(`node "${node}" cannot update resource claim statues`)
    }
    case 'eviction': {
      if (request.operation !== 'CREATE') return refuse(`unexpected operation ${request.operation}`)
      const pod = await findPod(api, request.namespace, request.name)
      if (!pod) return podMissing(request.name)
      return pod.spec?.nodeName === node ? undefined : refuse(`node ${node} can only evict pods with spec.nodeName set to itself`)
    }
    default:
      return refuse(`unexpected pod subresource "${request.subresource}", only 'status' and 'eviction' are allowed`)
  }
}

/** The node's word for a pod that it runs by itself: it may name nothing that would open anything to the node. */
async function restrictMirror(node: string, pod: Pod, api: AdmissionApi): Promise<Refusal | undefined> {
  if (pod.metadata?.annotations?.[MIRROR_POD] === undefined) return refuse(`pod does not have "${MIRROR_POD}" annotation, node "${node}" can only create mirror pods`)
  if (pod.spec?.nodeName !== node) return refuse(`node "${node}" can only create pods with spec.nodeName set to itself`)
  const owners = pod.metadata.ownerReferences ?? []
  if (owners.length > 1) return refuse(`node "${node}" can only create pods with a single owner reference set to itself`)
  const owner = owners[0]
  if (owner?.apiVersion !== 'v1' || owner.kind !== 'Node' || owner.name !== node) return refuse(`node "${node}" can only create pods with an owner reference set to itself`)
  if (!owner.controller) return refuse(`node "${node}" can only create pods with a controller owner reference set to itself`)
  if (owner.blockOwnerDeletion) return refuse(`node "${node}" must not set blockOwnerDeletion on an owner reference`)
  const uid = await nodeUid(node, api)
  if (uid === undefined) return { code: 404, reason: 'NotFound', message: `nodes "${node}" not found`, about: { group: '', resource: 'nodes', name: node } }
  if (owner.uid !== uid) return refuse(`node ${node} UID mismatch: expected ${owner.uid} got ${uid}`)
  if (pod.spec.serviceAccountName) return refuse(`node "${node}" can not create pods that reference a service account`)
  const names = podReferences(pod.spec)
  const forbidden = names.secrets ? 'secrets' : names.configMaps ? 'configmaps' : names.trustBundles ? 'clustertrustbundles' : names.claims ? 'persistentvolumeclaims' : names.resourceClaims ? 'resourceclaims' : undefined
  return forbidden === undefined ? undefined : refuse(`node "${node}" can not create pods that reference ${forbidden}`)
}

async function nodeUid(name: string, api: AdmissionApi): Promise<string | undefined> {
  try {
    return (await api.client.get<Node>(NODES, name)).metadata.uid
  } catch (error) {
    if (isReason(error, 'NotFound')) return undefined
    throw error
  }
}

function restrictNode(node: string, request: AdmissionRequest): Refusal | undefined {
  if (ownName(request) !== node) return refuse(`node "${node}" is not allowed to modify node "${ownName(request)}"`)
  const [after, before] = [request.object as Node | undefined, request.old as Node | undefined]
  if (request.operation === 'CREATE') {
    const bad = Object.keys(after?.metadata?.labels ?? {}).filter(isForbiddenLabel).sort()
    if (bad.length > 0) return refuse(`node "${node}" is not allowed to set the following labels: ${bad.join(', ')}`)
    return after?.spec?.configSource ? refuse(`node "${node}" is not allowed to create pods with a non-nil configSource`) : undefined
  }
  if (request.operation !== 'UPDATE') return undefined
  if (after?.spec?.configSource && !semanticEqual(after.spec.configSource, before?.spec?.configSource)) return refuse(`node "${node}" is not allowed to update configSource to a new non-nil configSource`)
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

/** The volume was resized on the node: that is all it may tell. */
function restrictClaim(node: string, request: AdmissionRequest): Refusal | undefined {
  if (request.subresource !== 'status') return refuse('may only update PVC status')
  if (request.operation !== 'UPDATE') return refuse(`unexpected operation "${request.operation}"`)
  const rest = (claim: PersistentVolumeClaim): unknown => {
    const { capacity: _c, conditions: _d, allocatedResourceStatuses: _s, allocatedResources: _r, ...status } = claim.status ?? {}
    const { resourceVersion: _v, managedFields: _m, ...metadata } = claim.metadata ?? {}
    return { ...claim, metadata, status }
  }
  if (semanticEqual(rest(request.object as PersistentVolumeClaim), rest(request.old as PersistentVolumeClaim))) return undefined
  return refuse(`node "${node}" is not allowed to update fields other than status.capacity and status.conditions`)
}

/** The node authorizer cannot see what is created, nor each object of a collection that is deleted. */
function restrictResourceSlice(node: string, request: AdmissionRequest): Refusal | undefined {
  const of = (object: KubeObject | undefined): string | undefined => (object as { spec?: { nodeName?: string } } | undefined)?.spec?.nodeName
  if (request.operation === 'CREATE') return of(request.object) === node ? undefined : refuse('can only create ResourceSlice with the same NodeName as the requesting node')
  if (request.operation === 'DELETE') return of(request.old) === node ? undefined : refuse('can only delete ResourceSlice with the same NodeName as the requesting node')
  return undefined
}

interface TokenRequest extends KubeObject { spec?: { audiences?: string[]; boundObjectRef?: { kind?: string; apiVersion?: string; name?: string; uid?: string } } }

/** Tokens for pods on this node only: a stolen node key opens no more doors than the node had. */
async function restrictToken(node: string, request: AdmissionRequest, api: AdmissionApi): Promise<Refusal | undefined> {
  const spec = (request.object as TokenRequest | undefined)?.spec
  const bound = spec?.boundObjectRef
  if (bound?.kind !== 'Pod' || bound.apiVersion !== 'v1' || !bound.name) return refuse('node requested token not bound to a pod')
  if (!bound.uid) return refuse('node requested token with a pod binding without a uid')
  const pod = await findPod(api, request.namespace, bound.name)
  if (!pod) return podMissing(bound.name)
  if (pod.metadata?.uid !== bound.uid) return refuse(`the UID in the bound object reference (${bound.uid}) does not match the UID in record. The object might have been deleted and then recreated`)
  if (pod.spec?.nodeName !== node) return refuse('node requested token bound to a pod scheduled on a different node')
  return audienceRefusal(spec?.audiences ?? [], pod, request, api)
}

async function findPod(api: AdmissionApi, namespace: string, name: string): Promise<Pod | undefined> {
  try {
    return await api.client.get<Pod>(PODS, name, namespace)
  } catch (error) {
    if (isReason(error, 'NotFound')) return undefined
    throw error
  }
}
