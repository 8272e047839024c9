/** Where roles and bindings come from: informers in the running server, plain lists in tests. Cheap to ask; says when anything changed. */
import type { Informers } from '#api/client/client.ts'
import { CLUSTER_ROLES, CLUSTER_ROLE_BINDINGS, ROLES, ROLE_BINDINGS, type ClusterRole, type ClusterRoleBinding, type PolicyRule, type Role, type RoleBinding } from '#api/types/index.ts'

export interface RbacSource {
  /** Undefined: no such role. A ClusterRole's namespace is ''. */
  rules(kind: 'Role' | 'ClusterRole', name: string, namespace: string): readonly PolicyRule[] | undefined
  clusterRoleBindings(): readonly ClusterRoleBinding[]
  roleBindings(): readonly RoleBinding[]
  /** Called after any role or binding changed. Returns the unsubscribe. */
  onChange(listener: () => void): () => void
}

/** The four informers must be started by who made them; until they have synced, whatever is known so far counts. */
export function rbacFromInformers(informers: Informers): RbacSource {
  const clusterRoles = informers.of<ClusterRole>(CLUSTER_ROLES)
  const roles = informers.of<Role>(ROLES)
  const clusterRoleBindings = informers.of<ClusterRoleBinding>(CLUSTER_ROLE_BINDINGS)
  const roleBindings = informers.of<RoleBinding>(ROLE_BINDINGS)
  return {
    rules(kind, name, namespace) {
      const role = kind === 'ClusterRole' ? clusterRoles.get(name) : roles.get(`${namespace}/${name}`)
      return role && (role.rules ?? [])
    },
    clusterRoleBindings: () => clusterRoleBindings.list(),
    roleBindings: () => roleBindings.list(),
    onChange(listener) {
      const stops = [clusterRoles, roles, clusterRoleBindings, roleBindings].map((i) => i.onChange(listener))
      return () => { for (const stop of stops) stop() }
    },
  }
}
