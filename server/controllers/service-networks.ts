/** Which network of Services covers an address. IPv4 and IPv6. */
import { BlockList, isIPv6 } from 'node:net'

export type Covers = (ip: string) => boolean

export function coverage(cidrs: readonly string[]): Covers {
  const list = new BlockList()
  for (const cidr of cidrs) {
    const [base = '', prefix = ''] = cidr.split('/')
    list.addSubnet(base, Number(prefix), isIPv6(base) ? 'ipv6' : 'ipv4')
  }
  return (ip) => list.check(ip, isIPv6(ip) ? 'ipv6' : 'ipv4')
}
