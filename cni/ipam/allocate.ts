/** Which address comes next. Pure: leases in, one address out. */
import { addressAt, maybeIpv4, type Prefix } from '../prefix.ts'

/**
 * The first free address after `last`, going round: an address just given back is not handed out again before all others
 * were, so stale DNS answers and half-closed connections do not reach the wrong pod. Never the network address, the
 * bridge's (the first) or the broadcast address. Undefined when every address is leased.
 */
export function nextAddress(prefix: Prefix, last: string | undefined, isLeased: (address: string) => boolean): string | undefined {
  const usable = prefix.size - 3
  if (usable < 1) return undefined
  const lastValue = last === undefined ? undefined : maybeIpv4(last)
  const lastIndex = lastValue === undefined ? -1 : lastValue - prefix.first - FIRST_POD
  const from = lastIndex >= 0 && lastIndex < usable ? lastIndex + 1 : 0
  for (let i = 0; i < usable; i++) {
    const address = addressAt(prefix, FIRST_POD + ((from + i) % usable))
    if (!isLeased(address)) return address
  }
  return undefined
}

/** .0 names the network (and is the overlay's next hop), .1 is the bridge. */
const FIRST_POD = 2
