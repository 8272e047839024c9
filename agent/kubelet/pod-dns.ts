/** A pod's resolv.conf and names: dnsPolicy, dnsConfig, hostname, subdomain (upstream's pkg/kubelet/network/dns). Pure. */
import type { Pod } from '#api/types/index.ts'
import type { DnsConfig } from '#cri/index.ts'

/** Upstream's limits since 1.28. */
const NAMESERVERS_MAX = 3
const SEARCHES_MAX = 32
const SEARCH_CHARS_MAX = 2048
const SEARCH_PATH_CHARS_MAX = 253
const HOSTNAME_CHARS_MAX = 63

export interface DnsInput { pod: Pod; clusterDns: readonly string[]; clusterDomain: string; /** Content of the node's own file. */ resolvConf: string }

export function podDns(input: DnsInput): DnsConfig {
  return bounded(wholeDns(input))
}

/** What had to be left out, in upstream's words. */
export function dnsProblems(input: DnsInput): string[] {
  const whole = wholeDns(input)
  const { servers, searches } = bounded(whole)
  return [
    ...(servers.length < whole.servers.length ? [`Nameserver limits were exceeded, some nameservers have been omitted, the applied nameserver line is: ${servers.join(' ')}`] : []),
    ...(searches.length < whole.searches.length ? [`Search Line limits were exceeded, some search paths have been omitted, the applied search line is: ${searches.join(' ')}`] : []),
  ]
}

function wholeDns({ pod, clusterDns, clusterDomain, resolvConf }: DnsInput): DnsConfig {
  const host = parseResolvConf(resolvConf)
  const { dnsConfig } = pod.spec ?? {}
  let base: DnsConfig
  switch (effectivePolicy(pod, clusterDns)) {
    case 'None':
      base = { servers: [], searches: [], options: [] }
      break
    case 'ClusterFirst': {
      const namespace = pod.metadata?.namespace ?? ''
      const own = clusterDomain === '' ? [] : [`${namespace}.svc.${clusterDomain}`, `svc.${clusterDomain}`, clusterDomain]
      base = { servers: [...clusterDns], searches: [...own, ...host.searches], options: ['ndots:5'] }
      break
    }
    default:
      base = host
  }
  const options = mergeOptions(base.options, dnsConfig?.options ?? [])
  return {
    servers: unique([...base.servers, ...(dnsConfig?.nameservers ?? [])]),
    searches: unique([...base.searches, ...(dnsConfig?.searches ?? [])]),
    options,
  }
}

function effectivePolicy(pod: Pod, clusterDns: readonly string[]): 'None' | 'ClusterFirst' | 'Default' {
  const policy = pod.spec?.dnsPolicy ?? 'ClusterFirst'
  if (policy === 'None') return 'None'
  if (policy === 'ClusterFirstWithHostNet' || (policy === 'ClusterFirst' && !pod.spec?.hostNetwork)) return clusterDns.length > 0 ? 'ClusterFirst' : 'Default'
  return 'Default'
}

export function parseResolvConf(text: string): DnsConfig {
  const out: DnsConfig = { servers: [], searches: [], options: [] }
  for (const line of text.split('\n')) {
    const [word, ...rest] = line.replace(/[#;].*$/, '').trim().split(/\s+/)
    if (word === 'nameserver' && rest[0]) out.servers.push(rest[0])
    else if (word === 'search' || word === 'domain') out.searches = rest.map((s) => (s === '.' ? s : s.replace(/\.$/, '')))
    else if (word === 'options') out.options.push(...rest)
  }
  return { ...out, options: unique(out.options) }
}

function mergeOptions(base: readonly string[], own: readonly { name?: string; value?: string }[]): string[] {
  const merged = new Map(base.map((o) => [o.split(':')[0] ?? o, o]))
  for (const { name = '', value } of own) merged.set(name, value === undefined || value === '' ? name : `${name}:${value}`)
  return [...merged.values()]
}

function bounded({ servers, searches, options }: DnsConfig): DnsConfig {
  const kept: string[] = []
  let chars = 0
  // Some resolvers abort on longer ones.
  for (const s of searches.slice(0, SEARCHES_MAX).filter((search) => search.length <= SEARCH_PATH_CHARS_MAX)) {
    chars += s.length + 1
    if (chars - 1 > SEARCH_CHARS_MAX) break
    kept.push(s)
  }
  return { servers: servers.slice(0, NAMESERVERS_MAX), searches: kept, options }
}

const unique = (list: readonly string[]): string[] => [...new Set(list)]

export interface PodNames {
  hostname: string
  /** Its name in cluster DNS when it has a subdomain: `web-0.nginx.default.svc.cluster.local`; else ''. */
  fqdn: string
}

export function podNames(pod: Pod, clusterDomain: string): PodNames {
  const { hostname: given, subdomain, setHostnameAsFQDN, hostnameOverride } = pod.spec ?? {}
  if (hostnameOverride) return { hostname: hostnameOverride, fqdn: '' }
  const short = (given || (pod.metadata?.name ?? '')).slice(0, HOSTNAME_CHARS_MAX).replace(/[-.]+$/, '')
  const fqdn = subdomain ? `${short}.${subdomain}.${pod.metadata?.namespace ?? ''}.svc.${clusterDomain}` : ''
  return { hostname: setHostnameAsFQDN && fqdn !== '' ? fqdn : short, fqdn }
}
