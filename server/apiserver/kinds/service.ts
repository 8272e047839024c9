/** Services. Addresses and ports that must be unique are given out by `allocators/service-allocator.ts`, after validation. */
import type { Service, ServiceSpec } from '#api/types/index.ts'
import type { KindStrategy } from '../kind.ts'
import { keepStatus, keepSpec } from './carry.ts'
import { setDefault } from './check.ts'
import { semanticEqual } from './semantic-equal.ts'
import { validateService, validateServiceStatus, validateServiceUpdate } from './service-validation.ts'
import { serviceWarnings } from './service-warnings.ts'
import { ageColumn, column, formatLabels, nameColumn, wide } from './table-columns.ts'

const AFFINITY_SECONDS = 10_800

export const needsClusterIp = (spec: ServiceSpec | undefined): boolean => spec?.type !== 'ExternalName'
export const needsNodePort = (spec: ServiceSpec | undefined): boolean => spec?.type === 'NodePort' || (spec?.type === 'LoadBalancer' && spec.allocateLoadBalancerNodePorts !== false)
export const isHeadless = (spec: ServiceSpec | undefined): boolean => spec?.clusterIP === 'None' || spec?.clusterIPs?.[0] === 'None'
const needsHealthCheckPort = (spec: ServiceSpec | undefined): boolean => spec?.type === 'LoadBalancer' && spec.externalTrafficPolicy === 'Local'

export const serviceStrategy: KindStrategy<Service> = {
  nameRule: 'dns-label',
  generation: false,

  defaults(service) {
    const spec = (service.spec ??= {})
    setDefault(spec, 'sessionAffinity', 'None')
    if (spec.sessionAffinity === 'None') delete spec.sessionAffinityConfig
    else if (spec.sessionAffinity === 'ClientIP' && spec.sessionAffinityConfig?.clientIP?.timeoutSeconds === undefined) spec.sessionAffinityConfig = { clientIP: { timeoutSeconds: AFFINITY_SECONDS } }
    setDefault(spec, 'type', 'ClusterIP')
    for (const port of spec.ports ?? []) {
      setDefault(port, 'protocol', 'TCP')
      if (port.targetPort === undefined || port.targetPort === 0 || port.targetPort === '') port.targetPort = port.port
    }
    const external = spec.type === 'NodePort' || spec.type === 'LoadBalancer' || (spec.type === 'ClusterIP' && (spec.externalIPs ?? []).length > 0)
    if (external) setDefault(spec, 'externalTrafficPolicy', 'Cluster')
    if (spec.type !== 'ExternalName') spec.internalTrafficPolicy ??= 'Cluster'
    if (spec.type === 'LoadBalancer') {
      spec.allocateLoadBalancerNodePorts ??= true
      for (const ingress of service.status?.loadBalancer?.ingress ?? []) if (ingress.ip) ingress.ipMode ??= 'VIP'
    }
  },

  prepareCreate(service) {
    service.status = { loadBalancer: {} }
    const spec = (service.spec ??= {})
    if (spec.clusterIP && !spec.clusterIPs?.length) spec.clusterIPs = [spec.clusterIP]
    dropInternalPolicy(spec)
  },

  prepareUpdate(service, old) {
    keepStatus(service, old)
    const spec = (service.spec ??= {})
    const before = old.spec ?? {}
    dropTypeDependent(spec, before)
    carryAllocated(spec, before)
    alignClusterIps(spec, before)
    if (!needsClusterIp(spec)) {
      delete spec.ipFamilies
      delete spec.ipFamilyPolicy
    }
    dropInternalPolicy(spec)
  },

  prepareStatusUpdate: keepSpec,

  validate: (service) => validateService(service),
  validateUpdate: validateServiceUpdate,
  validateStatusUpdate: validateServiceStatus,

  warnings: serviceWarnings,

  columns: [
    nameColumn(),
    column('Type', 'type determines how the Service is exposed.', (o) => o.spec?.type ?? ''),
    column('Cluster-IP', 'clusterIP is the IP address of the service and is usually assigned randomly.', (o) => o.spec?.clusterIP || '<none>'),
    column('External-IP', 'externalIPs is a list of IP addresses for which nodes in the cluster will also accept traffic for this service.', externalIpText),
    column('Port(s)', 'The list of ports that are exposed by this service.', (o) => (o.spec?.ports ?? []).map((p) => `${p.port}${p.nodePort ? `:${p.nodePort}` : ''}/${p.protocol ?? 'TCP'}`).join(',') || '<none>'),
    ageColumn(),
    wide('Selector', 'Route service traffic to pods with label keys and values matching this selector.', (o) => formatLabels(o.spec?.selector)),
  ],
  selectableFields: { 'spec.clusterIP': (o) => o.spec?.clusterIP ?? '', 'spec.type': (o) => o.spec?.type ?? '' },
}

/** An update that leaves out what was allocated keeps it (upstream patchAllocatedValues). */
function carryAllocated(spec: ServiceSpec, old: ServiceSpec): void {
  if (needsClusterIp(old) && needsClusterIp(spec)) {
    if (!spec.clusterIP && old.clusterIP) spec.clusterIP = old.clusterIP
    if (!spec.clusterIPs?.length && spec.clusterIP === old.clusterIP && old.clusterIPs) spec.clusterIPs = [...old.clusterIPs]
    if (!spec.ipFamilies?.length && old.ipFamilies) spec.ipFamilies = [...old.ipFamilies]
    if (spec.ipFamilyPolicy === undefined && old.ipFamilyPolicy) spec.ipFamilyPolicy = old.ipFamilyPolicy
  }
  if (needsNodePort(old) && needsNodePort(spec)) {
    const numbers = (s: ServiceSpec): Set<number> => new Set((s.ports ?? []).flatMap((p) => p.nodePort || []))
    const asked = numbers(spec)
    const byName = new Map((old.ports ?? []).map((p) => [p.name ?? '', p.nodePort]))
    for (const port of spec.ports ?? []) {
      const before = byName.get(port.name ?? '')
      if (!port.nodePort && before && !asked.has(before)) port.nodePort = before
    }
  }
  if (needsHealthCheckPort(old) && needsHealthCheckPort(spec) && !spec.healthCheckNodePort && old.healthCheckNodePort) spec.healthCheckNodePort = old.healthCheckNodePort
}

const mayHaveNodePort = ({ type }: ServiceSpec): boolean => type === 'NodePort' || type === 'LoadBalancer'

/** Nothing is sent to a name by this cluster; what cannot be is left to be complained of. */
function dropInternalPolicy(spec: ServiceSpec): void {
  if (spec.type === 'ExternalName' && (spec.internalTrafficPolicy === 'Cluster' || spec.internalTrafficPolicy === 'Local')) delete spec.internalTrafficPolicy
}

/** A change of type takes with it what only the old type had, unless the writer changed it in the same breath. */
function dropTypeDependent(spec: ServiceSpec, old: ServiceSpec): void {
  if (needsClusterIp(old) && !needsClusterIp(spec) && spec.clusterIP === old.clusterIP && (!spec.clusterIPs?.length || semanticEqual(spec.clusterIPs, old.clusterIPs))) {
    delete spec.clusterIP
    delete spec.clusterIPs
  }
  // Ports that were given out stay when no more are to be: who wants to be rid of them says so.
  if (mayHaveNodePort(old) && !mayHaveNodePort(spec) && sameNodePorts(spec, old)) for (const port of spec.ports ?? []) delete port.nodePort
  if (needsHealthCheckPort(old) && !needsHealthCheckPort(spec) && spec.healthCheckNodePort === old.healthCheckNodePort) delete spec.healthCheckNodePort
  if (old.type === 'LoadBalancer' && spec.type !== 'LoadBalancer') {
    if (spec.allocateLoadBalancerNodePorts === old.allocateLoadBalancerNodePorts) delete spec.allocateLoadBalancerNodePorts
    if (spec.loadBalancerClass === old.loadBalancerClass) delete spec.loadBalancerClass
  }
  if (needsClusterIp(old) && !needsClusterIp(spec) && spec.internalTrafficPolicy === old.internalTrafficPolicy) delete spec.internalTrafficPolicy
  const external = (s: ServiceSpec): boolean => s.type === 'NodePort' || s.type === 'LoadBalancer' || (s.type === 'ClusterIP' && (s.externalIPs ?? []).length > 0)
  if (external(old) && !external(spec) && spec.externalTrafficPolicy === old.externalTrafficPolicy) delete spec.externalTrafficPolicy
}

function sameNodePorts(spec: ServiceSpec, old: ServiceSpec): boolean {
  const of = (s: ServiceSpec): number[] => (s.ports ?? []).map((p) => p.nodePort ?? 0).filter((n) => n !== 0)
  const before = new Set(of(old))
  return of(spec).every((n) => before.has(n))
}

/** clusterIP is the first of clusterIPs, whichever of the two was written. */
function alignClusterIps(spec: ServiceSpec, old: ServiceSpec): void {
  const sameList = semanticEqual(spec.clusterIPs, old.clusterIPs)
  if (old.clusterIP && !spec.clusterIP && sameList) delete spec.clusterIPs
  else if (spec.clusterIP && spec.clusterIP !== old.clusterIP && sameList) spec.clusterIPs = [spec.clusterIP]
  else if (spec.clusterIP && !spec.clusterIPs?.length) spec.clusterIPs = [spec.clusterIP]
}

function externalIpText(service: Service): string {
  const spec = service.spec ?? {}
  const external = spec.externalIPs ?? []
  switch (spec.type) {
    case 'ClusterIP':
    case 'NodePort':
      return external.join(',') || '<none>'
    case 'LoadBalancer': {
      const found = [...new Set((service.status?.loadBalancer?.ingress ?? []).map((i) => i.ip || i.hostname || '').filter((t) => t !== ''))].sort().join(',')
      return [...(found ? [found] : []), ...external].join(',') || '<pending>'
    }
    case 'ExternalName':
      return spec.externalName ?? ''
    default:
      return '<unknown>'
  }
}
