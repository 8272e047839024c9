/** Whom `/proxy` of a pod, a service or a node speaks to. */
import type { EndpointSlice, Pod, Service } from '#api/types/index.ts'
import { badRequest, notFound, unavailable } from '../http/status.ts'
import { cacheOf, namesOf, type Call } from '../verbs/call.ts'
import { decodeHeld, readKey, type Full } from '../verbs/stored.ts'
import { parseEntry } from '../watch/encoder.ts'

export interface ProxyTarget {
  node: string
  /** `address:port`; undefined: the kubelet itself. */
  authority: string | undefined
  tls: boolean
}

export async function proxyTarget(call: Call): Promise<ProxyTarget> {
  switch (call.row.ref.resource) {
    case 'nodes': return { node: await existing(call, parseTarget(call).name, (o) => o.metadata.name ?? ''), authority: undefined, tls: false }
    case 'pods': return podTarget(call)
    default: return serviceTarget(call)
  }
}

/** `[scheme:]name[:port]`. */
function parseTarget({ row, info: { name: text } }: Call): { scheme: string; name: string; port: string } {
  const refusal = (): Error => badRequest(`invalid ${row.ref.kind.toLowerCase()} request ${JSON.stringify(text)}`)
  const parts = text.split(':')
  const [first = '', second = '', third = ''] = parts
  if (parts.length === 3) {
    if (first !== '' && first !== 'http' && first !== 'https') throw refusal()
    return { scheme: first, name: second, port: third }
  }
  if (parts.length > 3) throw refusal()
  return { scheme: '', name: first, port: second }
}

async function existing<R>(call: Call, name: string, read: (object: Full) => R): Promise<R> {
  const kv = await readKey(call.parts, call.row, call.info.namespace, name)
  if (!kv) throw notFound(call.row.ref, name)
  return read(decodeHeld(call.row, kv))
}

async function podTarget(call: Call): Promise<ProxyTarget> {
  const { scheme, name, port } = parseTarget(call)
  const pod = (await existing(call, name, (o) => o)) as Full & Pod
  const ip = pod.status?.podIP
  if (!ip || !pod.spec?.nodeName) throw badRequest('address not allowed')
  const ports = pod.spec.containers.flatMap((c) => c.ports ?? [])
  const number = port === '' ? (ports[0]?.containerPort ?? 80) : (ports.find((p) => p.name === port)?.containerPort ?? Number(port))
  if (!Number.isInteger(number) || number < 1 || number > 65535) throw badRequest(`invalid port ${JSON.stringify(port)}`)
  return { node: pod.spec.nodeName, authority: authorityOf(ip, number), tls: scheme === 'https' }
}

async function serviceTarget(call: Call): Promise<ProxyTarget> {
  const { scheme, name, port } = parseTarget(call)
  const service = (await existing(call, name, (o) => o)) as Full & Service
  const ports = service.spec?.ports ?? []
  const wanted = port === '' ? (ports.length === 1 ? ports[0] : undefined) : ports.find((p) => p.name === port || String(p.port) === port)
  if (!wanted) throw unavailable(port === '' ? `no service port specified for service ${JSON.stringify(name)}` : `no service port ${JSON.stringify(port)} found for service ${JSON.stringify(name)}`)
  const ready = (await slicesOf(call, name)).flatMap((slice) => (slice.endpoints ?? [])
    .filter((e) => e.conditions?.ready !== false && e.nodeName)
    .flatMap((e) => (slice.ports ?? []).filter((p) => (p.name ?? '') === (wanted.name ?? '') && p.port !== undefined).map((p) => ({ node: e.nodeName ?? '', ip: e.addresses[0] ?? '', port: p.port ?? 0 }))))
  const chosen = ready[Math.floor(call.parts.random.next() * ready.length)]
  if (!chosen) throw unavailable(`no endpoints available for service ${JSON.stringify(name)}`)
  return { node: chosen.node, authority: authorityOf(chosen.ip, chosen.port), tls: scheme === 'https' }
}

async function slicesOf(call: Call, service: string): Promise<EndpointSlice[]> {
  const row = call.parts.rows.find('discovery.k8s.io', 'v1', 'endpointslices')
  if (!row) return []
  const cache = await cacheOf(call.parts, row)
  return cache.list(call.info.namespace).filter((e) => e.labels?.['kubernetes.io/service-name'] === service).map((e) => parseEntry(e, namesOf(row)) as EndpointSlice)
}

const authorityOf = (ip: string, port: number): string => (ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`)
