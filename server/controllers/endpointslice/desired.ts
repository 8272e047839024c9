/** The endpoints a Service should have, grouped by address family and ports, as upstream's staging/endpointslice. Pure. */
import { isPodReady, type Endpoint, type Node, type Pod, type Service, type Stored } from '#api/types/index.ts'
import { addressesOf, hostnameIn, isBackend, portsOf, targetRefOf, type BackendPort } from '../service-backends.ts'

export type AddressType = 'IPv4' | 'IPv6'

/** Endpoints that may share a slice. */
export interface EndpointGroup { addressType: AddressType; ports: BackendPort[]; endpoints: Endpoint[] }

const ZONE_LABEL = 'topology.kubernetes.io/zone'

export function desiredGroups(service: Stored<Service>, pods: readonly Stored<Pod>[], nodes: ReadonlyMap<string, Stored<Node>>): EndpointGroup[] {
  const groups = new Map<string, EndpointGroup>()
  for (const addressType of addressTypesOf(service, pods)) {
    for (const pod of pods) {
      if (!isBackend(pod, { terminating: true })) continue
      const addresses = addressesOf(pod).filter((ip) => familyOf(ip) === addressType)
      const nodeName = pod.spec?.nodeName
      const node = nodeName === undefined ? undefined : nodes.get(nodeName)
      // A pod of a node that is gone serves nobody, unless the Service wants to know of all.
      if (addresses.length === 0 || (nodeName !== undefined && !node && !service.spec?.publishNotReadyAddresses)) continue
      const ports = portsOf(service, pod)
      const id = JSON.stringify([addressType, ports])
      let group = groups.get(id)
      if (!group) groups.set(id, group = { addressType, ports, endpoints: [] })
      group.endpoints.push(endpointOf(service, pod, node, addresses))
    }
  }
  return [...groups.values()]
}

function endpointOf(service: Stored<Service>, pod: Stored<Pod>, node: Stored<Node> | undefined, addresses: string[]): Endpoint {
  const serving = isPodReady(pod)
  const terminating = pod.metadata.deletionTimestamp !== undefined
  const ready = service.spec?.publishNotReadyAddresses === true || (serving && !terminating)
  const hostname = hostnameIn(service, pod)
  const zone = node?.metadata.labels?.[ZONE_LABEL]
  return {
    addresses, conditions: { ready, serving, terminating }, targetRef: targetRefOf(pod),
    ...(pod.spec?.nodeName !== undefined && { nodeName: pod.spec.nodeName }),
    ...(zone !== undefined && { zone }), ...(hostname !== undefined && { hostname }),
  }
}

/** The Service's own families; a headless one of old, without any, takes what its pods have. */
export function addressTypesOf(service: Service, pods: readonly Pod[]): AddressType[] {
  const families = (service.spec?.ipFamilies ?? []).filter((f): f is AddressType => f === 'IPv4' || f === 'IPv6')
  if (families.length > 0) return families
  const clusterIP = service.spec?.clusterIP
  if (clusterIP && clusterIP !== 'None') return [familyOf(clusterIP)]
  const seen = new Set(pods.flatMap(addressesOf).map(familyOf))
  return seen.size > 0 ? [...seen] : ['IPv4']
}

function familyOf(ip: string): AddressType {
  return ip.includes(':') ? 'IPv6' : 'IPv4'
}
