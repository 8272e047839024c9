/** Leases: node heartbeats and leader election. */
import type { Lease } from '#api/types/index.ts'
import { type FieldError, invalid } from '../field-error.ts'
import type { KindStrategy } from '../kind.ts'
import { nonNegative } from './check.ts'
import { ageColumn, column, nameColumn } from './table-columns.ts'

/** Leases here are node heartbeats: many, frequent, and worthless after a restart. */
export const NODE_LEASE_NAMESPACE = 'kube-node-lease'

/** Of what only one server does at a time. */
const LEADER_LEASES: ReadonlySet<string> = new Set(['kube-controller-manager', 'kube-scheduler'])

/**
 * Written lazily: node heartbeats, and the renewals (every two seconds) of who leads. Taking and giving back a Lease is
 * synced: what may be lost must not change who has it.
 */
export function isHeartbeat({ metadata, spec }: Lease): boolean {
  if (metadata?.namespace === NODE_LEASE_NAMESPACE) return true
  return metadata?.namespace === 'kube-system' && LEADER_LEASES.has(metadata.name ?? '') && (spec?.holderIdentity ?? '') !== '' && spec?.renewTime !== spec?.acquireTime
}

export const leaseStrategy: KindStrategy<Lease> = {
  generation: false,
  validate: validateLease,
  validateUpdate: validateLease,
  columns: [nameColumn(), column('Holder', 'holderIdentity contains the identity of the holder of a current lease.', (o) => o.spec?.holderIdentity ?? ''), ageColumn()],
}

function validateLease(lease: Lease): FieldError[] {
  const { leaseDurationSeconds, leaseTransitions, holderIdentity } = lease.spec ?? {}
  const out: FieldError[] = []
  if (leaseDurationSeconds !== undefined && leaseDurationSeconds <= 0) out.push(invalid('spec.leaseDurationSeconds', leaseDurationSeconds, 'must be greater than 0'))
  if (holderIdentity !== undefined && holderIdentity === '' && lease.spec?.strategy) out.push(invalid('spec.holderIdentity', holderIdentity, 'must not be empty'))
  return [...out, ...nonNegative('spec.leaseTransitions', leaseTransitions)]
}
