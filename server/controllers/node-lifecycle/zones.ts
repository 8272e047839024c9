/** How badly a zone is hit, and what that does to evictions (upstream's node-lifecycle-controller). Pure. */

export type ZoneState = 'normal' | 'partial' | 'full'

export interface ZoneCount { ready: number; notReady: number }

/** Upstream's --unhealthy-zone-threshold and --large-cluster-size-threshold. */
const UNHEALTHY_SHARE = 0.55
const LARGE_ZONE_NODES = 50
/** Upstream's --node-eviction-rate 0.1/s and --secondary-node-eviction-rate 0.01/s. */
export const EVICTION_EVERY_MS = 10_000
export const SECONDARY_EVICTION_EVERY_MS = 100_000

export function zoneState({ ready, notReady }: ZoneCount): ZoneState {
  if (ready === 0 && notReady > 0) return 'full'
  if (notReady > 2 && notReady / (ready + notReady) >= UNHEALTHY_SHARE) return 'partial'
  return 'normal'
}

/**
 * Milliseconds between nodes of a zone that lose their pods; undefined: none may. When every zone is down it is likely
 * that we are the ones cut off; when much of a small zone is down, moving pods would only overload the rest.
 */
export function evictionEveryMs(zone: ZoneCount, all: readonly ZoneCount[]): number | undefined {
  if (all.every((z) => zoneState(z) === 'full')) return undefined
  if (zoneState(zone) !== 'partial') return EVICTION_EVERY_MS
  return zone.ready + zone.notReady > LARGE_ZONE_NODES ? SECONDARY_EVICTION_EVERY_MS : undefined
}
