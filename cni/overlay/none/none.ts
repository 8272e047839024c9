/** Someone else (the router, a mesh) carries packets between nodes: nothing is set up, and nothing is claimed to be reachable. */
import type { Overlay } from '../overlay.ts'

export function createNoOverlay(): Overlay {
  return {
    podMtu: (underlay) => underlay?.mtu ?? 1500,
    async start() {},
    vtepMac: () => undefined,
    async setPeers() {},
    reachable: async () => [],
    async destroy() {},
  }
}
