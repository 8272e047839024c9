/** The rows of one API group, see ../registry.ts. */
import * as R from '#api/types/resources.ts'
import type { KindRow } from '../kind.ts'
import { leaseDurability, leaseStrategy } from '../kinds/lease.ts'
import { leaseCandidateStrategy } from '../kinds/lease-candidate.ts'
import { deprecationWarning, refsOf, row, sameShape } from './row.ts'

const CANDIDATES = refsOf('coordination.k8s.io', 'v1beta1')('leasecandidates', 'LeaseCandidate')
const candidates = row(CANDIDATES, leaseCandidateStrategy, { model: 'V1beta1LeaseCandidate', warning: deprecationWarning(CANDIDATES, { since: 36, gone: 39 }) })

export const coordinationRows: readonly KindRow[] = [
  row(R.LEASES, leaseStrategy, { durability: leaseDurability }),
  candidates,
  ...sameShape(candidates, ['v1alpha2'], { v1alpha2: { since: 35, gone: 38 } }),
]
