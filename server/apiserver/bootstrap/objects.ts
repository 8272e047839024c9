/** What every cluster has before anybody asks: namespaces, the system's priority classes, the API server's own Service. Data only. */
import type { Endpoints, EndpointSlice, Namespace, PriorityClass, Service, ServiceCIDR } from '#api/types/index.ts'
import { SYSTEM_PRIORITY_CLASSES } from '../kinds/scheduling.ts'
import { canonicalCidr } from '../kinds/ip.ts'
import { DEFAULT_SERVICE_CIDR, serviceAddress } from '../allocators/service-allocator.ts'

export const SYSTEM_NAMESPACES = ['default', 'kube-system', 'kube-public', 'kube-node-lease']

export const systemNamespaces = (): Namespace[] => SYSTEM_NAMESPACES.map((name) => ({ metadata: { name } }))

const DESCRIPTIONS: Readonly<Record<string, string>> = {
  'system-node-critical': 'Used for system critical pods that must not be moved from their current node.',
  'system-cluster-critical': 'Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.',
}

export function systemPriorityClasses(): PriorityClass[] {
  return Object.entries(SYSTEM_PRIORITY_CLASSES).map(([name, value]) => ({ metadata: { name }, value, description: DESCRIPTIONS[name] ?? '' }))
}

export interface ApiServerAddress {
  serviceCidr: string
  /** Where API servers can be reached from pods; IPv4, all of one port. */
  addresses: readonly string[]
  port: number
}

const META = { name: 'kubernetes', namespace: 'default' }

/** The network of the command line as an object (KEP-1880); its controller says when it is ready. */
export const defaultServiceCidr = ({ serviceCidr }: Pick<ApiServerAddress, 'serviceCidr'>): ServiceCIDR => ({ metadata: { name: DEFAULT_SERVICE_CIDR }, spec: { cidrs: serviceCidr.split(',').map((text) => canonicalCidr(text.trim())) } })

/** default/kubernetes: the first address of the service network. */
export function kubernetesService({ serviceCidr, port }: Omit<ApiServerAddress, 'addresses'>): Service {
  const clusterIP = serviceAddress(serviceCidr, 1)
  return {
    metadata: { ...META, labels: { component: 'apiserver', provider: 'kubernetes' } },
    spec: { type: 'ClusterIP', clusterIP, clusterIPs: [clusterIP], ipFamilies: ['IPv4'], ipFamilyPolicy: 'SingleStack', sessionAffinity: 'None', ports: [{ name: 'https', port: 443, protocol: 'TCP', targetPort: port }] },
  }
}

export function kubernetesEndpoints({ addresses, port }: ApiServerAddress): Endpoints {
  return {
    metadata: { ...META, labels: { 'endpointslice.kubernetes.io/skip-mirror': 'true' } },
    subsets: [{ addresses: addresses.toSorted().map((ip) => ({ ip })), ports: [{ name: 'https', port, protocol: 'TCP' }] }],
  }
}

export function kubernetesEndpointSlice({ addresses, port }: ApiServerAddress): EndpointSlice {
  return {
    metadata: { ...META, labels: { 'kubernetes.io/service-name': 'kubernetes' } },
    addressType: 'IPv4',
    endpoints: addresses.toSorted().map((ip) => ({ addresses: [ip], conditions: { ready: true } })),
    ports: [{ name: 'https', port, protocol: 'TCP' }],
  }
}
