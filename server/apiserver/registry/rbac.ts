/** The rows of one API group, see ../registry.ts. */
import * as R from '#api/types/resources.ts'
import type { KindRow } from '../kind.ts'
import { clusterRoleBindingStrategy, clusterRoleStrategy, roleBindingStrategy, roleStrategy } from '../kinds/rbac.ts'
import { row } from './row.ts'

export const rbacRows: readonly KindRow[] = [
  row(R.CLUSTER_ROLE_BINDINGS, clusterRoleBindingStrategy),
  row(R.CLUSTER_ROLES, clusterRoleStrategy),
  row(R.ROLE_BINDINGS, roleBindingStrategy),
  row(R.ROLES, roleStrategy),
]
