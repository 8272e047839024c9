/** Which devices claims have, or are about to be given. What administrators look at is nobody's. Pure. */
import type { AllocationResult } from '#api/types/index.ts'
import type { DeviceLookup } from './device-lookup.ts'
import { deviceId } from './pools.ts'

export function devicesInUse(lookup: Pick<DeviceLookup, 'claims' | 'pending'>): ReadonlySet<string> {
  const pending = lookup.pending()
  const allocations = lookup.claims().map((claim) => claim.status?.allocation ?? pending.get(claim.metadata.uid))
  return new Set(allocations.flatMap((allocation) => idsOf(allocation)))
}

const idsOf = (allocation: AllocationResult | undefined): string[] => (allocation?.devices?.results ?? []).filter((r) => !r.adminAccess).map((r) => deviceId(r.driver, r.pool, r.device))
