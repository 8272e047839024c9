/** What the table holds before any Service: hooks, shared maps and the chains they lead to. Pure. */
import { emptyTable, type NftHook, type NftTable } from '#cni/index.ts'

export const PROXY_TABLE = 'skiff-proxy'

export interface BaseTableWish {
  /** Node ports answer on these (upstream's nftables mode: the node's primary addresses; not on loopback). */
  nodeIps: readonly string[]
  /** Packets to its unallocated addresses are dropped instead of leaving the cluster; undefined: not known. */
  serviceCidr: string | undefined
}

/** Traffic that must come back through this node carries this bit until it is masqueraded. */
const MASQUERADE_MARK = '0x4000'

export function baseTable(wish: BaseTableWish): NftTable {
  const table = emptyTable(PROXY_TABLE)
  const place = ['ipv4_addr', 'inet_proto', 'inet_service']
  const add = (name: string, key: string[], map?: string[]) => table.sets.set(name, { key, ...(map && { map }), elements: new Map() })
  add('cluster-ips', ['ipv4_addr'])
  add('nodeport-ips', ['ipv4_addr'])
  add('service-ips', place, ['verdict'])
  add('service-nodeports', ['inet_proto', 'inet_service'], ['verdict'])
  add('no-endpoint-services', place, ['verdict'])
  add('no-endpoint-nodeports', ['inet_proto', 'inet_service'], ['verdict'])
  add('firewall-ips', place, ['verdict'])
  for (const ip of wish.nodeIps) table.sets.get('nodeport-ips')?.elements.set(ip, '')

  const chain = (name: string, rules: string[], hook?: NftHook) => table.chains.set(name, hook ? { hook, rules } : { rules })
  const onNew = (...chains: string[]) => chains.map((c) => `ct state new jump ${c}`)
  chain('nat-prerouting', ['jump services'], { type: 'nat', hook: 'prerouting', priority: -100 })
  chain('nat-output', ['jump services'], { type: 'nat', hook: 'output', priority: -100 })
  chain('nat-postrouting', ['jump masquerading'], { type: 'nat', hook: 'postrouting', priority: 100 })
  // Before the address is translated.
  chain('filter-prerouting', onNew('firewall-check'), { type: 'filter', hook: 'prerouting', priority: -110 })
  chain('filter-input', onNew('nodeport-endpoints-check', 'service-endpoints-check'), { type: 'filter', hook: 'input', priority: 0 })
  chain('filter-forward', onNew('service-endpoints-check', 'cluster-ips-check'), { type: 'filter', hook: 'forward', priority: 0 })
  chain('filter-output-pre-dnat', onNew('firewall-check'), { type: 'filter', hook: 'output', priority: -110 })
  chain('filter-output', onNew('service-endpoints-check', 'cluster-ips-check'), { type: 'filter', hook: 'output', priority: 0 })

  chain('services', ['ip daddr . meta l4proto . th dport vmap @service-ips', 'ip daddr @nodeport-ips meta l4proto . th dport vmap @service-nodeports'])
  chain('mark-for-masquerade', [`meta mark set meta mark or ${MASQUERADE_MARK}`])
  chain('masquerading', [
    `meta mark & ${MASQUERADE_MARK} == 0 return`,
    // Cleared before an overlay encapsulates the packet, or the outer packet would be masqueraded too.
    `meta mark set meta mark xor ${MASQUERADE_MARK}`,
    'masquerade fully-random',
  ])
  // A reset, where kube-proxy sends ICMP: that comes while connect() still holds its socket when the client is on this node, and is heard a second later.
  chain('reject-chain', ['meta l4proto tcp reject with tcp reset', 'reject'])
  chain('firewall-check', ['ip daddr . meta l4proto . th dport vmap @firewall-ips'])
  chain('service-endpoints-check', ['ip daddr . meta l4proto . th dport vmap @no-endpoint-services'])
  chain('nodeport-endpoints-check', ['ip daddr @nodeport-ips meta l4proto . th dport vmap @no-endpoint-nodeports'])
  chain('cluster-ips-check', [
    // A known cluster IP at a port it does not have.
    'ip daddr @cluster-ips goto reject-chain',
    // The resolver's address is in this range too, but local to each node.
    ...(wish.serviceCidr === undefined ? [] : [`ip daddr ${wish.serviceCidr} fib daddr type != local drop`]),
  ])
  return table
}
