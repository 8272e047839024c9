/** Which devices claims have, or are about to be given, and how much of those that are shared. What administrators look at is nobody's. Pure. */
import { parseQuantity } from '#api/types/quantity.ts'
import type { DeviceLookup } from './device-lookup.ts'
import { deviceId } from './pools.ts'

export interface DevicesInUse {
  /** By their ids: nobody else can have them. */
  readonly whole: ReadonlySet<string>
  /** How much of each capacity the shares take that were given out, in thousand-millionths. */
  readonly shares: ReadonlyMap<string, ReadonlyMap<string, bigint>>
}

export function devicesInUse(lookup: Pick<DeviceLookup, 'claims' | 'pending'>): DevicesInUse {
  const pending = lookup.pending()
  const whole = new Set<string>()
  const shares = new Map<string, Map<string, bigint>>()
  // Those that are made with the allocation are not known to be there yet.
  const allocations = new Map([...pending, ...lookup.claims().flatMap(({ metadata, status }) => (status?.allocation ? [[metadata.uid, status.allocation] as const] : []))])
  for (const { adminAccess, driver, pool, device, shareID, consumedCapacity } of [...allocations.values()].flatMap((allocation) => allocation.devices?.results ?? [])) {
    const id = deviceId(driver, pool, device)
    if (adminAccess) continue
    if (shareID === undefined) whole.add(id)
    else shares.set(id, addTo(shares.get(id) ?? new Map<string, bigint>(), Object.entries(consumedCapacity ?? {}).map(([name, amount]) => [name, parseQuantity(amount).nano])))
  }
  return { whole, shares }
}

/** Changes what it is given. */
export function addTo(used: Map<string, bigint>, amounts: Iterable<readonly [string, bigint]>, sign = 1n): Map<string, bigint> {
  for (const [name, amount] of amounts) used.set(name, (used.get(name) ?? 0n) + sign * amount)
  return used
}
