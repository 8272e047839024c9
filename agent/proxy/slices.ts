/** EndpointSlices as the proxy and the resolver read them: found by their Service, flattened to one port's endpoints. */
import type { EndpointSlice, KubeObject, Stored } from '#api/types/index.ts'

/** Name of the informer index of slices by `namespace/service`. */
export const BY_SERVICE = 'service'
export const SERVICE_NAME_LABEL = 'kubernetes.io/service-name'
/** Whoever names another proxy in this label serves the Service by itself (the cluster's DNS address does). */
export const PROXY_NAME_LABEL = 'service.kubernetes.io/service-proxy-name'

/** `namespace/name` of the Service a slice belongs to; undefined for slices of something else. */
export function serviceKeyOf(slice: KubeObject): string | undefined {
  const name = slice.metadata?.labels?.[SERVICE_NAME_LABEL]
  return name ? `${slice.metadata?.namespace ?? ''}/${name}` : undefined
}

export function indexByService(slice: Stored<EndpointSlice>): string[] {
  const key = serviceKeyOf(slice)
  return key === undefined ? [] : [key]
}

export interface EndpointView {
  address: string
  port: number
  isReady: boolean
  isServing: boolean
  isTerminating: boolean
  nodeName: string | undefined
  /** Undefined: no hint, which forbids choosing by hints. */
  forZones: readonly string[] | undefined
  forNodes: readonly string[] | undefined
}

/**
 * The IPv4 endpoints of one Service port, each address and port once, in address order: the same Service always gives the
 * same rules. When two slices tell of one endpoint (it is moving between them), ready wins over not ready.
 */
export function endpointsOf(slices: readonly EndpointSlice[], port: { name: string; protocol: string }): EndpointView[] {
  const found = new Map<string, EndpointView>()
  for (const slice of slices) {
    if (slice.addressType !== 'IPv4') continue
    const match = slice.ports?.find((p) => (p.name ?? '') === port.name && (p.protocol ?? 'TCP') === port.protocol)
    if (match?.port === undefined) continue
    for (const endpoint of slice.endpoints ?? []) {
      const address = endpoint.addresses[0]
      if (address === undefined) continue
      const isReady = endpoint.conditions?.ready ?? true
      const view: EndpointView = {
        address,
        port: match.port,
        isReady,
        isServing: endpoint.conditions?.serving ?? isReady,
        isTerminating: endpoint.conditions?.terminating ?? false,
        nodeName: endpoint.nodeName,
        forZones: endpoint.hints?.forZones?.map((z) => z.name),
        forNodes: endpoint.hints?.forNodes?.map((n) => n.name),
      }
      const key = `${address}:${match.port}`
      const other = found.get(key)
      if (!other || (!other.isReady && isReady)) found.set(key, view)
    }
  }
  return [...found.values()].sort((a, b) => compareAddresses(a.address, b.address) || a.port - b.port)
}

function compareAddresses(a: string, b: string): number {
  return a.length - b.length || (a < b ? -1 : a > b ? 1 : 0)
}
