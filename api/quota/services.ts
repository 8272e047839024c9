/** What Services use: themselves, node ports and load balancers. */
import type { Service } from '../types/generated/models.ts'
import type { Evaluator } from './evaluator.ts'

const COUNT = 'count/services'
const NAMES: ReadonlySet<string> = new Set([COUNT, 'services', 'services.nodeports', 'services.loadbalancers'])

export const serviceEvaluator: Evaluator = {
  handles: ({ operation, subresource }) => subresource === '' && (operation === 'CREATE' || operation === 'UPDATE'),
  matchingResources: (names) => names.filter((name) => NAMES.has(name)),
  usage(object) {
    const service = object as Service
    return { [COUNT]: '1', services: '1', 'services.loadbalancers': service.spec?.type === 'LoadBalancer' ? '1' : '0', 'services.nodeports': String(nodePorts(service)) }
  },
  isReplenishing: (before, after) => usesPorts(before as Service) && !usesPorts(after as Service),
}

const usesPorts = ({ spec }: Service): boolean => spec?.type === 'NodePort' || spec?.type === 'LoadBalancer'

/** Ports are counted by intent: at admission none is given out yet. */
function nodePorts(service: Service): number {
  const ports = service.spec?.ports ?? []
  if (!usesPorts(service)) return 0
  return service.spec?.type === 'LoadBalancer' && service.spec.allocateLoadBalancerNodePorts === false ? ports.filter((p) => p.nodePort).length : ports.length
}
