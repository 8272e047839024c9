/** Upstream's default ClusterRoles, as data (bootstrap policy of v1.36; the controllers' own are in default-controller-roles.ts). */
import type { PolicyRule } from '#api/types/index.ts'
import { EVENTS, READ, READ_WRITE, WRITE, rule, urls } from './policy-rule.ts'

export interface DefaultClusterRole {
  rules: readonly PolicyRule[]
  labels?: Readonly<Record<string, string>>
  /** The role's rules are those of all ClusterRoles with this label; `rules` is then empty. */
  aggregates?: string
}

const AUTHN = 'authentication.k8s.io'
const AUTHZ = 'authorization.k8s.io'
const CERTIFICATES = 'certificates.k8s.io'
const RESOURCE = 'resource.k8s.io'
const STORAGE = 'storage.k8s.io'
const AGGREGATE = 'rbac.authorization.k8s.io/aggregate-to-'

const to = (role: 'admin' | 'edit' | 'view') => ({ [`${AGGREGATE}${role}`]: 'true' })

/** Also what the Node authorizer allows every node (it narrows some of it to the node's own objects). */
export const NODE_RULES: readonly PolicyRule[] = [
  rule('create', AUTHN, 'tokenreviews'),
  rule('create', AUTHZ, 'localsubjectaccessreviews,subjectaccessreviews'),
  rule(READ, '', 'services'),
  rule('create,get,list,watch', '', 'nodes'),
  rule('patch,update', '', 'nodes/status'),
  rule('patch,update', '', 'nodes'),
  rule('create,patch,update', ',events.k8s.io', 'events'),
  rule(READ, '', 'pods'),
  rule('create,delete', '', 'pods'),
  rule('patch,update', '', 'pods/status'),
  rule('create', '', 'pods/eviction'),
  rule(READ, '', 'configmaps,secrets'),
  rule('get', '', 'persistentvolumeclaims,persistentvolumes'),
  rule('get', '', 'endpoints'),
  rule('create,get,list,watch', CERTIFICATES, 'certificatesigningrequests'),
  rule('create,delete,get,patch,update', 'coordination.k8s.io', 'leases'),
  rule('get', STORAGE, 'volumeattachments'),
  rule('create', '', 'serviceaccounts/token'),
  rule('get,patch,update', '', 'persistentvolumeclaims/status'),
  rule(READ, STORAGE, 'csidrivers'),
  rule('create,delete,get,patch,update', STORAGE, 'csinodes'),
  rule(READ, 'node.k8s.io', 'runtimeclasses'),
  rule('get', RESOURCE, 'resourceclaims'),
  rule('deletecollection', RESOURCE, 'resourceslices'),
  rule('get', '', 'serviceaccounts'),
]

const EDIT_EXTENSIONS = 'daemonsets,deployments,deployments/rollback,deployments/scale,ingresses,networkpolicies,replicasets,replicasets/scale,replicationcontrollers/scale'

const approver = (signer: string): DefaultClusterRole => ({ rules: [rule('approve', CERTIFICATES, 'signers', `kubernetes.io/${signer}`)] })

export const DEFAULT_CLUSTER_ROLES: Readonly<Record<string, DefaultClusterRole>> = {
  'cluster-admin': { rules: [rule('*', '*', '*'), urls('*', '*')] },
  admin: { rules: [], aggregates: `${AGGREGATE}admin` },
  edit: { rules: [], aggregates: `${AGGREGATE}edit`, labels: to('admin') },
  view: { rules: [], aggregates: `${AGGREGATE}view`, labels: to('edit') },
  'system:aggregate-to-admin': { labels: to('admin'), rules: [
    rule('create', AUTHZ, 'localsubjectaccessreviews'),
    rule(READ_WRITE, 'rbac.authorization.k8s.io', 'rolebindings,roles'),
  ] },
  'system:aggregate-to-edit': { labels: to('edit'), rules: [
    rule(READ, '', 'pods/attach,pods/exec,pods/portforward,pods/proxy,secrets,services/proxy'),
    rule('impersonate', '', 'serviceaccounts'),
    rule(WRITE, '', 'pods,pods/attach,pods/exec,pods/portforward,pods/proxy'),
    rule('create', '', 'pods/eviction'),
    rule(WRITE, '', 'configmaps,persistentvolumeclaims,replicationcontrollers,replicationcontrollers/scale,secrets,serviceaccounts,services,services/proxy'),
    rule('create', '', 'serviceaccounts/token'),
    rule(WRITE, ',events.k8s.io', 'events'),
    rule(WRITE, 'apps', 'daemonsets,deployments,deployments/rollback,deployments/scale,replicasets,replicasets/scale,statefulsets,statefulsets/scale'),
    rule(WRITE, 'autoscaling', 'horizontalpodautoscalers'),
    rule(WRITE, 'batch', 'cronjobs,jobs'),
    rule(WRITE, 'extensions', EDIT_EXTENSIONS),
    rule(WRITE, 'policy', 'poddisruptionbudgets'),
    rule(WRITE, 'networking.k8s.io', 'ingresses,networkpolicies'),
    rule(READ_WRITE, 'coordination.k8s.io', 'leases'),
    rule(WRITE, RESOURCE, 'resourceclaims,resourceclaimtemplates'),
  ] },
  'system:aggregate-to-view': { labels: to('view'), rules: [
    rule(READ, '', 'configmaps,endpoints,persistentvolumeclaims,persistentvolumeclaims/status,pods,replicationcontrollers,replicationcontrollers/scale,serviceaccounts,services,services/status'),
    rule(READ, '', 'bindings,limitranges,namespaces/status,pods/log,pods/status,replicationcontrollers/status,resourcequotas,resourcequotas/status'),
    rule(READ, '', 'namespaces'),
    rule(READ, ',events.k8s.io', 'events'),
    rule(READ, 'discovery.k8s.io', 'endpointslices'),
    rule(READ, 'apps', 'controllerrevisions,daemonsets,daemonsets/status,deployments,deployments/scale,deployments/status,replicasets,replicasets/scale,replicasets/status,statefulsets,statefulsets/scale,statefulsets/status'),
    rule(READ, 'autoscaling', 'horizontalpodautoscalers,horizontalpodautoscalers/status'),
    rule(READ, 'batch', 'cronjobs,cronjobs/status,jobs,jobs/status'),
    rule(READ, 'extensions', 'daemonsets,daemonsets/status,deployments,deployments/scale,deployments/status,ingresses,ingresses/status,networkpolicies,replicasets,replicasets/scale,replicasets/status,replicationcontrollers/scale'),
    rule(READ, 'policy', 'poddisruptionbudgets,poddisruptionbudgets/status'),
    rule(READ, 'networking.k8s.io', 'ingresses,ingresses/status,networkpolicies'),
    rule(READ, RESOURCE, 'resourceclaims,resourceclaims/status,resourceclaimtemplates'),
  ] },
  'system:discovery': { rules: [urls('get', '/api,/api/*,/apis,/apis/*,/healthz,/livez,/openapi,/openapi/*,/readyz,/version,/version/')] },
  'system:public-info-viewer': { rules: [urls('get', '/healthz,/livez,/readyz,/version,/version/')] },
  'system:basic-user': { rules: [rule('create', AUTHZ, 'selfsubjectaccessreviews,selfsubjectrulesreviews'), rule('create', AUTHN, 'selfsubjectreviews')] },
  'system:monitoring': { rules: [urls('get', '/flagz,/healthz,/healthz/*,/livez,/livez/*,/metrics,/metrics/slis,/readyz,/readyz/*,/statusz'), rule('get', '', 'nodes/metrics')] },
  'system:heapster': { rules: [rule(READ, '', 'events,namespaces,nodes,pods'), rule(READ, 'extensions', 'deployments')] },
  'system:node': { rules: NODE_RULES },
  'system:node-problem-detector': { rules: [rule('get', '', 'nodes'), rule('patch', '', 'nodes/status'), EVENTS] },
  'system:kubelet-api-admin': { rules: [
    rule(READ, '', 'nodes'), rule('proxy', '', 'nodes'),
    rule('*', '', 'nodes/log,nodes/metrics,nodes/proxy,nodes/stats'), rule('*', '', 'nodes/configz,nodes/healthz,nodes/pods'),
  ] },
  'system:node-bootstrapper': { rules: [rule('create,get,list,watch', CERTIFICATES, 'certificatesigningrequests')] },
  'system:node-proxier': { rules: [
    rule('list,watch', '', 'endpoints,services'), rule(READ, '', 'nodes'), EVENTS,
    rule('list,watch', 'networking.k8s.io', 'servicecidrs'), rule('list,watch', 'discovery.k8s.io', 'endpointslices'),
  ] },
  'system:auth-delegator': { rules: [rule('create', AUTHN, 'tokenreviews'), rule('create', AUTHZ, 'subjectaccessreviews')] },
  'system:kube-aggregator': { rules: [rule(READ, '', 'endpoints,services')] },
  'system:kube-controller-manager': { rules: [
    EVENTS, rule('create', 'coordination.k8s.io', 'leases'), rule('get,update', 'coordination.k8s.io', 'leases', 'kube-controller-manager'),
    rule('create', '', 'secrets,serviceaccounts'), rule('delete', '', 'secrets'),
    rule('get', '', 'configmaps,namespaces,secrets,serviceaccounts'), rule('update', '', 'secrets,serviceaccounts'),
    rule('create', AUTHN, 'tokenreviews'), rule('create', AUTHZ, 'subjectaccessreviews'),
    rule('list,watch', '*', '*'), rule('create', '', 'serviceaccounts/token'),
  ] },
  'system:kube-scheduler': { rules: [
    EVENTS, rule('create', 'coordination.k8s.io', 'leases'), rule('get,list,update,watch', 'coordination.k8s.io', 'leases', 'kube-scheduler'), rule(READ_WRITE, 'coordination.k8s.io', 'leasecandidates'),
    rule(READ, '', 'nodes'), rule('delete,get,list,watch', '', 'pods'), rule('create', '', 'bindings,pods/binding'), rule('patch,update', '', 'pods/status'),
    rule(READ, '', 'replicationcontrollers,services'), rule(READ, 'apps,extensions', 'replicasets'), rule(READ, 'apps', 'statefulsets'),
    rule(READ, 'policy', 'poddisruptionbudgets'), rule(READ, '', 'persistentvolumeclaims,persistentvolumes'),
    rule('create', AUTHN, 'tokenreviews'), rule('create', AUTHZ, 'subjectaccessreviews'),
    rule(READ, STORAGE, 'csinodes'), rule(READ, STORAGE, 'volumeattachments'), rule(READ, '', 'namespaces'), rule(READ, STORAGE, 'csidrivers'), rule(READ, STORAGE, 'csistoragecapacities'),
    rule(READ, RESOURCE, 'deviceclasses'), rule('get,list,patch,update,watch', RESOURCE, 'resourceclaims'), rule('get,list,patch,update,watch', RESOURCE, 'resourceclaims/status'), rule('update', '', 'pods/finalizers'),
    rule(READ, RESOURCE, 'resourceslices'), rule('create,delete', RESOURCE, 'resourceclaims'), rule('patch,update', RESOURCE, 'resourceclaims/binding'),
  ] },
  'system:kube-dns': { rules: [rule('list,watch', '', 'endpoints,services')] },
  'system:persistent-volume-provisioner': { rules: [
    rule('create,delete,get,list,watch', '', 'persistentvolumes'), rule('get,list,update,watch', '', 'persistentvolumeclaims'),
    rule(READ, STORAGE, 'storageclasses'), rule('watch', '', 'events'), EVENTS,
  ] },
  'system:volume-scheduler': { rules: [
    rule('get,list,patch,update,watch', '', 'persistentvolumes'), rule(READ, STORAGE, 'storageclasses'), rule('get,list,patch,update,watch', '', 'persistentvolumeclaims'),
  ] },
  'system:certificates.k8s.io:certificatesigningrequests:nodeclient': { rules: [rule('create', CERTIFICATES, 'certificatesigningrequests/nodeclient')] },
  'system:certificates.k8s.io:certificatesigningrequests:selfnodeclient': { rules: [rule('create', CERTIFICATES, 'certificatesigningrequests/selfnodeclient')] },
  'system:certificates.k8s.io:legacy-unknown-approver': approver('legacy-unknown'),
  'system:certificates.k8s.io:kubelet-serving-approver': approver('kubelet-serving'),
  'system:certificates.k8s.io:kube-apiserver-client-approver': approver('kube-apiserver-client'),
  'system:certificates.k8s.io:kube-apiserver-client-kubelet-approver': approver('kube-apiserver-client-kubelet'),
  'system:service-account-issuer-discovery': { rules: [urls('get', '/.well-known/openid-configuration,/.well-known/openid-configuration/,/openid/v1/jwks,/openid/v1/jwks/')] },
  // skiff's own: one agent process is kubelet, proxy, resolver and network at once, all as system:node:<name>.
  'skiff:node-network': { rules: [rule(READ, '', 'endpoints,namespaces,nodes,services'), rule(READ, 'discovery.k8s.io', 'endpointslices')] },
}
