/** Writes what nodes must know of their cluster: the ConfigMap, the right to read it, the Service of cluster DNS. Idempotent. */
import { isReason, type Client } from '#api/client/client.ts'
import { CLUSTER_CONFIG_NAME, CLUSTER_CONFIG_NAMESPACE, clusterConfigMap, type ClusterConfig } from '#api/cluster-config.ts'
import { CONFIG_MAPS, ROLE_BINDINGS, ROLES, SERVICES, type ConfigMap, type KubeObject, type ResourceRef, type Role, type RoleBinding, type Service } from '#api/types/index.ts'

const ACCESS_NAME = 'skiff:cluster-config-reader'
const metadata = { name: ACCESS_NAME, namespace: CLUSTER_CONFIG_NAMESPACE }

/** Also the authority of client certificates: nodes serve the kubelet API to those who have one. */
const READER: Role = {
  apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'Role', metadata,
  rules: [{ apiGroups: [''], resources: ['configmaps'], resourceNames: [CLUSTER_CONFIG_NAME, 'extension-apiserver-authentication'], verbs: ['get', 'list', 'watch'] }],
}

const NODES_MAY_READ: RoleBinding = {
  apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'RoleBinding', metadata,
  roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: ACCESS_NAME },
  subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'Group', name: 'system:nodes' }],
}

/**
 * kube-system/kube-dns: the address is every node's own resolver, so it has no endpoints, and the label keeps proxies
 * from refusing it (KEP-2447: another proxy than the cluster's looks after it).
 */
function dnsService(clusterIP: string): Service {
  return {
    apiVersion: 'v1', kind: 'Service',
    metadata: { name: 'kube-dns', namespace: 'kube-system', labels: { 'k8s-app': 'kube-dns', 'kubernetes.io/name': 'CoreDNS', 'kubernetes.io/cluster-service': 'true', 'service.kubernetes.io/service-proxy-name': 'skiff-dns' } },
    spec: { clusterIP, ports: [{ name: 'dns', port: 53, protocol: 'UDP', targetPort: 53 }, { name: 'dns-tcp', port: 53, protocol: 'TCP', targetPort: 53 }] },
  }
}

/** kube-system/kubelet-serving-ca.crt: by it metrics-server and Prometheus know the nodes on port 10250, whose certificates the servers' authority does not sign. */
function kubeletServingCa(pem: string): ConfigMap {
  return {
    apiVersion: 'v1', kind: 'ConfigMap',
    metadata: { name: 'kubelet-serving-ca.crt', namespace: 'kube-system', annotations: { 'kubernetes.io/description': 'Contains a CA bundle that can be used to verify the serving certificates of kubelets (port 10250).' } },
    data: { 'ca.crt': pem },
  }
}

/** `kubeletCaPem`: the authority of nodes' serving certificates. */
export async function publishClusterConfig(client: Client, config: ClusterConfig, kubeletCaPem: string): Promise<void> {
  const wanted = clusterConfigMap(config)
  await ensure<ConfigMap>(client, CONFIG_MAPS, wanted, { data: wanted.data })
  const kubeletCa = kubeletServingCa(kubeletCaPem)
  await ensure<ConfigMap>(client, CONFIG_MAPS, kubeletCa, { data: kubeletCa.data })
  if (!config.disabled.includes('dns')) {
    const dns = dnsService(config.clusterDns)
    await ensure<Service>(client, SERVICES, dns, { metadata: { labels: dns.metadata?.labels } })
  }
  await ensure<Role>(client, ROLES, READER, { rules: READER.rules })
  await ensure<RoleBinding>(client, ROLE_BINDINGS, NODES_MAY_READ, { subjects: NODES_MAY_READ.subjects })
}

/**
 * `content`: what must be so; a patch that changes nothing is not written by the API server. Looked for before it is
 * made: creating a Service that is there already is refused for its address, not its name.
 */
async function ensure<T extends KubeObject>(client: Client, ref: ResourceRef, object: T, content: object): Promise<void> {
  try {
    await client.patch<T>(ref, object.metadata?.name ?? '', object.metadata?.namespace, 'application/merge-patch+json', content)
  } catch (error) {
    if (!isReason(error, 'NotFound')) throw error
    await client.create<T>(ref, object)
  }
}
