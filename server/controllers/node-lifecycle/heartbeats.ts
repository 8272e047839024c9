/** When each node was last heard of, on our own monotonic clock; and the pace at which nodes lose their pods. */
import type { Lease, Node, Stored } from '#api/types/index.ts'
import type { Clock } from '#base/clock.ts'
import { evictionEveryMs, type ZoneCount } from './zones.ts'

export interface Heartbeats {
  /** A node object was seen: its Ready heartbeat counts if it changed. */
  sawNode(node: Stored<Node>): void
  /** A lease was seen: its renewTime counts if it changed. Returns true when the node was silent long enough to be looked at at once. */
  sawLease(lease: Stored<Lease>): void
  forget(name: string): void
  /** Wall time at which the node was last heard of; now, when it was never seen before (a restart gives everyone a full grace). */
  heardMs(name: string): number
  /** Earliest wall time at which the node may lose its pods; undefined: not as things are. */
  mayEvictAtMs(node: Stored<Node>, nodes: readonly Stored<Node>[]): number | undefined
  evicted(node: Stored<Node>): void
}

export function createHeartbeats(clock: Clock): Heartbeats {
  const heard = new Map<string, { status: string; lease: string; monotonicMs: number }>()
  const lastEviction = new Map<string, number>()

  const note = (name: string, what: 'status' | 'lease', value: string) => {
    const known = heard.get(name)
    if (!known) heard.set(name, { status: '', lease: '', [what]: value, monotonicMs: clock.monotonicMs() })
    else if (known[what] !== value) {
      known[what] = value
      known.monotonicMs = clock.monotonicMs()
    }
  }
  const toWall = (monotonicMs: number) => clock.nowMs() - (clock.monotonicMs() - monotonicMs)

  return {
    sawNode(node) {
      const ready = node.status?.conditions?.find((c) => c.type === 'Ready')
      // Unknown is what we wrote ourselves.
      note(node.metadata.name, 'status', ready && ready.status !== 'Unknown' ? `${ready.lastHeartbeatTime ?? ''} ${ready.status}` : (heard.get(node.metadata.name)?.status ?? ''))
    },
    sawLease: (lease) => note(lease.metadata.name, 'lease', lease.spec?.renewTime ?? ''),
    forget(name) { heard.delete(name) },
    heardMs(name) {
      const known = heard.get(name)
      return known ? toWall(known.monotonicMs) : clock.nowMs()
    },
    mayEvictAtMs(node, nodes) {
      const zones = new Map<string, ZoneCount>()
      for (const n of nodes) {
        const zone = zones.get(zoneOf(n)) ?? { ready: 0, notReady: 0 }
        zone[n.status?.conditions?.some((c) => c.type === 'Ready' && c.status === 'True') ? 'ready' : 'notReady']++
        zones.set(zoneOf(n), zone)
      }
      const every = evictionEveryMs(zones.get(zoneOf(node)) ?? { ready: 0, notReady: 1 }, [...zones.values()])
      if (every === undefined) return undefined
      const last = lastEviction.get(zoneOf(node))
      return last === undefined ? clock.nowMs() : toWall(last) + every
    },
    evicted(node) { lastEviction.set(zoneOf(node), clock.monotonicMs()) },
  }
}

export function zoneOf(node: Node): string {
  const labels = node.metadata?.labels ?? {}
  return `${labels['topology.kubernetes.io/region'] ?? ''}/${labels['topology.kubernetes.io/zone'] ?? ''}`
}
