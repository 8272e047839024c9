/** Peers to kernel entries. Pure. */
import { addressAt, formatPrefix, maybeIpv4, maybePrefix } from '../prefix.ts'
import type { Peer } from '../network.ts'

/** `key` is what the kernel holds at most one of; `value` is what it leads to. */
export type OverlayEntry =
  | { kind: 'neighbour'; key: string; value: string }
  | { kind: 'fdb'; key: string; value: string }
  | { kind: 'route'; key: string; value: string }

export interface Self { nodeIp: string; podCidr: string }

const MAC = /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/

/** Peers whose address and prefix are sound and not this node's own, one per prefix; the rest are returned as `refused`. */
export function soundPeers(self: Self, peers: readonly Peer[]): { peers: Peer[]; refused: Peer[] } {
  const byPrefix = new Map<string, Peer>()
  const refused: Peer[] = []
  for (const peer of peers) {
    if (peer.podCidr === self.podCidr || peer.nodeIp === self.nodeIp) continue
    const prefix = maybePrefix(peer.podCidr)
    if (!prefix || maybeIpv4(peer.nodeIp) === undefined || formatPrefix(prefix) !== peer.podCidr || byPrefix.has(peer.podCidr)) refused.push(peer)
    else byPrefix.set(peer.podCidr, peer)
  }
  return { peers: [...byPrefix.values()], refused }
}

/**
 * VXLAN: the route names the peer prefix's .0 address as next hop, a static neighbour gives that the peer's device MAC, and
 * a static forwarding entry leads the MAC to the node. No ARP and no flooding crosses the underlay.
 */
export function desiredVxlan(peers: readonly Peer[]): OverlayEntry[] {
  return peers.flatMap((peer): OverlayEntry[] => {
    const mac = peer.vtepMac?.toLowerCase()
    const prefix = maybePrefix(peer.podCidr)
    if (!mac || !MAC.test(mac) || !prefix) return []
    const hop = addressAt(prefix, 0)
    return [{ kind: 'fdb', key: mac, value: peer.nodeIp }, { kind: 'neighbour', key: hop, value: mac }, { kind: 'route', key: peer.podCidr, value: hop }]
  })
}

export function desiredHostGateway(peers: readonly Peer[]): OverlayEntry[] {
  return peers.map((peer) => ({ kind: 'route', key: peer.podCidr, value: peer.nodeIp }))
}
