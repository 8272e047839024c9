/** The nftables table `skiff-cni`: masquerading and host ports, as data. Pure. */
import type { Lease } from '../ipam/leases.ts'
import { emptyTable, type NftTable } from '../nft/table.ts'

export const CNI_TABLE = 'skiff-cni'

export interface NatWish { bridge: string; clusterCidr: string; podCidr: string; leases: readonly Lease[] }

export function desiredNatTable(wish: NatWish): NftTable {
  const table = emptyTable(CNI_TABLE)
  const toPort = 'dnat ip to ip daddr . meta l4proto . th dport map @hostports-at'
  const toAnyPort = 'fib daddr type local dnat ip to meta l4proto . th dport map @hostports'
  table.sets.set('hostports', { key: ['inet_proto', 'inet_service'], map: ['ipv4_addr', 'inet_service'], elements: new Map() })
  table.sets.set('hostports-at', { key: ['ipv4_addr', 'inet_proto', 'inet_service'], map: ['ipv4_addr', 'inet_service'], elements: new Map() })
  table.sets.set('hairpins', { key: ['ipv4_addr', 'ipv4_addr'], elements: new Map() })
  // Before the Services' tables (-100): a host port wins over a node port of the same number.
  table.chains.set('prerouting', { hook: { type: 'nat', hook: 'prerouting', priority: -105 }, rules: [toPort, toAnyPort] })
  table.chains.set('output', { hook: { type: 'nat', hook: 'output', priority: -105 }, rules: [toPort, toAnyPort] })
  table.chains.set('postrouting', {
    hook: { type: 'nat', hook: 'postrouting', priority: 100 },
    rules: [
      // The host reaching a host port by 127.0.0.1, a pod reaching its own by the node's address: the answer must come back here.
      `ip saddr 127.0.0.0/8 oifname "${wish.bridge}" ct status dnat masquerade fully-random`,
      'ip saddr . ip daddr @hairpins masquerade fully-random',
      `ip saddr ${wish.podCidr} ip daddr != ${wish.clusterCidr} ip daddr != 224.0.0.0/4 oifname != "${wish.bridge}" masquerade fully-random`,
    ],
  })
  // route_localnet on the bridge lets 127.0.0.1 lead to host ports; no pod may use it to reach the host's loopback (CVE-2020-8558).
  table.chains.set('raw-prerouting', { hook: { type: 'filter', hook: 'prerouting', priority: -300 }, rules: [`iifname "${wish.bridge}" ip daddr 127.0.0.0/8 drop`] })
  for (const lease of wish.leases) {
    for (const port of lease.ports) {
      const key = `${port.protocol.toLowerCase()} . ${port.hostPort}`
      const value = `${lease.address} . ${port.containerPort}`
      if (isAnyAddress(port.hostIp)) table.sets.get('hostports')?.elements.set(key, value)
      else table.sets.get('hostports-at')?.elements.set(`${port.hostIp} . ${key}`, value)
    }
    if (lease.ports.length > 0) table.sets.get('hairpins')?.elements.set(`${lease.address} . ${lease.address}`, '')
  }
  return table
}

function isAnyAddress(hostIp: string): boolean {
  return hostIp === '' || hostIp === '0.0.0.0'
}
