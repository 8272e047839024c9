/**
 * The one table of built-in kinds: what exists, how it is called and served. A new kind is one row in its group's file in
 * `registry/` and its strategy in `kinds/`. Order of groups is upstream's in discovery; within a group, versions are listed
 * as discovery lists them, the preferred one first.
 */
import type { Allocator, KindRow } from './kind.ts'
import { admissionRegistrationRows } from './registry/admission-registration.ts'
import { apiExtensionsRows } from './registry/api-extensions.ts'
import { apiRegistrationRows } from './registry/api-registration.ts'
import { appsRows } from './registry/apps.ts'
import { autoscalingRows } from './registry/autoscaling.ts'
import { batchRows } from './registry/batch.ts'
import { certificatesRows } from './registry/certificates.ts'
import { coordinationRows } from './registry/coordination.ts'
import { coreRows } from './registry/core.ts'
import { discoveryRows } from './registry/discovery.ts'
import { eventsRows } from './registry/events.ts'
import { flowcontrolRows } from './registry/flowcontrol.ts'
import { internalRows } from './registry/internal.ts'
import { networkingRows } from './registry/networking.ts'
import { nodeRows } from './registry/node.ts'
import { policyRows } from './registry/policy.ts'
import { rbacRows } from './registry/rbac.ts'
import { resourceRows } from './registry/resource.ts'
import { schedulingRows } from './registry/scheduling.ts'
import { storageMigrationRows } from './registry/storage-migration.ts'
import { storageRows } from './registry/storage.ts'

export const rows: readonly KindRow[] = [
  ...coreRows,
  ...apiRegistrationRows,
  ...appsRows,
  ...eventsRows,
  ...autoscalingRows,
  ...batchRows,
  ...certificatesRows,
  ...networkingRows,
  ...policyRows,
  ...rbacRows,
  ...storageRows,
  ...admissionRegistrationRows,
  ...apiExtensionsRows,
  ...schedulingRows,
  ...coordinationRows,
  ...nodeRows,
  ...discoveryRows,
  ...flowcontrolRows,
  ...internalRows,
  ...resourceRows,
  ...storageMigrationRows,
]

/** The same table with allocators for the resources named (`services`). */
export function withAllocators(table: readonly KindRow[], allocators: Readonly<Record<string, Allocator>>): KindRow[] {
  return table.map((r) => {
    const allocator = r.ref.group === '' ? allocators[r.ref.resource] : undefined
    return allocator ? { ...r, allocator } : r
  })
}
