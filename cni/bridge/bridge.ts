/** The bridge that pods hang on. `decideBridge` is pure; the caller runs what it returns. */
import type { Link } from '../netlink/links.ts'

export interface BridgeWish {
  name: string
  mac: string
  mtu: number
  /** With prefix length: `10.42.0.1/24`. */
  address: string
}

/** `ip` commands; none when the bridge is right. A device of that name that is no bridge is replaced. */
export function decideBridge(links: readonly Link[], wish: BridgeWish): string[] {
  const is = links.find((link) => link.name === wish.name)
  const b = wish.name
  if (!is || is.kind !== 'bridge') {
    return [
      ...(is ? [`link del ${b}`] : []),
      // A MAC of its own: otherwise the bridge takes its lowest port's and every pod's neighbour entry breaks as pods come and go.
      `link add name ${b} address ${wish.mac} mtu ${wish.mtu} type bridge`,
      `link set dev ${b} up`,
      `addr add ${wish.address} dev ${b}`,
    ]
  }
  return [
    ...(is.mac === wish.mac ? [] : [`link set dev ${b} address ${wish.mac}`]),
    ...(is.mtu === wish.mtu ? [] : [`link set dev ${b} mtu ${wish.mtu}`]),
    ...(is.isUp ? [] : [`link set dev ${b} up`]),
    ...(is.addresses.includes(wish.address) ? [] : [`addr add ${wish.address} dev ${b}`]),
    // Addresses of the same kind that are left over from another pod CIDR; /32s belong to others (the DNS address).
    ...is.addresses.filter((a) => a !== wish.address && !a.endsWith('/32')).map((a) => `addr del ${a} dev ${b}`),
  ]
}
