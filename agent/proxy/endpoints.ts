/** Which endpoints a packet may go to (upstream's CategorizeEndpoints). Pure. */
import type { EndpointView } from './slices.ts'

export interface Where { nodeName: string; /** The node's `topology.kubernetes.io/zone`. */ zone?: string | undefined }

export interface Policies { internalLocal: boolean; externalLocal: boolean; isExternal: boolean }

export interface Choice {
  /** For traffic with policy Cluster. */
  cluster: EndpointView[]
  /** For traffic with policy Local. */
  local: EndpointView[]
  /** Some endpoint, somewhere, takes traffic: decides between refusing a connection and dropping it. */
  hasAny: boolean
}

/**
 * Ready endpoints; where none is, those that still serve while they terminate, so that a rolling update with one replica
 * drops nothing (KEP-1669). Policy Local looks at this node's alone (KEP-1860 and KEP-2086), policy Cluster follows the hints (KEP-2433, KEP-3015).
 */
export function chooseEndpoints(endpoints: readonly EndpointView[], policies: Policies, where: Where): Choice {
  const usesCluster = !policies.internalLocal || policies.isExternal
  const usesLocal = policies.internalLocal || (policies.externalLocal && policies.isExternal)
  const isFallback = (e: EndpointView) => e.isServing && e.isTerminating
  const readyOrFallback = (from: readonly EndpointView[]) => {
    const ready = from.filter((e) => e.isReady)
    return ready.length > 0 ? ready : from.filter(isFallback)
  }
  const near = nearest(endpoints.filter((e) => e.isReady), where)
  return {
    cluster: usesCluster ? (near.length > 0 ? near : readyOrFallback(endpoints)) : [],
    local: usesLocal ? readyOrFallback(endpoints.filter((e) => e.nodeName === where.nodeName)) : [],
    hasAny: endpoints.some((e) => e.isReady || isFallback(e)),
  }
}

/** Those hinted at this node, else at this zone; all of them when a hint is missing anywhere or none is for us. */
function nearest(ready: EndpointView[], where: Where): EndpointView[] {
  const forNode = ready.filter((e) => e.forNodes?.includes(where.nodeName))
  if (forNode.length > 0 && ready.every((e) => e.forNodes)) return forNode
  const zone = where.zone
  const forZone = zone === undefined ? [] : ready.filter((e) => e.forZones?.includes(zone))
  return forZone.length > 0 && ready.every((e) => e.forZones) ? forZone : ready
}
