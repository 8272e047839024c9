/** The rows of one API group, see ../registry.ts. */
import * as R from '#api/types/resources.ts'
import type { KindRow } from '../kind.ts'
import { leaseStrategy, NODE_LEASE_NAMESPACE } from '../kinds/lease.ts'
import { row } from './row.ts'

export const coordinationRows: readonly KindRow[] = [
  row(R.LEASES, leaseStrategy, { lazy: (object) => object.metadata?.namespace === NODE_LEASE_NAMESPACE }),
]
