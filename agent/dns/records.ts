/**
 * What a name in the cluster's domain means: Kubernetes DNS-Based Service Discovery 1.1.0, with CoreDNS's answers where the
 * specification leaves it open. Pure.
 */
import type { EndpointSlice, Service, ServicePort } from '#api/types/index.ts'
import { maybeIpv4 } from '#cni/index.ts'
import type { DnsRecord, Name } from './wire.ts'

/** What the resolver knows; each look-up is by index, not a search. */
export interface DnsView {
  service(namespace: string, name: string): Service | undefined
  slices(namespace: string, service: string): readonly EndpointSlice[]
  /** Some Service lives there. */
  hasNamespace(namespace: string): boolean
  servicesByClusterIp(address: string): readonly Service[]
  slicesByAddress(address: string): readonly EndpointSlice[]
}

export interface Zone {
  /** `['cluster', 'local']`. */
  domain: Name
  /** The resolver's own address: `ns.dns.<domain>`. */
  serverIp: string
  /** Is this an address of the cluster, about which no other server knows? */
  ownsAddress(address: string): boolean
}

export type Wanted = 'A' | 'AAAA' | 'SRV' | 'PTR' | 'TXT' | 'NS' | 'SOA' | 'CNAME' | 'ANY' | 'other'

export type Answer =
  | { kind: 'records'; records: DnsRecord[]; additional: DnsRecord[] }
  /** An ExternalName: what the target means must be found out too. */
  | { kind: 'alias'; record: Extract<DnsRecord, { target: Name; type: 'CNAME' | 'NS' | 'PTR' }> }
  /** The name is there, not with that type. */
  | { kind: 'noData' }
  | { kind: 'noName' }
  /** Someone else's zone: forward. */
  | { kind: 'notOurs' }

/** CoreDNS's default: short, because endpoints move. Also the negative TTL. */
export const TTL_SECONDS = 5

/** `name` may be of any case. */
export function answerFor(question: { name: Name; type: Wanted }, zone: Zone, view: DnsView): Answer {
  const labels = question.name.map((label) => label.toLowerCase())
  const within = under(labels, zone.domain)
  if (within) return inDomain({ ...question, labels: within, zone, view })
  const reversed = under(labels, ['in-addr', 'arpa'])
  return reversed?.length === 4 ? reverse({ ...question, address: reversed.toReversed().join('.'), zone, view }) : { kind: 'notOurs' }
}

export function soaRecord(zone: Zone, nowSeconds: number): DnsRecord {
  return {
    name: zone.domain, ttl: TTL_SECONDS, type: 'SOA', mname: ['ns', 'dns', ...zone.domain], rname: ['hostmaster', ...zone.domain],
    serial: nowSeconds >>> 0, refresh: 7200, retry: 1800, expire: 86400, minimum: TTL_SECONDS,
  }
}

interface Ask { name: Name; type: Wanted; labels: readonly string[]; zone: Zone; view: DnsView }

function inDomain(ask: Ask): Answer {
  const { labels, zone, name, type } = ask
  const last = labels.at(-1)
  if (last === 'svc') return inServices({ ...ask, labels: labels.slice(0, -1) })
  if (last === 'pod') return inPods({ ...ask, labels: labels.slice(0, -1) })
  if (labels.length === 0) return type === 'NS' ? records([{ name, ttl: TTL_SECONDS, type: 'NS', target: ['ns', 'dns', ...zone.domain] }]) : { kind: 'noData' }
  if (labels.join('.') === 'dns-version') return type === 'TXT' || type === 'ANY' ? records([{ name, ttl: TTL_SECONDS, type: 'TXT', text: '1.1.0' }]) : { kind: 'noData' }
  if (labels.join('.') === 'ns.dns') return addresses(ask, [zone.serverIp])
  return labels.join('.') === 'dns' ? { kind: 'noData' } : { kind: 'noName' }
}

/** `10-42-0-5.default.pod`: the address is in the name; nothing is looked up (CoreDNS's `pods insecure`, what k3s and kubeadm set). */
function inPods(ask: Ask): Answer {
  const [dashed, ...rest] = ask.labels
  if (dashed === undefined || rest.length === 0) return { kind: 'noData' }
  const address = dashed.replaceAll('-', '.')
  return rest.length === 1 && maybeIpv4(address) !== undefined ? addresses(ask, [address]) : { kind: 'noName' }
}

function inServices(ask: Ask): Answer {
  const { labels, view } = ask
  const [namespace, name] = [labels.at(-1), labels.at(-2)]
  if (namespace === undefined) return { kind: 'noData' }
  if (name === undefined) return view.hasNamespace(namespace) ? { kind: 'noData' } : { kind: 'noName' }
  const service = view.service(namespace, name)
  if (!service) return { kind: 'noName' }
  const own = labels.slice(0, -2)
  const [first, second] = own
  if (own.length === 0) return wholeService(ask, service, () => true)
  if (own.length === 2 && first?.startsWith('_') && second?.startsWith('_')) {
    return wholeService(ask, service, (port) => (port.name ?? '') === first.slice(1) && (port.protocol ?? 'TCP').toLowerCase() === second.slice(1))
  }
  if (own.length === 1 && first !== undefined) return first.startsWith('_') ? { kind: 'noData' } : oneEndpoint(ask, service, first)
  return { kind: 'noName' }
}

type PortFilter = (port: { name?: string; protocol?: string }) => boolean

function wholeService(ask: Ask, service: Service, filter: PortFilter): Answer {
  const spec = service.spec ?? {}
  if (spec.type === 'ExternalName') {
    if (ask.labels.length > 2) return { kind: 'noName' }
    const target = (spec.externalName ?? '').replace(/\.$/, '').split('.')
    return { kind: 'alias', record: { name: ask.name, ttl: TTL_SECONDS, type: 'CNAME', target } }
  }
  if (spec.clusterIP === 'None') return manyEndpoints(ask, readyEndpoints(ask.view, service).map((e) => ({ ...e, ports: e.ports.filter(filter) })), ask.labels.length > 2)
  const ports = (spec.ports ?? []).filter(filter)
  const ips = spec.clusterIPs?.length ? spec.clusterIPs : spec.clusterIP ? [spec.clusterIP] : []
  if (ips.length === 0 || (ask.labels.length > 2 && ports.length === 0)) return { kind: 'noName' }
  if (ask.type !== 'SRV') return addresses(ask, ips)
  const target = nameOf(ask.zone, service)
  return {
    kind: 'records',
    records: uniquePorts(ports).map((port) => srv(ask.name, { port: port.port, target, share: ports.length })),
    additional: ips.map((ip) => addressRecord(target, ip)),
  }
}

interface EndpointRecord { address: string; /** The label that names it: its hostname, else its address with dashes. */ label: string; hostname: string | undefined; ports: { name?: string; protocol?: string; port?: number }[]; service: Name }

function oneEndpoint(ask: Ask, service: Service, label: string): Answer {
  const found = readyEndpoints(ask.view, service).filter((e) => e.label === label)
  return manyEndpoints(ask, found, false)
}

/** `needsPort`: the name spoke of a port that some endpoint must have. No endpoint at all: the name does not exist, as with CoreDNS. */
function manyEndpoints(ask: Ask, endpoints: readonly EndpointRecord[], needsPort: boolean): Answer {
  const fitting = needsPort ? endpoints.filter((e) => e.ports.length > 0) : endpoints
  if (fitting.length === 0) return { kind: 'noName' }
  if (ask.type !== 'SRV') return addresses(ask, fitting.map((e) => e.address))
  const targets = fitting.flatMap((e) => e.ports.flatMap((p) => p.port === undefined ? [] : [{ port: p.port, target: [e.label, ...e.service, ...ask.zone.domain], address: e.address }]))
  if (targets.length === 0) return { kind: 'noData' }
  const unique = [...new Map(targets.map((t) => [`${t.port} ${t.target.join('.')} ${t.address}`, t])).values()]
  return {
    kind: 'records',
    records: [...new Map(unique.map((t) => [`${t.port} ${t.target.join('.')}`, srv(ask.name, { ...t, share: unique.length })])).values()],
    additional: [...new Map(unique.map((t) => [`${t.target.join('.')} ${t.address}`, addressRecord(t.target, t.address)])).values()],
  }
}

function readyEndpoints(view: DnsView, service: Service): EndpointRecord[] {
  const { namespace = '', name = '' } = service.metadata ?? {}
  const publishAll = service.spec?.publishNotReadyAddresses === true
  return view.slices(namespace, name).flatMap((slice) => endpointRecords(slice, publishAll))
}

function endpointRecords(slice: EndpointSlice, publishAll: boolean): EndpointRecord[] {
  if (slice.addressType !== 'IPv4' && slice.addressType !== 'IPv6') return []
  const service = [slice.metadata?.labels?.['kubernetes.io/service-name'] ?? '', slice.metadata?.namespace ?? '', 'svc']
  return (slice.endpoints ?? []).flatMap((endpoint) => {
    const address = endpoint.addresses[0]
    if (address === undefined || (!publishAll && endpoint.conditions?.ready === false)) return []
    return [{ address, label: endpoint.hostname || address.replaceAll(/[.:]/g, '-'), hostname: endpoint.hostname, ports: slice.ports ?? [], service }]
  })
}

/** Cluster IPs first; then endpoints that have a hostname of their own (StatefulSet pods, `hostname` with `subdomain`). */
function reverse(ask: { name: Name; type: Wanted; address: string; zone: Zone; view: DnsView }): Answer {
  const { address, zone, view, name } = ask
  if (maybeIpv4(address) === undefined) return { kind: 'notOurs' }
  const services = view.servicesByClusterIp(address).map((service) => nameOf(zone, service))
  const endpoints = view.slicesByAddress(address).flatMap((slice) => endpointRecords(slice, false))
    .filter((e) => e.address === address && e.hostname).map((e) => [e.label, ...e.service, ...zone.domain])
  const targets = services.length > 0 ? services : endpoints
  const unique = [...new Map(targets.map((target) => [target.join('.'), target])).values()]
  if (unique.length === 0) return zone.ownsAddress(address) ? { kind: 'noName' } : { kind: 'notOurs' }
  return ask.type === 'PTR' || ask.type === 'ANY' ? records(unique.map((target) => ({ name, ttl: TTL_SECONDS, type: 'PTR', target }))) : { kind: 'noData' }
}

function addresses(ask: { name: Name; type: Wanted }, list: readonly string[]): Answer {
  const wanted = [...new Set(list)].map((address) => addressRecord(ask.name, address)).filter((r) => ask.type === r.type || ask.type === 'ANY')
  return wanted.length > 0 ? records(wanted) : { kind: 'noData' }
}

function addressRecord(name: Name, address: string): DnsRecord {
  return { name, ttl: TTL_SECONDS, type: address.includes(':') ? 'AAAA' : 'A', address }
}

function srv(name: Name, to: { port: number; target: Name; share: number }): DnsRecord {
  return { name, ttl: TTL_SECONDS, type: 'SRV', priority: 0, weight: Math.max(1, Math.floor(100 / to.share)), port: to.port, target: to.target }
}

function uniquePorts(ports: readonly ServicePort[]): ServicePort[] {
  return [...new Map(ports.map((p) => [p.port, p])).values()]
}

function nameOf(zone: Zone, service: Service): Name {
  return [service.metadata?.name ?? '', service.metadata?.namespace ?? '', 'svc', ...zone.domain]
}

function records(list: DnsRecord[]): Answer { return { kind: 'records', records: list, additional: [] } }

/** The labels before `suffix`; undefined when the name does not end in it. */
function under(labels: readonly string[], suffix: Name): string[] | undefined {
  const at = labels.length - suffix.length
  return at >= 0 && suffix.every((label, i) => labels[at + i] === label) ? labels.slice(0, at) : undefined
}
