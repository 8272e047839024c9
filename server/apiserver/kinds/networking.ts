/** Ingresses, their classes, and network policies. */
import type { HTTPIngressPath, Ingress, IngressBackend, IngressClass, IngressRule, LabelSelector, NetworkPolicy } from '#api/types/index.ts'
import { checkDnsLabel, checkDnsSubdomain, checkPathSegment, checkPortNumber, checkWildcardSubdomain, describeLabelSelector } from '#api/types/index.ts'
import { type FieldError, forbidden, invalid, required, tooLong } from '../field-error.ts'
import type { KindStrategy } from '../kind.ts'
import { keepStatus } from './carry.ts'
import { checkLabelSelector, immutable, named, oneOf, portOrName, requiredName } from './check.ts'
import { checkDomainPath } from './domain-path.ts'
import { isLegacyIp, validCidr, validIp } from './endpoint-ip.ts'
import { cidrWithin, isCidr, withoutLeadingZeros } from './ip.ts'
import { cidrWarnings } from './ip-warnings.ts'
import { semanticEqual } from './semantic-equal.ts'
import { ageColumn, column, nameColumn } from './table-columns.ts'

const CLASS_ANNOTATION = 'kubernetes.io/ingress.class'
const DEFAULT_CLASS_ANNOTATION = 'ingressclass.kubernetes.io/is-default-class'
const CONTROLLER_LENGTH_MAX = 250
const PATH_TYPES = ['Exact', 'ImplementationSpecific', 'Prefix']

export const ingressStrategy: KindStrategy<Ingress> = {
  prepareCreate: (ingress) => { ingress.status = { loadBalancer: {} } },
  prepareUpdate: keepStatus,
  generation: (ingress, old) => !semanticEqual(ingress.spec, old.spec),
  validate: (ingress) => {
    const annotation = ingress.metadata?.annotations?.[CLASS_ANNOTATION]
    const differs = annotation !== undefined && ingress.spec?.ingressClassName !== undefined && annotation !== ingress.spec.ingressClassName
    return [...validateIngress(ingress, STRICT), ...(differs ? [invalid(`annotations.${CLASS_ANNOTATION}`, annotation, 'must match `ingressClassName` when both are specified')] : [])]
  },
  validateUpdate: (ingress, old) => validateIngress(ingress, toleranceOf(old)),
  validateStatusUpdate: validateIngressStatus,
  warnings: (ingress, old) => (ingress.metadata?.annotations?.[CLASS_ANNOTATION] !== undefined && old?.metadata?.annotations?.[CLASS_ANNOTATION] === undefined ? [`annotation ${JSON.stringify(CLASS_ANNOTATION)} is deprecated, please use 'spec.ingressClassName' instead`] : []),
  columns: [
    nameColumn(),
    column('Class', 'The name of the IngressClass resource that should be used for additional configuration', (o) => o.spec?.ingressClassName ?? '<none>'),
    column('Hosts', 'Hosts that incoming requests are matched against before the ingress rule', hostsText),
    column('Address', 'Address is a list containing ingress points for the load-balancer', (o) => [...new Set((o.status?.loadBalancer?.ingress ?? []).map((i) => i.ip || i.hostname || '').filter((t) => t !== ''))].sort().join(',')),
    column('Ports', 'Ports of TLS configurations that open', (o) => ((o.spec?.tls ?? []).length > 0 ? '80, 443' : '80')),
    ageColumn(),
  ],
}

function hostsText(ingress: Ingress): string {
  const rules = ingress.spec?.rules ?? []
  const hosts = rules.map((r) => r.host ?? '').filter((h) => h !== '')
  if (hosts.length === 0) return '*'
  return hosts.length > 3 ? `${hosts.slice(0, 3).join(',')} + ${rules.length - 3} more...` : hosts.join(',')
}

/** What an update may leave as it was. */
interface Tolerance { secretNames: boolean; wildcardRules: boolean }
const STRICT: Tolerance = { secretNames: false, wildcardRules: false }

function toleranceOf({ spec = {} }: Ingress): Tolerance {
  return {
    secretNames: (spec.tls ?? []).some(({ secretName }) => secretName && checkDnsSubdomain(secretName).length > 0),
    wildcardRules: (spec.rules ?? []).some((rule, i) => rule.host?.includes('*') && validateRule(`spec.rules[${i}]`, rule).length > 0),
  }
}

function validateIngress(ingress: Ingress, allowed: Tolerance): FieldError[] {
  const spec = ingress.spec ?? {}
  const rules = spec.rules ?? []
  const out: FieldError[] = []
  if (rules.length === 0 && !spec.defaultBackend) out.push(invalid('spec', spec.rules ?? null, 'either `defaultBackend` or `rules` must be specified'))
  if (spec.defaultBackend) out.push(...validateBackend('spec.defaultBackend', spec.defaultBackend))
  for (const [i, rule] of rules.entries()) {
    const at = `spec.rules[${i}]`
    const { host } = rule
    if (host) {
      if (isLegacyIp(host)) out.push(invalid(`${at}.host`, host, 'must be a DNS name, not an IP address'))
      out.push(...validateHost(`${at}.host`, host))
    }
    if (!allowed.wildcardRules || !host?.includes('*')) out.push(...validateRule(at, rule))
  }
  for (const [i, tls] of (spec.tls ?? []).entries()) {
    for (const [j, host] of (tls.hosts ?? []).entries()) out.push(...validateHost(`spec.tls[${i}].hosts[${j}]`, host))
    if (tls.secretName && !allowed.secretNames) out.push(...named(`spec.tls[${i}].secretName`, tls.secretName, checkDnsSubdomain))
  }
  return spec.ingressClassName === undefined ? out : [...out, ...named('spec.ingressClassName', spec.ingressClassName, checkDnsSubdomain)]
}

const validateHost = (at: string, host: string): FieldError[] => named(at, host, host.includes('*') ? checkWildcardSubdomain : checkDnsSubdomain)

const BAD_SEQUENCES = ['//', '/./', '/../', '%2f', '%2F']
const BAD_ENDS = ['/..', '/.']

function validateRule(at: string, rule: IngressRule): FieldError[] {
  if (!rule.http) return []
  const paths = rule.http.paths ?? []
  return paths.length === 0 ? [required(`${at}.http.paths`)] : paths.flatMap((path, i) => validatePath(`${at}.http.paths[${i}]`, path))
}

function validatePath(at: string, { pathType, path = '', backend }: HTTPIngressPath): FieldError[] {
  if (!pathType) return [required(`${at}.pathType`, 'pathType must be specified')]
  const out: FieldError[] = []
  const absolute = path.startsWith('/') ? [] : [invalid(`${at}.path`, path, 'must be an absolute path')]
  if (pathType === 'Exact' || pathType === 'Prefix') {
    out.push(...absolute)
    for (const bad of BAD_SEQUENCES) if (path.includes(bad)) out.push(invalid(`${at}.path`, path, `must not contain '${bad}'`))
    for (const bad of BAD_ENDS) if (path.endsWith(bad)) out.push(invalid(`${at}.path`, path, `cannot end with '${bad}'`))
  } else if (pathType === 'ImplementationSpecific') {
    if (path !== '') out.push(...absolute)
  } else {
    out.push(...oneOf(`${at}.pathType`, pathType, PATH_TYPES))
  }
  return [...out, ...validateBackend(`${at}.backend`, backend)]
}

function validateBackend(at: string, backend: IngressBackend): FieldError[] {
  if (backend.resource && backend.service) return [invalid(at, '', 'cannot set both resource and service backends')]
  if (backend.resource) return validateReference(`${at}.resource`, backend.resource)
  if (!backend.service) return [invalid(at, '', 'resource or service backend is required')]
  const { name, port } = backend.service
  const out = requiredName(`${at}.service.name`, name, checkDnsLabel)
  if (port?.name && port.number) out.push(invalid(at, '', 'cannot set both port name & port number'))
  else if (port?.name) out.push(...portOrName(`${at}.service.port.name`, port.name))
  else if (port?.number) out.push(...checkPortNumber(port.number).map((m) => invalid(`${at}.service.port.number`, port.number, m)))
  else out.push(required(at, 'port name or number is required'))
  return out
}

function validateReference(at: string, { apiGroup, kind, name }: { apiGroup?: string; kind: string; name: string }): FieldError[] {
  return [
    ...(apiGroup === undefined ? [] : named(`${at}.apiGroup`, apiGroup, checkDnsSubdomain)),
    ...requiredName(`${at}.kind`, kind, checkPathSegment),
    ...requiredName(`${at}.name`, name, checkPathSegment),
  ]
}

function validateIngressStatus({ status }: Ingress, old: Ingress): FieldError[] {
  const before = (old.status?.loadBalancer?.ingress ?? []).map(({ ip }) => ip)
  return (status?.loadBalancer?.ingress ?? []).flatMap(({ ip, hostname }, i) => {
    const at = `status.loadBalancer.ingress[${i}]`
    const out = ip ? validIp(`${at}.ip`, ip, before) : []
    if (!hostname) return out
    out.push(...named(`${at}.hostname`, hostname, checkDnsSubdomain))
    return isLegacyIp(hostname) ? [...out, invalid(`${at}.hostname`, hostname, 'must be a DNS name, not an IP address')] : out
  })
}

export const ingressClassStrategy: KindStrategy<IngressClass> = {
  generation: (c, old) => !semanticEqual(c.spec, old.spec),
  defaults(c) {
    if (c.spec?.parameters) c.spec.parameters.scope ??= 'Cluster'
  },
  validate: validateIngressClass,
  validateUpdate: (c, old) => [...immutable('spec.controller', c.spec?.controller ?? '', old.spec?.controller), ...validateIngressClass(c)],
  columns: [
    { ...nameColumn<IngressClass>(), value: (o) => `${o.metadata?.name ?? ''}${o.metadata?.annotations?.[DEFAULT_CLASS_ANNOTATION] === 'true' ? ' (default)' : ''}` },
    column('Controller', 'Controller that is responsible for handling this class', (o) => o.spec?.controller ?? ''),
    column('Parameters', 'A reference to a resource with additional parameters', (o) => {
      const p = o.spec?.parameters
      return p ? `${p.kind}${p.apiGroup ? `.${p.apiGroup}` : ''}/${p.name}` : '<none>'
    }),
    ageColumn(),
  ],
}

function validateIngressClass({ spec }: IngressClass): FieldError[] {
  const { controller = '', parameters } = spec ?? {}
  const out: FieldError[] = controller.length > CONTROLLER_LENGTH_MAX ? [tooLong('spec.controller', CONTROLLER_LENGTH_MAX)] : []
  out.push(...checkDomainPath('spec.controller', controller))
  if (!parameters) return out
  const at = 'spec.parameters'
  out.push(...validateReference(at, parameters))
  const { scope, namespace } = parameters
  out.push(...oneOf(`${at}.scope`, scope, ['Cluster', 'Namespace'], 'required'))
  if (scope === 'Namespace') out.push(...(namespace ? named(`${at}.namespace`, namespace, checkDnsLabel) : [required(`${at}.namespace`, "`parameters.scope` is set to 'Namespace'")]))
  if (scope === 'Cluster' && namespace !== undefined) out.push(forbidden(`${at}.namespace`, "`parameters.scope` is set to 'Cluster'"))
  return out
}

export const networkPolicyStrategy: KindStrategy<NetworkPolicy> = {
  generation: (p, old) => !semanticEqual(p.spec, old.spec),
  defaults(policy) {
    const spec = policy.spec
    if (!spec) return
    for (const rule of [...(spec.ingress ?? []), ...(spec.egress ?? [])]) for (const port of rule.ports ?? []) port.protocol ??= 'TCP'
    if (!spec.policyTypes?.length) spec.policyTypes = spec.egress?.length ? ['Ingress', 'Egress'] : ['Ingress']
  },
  validate: (policy) => validatePolicy(policy),
  // What was let in before may stay anywhere in the policy.
  validateUpdate: (policy, old) => validatePolicy(policy, blocksOf(old)),
  warnings: (policy) => (['ingress', 'egress'] as const).flatMap((direction) => (policy.spec?.[direction] ?? []).flatMap((_rule, i) => {
    const peers: readonly { ipBlock?: { cidr: string; except?: string[] } }[] = (direction === 'ingress' ? policy.spec?.ingress?.[i]?.from : policy.spec?.egress?.[i]?.to) ?? []
    const at = `spec.${direction}[${i}].${direction === 'ingress' ? 'from' : 'to'}`
    return peers.flatMap(({ ipBlock }, j) => (ipBlock ? [...cidrWarnings(`${at}[${j}].ipBlock.cidr`, ipBlock.cidr), ...(ipBlock.except ?? []).flatMap((c, k) => cidrWarnings(`${at}[${j}].ipBlock.except[${k}]`, c))] : []))
  })),
  columns: [nameColumn(), column('Pod-Selector', 'podSelector selects the pods to which this NetworkPolicy object applies.', (o) => describeLabelSelector(o.spec?.podSelector ?? {})), ageColumn()],
}

interface Peer { podSelector?: LabelSelector; namespaceSelector?: LabelSelector; ipBlock?: { cidr: string; except?: string[] } }

function blocksOf({ spec = {} }: NetworkPolicy): string[] {
  const peers: Peer[] = [...(spec.ingress ?? []).flatMap((rule) => rule.from ?? []), ...(spec.egress ?? []).flatMap((rule) => rule.to ?? [])]
  return peers.flatMap(({ ipBlock }) => (ipBlock ? [ipBlock.cidr, ...(ipBlock.except ?? [])] : []))
}

function validatePolicy(policy: NetworkPolicy, old: readonly string[] = []): FieldError[] {
  const spec = policy.spec ?? {}
  const out = checkLabelSelector('spec.podSelector', spec.podSelector)
  for (const direction of ['ingress', 'egress'] as const) {
    for (const [i, rule] of (spec[direction] ?? []).entries()) {
      for (const [j, port] of (rule.ports ?? []).entries()) {
        const at = `spec.${direction}[${i}].ports[${j}]`
        out.push(...oneOf(`${at}.protocol`, port.protocol, ['TCP', 'UDP', 'SCTP'], 'given'))
        if (port.port !== undefined) out.push(...portOrName(`${at}.port`, port.port))
        out.push(...validateEndPort(`${at}.endPort`, port.port, port.endPort))
      }
      const [side, peers] = 'from' in rule ? ['from', rule.from ?? []] : 'to' in rule ? ['to', rule.to ?? []] : ['', []]
      for (const [j, peer] of peers.entries()) out.push(...validatePeer(`spec.${direction}[${i}].${side}[${j}]`, peer, old))
    }
  }
  const types = spec.policyTypes ?? []
  if (types.length > 2) return [...out, invalid('spec.policyTypes', types, 'may not specify more than two policyTypes')]
  for (const [i, type] of types.entries()) out.push(...oneOf(`spec.policyTypes[${i}]`, type, ['Ingress', 'Egress'], 'given'))
  return out
}

function validatePeer(at: string, peer: Peer, old: readonly string[]): FieldError[] {
  const out: FieldError[] = [...checkLabelSelector(`${at}.podSelector`, peer.podSelector), ...checkLabelSelector(`${at}.namespaceSelector`, peer.namespaceSelector)]
  if (peer.ipBlock) out.push(...validateBlock(`${at}.ipBlock`, peer.ipBlock.cidr, peer.ipBlock.except ?? [], old))
  if (!peer.podSelector && !peer.namespaceSelector && !peer.ipBlock) out.push(required(at, 'must specify a peer'))
  if (peer.ipBlock && (peer.podSelector || peer.namespaceSelector)) out.push(forbidden(at, 'may not specify both ipBlock and another peer'))
  return out
}

function validateEndPort(at: string, port: number | string | undefined, end: number | undefined): FieldError[] {
  if (end === undefined) return []
  if (port === undefined) return [invalid(at, end, 'may not be specified when `port` is not specified')]
  if (typeof port === 'string') return [invalid(at, end, 'may not be specified when `port` is non-numeric')]
  return [...(end < port ? [invalid(at, port, 'must be greater than or equal to `port`')] : []), ...checkPortNumber(end).map((m) => invalid(at, end, m))]
}

function validateBlock(at: string, cidr: string, excepts: readonly string[], old: readonly string[]): FieldError[] {
  if (cidr === '') return [required(`${at}.cidr`)]
  const out = validCidr(`${at}.cidr`, cidr, old)
  const outer = withoutLeadingZeros(cidr)
  if (!isCidr(outer)) return out
  for (const [i, except] of excepts.entries()) {
    const inner = withoutLeadingZeros(except)
    out.push(...validCidr(`${at}.except[${i}]`, except, old))
    if (isCidr(inner) && !cidrWithin(inner, outer)) out.push(invalid(`${at}.except[${i}]`, except, 'must be a strict subset of `cidr`'))
  }
  return out
}
