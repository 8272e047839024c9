/** Validation of Services (upstream `ValidateService` and `ValidateServiceUpdate`). */
import type { Service, ServicePort, ServiceSpec } from '#api/types/index.ts'
import { checkDnsLabel, checkDnsSubdomain, checkPortNumber, checkQualifiedName } from '#api/types/index.ts'
import { duplicate, type FieldError, forbidden, invalid, required } from '../field-error.ts'
import { checkLabels, named, oneOf, portOrName } from './check.ts'
import { validateEndpointIp } from './endpoint-ip.ts'
import { isCidr, isIpAddress } from './ip.ts'
import { semanticEqual } from './semantic-equal.ts'

const IP = 'must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)'
const KUBELET_PORT = 10_250
const AFFINITY_SECONDS_MAX = 86_400

export function validateService(service: Service): FieldError[] {
  const spec = service.spec ?? {}
  const headless = spec.clusterIP === 'None' || spec.clusterIPs?.[0] === 'None'
  const out: FieldError[] = []
  if ((spec.ports ?? []).length === 0 && !headless && spec.type !== 'ExternalName') out.push(required('spec.ports'))
  out.push(...validateType(spec, headless))
  out.push(...validatePorts(spec, headless))
  out.push(...checkLabels('spec.selector', spec.selector))
  out.push(...oneOf('spec.sessionAffinity', spec.sessionAffinity, ['ClientIP', 'None'], 'required'))
  const seconds = spec.sessionAffinityConfig?.clientIP?.timeoutSeconds
  if (spec.sessionAffinity === 'ClientIP' && (seconds === undefined || seconds <= 0 || seconds > AFFINITY_SECONDS_MAX)) out.push(invalid('spec.sessionAffinityConfig.clientIP.timeoutSeconds', seconds, `must be greater than 0 and less than ${AFFINITY_SECONDS_MAX}`))
  if (spec.sessionAffinity === 'None' && spec.sessionAffinityConfig) out.push(forbidden('spec.sessionAffinityConfig', 'must not be set when session affinity is None'))
  out.push(...validateClusterIps(spec), ...validateFamilies(spec))
  for (const [i, ip] of (spec.externalIPs ?? []).entries()) out.push(...validateEndpointIp(`spec.externalIPs[${i}]`, ip))
  out.push(...oneOf('spec.type', spec.type, ['ClusterIP', 'ExternalName', 'LoadBalancer', 'NodePort'], 'required'))
  return [...out, ...validateTraffic(spec), ...validateLoadBalancer(spec)]
}

export function validateServiceUpdate(service: Service, old: Service): FieldError[] {
  const out: FieldError[] = []
  const [spec, before] = [service.spec ?? {}, old.spec ?? {}]
  // A cluster IP may come and go with the type, but not change.
  if (before.type !== 'ExternalName' && spec.type !== 'ExternalName' && before.clusterIPs?.length) {
    if (before.clusterIPs[0] !== (spec.clusterIPs?.[0] ?? '')) out.push(invalid('spec.clusterIPs[0]', spec.clusterIPs ?? [], 'may not change once set'))
    else if (!semanticEqual(spec.clusterIPs, before.clusterIPs) && (spec.clusterIPs ?? []).length >= before.clusterIPs.length && before.clusterIPs.length > 1) out.push(invalid('spec.clusterIPs[1]', spec.clusterIPs, 'may not change once set'))
  }
  if (before.type === 'LoadBalancer' && spec.type === 'LoadBalancer' && before.loadBalancerClass !== spec.loadBalancerClass) out.push(invalid('spec.loadBalancerClass', spec.loadBalancerClass, 'may not change once set'))
  return [...out, ...validateService(service)]
}

function validateType(spec: ServiceSpec, headless: boolean): FieldError[] {
  const out: FieldError[] = []
  switch (spec.type) {
    case 'LoadBalancer':
    case 'NodePort':
      for (const [i, { port }] of (spec.ports ?? []).entries()) if (spec.type === 'LoadBalancer' && port === KUBELET_PORT) out.push(invalid(`spec.ports[${i}]`, port, `may not expose port ${port} externally since it is used by kubelet`))
      if (headless) out.push(invalid('spec.clusterIPs[0]', 'None', `may not be set to 'None' for ${spec.type} services`))
      break
    case 'ExternalName':
      if (spec.clusterIP || (spec.clusterIPs ?? []).length > 0) out.push(forbidden('spec.clusterIPs', 'may not be set for ExternalName services'))
      if (spec.externalName) out.push(...named('spec.externalName', spec.externalName.replace(/\.$/, ''), checkDnsSubdomain))
      else out.push(required('spec.externalName'))
      break
    default:
  }
  return out
}

function validatePorts(spec: ServiceSpec, headless: boolean): FieldError[] {
  const ports = spec.ports ?? []
  const names = new Set<string>()
  const portKeys = new Set<string>()
  const nodePortKeys = new Set<string>()
  return ports.flatMap((port, i) => {
    const at = `spec.ports[${i}]`
    const out = validatePort(at, port, ports.length > 1, headless)
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
      else if (spec.type === 'ExternalName') out.push(forbidden(`${at}.nodePort`, "may not be used when `type` is 'ExternalName'"))
      const nodeKey = `${protocol}/${port.nodePort}`
      if (nodePortKeys.has(nodeKey)) out.push(duplicate(`${at}.nodePort`, port.nodePort))
      nodePortKeys.add(nodeKey)
    }
    return out
  })
}

function validatePort(at: string, port: ServicePort, needName: boolean, headless: boolean): FieldError[] {
  const out: FieldError[] = port.name ? named(`${at}.name`, port.name, checkDnsLabel) : needName ? [required(`${at}.name`)] : []
  out.push(...checkPortNumber(port.port).map((m) => invalid(`${at}.port`, port.port, m)))
  out.push(...oneOf(`${at}.protocol`, port.protocol, ['SCTP', 'TCP', 'UDP'], 'required'))
  out.push(...portOrName(`${at}.targetPort`, port.targetPort))
  if (port.appProtocol) out.push(...named(`${at}.appProtocol`, port.appProtocol, checkQualifiedName))
  if (headless && port.nodePort) out.push(forbidden(`${at}.nodePort`, 'may not be used with a headless Service'))
  return out
}

function validateClusterIps(spec: ServiceSpec): FieldError[] {
  const ips = spec.clusterIPs ?? []
  if (!spec.clusterIP && ips.length > 0) return [invalid('spec.clusterIPs', ips, 'must be empty when `clusterIP` is not specified')]
  if (spec.clusterIP && ips.length > 0 && spec.clusterIP !== ips[0]) return [invalid('spec.clusterIPs', ips, 'first value must match `clusterIP`')]
  const out: FieldError[] = []
  if (ips.includes('None') && ips.length > 1) out.push(invalid('spec.clusterIPs', ips, "'None' must be the first and only value"))
  if (ips.length > 2) out.push(invalid('spec.clusterIPs', ips, 'may only hold up to 2 values'))
  for (const [i, ip] of ips.entries()) if (ip !== 'None' && !isIpAddress(ip)) out.push(invalid(`spec.clusterIPs[${i}]`, ip, IP))
  if (new Set(ips).size !== ips.length) out.push(duplicate('spec.clusterIPs', ips))
  return out
}

function validateFamilies(spec: ServiceSpec): FieldError[] {
  const families = spec.ipFamilies ?? []
  const out = families.flatMap((family, i) => oneOf(`spec.ipFamilies[${i}]`, family, ['IPv4', 'IPv6']))
  if (new Set(families).size !== families.length) out.push(duplicate('spec.ipFamilies', families.at(-1)))
  out.push(...oneOf('spec.ipFamilyPolicy', spec.ipFamilyPolicy, ['SingleStack', 'PreferDualStack', 'RequireDualStack']))
  if (spec.type === 'ExternalName' && (families.length > 0 || spec.ipFamilyPolicy)) out.push(forbidden('spec.ipFamilies', 'may not be set for ExternalName services'))
  return out
}

function validateTraffic(spec: ServiceSpec): FieldError[] {
  const external = spec.type === 'NodePort' || spec.type === 'LoadBalancer' || (spec.type === 'ClusterIP' && (spec.externalIPs ?? []).length > 0)
  const out: FieldError[] = []
  if (external) out.push(...oneOf('spec.externalTrafficPolicy', spec.externalTrafficPolicy, ['Cluster', 'Local'], 'required'))
  else if (spec.externalTrafficPolicy) out.push(invalid('spec.externalTrafficPolicy', spec.externalTrafficPolicy, 'may only be set for externally-accessible services'))
  if (spec.type !== 'ExternalName') out.push(...oneOf('spec.internalTrafficPolicy', spec.internalTrafficPolicy, ['Cluster', 'Local'], 'required'))
  if (spec.trafficDistribution !== undefined) out.push(...oneOf('spec.trafficDistribution', spec.trafficDistribution, ['PreferClose', 'PreferSameNode', 'PreferSameZone']))
  if (spec.healthCheckNodePort && !(spec.type === 'LoadBalancer' && spec.externalTrafficPolicy === 'Local')) out.push(invalid('spec.healthCheckNodePort', spec.healthCheckNodePort, "may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'"))
  return out
}

function validateLoadBalancer(spec: ServiceSpec): FieldError[] {
  const out: FieldError[] = []
  const ranges = spec.loadBalancerSourceRanges ?? []
  if (ranges.length > 0 && spec.type !== 'LoadBalancer') out.push(forbidden('spec.LoadBalancerSourceRanges', "may only be used when `type` is 'LoadBalancer'"))
  for (const range of ranges) if (!isCidr(range.trim())) out.push(invalid('spec.LoadBalancerSourceRanges', ranges, 'must be a list of IP ranges. For example, 10.240.0.0/24,10.250.0.0/24'))
  if (spec.allocateLoadBalancerNodePorts !== undefined && spec.type !== 'LoadBalancer') out.push(forbidden('spec.allocateLoadBalancerNodePorts', "may only be used when `type` is 'LoadBalancer'"))
  if (spec.type === 'LoadBalancer' && spec.allocateLoadBalancerNodePorts === undefined) out.push(required('spec.allocateLoadBalancerNodePorts', "field is required when `type` is 'LoadBalancer'"))
  if (spec.loadBalancerClass !== undefined) {
    if (spec.type !== 'LoadBalancer') out.push(forbidden('spec.loadBalancerClass', "may only be used when `type` is 'LoadBalancer'"))
    else out.push(...named('spec.loadBalancerClass', spec.loadBalancerClass, checkQualifiedName))
  }
  return out
}

export function validateServiceStatus({ spec, status }: Service): FieldError[] {
  const at = 'status.loadBalancer.ingress'
  const entries = status?.loadBalancer?.ingress ?? []
  if (spec?.type !== 'LoadBalancer') return entries.length === 0 ? [] : [forbidden(at, 'may only be used when `spec.type` is LoadBalancer')]
  return entries.flatMap(({ ip, ipMode, hostname }, i) => {
    const out: FieldError[] = []
    if (ip && !isIpAddress(ip)) out.push(invalid(`${at}[${i}].ip`, ip, IP))
    if (ip && ipMode === undefined) out.push(required(`${at}[${i}].ipMode`, 'must be specified when `ip` is set'))
    else if (!ip && ipMode !== undefined) out.push(forbidden(`${at}[${i}].ipMode`, 'may not be specified when `ip` is not set'))
    else out.push(...oneOf(`${at}[${i}].ipMode`, ipMode, ['Proxy', 'VIP']))
    if (!hostname) return out
    out.push(...named(`${at}[${i}].hostname`, hostname, checkDnsSubdomain))
    if (isIpAddress(hostname)) out.push(invalid(`${at}[${i}].hostname`, hostname, 'must be a DNS name, not an IP address'))
    return out
  })
}
