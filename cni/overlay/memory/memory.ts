/** An overlay of one process, for tests: the same decisions as VXLAN, entries kept in a list instead of the kernel. */
import type { Peer } from '../../network.ts'
import { desiredVxlan, soundPeers, type OverlayEntry, type Self } from '../desired.ts'
import { diffEntries } from '../diff.ts'
import type { Overlay } from '../overlay.ts'

export function createMemoryOverlay(self: Self, mac: string): Overlay & { changes(): number } {
  const state = { entries: [] as OverlayEntry[], changes: 0 }
  return {
    podMtu: (underlay) => (underlay?.mtu ?? 1500) - 50,
    async start() {},
    vtepMac: () => mac,
    async setPeers(peers: readonly Peer[]) {
      const change = diffEntries(state.entries, desiredVxlan(soundPeers(self, peers).peers))
      state.changes += change.put.length + change.remove.length
      const gone = new Set([...change.remove, ...change.put].map((e) => `${e.kind} ${e.key}`))
      state.entries = [...state.entries.filter((e) => !gone.has(`${e.kind} ${e.key}`)), ...change.put]
    },
    async reachable() {
      const find = (kind: OverlayEntry['kind'], key: string | undefined) => state.entries.find((e) => e.kind === kind && e.key === key)?.value
      return state.entries.filter((e) => e.kind === 'route')
        .map((e) => ({ podCidr: e.key, nodeIp: find('fdb', find('neighbour', e.value)) ?? '' }))
        .filter((r) => r.nodeIp !== '')
        .sort((a, b) => a.podCidr.localeCompare(b.podCidr))
    },
    async destroy() { state.entries = [] },
    changes: () => state.changes,
  }
}
