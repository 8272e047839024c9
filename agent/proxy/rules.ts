/**
 * One Service and its EndpointSlices to the rules that make it reachable. Pure; what does not concern a single Service is
 * base-table.ts. Shapes and packet paths are those of kube-proxy's nftables mode.
 */
import { createHash } from 'node:crypto'
import type { EndpointSlice, Service, ServicePort } from '#api/types/index.ts'
import { maybeIpv4, maybePrefix, type NftSet } from '#cni/index.ts'
import { chooseEndpoints, type Where } from './endpoints.ts'
import { endpointsOf, PROXY_NAME_LABEL, type EndpointView } from './slices.ts'

export interface RulesContext extends Where {
  /** Traffic from elsewhere to a cluster IP is masqueraded, so that answers come back through this node. */
  clusterCidr: string
}

/** A Service's share of the table. Chains and sets are its own; two Services may claim one element. */
export interface Fragment {
  chains: Map<string, readonly string[]>
  sets: Map<string, NftSet>
  /** By the name of a shared set, then key to value. */
  elements: Map<string, Map<string, string>>
  /** `ip port proto` of the places UDP traffic is led to from, and to: what conntrack must forget when they go. */
  udp: { fronts: string[]; backends: string[] }
}

const LABEL_IGNORED = [PROXY_NAME_LABEL, 'service.kubernetes.io/headless']
const PROTOCOLS = ['TCP', 'UDP', 'SCTP']

/** Undefined for Services that need no proxying: headless, ExternalName, someone else's, malformed. */
export function serviceRules(service: Service, slices: readonly EndpointSlice[], context: RulesContext): Fragment | undefined {
  const spec = service.spec
  const labels = service.metadata?.labels ?? {}
  if (!spec || spec.type === 'ExternalName' || maybeIpv4(spec.clusterIP ?? '') === undefined || PROXY_NAME_LABEL in labels) return undefined
  const usable = slices.filter((slice) => !LABEL_IGNORED.some((label) => label in (slice.metadata?.labels ?? {})))
  const fragment: Fragment = { chains: new Map(), sets: new Map(), elements: new Map(), udp: { fronts: [], backends: [] } }
  for (const port of spec.ports ?? []) addPort(fragment, service, port, usable, context)
  return fragment
}

function addPort(fragment: Fragment, service: Service, port: ServicePort, slices: readonly EndpointSlice[], context: RulesContext): void {
  const spec = service.spec ?? {}
  const protocol = port.protocol ?? 'TCP'
  if (!PROTOCOLS.includes(protocol) || !isPort(port.port)) return
  const clusterIp = spec.clusterIP ?? ''
  const outside = outsideAddresses(service)
  const nodePort = isPort(port.nodePort) && (spec.type === 'NodePort' || spec.type === 'LoadBalancer') ? port.nodePort : undefined
  const isExternal = outside.length > 0 || nodePort !== undefined
  const internalLocal = spec.internalTrafficPolicy === 'Local'
  const externalLocal = spec.externalTrafficPolicy === 'Local'
  const sound = endpointsOf(slices, { name: port.name ?? '', protocol }).filter((e) => maybeIpv4(e.address) !== undefined && isPort(e.port))
  const choice = chooseEndpoints(sound, { internalLocal, externalLocal, isExternal }, context)

  const base = baseName(service, { protocol, name: port.name ?? '' })
  const names = { cluster: `service-${base}`, local: `local-${base}`, external: `external-${base}`, firewall: `firewall-${base}` }
  const proto = protocol.toLowerCase()
  const internal = internalLocal ? choice.local : choice.cluster
  const external = externalLocal ? choice.local : choice.cluster
  const put = (set: string, key: string, value: string) => {
    const into = fragment.elements.get(set) ?? new Map<string, string>()
    fragment.elements.set(set, into.set(key, value))
  }
  // Nobody anywhere: refuse. Somebody, but not on this node and the policy is Local: drop, a load balancer tries another node.
  const dead = choice.hasAny ? 'drop' : 'goto reject-chain'

  put('cluster-ips', clusterIp, '')
  if (internal.length > 0) put('service-ips', `${clusterIp} . ${proto} . ${port.port}`, `goto ${internalLocal ? names.local : names.cluster}`)
  else put('no-endpoint-services', `${clusterIp} . ${proto} . ${port.port}`, dead)
  // Even with no endpoint on this node the external chain exists while there are some elsewhere: pods and the host itself use those.
  const hasExternalChain = isExternal && (external.length > 0 || (externalLocal && choice.cluster.length > 0))
  for (const address of outside) {
    const key = `${address.ip} . ${proto} . ${port.port}`
    if (hasExternalChain) put('service-ips', key, `goto ${names.external}`)
    if (external.length === 0) put('no-endpoint-services', key, dead)
    if (address.isLoadBalancer && sourceRanges(service).length > 0) put('firewall-ips', key, `goto ${names.firewall}`)
  }
  if (nodePort !== undefined) {
    const key = `${proto} . ${nodePort}`
    if (hasExternalChain) put('service-nodeports', key, `goto ${names.external}`)
    if (external.length === 0) put('no-endpoint-nodeports', key, dead)
  }

  const affinitySeconds = spec.sessionAffinity === 'ClientIP' ? spec.sessionAffinityConfig?.clientIP?.timeoutSeconds ?? 10800 : undefined
  const chainOf = (e: EndpointView) => `endpoint-${base}__${e.address}/${e.port}`
  // The timeout is part of the name: a set cannot change it.
  const setOf = (e: EndpointView) => `affinity-${base}-${affinitySeconds ?? 0}s__${e.address}/${e.port}`
  const balance = (endpoints: readonly EndpointView[]): string[] => {
    const [only] = endpoints
    if (only === undefined) return []
    // Affinity to the only one there is would say nothing now, but must be remembered for when there are more.
    if (endpoints.length === 1) return [`goto ${chainOf(only)}`]
    return [
      ...(affinitySeconds === undefined ? [] : endpoints.map((e) => `ip saddr @${setOf(e)} goto ${chainOf(e)}`)),
      `numgen random mod ${endpoints.length} vmap { ${endpoints.map((e, i) => `${i} : goto ${chainOf(e)}`).join(', ')} }`,
    ]
  }
  const fromElsewhere = `ip daddr ${clusterIp} ${proto} dport ${port.port} ip saddr != ${context.clusterCidr} jump mark-for-masquerade`
  if (choice.cluster.length > 0) fragment.chains.set(names.cluster, [...(internalLocal ? [] : [fromElsewhere]), ...balance(choice.cluster)])
  if (choice.local.length > 0) fragment.chains.set(names.local, [...(internalLocal ? [fromElsewhere] : []), ...balance(choice.local)])
  if (hasExternalChain) {
    fragment.chains.set(names.external, externalLocal
      ? [
          // Pods and this node itself are no outside: they may use any endpoint.
          ...(choice.cluster.length > 0 ? [`ip saddr ${context.clusterCidr} goto ${names.cluster}`, 'fib saddr type local jump mark-for-masquerade', `fib saddr type local goto ${names.cluster}`] : []),
          ...(external.length > 0 ? [`goto ${names.local}`] : []),
        ]
      : ['jump mark-for-masquerade', `goto ${names.cluster}`])
  }
  if (sourceRanges(service).length > 0 && outside.some((a) => a.isLoadBalancer)) {
    fragment.chains.set(names.firewall, [`ip saddr != { ${sourceRanges(service).join(', ')} } drop`])
  }
  for (const e of new Set([...choice.cluster, ...choice.local])) {
    fragment.chains.set(chainOf(e), [
      // A pod that reaches itself through its Service must see an answer from the Service.
      `ip saddr ${e.address} jump mark-for-masquerade`,
      ...(affinitySeconds === undefined ? [] : [`update @${setOf(e)} { ip saddr }`]),
      `meta l4proto ${proto} dnat to ${e.address}:${e.port}`,
    ])
    if (affinitySeconds !== undefined) fragment.sets.set(setOf(e), { key: ['ipv4_addr'], timeoutSeconds: affinitySeconds, elements: new Map() })
    if (protocol === 'UDP') fragment.udp.backends.push(`${e.address} ${e.port}`)
  }
  if (protocol === 'UDP') {
    fragment.udp.fronts.push(`${clusterIp} ${port.port}`, ...outside.map((a) => `${a.ip} ${port.port}`), ...(nodePort === undefined ? [] : [`* ${nodePort}`]))
  }
}

/** External IPs and the load balancer's, those of mode Proxy left out (KEP-1860: such traffic must go through the balancer). */
function outsideAddresses(service: Service): { ip: string; isLoadBalancer: boolean }[] {
  const found = new Map<string, { ip: string; isLoadBalancer: boolean }>()
  for (const ip of service.spec?.externalIPs ?? []) found.set(ip, { ip, isLoadBalancer: false })
  if (service.spec?.type === 'LoadBalancer') {
    for (const { ip, ipMode } of service.status?.loadBalancer?.ingress ?? []) {
      if (ip !== undefined && ipMode !== 'Proxy') found.set(ip, { ip, isLoadBalancer: true })
    }
  }
  return [...found.values()].filter(({ ip }) => maybeIpv4(ip) !== undefined)
}

function sourceRanges(service: Service): string[] {
  if (service.spec?.type !== 'LoadBalancer') return []
  const ranges = (service.spec.loadBalancerSourceRanges ?? []).map((r) => r.trim()).filter((r) => maybePrefix(r))
  return ranges.some((r) => r.endsWith('/0')) ? [] : ranges
}

/** Unique and readable: `ULMVA6XW-ns/name/tcp/p80`. Names are DNS labels, so nothing here needs quoting; the length stays far below nft's 255. */
function baseName(service: Service, port: { protocol: string; name: string }): string {
  const { namespace = '', name = '' } = service.metadata ?? {}
  const full = `${namespace}/${name}/${port.protocol.toLowerCase()}/${port.name}`
  return `${createHash('sha256').update(full).digest('hex').slice(0, 8)}-${full.replaceAll(/[^a-z0-9/-]/g, '').slice(0, 150)}`
}

function isPort(value: number | undefined): value is number {
  return value !== undefined && Number.isInteger(value) && value > 0 && value < 65536
}
