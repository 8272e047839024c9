/**
 * What a kubelet may do (upstream's Node authorizer): fixed rules for most things, and for secrets, config maps,
 * claims and service account tokens only those of its own pods. NodeRestriction admission guards what is written.
 */
import type { PolicyRule, UserInfo } from '#api/types/index.ts'
import type { Attributes, Verdict } from '../auth.ts'
import { isAllowedByRule } from './rules.ts'
import type { GraphKind, NodeGraph } from './node-graph.ts'

export interface NodeAuthorizer {
  check(attributes: Attributes): Verdict
  isNode(user: UserInfo): boolean
}

const NODE_USER_PREFIX = 'system:node:'
const NODES_GROUP = 'system:nodes'
const NODE_LEASE_NAMESPACE = 'kube-node-lease'

/** `nodeRules`: those of ClusterRole system:node, for everything not decided here. */
export function createNodeAuthorizer(graph: NodeGraph, nodeRules: readonly PolicyRule[]): NodeAuthorizer {
  return {
    isNode: (user) => nodeNameOf(user) !== undefined,
    check(a) {
      const node = nodeNameOf(a.user)
      if (node === undefined) return deny('')
      if (node === '') return deny(`unknown node for user ${JSON.stringify(a.user.name)}`)
      const special = a.resource && SPECIAL[`${a.resource.group}/${a.resource.resource}`]
      if (special) return special({ ...a, resource: a.resource as Resource }, node, graph)
      return nodeRules.some((rule) => isAllowedByRule(rule, a)) ? ALLOW : deny('')
    },
  }
}

/** Undefined: not a node. '' when it claims to be one without a name. */
export function nodeNameOf(user: UserInfo): string | undefined {
  if (!user.name.startsWith(NODE_USER_PREFIX) || !user.groups.includes(NODES_GROUP)) return undefined
  return user.name.slice(NODE_USER_PREFIX.length)
}

type Resource = NonNullable<Attributes['resource']>
type ResourceAttributes = Attributes & { resource: Resource }
type Check = (a: ResourceAttributes, node: string, graph: NodeGraph) => Verdict

const ALLOW: Verdict = { allowed: true, reason: '' }
const deny = (reason: string): Verdict => ({ allowed: false, reason })

const unrelated = (node: string): Verdict => deny(`no relationship found between node '${node}' and this object`)

function related(kind: GraphKind, a: ResourceAttributes, node: string, graph: NodeGraph): Verdict {
  if (a.resource.name === '') return deny('No Object name found')
  return graph.belongs(node, kind, a.resource.namespace, a.resource.name) ? ALLOW : unrelated(node)
}

const READ = ['get', 'list', 'watch']

const readOwn = (kind: GraphKind): Check => (a, node, graph) => {
  if (!READ.includes(a.verb)) return deny('can only read resources of this type')
  if (a.resource.subresource !== '') return deny('cannot read subresource')
  if (a.resource.namespace === '') return deny('can only read namespaced object of this type')
  return related(kind, a, node, graph)
}

const getOwn = (kind: GraphKind): Check => (a, node, graph) => {
  if (a.verb !== 'get') return deny('can only get individual resources of this type')
  if (a.resource.subresource !== '') return deny('cannot get subresource')
  return related(kind, a, node, graph)
}

const claim: Check = (a, node, graph) => {
  if (a.resource.subresource !== 'status') return getOwn('pvc')(a, node, graph)
  return a.verb === 'update' || a.verb === 'patch' ? related('pvc', a, node, graph) : deny('can only get/update/patch this type')
}

/** The account itself is read for credential providers that send its tokens along. */
const serviceAccount: Check = (a, node, graph) => {
  if (a.verb === 'get' && a.resource.subresource === '') return readOwn('serviceAccount')(a, node, graph)
  if (a.verb !== 'create' || a.resource.name === '') return deny('can only create tokens for individual service accounts')
  if (a.resource.subresource !== 'token') return deny('can only create token subresource of serviceaccount')
  return related('serviceAccount', a, node, graph)
}

const OWN_OBJECT_VERBS = ['get', 'create', 'update', 'patch', 'delete']

const lease: Check = (a, node) => {
  if (!OWN_OBJECT_VERBS.includes(a.verb)) return deny('can only get, create, update, patch, or delete a node lease')
  if (a.resource.namespace !== NODE_LEASE_NAMESPACE) return deny(`can only access leases in the ${JSON.stringify(NODE_LEASE_NAMESPACE)} system namespace`)
  // The name of what is created is not known here: NodeRestriction checks it.
  if (a.verb !== 'create' && a.resource.name !== node) return deny('can only access node lease with the same name as the requesting node')
  return ALLOW
}

const csiNode: Check = (a, node) => {
  if (!OWN_OBJECT_VERBS.includes(a.verb)) return deny('can only get, create, update, patch, or delete a CSINode')
  if (a.resource.subresource !== '') return deny('cannot authorize CSINode subresources')
  if (a.verb !== 'create' && a.resource.name !== node) return deny('can only access CSINode with the same name as the requesting node')
  return ALLOW
}

const resourceSlice: Check = (a, node, graph) => {
  if (a.resource.subresource !== '') return deny('cannot authorize ResourceSlice subresources')
  switch (a.verb) {
    // What is created is not known here: NodeRestriction checks it.
    case 'create': return ALLOW
    case 'get': case 'update': case 'patch': case 'delete': return related('resourceSlice', a, node, graph)
    case 'watch': case 'list': case 'deletecollection':
      return selectsField(a.fieldSelector, 'nodeName', node) || selectsField(a.fieldSelector, 'spec.nodeName', node) ? ALLOW : deny('can only list/watch/deletecollection resourceslices with nodeName field selector')
    default: return deny('only the following verbs are allowed for a ResourceSlice: get, watch, list, create, update, patch, delete, deletecollection')
  }
}

const nodeObject: Check = (a, node) => {
  const { subresource, name } = a.resource
  if (subresource === '' && ['create', 'update', 'patch'].includes(a.verb)) return ALLOW
  if (subresource === 'status' && ['update', 'patch'].includes(a.verb)) return ALLOW
  if (subresource === '' && READ.includes(a.verb)) {
    if (name === node) return ALLOW
    return deny(name === '' ? `node '${node}' cannot read all nodes, only its own Node object` : `node '${node}' cannot read '${name}', only its own Node object`)
  }
  return deny('')
}

const pod: Check = (a, node, graph) => {
  const { subresource, name } = a.resource
  if (subresource === 'status') return a.verb === 'update' || a.verb === 'patch' ? ALLOW : deny('')
  if (subresource === 'eviction') return a.verb === 'create' ? ALLOW : deny('')
  if (subresource !== '') return deny('')
  if (a.verb === 'get') return related('pod', a, node, graph)
  if (a.verb === 'list' || a.verb === 'watch') {
    if (selectsField(a.fieldSelector, 'spec.nodeName', node)) return ALLOW
    return name === '' ? deny('can only list/watch pods with spec.nodeName field selector') : related('pod', a, node, graph)
  }
  // Mirror pods; NodeRestriction holds them to the node.
  return a.verb === 'create' || a.verb === 'delete' ? ALLOW : deny('')
}

/** All terms of a field selector must hold, so one that pins the field is enough. */
function selectsField(selector: string | undefined, field: string, value: string): boolean {
  return (selector ?? '').split(',').some((term) => {
    const match = /^\s*([^=!\s]+)\s*==?\s*([^=!\s]*)\s*$/.exec(term)
    return match?.[1] === field && match[2] === value
  })
}

const SPECIAL: Readonly<Record<string, Check>> = {
  '/secrets': readOwn('secret'),
  '/configmaps': readOwn('configmap'),
  '/persistentvolumeclaims': claim,
  '/persistentvolumes': getOwn('pv'),
  '/serviceaccounts': serviceAccount,
  '/nodes': nodeObject,
  '/pods': pod,
  'coordination.k8s.io/leases': lease,
  'storage.k8s.io/csinodes': csiNode,
  'storage.k8s.io/volumeattachments': getOwn('volumeAttachment'),
  'resource.k8s.io/resourceclaims': getOwn('resourceClaim'),
  'resource.k8s.io/resourceslices': resourceSlice,
}
