/** Leases: node heartbeats and leader election. */
import type { Lease } from '#api/types/index.ts'
import type { Durability } from '#server/store/store.ts'
import { type FieldError, invalid } from '../field-error.ts'
import type { KindStrategy } from '../kind.ts'
import { nonNegative } from './check.ts'
import { isSameBut } from './heartbeat.ts'
import { ageColumn, column, nameColumn } from './table-columns.ts'

/** Leases here are node heartbeats: many, frequent, and worthless after a restart. */
export const NODE_LEASE_NAMESPACE = 'kube-node-lease'

/** Of what only one server does at a time. */
const LEADER_LEASES: ReadonlySet<string> = new Set(['kube-controller-manager', 'kube-scheduler'])

/**
 * Nodes' Leases and the renewals (every two seconds) of who leads are not synced; where nothing but the time is new they
 * are heartbeats. Taking and giving back a leader's Lease is synced: what may be lost must not change who has it.
 */
export function leaseDurability(lease: Lease, old: () => Lease | undefined): Durability {
  const { metadata, spec } = lease
  const isLazy = metadata?.namespace === NODE_LEASE_NAMESPACE
    || (metadata?.namespace === 'kube-system' && LEADER_LEASES.has(metadata.name ?? '') && (spec?.holderIdentity ?? '') !== '' && spec?.renewTime !== spec?.acquireTime)
  if (!isLazy) return 'synced'
  return isSameBut(old(), lease, (l) => ({ ...l, spec: { ...l.spec, renewTime: undefined } })) ? 'heartbeat' : 'lazy'
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
