/** Builders and small fakes for the authorization tests. */
import type { ClusterRole, ClusterRoleBinding, PolicyRule, RbacV1Subject as Subject, Role, RoleBinding, UserInfo } from '#api/types/index.ts'
import type { Attributes } from '../auth.ts'
import type { RbacSource } from './rbac-source.ts'

export interface RbacObjects { clusterRoles: ClusterRole[]; roles: Role[]; clusterRoleBindings: ClusterRoleBinding[]; roleBindings: RoleBinding[] }

export function rbacFromObjects(objects: Partial<RbacObjects>): RbacSource & { changed(): void; objects: RbacObjects } {
  const all: RbacObjects = { clusterRoles: [], roles: [], clusterRoleBindings: [], roleBindings: [], ...objects }
  const listeners = new Set<() => void>()
  return {
    objects: all,
    rules(kind, name, namespace) {
      const role = kind === 'ClusterRole' ? all.clusterRoles.find((r) => r.metadata?.name === name) : all.roles.find((r) => r.metadata?.name === name && r.metadata.namespace === namespace)
      return role && (role.rules ?? [])
    },
    clusterRoleBindings: () => all.clusterRoleBindings,
    roleBindings: () => all.roleBindings,
    onChange(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    changed() { for (const listener of listeners) listener() },
  }
}

export const clusterRole = (name: string, ...rules: PolicyRule[]): ClusterRole => ({ metadata: { name }, rules })
export const role = (namespace: string, name: string, ...rules: PolicyRule[]): Role => ({ metadata: { name, namespace }, rules })
export const clusterBinding = (name: string, roleName: string, ...subjects: Subject[]): ClusterRoleBinding => ({ metadata: { name }, roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: roleName }, subjects })
export const binding = (namespace: string, name: string, kind: 'Role' | 'ClusterRole', roleName: string, ...subjects: Subject[]): RoleBinding => ({ metadata: { name, namespace }, roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind, name: roleName }, subjects })
export const user = (name: string, ...groups: string[]): UserInfo => ({ name, groups: [...groups, 'system:authenticated'] })

/** `ask(user, 'get', 'apps/deployments/status', 'ns/name')`: group and subresource may be left out. */
export function ask(who: UserInfo, verb: string, what: string, where = ''): Attributes {
  if (what.startsWith('/')) return { user: who, verb, path: what }
  const [first = '', second, third] = what.split('/')
  const [group, resource, subresource] = third !== undefined ? [first, second ?? '', third] : second === undefined ? ['', first, ''] : GROUPS.has(first) ? [first, second, ''] : ['', first, second]
  const [namespace = '', name = ''] = where.includes('/') ? where.split('/') : ['', where]
  return { user: who, verb, resource: { group, version: 'v1', resource, subresource, namespace, name } }
}

const GROUPS = new Set(['apps', 'batch', 'rbac.authorization.k8s.io', 'certificates.k8s.io', 'coordination.k8s.io', 'storage.k8s.io', 'discovery.k8s.io', 'authorization.k8s.io', 'networking.k8s.io', 'events.k8s.io', 'resource.k8s.io'])
