/** Writes the ConfigMap that tells nodes about their cluster, and the right to read it. Idempotent. */
import { isReason, type Client } from '#api/client/client.ts'
import { CLUSTER_CONFIG_NAME, CLUSTER_CONFIG_NAMESPACE, clusterConfigMap, type ClusterConfig } from '#api/cluster-config.ts'
import { CONFIG_MAPS, ROLE_BINDINGS, ROLES, type ConfigMap, type KubeObject, type ResourceRef, type Role, type RoleBinding } from '#api/types/index.ts'

const ACCESS_NAME = 'skiff:cluster-config-reader'
const metadata = { name: ACCESS_NAME, namespace: CLUSTER_CONFIG_NAMESPACE }

const READER: Role = {
  apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'Role', metadata,
  rules: [{ apiGroups: [''], resources: ['configmaps'], resourceNames: [CLUSTER_CONFIG_NAME], verbs: ['get', 'list', 'watch'] }],
}

const NODES_MAY_READ: RoleBinding = {
  apiVersion: 'rbac.authorization.k8s.io/v1', kind: 'RoleBinding', metadata,
  roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: ACCESS_NAME },
  subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'Group', name: 'system:nodes' }],
}

export async function publishClusterConfig(client: Client, config: ClusterConfig): Promise<void> {
  const wanted = clusterConfigMap(config)
  await ensure<ConfigMap>(client, CONFIG_MAPS, wanted, { data: wanted.data })
  await ensure<Role>(client, ROLES, READER, { rules: READER.rules })
  await ensure<RoleBinding>(client, ROLE_BINDINGS, NODES_MAY_READ, { subjects: NODES_MAY_READ.subjects })
}

/** `content`: what must be so; a patch that changes nothing is not written by the API server. */
async function ensure<T extends KubeObject>(client: Client, ref: ResourceRef, object: T, content: object): Promise<void> {
  try {
    await client.create<T>(ref, object)
  } catch (error) {
    if (!isReason(error, 'AlreadyExists')) throw error
    await client.patch<T>(ref, object.metadata?.name ?? '', object.metadata?.namespace, 'application/merge-patch+json', content)
  }
}
