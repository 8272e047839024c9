/** No encapsulation: each peer's prefix is routed to the peer. For nodes that share one link layer. */
import type { Log } from '#base/log.ts'
import { mustRun, type Exec } from '../../netlink/exec.ts'
import type { Link } from '../../netlink/links.ts'
import { listRoutes, ROUTE_PROTOCOL } from '../../netlink/routes.ts'
import type { Peer } from '../../network.ts'
import { desiredHostGateway, soundPeers, type OverlayEntry } from '../desired.ts'
import { diffEntries } from '../diff.ts'
import type { Overlay } from '../overlay.ts'

export interface HostGatewayOptions { exec: Exec; log: Log; nodeIp: string; podCidr: string; sourceAddress: string }

export function createHostGatewayOverlay(options: HostGatewayOptions): Overlay {
  const { exec, log } = options
  const cache: { entries: OverlayEntry[] | undefined } = { entries: undefined }
  const observe = async (): Promise<OverlayEntry[]> => (await listRoutes(exec)).filter((r) => r.via !== '').map((r) => ({ kind: 'route', key: r.prefix, value: r.via }))
  const batch = async (commands: string[]) => {
    // -force: a peer that is not on this link must not keep the others from being reached.
    if (commands.length > 0) await mustRun(exec, ['ip', '-force', '-batch', '-'], { input: `${commands.join('\n')}\n` })
  }
  const remove = (entry: OverlayEntry) => `route del ${entry.key} via ${entry.value} proto ${ROUTE_PROTOCOL}`
  return {
    podMtu: (underlay: Link | undefined) => underlay?.mtu ?? 1500,
    async start() { cache.entries = undefined },
    vtepMac: () => undefined,
    async setPeers(peers: readonly Peer[]) {
      const sound = soundPeers(options, peers)
      for (const peer of sound.refused) log.warn('peer left out: its address or pod CIDR is malformed or taken', { peer: peer.nodeName, nodeIp: peer.nodeIp, podCidr: peer.podCidr })
      const desired = desiredHostGateway(sound.peers)
      const change = diffEntries(cache.entries ?? await observe(), desired)
      cache.entries = undefined
      await batch([
        ...change.remove.map(remove),
        ...change.put.map((entry) => `route replace ${entry.key} via ${entry.value} src ${options.sourceAddress} proto ${ROUTE_PROTOCOL}`),
      ])
      cache.entries = desired
    },
    async reachable() {
      return (await observe()).map((e) => ({ podCidr: e.key, nodeIp: e.value })).sort((a, b) => a.podCidr.localeCompare(b.podCidr))
    },
    async destroy() {
      await batch((await observe()).map(remove))
      cache.entries = undefined
    },
  }
}
