/** The rows of one API group, see ../registry.ts. */
import type { KindRow } from '../kind.ts'
import { ingressClassStrategy, ingressStrategy, networkPolicyStrategy } from '../kinds/networking.ts'
import { refsOf, row } from './row.ts'

const v1 = refsOf('networking.k8s.io', 'v1')

export const networkingRows: readonly KindRow[] = [
  row(v1('ingressclasses', 'IngressClass', false), ingressClassStrategy),
  row(v1('ingresses', 'Ingress'), ingressStrategy, { short: ['ing'], sub: ['status'] }),
  row(v1('networkpolicies', 'NetworkPolicy'), networkPolicyStrategy, { short: ['netpol'] }),
]
