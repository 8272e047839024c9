/** All default RBAC objects of a new cluster, complete with upstream's label and annotation: what `reconcileDefaultPolicy` keeps in place. */
import type { ClusterRole, ClusterRoleBinding, PolicyRule, RbacV1Subject as Subject, Role, RoleBinding } from '#api/types/index.ts'
import { CONTROLLER_ROLES } from './default-controller-roles.ts'
import { DEFAULT_CLUSTER_ROLES } from './default-cluster-roles.ts'
import { EVENTS, READ, rule } from './policy-rule.ts'

export const AUTOUPDATE_ANNOTATION = 'rbac.authorization.kubernetes.io/autoupdate'
const LABELS = { 'kubernetes.io/bootstrapping': 'rbac-defaults' }
const RBAC_GROUP = 'rbac.authorization.k8s.io'
const API_VERSION = `${RBAC_GROUP}/v1`

export interface DefaultPolicy {
  clusterRoles: readonly ClusterRole[]
  clusterRoleBindings: readonly ClusterRoleBinding[]
  roles: readonly Role[]
  roleBindings: readonly RoleBinding[]
}

const group = (name: string): Subject => ({ apiGroup: RBAC_GROUP, kind: 'Group', name })
const user = (name: string): Subject => ({ apiGroup: RBAC_GROUP, kind: 'User', name })
const account = (name: string, namespace = 'kube-system'): Subject => ({ kind: 'ServiceAccount', name, namespace })

const EVERYONE = [group('system:authenticated'), group('system:unauthenticated')]

/** Binding → role (the binding's own name where not given) and whom. */
const CLUSTER_BINDINGS: Readonly<Record<string, { role?: string; to: readonly Subject[] }>> = {
  'cluster-admin': { to: [group('system:masters')] },
  'system:monitoring': { to: [group('system:monitoring')] },
  'system:discovery': { to: [group('system:authenticated')] },
  'system:basic-user': { to: [group('system:authenticated')] },
  'system:public-info-viewer': { to: EVERYONE },
  'system:node-proxier': { to: [user('system:kube-proxy')] },
  'system:kube-controller-manager': { to: [user('system:kube-controller-manager')] },
  'system:kube-dns': { to: [account('kube-dns')] },
  'system:kube-scheduler': { to: [user('system:kube-scheduler')] },
  'system:volume-scheduler': { to: [user('system:kube-scheduler')] },
  // Bound to nobody, as upstream since the Node authorizer: that is what gives nodes their rights.
  'system:node': { to: [] },
  'system:service-account-issuer-discovery': { to: [group('system:serviceaccounts')] },
  // The join road: who proves the join token may ask for a node's certificate, and gets it; a node renews its own.
  'skiff:node-bootstrapper': { role: 'system:node-bootstrapper', to: [group('system:bootstrappers:skiff:node')] },
  'skiff:node-autoapprove-bootstrap': { role: 'system:certificates.k8s.io:certificatesigningrequests:nodeclient', to: [group('system:bootstrappers:skiff:node')] },
  'skiff:node-autoapprove-certificate-rotation': { role: 'system:certificates.k8s.io:certificatesigningrequests:selfnodeclient', to: [group('system:nodes')] },
  'skiff:node-proxier': { role: 'system:node-proxier', to: [group('system:nodes')] },
  'skiff:node-network': { to: [group('system:nodes')] },
}

const SIGNER = 'system:controller:bootstrap-signer'
const CLEANER = 'system:controller:token-cleaner'
const CLOUD = 'system:controller:cloud-provider'
const LEADER_LOCKING: readonly PolicyRule[] = [
  rule('create,get,list,update,watch', 'coordination.k8s.io', 'leases'), rule('create,get,list,update,watch', 'coordination.k8s.io', 'leasecandidates'),
]

const ROLES: readonly { namespace: string; name: string; rules: readonly PolicyRule[] }[] = [
  { namespace: 'kube-system', name: 'extension-apiserver-authentication-reader', rules: [rule(READ, '', 'configmaps', 'extension-apiserver-authentication')] },
  { namespace: 'kube-system', name: SIGNER, rules: [rule(READ, '', 'secrets')] },
  { namespace: 'kube-system', name: CLOUD, rules: [rule('create,get,list,watch', '', 'configmaps')] },
  { namespace: 'kube-system', name: CLEANER, rules: [rule('delete,get,list,watch', '', 'secrets'), EVENTS] },
  { namespace: 'kube-system', name: 'system::leader-locking-kube-controller-manager', rules: LEADER_LOCKING },
  { namespace: 'kube-system', name: 'system::leader-locking-kube-scheduler', rules: LEADER_LOCKING },
  { namespace: 'kube-public', name: SIGNER, rules: [rule(READ, '', 'configmaps'), rule('update', '', 'configmaps', 'cluster-info'), EVENTS] },
]

const ROLE_BINDINGS: readonly { namespace: string; name: string; role?: string; to: readonly Subject[] }[] = [
  { namespace: 'kube-system', name: 'system::extension-apiserver-authentication-reader', role: 'extension-apiserver-authentication-reader', to: [user('system:kube-controller-manager'), user('system:kube-scheduler')] },
  { namespace: 'kube-system', name: 'system::leader-locking-kube-controller-manager', to: [user('system:kube-controller-manager'), account('kube-controller-manager'), account('leader-election-controller')] },
  { namespace: 'kube-system', name: 'system::leader-locking-kube-scheduler', to: [user('system:kube-scheduler'), account('kube-scheduler')] },
  { namespace: 'kube-system', name: SIGNER, to: [account('bootstrap-signer')] },
  { namespace: 'kube-system', name: CLOUD, to: [account('cloud-provider')] },
  { namespace: 'kube-system', name: CLEANER, to: [account('token-cleaner')] },
  { namespace: 'kube-public', name: SIGNER, to: [account('bootstrap-signer')] },
]

export function defaultPolicy(): DefaultPolicy {
  const metadata = (name: string, labels: Readonly<Record<string, string>> = {}, namespace?: string) => ({ name, ...(namespace !== undefined && { namespace }), labels: { ...LABELS, ...labels }, annotations: { [AUTOUPDATE_ANNOTATION]: 'true' } })
  const roleRef = (kind: 'Role' | 'ClusterRole', name: string) => ({ apiGroup: RBAC_GROUP, kind, name })
  const clusterRole = (name: string, rules: readonly PolicyRule[], labels?: Readonly<Record<string, string>>): ClusterRole => ({ apiVersion: API_VERSION, kind: 'ClusterRole', metadata: metadata(name, labels), rules: [...rules] })
  const controllers = Object.keys(CONTROLLER_ROLES)
  return {
    clusterRoles: [
      ...Object.entries(DEFAULT_CLUSTER_ROLES).map(([name, role]) => ({
        ...clusterRole(name, role.rules, role.labels),
        ...(role.aggregates !== undefined && { aggregationRule: { clusterRoleSelectors: [{ matchLabels: { [role.aggregates]: 'true' } }] } }),
      })),
      ...controllers.map((name) => clusterRole(`system:controller:${name}`, CONTROLLER_ROLES[name] ?? [])),
    ],
    clusterRoleBindings: [
      ...Object.entries(CLUSTER_BINDINGS).map(([name, binding]): ClusterRoleBinding => ({ apiVersion: API_VERSION, kind: 'ClusterRoleBinding', metadata: metadata(name), roleRef: roleRef('ClusterRole', binding.role ?? name), subjects: [...binding.to] })),
      ...controllers.map((name): ClusterRoleBinding => ({ apiVersion: API_VERSION, kind: 'ClusterRoleBinding', metadata: metadata(`system:controller:${name}`), roleRef: roleRef('ClusterRole', `system:controller:${name}`), subjects: [account(name)] })),
    ],
    roles: ROLES.map((r) => ({ apiVersion: API_VERSION, kind: 'Role', metadata: metadata(r.name, {}, r.namespace), rules: [...r.rules] })),
    roleBindings: ROLE_BINDINGS.map((b) => ({ apiVersion: API_VERSION, kind: 'RoleBinding', metadata: metadata(b.name, {}, b.namespace), roleRef: roleRef('Role', b.role ?? b.name), subjects: [...b.to] })),
  }
}
