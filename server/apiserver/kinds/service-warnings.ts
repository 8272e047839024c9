/** What upstream warns of in Services (`pkg/api/service/warnings.go`). */
import type { Service } from '#api/types/index.ts'
import { cidrWarnings, ipWarnings } from './ip-warnings.ts'

const HINTS = 'service.kubernetes.io/topology-aware-hints'

export function serviceWarnings(service: Service): string[] {
  const spec = service.spec ?? {}
  const { type, clusterIP, clusterIPs = [], externalIPs = [], loadBalancerIP = '', loadBalancerSourceRanges = [] } = spec
  const headless = type === 'ClusterIP' && clusterIP === 'None'
  const external = type === 'ExternalName'
  const out: string[] = []
  if (service.metadata?.annotations?.[HINTS] !== undefined) out.push(`annotation ${HINTS} is deprecated, please use service.kubernetes.io/topology-mode instead`)
  if (!external && !headless) out.push(...clusterIPs.flatMap((ip, i) => ipWarnings(`spec.clusterIPs[${i}]`, ip)))
  if (headless) {
    if (loadBalancerIP) out.push('spec.loadBalancerIP is ignored for headless services')
    if (externalIPs.length > 0) out.push('spec.externalIPs is ignored for headless services')
    if (spec.sessionAffinity !== 'None') out.push('spec.SessionAffinity is ignored for headless services')
  }
  out.push(...externalIPs.flatMap((ip, i) => ipWarnings(`spec.externalIPs[${i}]`, ip)))
  if (externalIPs.length > 0 && !headless && !external) out.push('spec.externalIPs is deprecated and may no longer be implemented in some clusters')
  if (loadBalancerIP) out.push(...ipWarnings('spec.loadBalancerIP', loadBalancerIP))
  out.push(...loadBalancerSourceRanges.flatMap((cidr, i) => cidrWarnings(`spec.loadBalancerSourceRanges[${i}]`, cidr)))
  if (external && externalIPs.length > 0) out.push('spec.externalIPs is ignored when spec.type is "ExternalName"')
  if (!external && spec.externalName) out.push('spec.externalName is ignored when spec.type is not "ExternalName"')
  if (spec.trafficDistribution === 'PreferClose') out.push('spec.trafficDistribution: "PreferClose" is deprecated; use "PreferSameZone"')
  return out
}
