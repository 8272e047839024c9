/** Leases: node heartbeats and leader election. */
import type { Lease } from '#api/types/index.ts'
import type { Durability } from '#server/store/store.ts'
import { checkQualifiedName } from '#api/types/index.ts'
import { type FieldError, forbidden, invalid, notSupported } from '../field-error.ts'
import type { KindStrategy } from '../kind.ts'
import { named, nonNegative } from './check.ts'
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
  requiresRevision: true,
  generation: false,
  validate: validateLease,
  validateUpdate: validateLease,
  columns: [nameColumn(), column('Holder', 'holderIdentity contains the identity of the holder of a current lease.', (o) => o.spec?.holderIdentity ?? ''), ageColumn()],
}

function validateLease(lease: Lease): FieldError[] {
  const { leaseDurationSeconds, leaseTransitions, strategy, preferredHolder } = lease.spec ?? {}
  const out: FieldError[] = []
  if (leaseDurationSeconds !== undefined && leaseDurationSeconds <= 0) out.push(invalid('spec.leaseDurationSeconds', leaseDurationSeconds, 'must be greater than 0'))
  out.push(...nonNegative('spec.leaseTransitions', leaseTransitions))
  if (strategy !== undefined) out.push(...validateLeaseStrategy('spec.strategy', strategy))
  if (preferredHolder && !strategy) out.push(forbidden('spec.preferredHolder', 'may only be specified if `strategy` is defined'))
  return out
}

const LEASE_STRATEGIES = ['OldestEmulationVersion']

/** Of a lease and of a candidate; upstream's path ends in the field's name twice. */
export function validateLeaseStrategy(at: string, strategy: string): FieldError[] {
  if (strategy.includes('/')) return named(`${at}.strategy`, strategy, checkQualifiedName)
  return LEASE_STRATEGIES.includes(strategy) ? [] : [notSupported(`${at}.strategy`, strategy, LEASE_STRATEGIES)]
}
