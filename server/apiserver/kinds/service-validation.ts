/** Validation of Services (upstream `ValidateService` and `ValidateServiceUpdate`). */
import type { Service, ServicePort, ServiceSpec } from '#api/types/index.ts'
import { checkDnsLabel, checkDnsSubdomain, checkPortNumber, checkQualifiedName } from '#api/types/index.ts'
import { duplicate, type FieldError, forbidden, invalid, required } from '../field-error.ts'
import { checkLabels, named, oneOf, portOrName, requiredName } from './check.ts'
import { isLegacyIp, validateEndpointIp, validCidr, validIp } from './endpoint-ip.ts'
import { familyOf, withoutLeadingZeros } from './ip.ts'

const FAMILIES: readonly string[] = ['IPv4', 'IPv6']
const AFFINITY_SECONDS_MAX = 86_400

export function validateService(service: Service, old?: Service): FieldError[] {
  const spec = service.spec ?? {}
  const before = old?.spec ?? {}
  // Upstream gives out addresses before it looks at the rest: what is wrong with them is said alone.
  const addresses = validateAddresses(spec, before.clusterIPs ?? [])
  if (addresses.length > 0) return addresses
  const out: FieldError[] = validateTopologyAnnotations(service.metadata?.annotations ?? {})
  if ((spec.ports ?? []).length === 0 && !isHeadless(spec) && spec.type !== 'ExternalName') out.push(required('spec.ports'))
  out.push(...validateType(spec), ...validatePorts(spec), ...checkLabels('spec.selector', spec.selector))
  out.push(...oneOf('spec.sessionAffinity', spec.sessionAffinity, ['ClientIP', 'None'], 'required'))
  const seconds = spec.sessionAffinityConfig?.clientIP?.timeoutSeconds
  if (spec.sessionAffinity === 'ClientIP' && (seconds === undefined || seconds <= 0 || seconds > AFFINITY_SECONDS_MAX)) out.push(invalid('spec.sessionAffinityConfig.clientIP.timeoutSeconds', seconds, `must be greater than 0 and less than ${AFFINITY_SECONDS_MAX}`))
  if (spec.sessionAffinity === 'None' && spec.sessionAffinityConfig) out.push(forbidden('spec.sessionAffinityConfig', 'must not be set when session affinity is None'))
  for (const [i, ip] of (spec.externalIPs ?? []).entries()) {
    const wrong = validIp(`spec.externalIPs[${i}]`, ip, before.externalIPs ?? [])
    out.push(...(wrong.length > 0 ? wrong : validateEndpointIp(`spec.externalIPs[${i}]`, ip)))
  }
  out.push(...oneOf('spec.type', spec.type, ['ClusterIP', 'ExternalName', 'LoadBalancer', 'NodePort'], 'required'))
  return [...out, ...validateSourceRanges(service, old), ...validateLoadBalancer(spec), ...validateTraffic(spec)]
}

const isHeadless = (spec: ServiceSpec): boolean => spec.clusterIPs?.length === 1 ? spec.clusterIPs[0] === 'None' : (spec.clusterIPs ?? []).length === 0 && spec.clusterIP === 'None'

const HINTS = 'service.kubernetes.io/topology-aware-hints'
const TOPOLOGY_MODE = 'service.kubernetes.io/topology-mode'

function validateTopologyAnnotations(annotations: Readonly<Record<string, string>>): FieldError[] {
  const [hints, mode] = [HINTS, TOPOLOGY_MODE].map((key) => (Object.hasOwn(annotations, key) ? annotations[key] : undefined))
  return hints === undefined || mode === undefined || hints === mode ? [] : [invalid(`metadata.annotations[${TOPOLOGY_MODE}]`, mode, `must match annotations[${HINTS}] when both are specified`)]
}

export function validateServiceUpdate(service: Service, old: Service): FieldError[] {
  const out: FieldError[] = []
  const [spec, before] = [service.spec ?? {}, old.spec ?? {}]
  const addresses = validateAddresses(spec, before.clusterIPs ?? [])
  if (addresses.length > 0) return addresses
  if (spec.type !== 'ExternalName' && before.type !== 'ExternalName') out.push(...validateAddressChange(spec, before), ...validateFamilyChange(spec, before))
  if (before.type === 'LoadBalancer' && spec.type === 'LoadBalancer' && before.loadBalancerClass !== spec.loadBalancerClass) out.push(invalid('spec.loadBalancerClass', spec.loadBalancerClass, 'may not change once set'))
  if (needsHealthCheck(before) && needsHealthCheck(spec) && before.healthCheckNodePort !== spec.healthCheckNodePort) out.push(forbidden('spec.healthCheckNodePort', 'field is immutable'))
  return [...out, ...validateService(service, old)]
}

const ONCE_SET = 'may not change once set'
const needsHealthCheck = (spec: ServiceSpec): boolean => spec.type === 'LoadBalancer' && spec.externalTrafficPolicy === 'Local'

/** A second address may come and go with the policy; the first stays (upstream `validateUpgradeDowngradeClusterIPs`). */
function validateAddressChange(spec: ServiceSpec, before: ServiceSpec): FieldError[] {
  if (isHeadless(spec) && isHeadless(before)) return []
  const [now, was] = [spec.clusterIPs ?? [], before.clusterIPs ?? []]
  const field = 'spec.clusterIPs'
  if (now.length === was.length) return was.flatMap((ip, i) => (ip === now[i] ? [] : [invalid(`${field}[${i}]`, now, ONCE_SET)]))
  if (was.length === 0) return []
  const out: FieldError[] = now.length === 0 ? [invalid(`${field}[0]`, now, 'primary clusterIP can not be unset')] : now[0] === was[0] ? [] : [invalid(`${field}[0]`, now, ONCE_SET)]
  if (now.length === 1 && was.length > 1 && spec.ipFamilyPolicy !== 'SingleStack') out.push(invalid('spec.ipFamilyPolicy', spec.ipFamilyPolicy, "must be set to 'SingleStack' when releasing the secondary clusterIP"))
  return out
}

function validateFamilyChange(spec: ServiceSpec, before: ServiceSpec): FieldError[] {
  if (isHeadless(spec) || isHeadless(before)) return []
  const [now, was] = [spec.ipFamilies ?? [], before.ipFamilies ?? []]
  const field = 'spec.ipFamilies[0]'
  if (now.length === was.length) return was.flatMap((family, i) => (family === now[i] ? [] : [invalid(field, now, ONCE_SET)]))
  const out: FieldError[] = []
  const fewer = now.length < was.length
  if (fewer && (spec.clusterIPs ?? []).length === 0) out.push(invalid(field, now, 'primary ipFamily can not be unset'))
  if (now.length > 0 && was.length > 0 && now[0] !== was[0]) out.push(invalid(field, spec.clusterIPs, ONCE_SET))
  if (fewer && now.length === 1 && spec.ipFamilyPolicy !== 'SingleStack') out.push(invalid('spec.ipFamilyPolicy', spec.ipFamilyPolicy, "must be set to 'SingleStack' when releasing the secondary ipFamily"))
  return out
}

function validateType(spec: ServiceSpec): FieldError[] {
  if (spec.type !== 'ExternalName') return (spec.type === 'LoadBalancer' || spec.type === 'NodePort') && isHeadless(spec) ? [invalid('spec.clusterIPs[0]', 'None', `may not be set to 'None' for ${spec.type} services`)] : []
  const out: FieldError[] = []
  const notForNames = (key: string): FieldError => forbidden(`spec.${key}`, 'may not be set for ExternalName services')
  if (spec.clusterIP || (spec.clusterIPs ?? []).length > 0) out.push(notForNames('clusterIPs'))
  if ((spec.ipFamilies ?? []).length > 0) out.push(notForNames('ipFamilies'))
  if (spec.ipFamilyPolicy !== undefined) out.push(notForNames('ipFamilyPolicy'))
  const name = (spec.externalName ?? '').replace(/\.$/, '')
  return [...out, ...requiredName('spec.externalName', name, checkDnsSubdomain)]
}

function validatePorts(spec: ServiceSpec): FieldError[] {
  const ports = spec.ports ?? []
  const names = new Set<string>()
  const portKeys = new Set<string>()
  const nodePortKeys = new Set<string>()
  return ports.flatMap((port, i) => {
    const at = `spec.ports[${i}]`
    const out = validatePort(at, port, ports.length > 1)
    if (port.name) {
      if (names.has(port.name)) out.push(duplicate(`${at}.name`, port.name))
      names.add(port.name)
    }
    const protocol = port.protocol ?? 'TCP'
    const key = `${protocol}/${port.port}`
    if (portKeys.has(key)) out.push(duplicate(at, { protocol, port: port.port }))
    portKeys.add(key)
    if (port.nodePort) {
      if (spec.type === 'ClusterIP') out.push(forbidden(`${at}.nodePort`, "may not be used when `type` is 'ClusterIP'"))
      const nodeKey = `${protocol}/${port.nodePort}`
      if (nodePortKeys.has(nodeKey)) out.push(duplicate(`${at}.nodePort`, port.nodePort))
      nodePortKeys.add(nodeKey)
    }
    return out
  })
}

function validatePort(at: string, port: ServicePort, needName: boolean): FieldError[] {
  const out: FieldError[] = port.name ? named(`${at}.name`, port.name, checkDnsLabel) : needName ? [required(`${at}.name`)] : []
  out.push(...checkPortNumber(port.port).map((m) => invalid(`${at}.port`, port.port, m)))
  out.push(...oneOf(`${at}.protocol`, port.protocol, ['SCTP', 'TCP', 'UDP'], 'required'))
  out.push(...portOrName(`${at}.targetPort`, port.targetPort))
  if (port.appProtocol !== undefined) out.push(...named(`${at}.appProtocol`, port.appProtocol, checkQualifiedName))
  return out
}

/** Cluster addresses and families, which are of one mind (upstream `ValidateServiceClusterIPsRelatedFields`). */
function validateAddresses(spec: ServiceSpec, before: readonly string[]): FieldError[] {
  if (spec.type === 'ExternalName') return []
  const out: FieldError[] = []
  const [ips, families] = [spec.clusterIPs ?? [], spec.ipFamilies ?? []]
  const field = 'spec.clusterIPs'
  if (spec.clusterIP && ips.length > 0 && ips[0] !== spec.clusterIP) out.push(invalid(field, ips, 'first value must match `clusterIP`'))
  if (!spec.clusterIP && ips.length > 0) out.push(invalid(field, ips, 'must be empty when `clusterIP` is not specified'))
  for (const [i, family] of families.entries()) {
    out.push(...oneOf(`spec.ipFamilies[${i}]`, family, FAMILIES, 'given'))
    if (families.indexOf(family) < i) out.push(duplicate(`spec.ipFamilies[${i}]`, family))
  }
  out.push(...oneOf('spec.ipFamilyPolicy', spec.ipFamilyPolicy, ['PreferDualStack', 'RequireDualStack', 'SingleStack'], 'given'))
  const bad = ips.flatMap((ip, i) => {
    if (i === 0 && ip === 'None') return ips.length > 1 ? [invalid(field, ips, "'None' must be the first and only value")] : []
    return validIp(`${field}[${i}]`, ip, before)
  })
  out.push(...bad)
  if (ips.length > 2) out.push(invalid(field, ips, 'may only hold up to 2 values'))
  if (bad.length > 0) return out
  if (ips.length > 1 && new Set(ips.map((ip) => familyOf(withoutLeadingZeros(ip)))).size < 2) out.push(invalid(field, ips, 'may specify no more than one IP for each IP family'))
  if (isHeadless(spec)) return out
  return [...out, ...ips.slice(0, families.length).flatMap((ip, i) => (familyOf(withoutLeadingZeros(ip)) === families[i] || !FAMILIES.includes(families[i] ?? '') ? [] : [invalid(`${field}[${i}]`, ip, `expected an ${families[i] ?? ''} value as indicated by \`ipFamilies[${i}]\``)]))]
}

function validateTraffic(spec: ServiceSpec): FieldError[] {
  const external = spec.type === 'NodePort' || spec.type === 'LoadBalancer' || (spec.type === 'ClusterIP' && (spec.externalIPs ?? []).length > 0)
  const out: FieldError[] = []
  if (external) out.push(...oneOf('spec.externalTrafficPolicy', spec.externalTrafficPolicy, ['Cluster', 'Local'], 'required'))
  else if (spec.externalTrafficPolicy) out.push(invalid('spec.externalTrafficPolicy', spec.externalTrafficPolicy, 'may only be set for externally-accessible services'))
  if (spec.type !== 'ExternalName' || spec.internalTrafficPolicy !== undefined) out.push(...oneOf('spec.internalTrafficPolicy', spec.internalTrafficPolicy ?? '', ['Cluster', 'Local'], 'given'))
  if (spec.trafficDistribution !== undefined) out.push(...oneOf('spec.trafficDistribution', spec.trafficDistribution, ['PreferClose', 'PreferSameZone', 'PreferSameNode'], 'given'))
  // Upstream gives one out before it looks, here it comes after.
  if (spec.healthCheckNodePort && needsHealthCheck(spec)) out.push(...checkPortNumber(spec.healthCheckNodePort).map((m) => invalid('spec.healthCheckNodePort', spec.healthCheckNodePort, m)))
  else if (spec.healthCheckNodePort) out.push(invalid('spec.healthCheckNodePort', spec.healthCheckNodePort, "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"))
  return out
}

const SOURCE_RANGES = 'service.beta.kubernetes.io/load-balancer-source-ranges'
const FOR_LOAD_BALANCERS = "may only be used when `type` is 'LoadBalancer'"

/** Of the field, or of the annotation before it; both may be padded. */
function validateSourceRanges({ metadata, spec = {} }: Service, old: Service | undefined): FieldError[] {
  const annotation = metadata?.annotations?.[SOURCE_RANGES]
  const ranges = spec.loadBalancerSourceRanges ?? []
  const [at, values] = ranges.length > 0 ? ['spec.LoadBalancerSourceRanges', ranges] : [`metadata.annotations[${SOURCE_RANGES}]`, annotation?.trim() ? annotation.split(',') : []]
  if (ranges.length === 0 && annotation === undefined) return []
  const out = spec.type === 'LoadBalancer' ? [] : [forbidden(at, FOR_LOAD_BALANCERS)]
  // What is stored may stay: each range of the field, the annotation as a whole.
  if (ranges.length === 0 && old?.metadata?.annotations?.[SOURCE_RANGES] === annotation) return out
  const before = ranges.length > 0 ? (old?.spec?.loadBalancerSourceRanges ?? []).map((v) => v.trim()) : []
  return [...out, ...values.map((v) => v.trim()).flatMap((value, i) => validCidr(ranges.length > 0 ? `${at}[${i}]` : at, value, before))]
}

function validateLoadBalancer(spec: ServiceSpec): FieldError[] {
  const out: FieldError[] = []
  if (spec.allocateLoadBalancerNodePorts !== undefined && spec.type !== 'LoadBalancer') out.push(forbidden('spec.allocateLoadBalancerNodePorts', FOR_LOAD_BALANCERS))
  if (spec.type === 'LoadBalancer' && spec.allocateLoadBalancerNodePorts === undefined) out.push(required('allocateLoadBalancerNodePorts'))
  if (spec.loadBalancerClass !== undefined) {
    if (spec.type !== 'LoadBalancer') out.push(forbidden('spec.loadBalancerClass', FOR_LOAD_BALANCERS))
    else out.push(...named('spec.loadBalancerClass', spec.loadBalancerClass, checkQualifiedName))
  }
  return out
}

export function validateServiceStatus({ spec, status }: Service, old: Service): FieldError[] {
  const before = (old.status?.loadBalancer?.ingress ?? []).map(({ ip }) => ip)
  const at = 'status.loadBalancer.ingress'
  const entries = status?.loadBalancer?.ingress ?? []
  if (spec?.type !== 'LoadBalancer') return entries.length === 0 ? [] : [forbidden(at, "may only be used when `spec.type` is 'LoadBalancer'")]
  return entries.flatMap(({ ip, ipMode, hostname }, i) => {
    const out = ip ? validIp(`${at}[${i}].ip`, ip, before) : []
    if (ip && ipMode === undefined) out.push(required(`${at}[${i}].ipMode`, 'must be specified when `ip` is set'))
    else if (!ip && ipMode !== undefined) out.push(forbidden(`${at}[${i}].ipMode`, 'may not be specified when `ip` is not set'))
    else out.push(...oneOf(`${at}[${i}].ipMode`, ipMode, ['Proxy', 'VIP']))
    if (!hostname) return out
    out.push(...named(`${at}[${i}].hostname`, hostname, checkDnsSubdomain))
    if (isLegacyIp(hostname)) out.push(invalid(`${at}[${i}].hostname`, hostname, 'must be a DNS name, not an IP address'))
    return out
  })
}
