/** The rows of one API group, see ../registry.ts. */
import type { KindRow } from '../kind.ts'
import { ingressClassStrategy, ingressStrategy, networkPolicyStrategy } from '../kinds/networking.ts'
import { ipAddressStrategy, serviceCidrStrategy } from '../kinds/service-network.ts'
import { refsOf, row, sameShape } from './row.ts'

const v1 = refsOf('networking.k8s.io', 'v1')

const addresses = row(v1('ipaddresses', 'IPAddress', false), ipAddressStrategy, { short: ['ip'] })
const cidrs = row(v1('servicecidrs', 'ServiceCIDR', false), serviceCidrStrategy, { sub: ['status'] })

export const networkingRows: readonly KindRow[] = [
  row(v1('ingressclasses', 'IngressClass', false), ingressClassStrategy),
  row(v1('ingresses', 'Ingress'), ingressStrategy, { short: ['ing'], sub: ['status'] }),
  addresses,
  row(v1('networkpolicies', 'NetworkPolicy'), networkPolicyStrategy, { short: ['netpol'] }),
  cidrs,
  ...sameShape(addresses, ['v1beta1'], { v1beta1: { since: 34, gone: 37 } }),
  ...sameShape(cidrs, ['v1beta1'], { v1beta1: { since: 34, gone: 37 } }),
]
