/**
 * The metrics API as metrics-server makes it, as a program: `metrics-extension.ts API ADDRESS PORT DIRECTORY` lists nodes, scrapes
 * `/metrics/resource` of each on its InternalIP and kubelet port, keeps the last two readings and serves metrics.k8s.io/v1beta1. With
 * nothing but its service account's token: DIRECTORY holds token, ca.crt, kubelet-ca.crt (which nodes' certificates must be
 * signed by), tls.crt and tls.key. It believes the front proxy alone, and asks the API server whether that user may.
 */
import { readFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer, request } from 'node:https'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'

interface Node { metadata: { name: string; labels?: Record<string, string> }; status: { addresses: { type: string; address: string }[]; daemonEndpoints: { kubeletEndpoint: { Port: number } } } }
interface Pod { metadata: { name: string; namespace: string; labels?: Record<string, string> } }
interface Reading { atMs: number; cpuSeconds: number; memoryBytes: number; startedSeconds?: number }
/** By `node`, or `namespace/pod/container`. */
type Scrape = Map<string, Reading>

const [api = '', address = '', port = '', directory = ''] = process.argv.slice(2)
const file = (name: string) => readFileSync(join(directory, name), 'utf8').trim()
const GROUP_VERSION = 'metrics.k8s.io/v1beta1'
const EVERY_MS = 2_000
const scrapes: { nodes: [Scrape, Scrape]; containers: [Scrape, Scrape] } = { nodes: [new Map(), new Map()], containers: [new Map(), new Map()] }

function fetchText(url: string, ca: string, how: { method?: string; body?: object } = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    const body = how.body && JSON.stringify(how.body)
    const asked = request(url, { method: how.method ?? 'GET', ca, headers: { authorization: `Bearer ${file('token')}`, ...(body !== undefined && { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }) } }, (answer) => {
      const chunks: Buffer[] = []
      answer.on('data', (chunk: Buffer) => chunks.push(chunk))
      answer.on('end', () => {
        const text = Buffer.concat(chunks).toString()
        if ((answer.statusCode ?? 0) < 300) resolve(text)
        else reject(new Error(`${url}: ${answer.statusCode ?? 0} ${text}`))
      })
    })
    asked.on('error', reject)
    asked.end(body)
  })
}
const ask = async <T>(path: string, how?: { method: string; body: object }): Promise<T> => JSON.parse(await fetchText(`${api}${path}`, file('ca.crt'), how)) as T

/** Prometheus' text format, strictly: a line that is none ends the scrape. */
function* parse(text: string): Generator<{ name: string; labels: Record<string, string>; value: number; atMs: number | undefined }> {
  for (const line of text.split('\n')) {
    if (line === '' || /^# (HELP|TYPE) /.test(line)) continue
    const [, name = '', labels = '', value, atMs] = /^([a-z_]+)(?:\{((?:[a-z_]+="(?:[^"\\]|\\.)*",?)*)\})? (\S+)(?: (\d+))?$/.exec(line) ?? []
    if (name === '') throw new Error(`no line of the text format: ${line}`)
    yield { name, labels: Object.fromEntries([...labels.matchAll(/([a-z_]+)="((?:[^"\\]|\\.)*)"/g)].map(([, key, text]) => [key, text])) as Record<string, string>, value: Number(value), atMs: atMs === undefined ? undefined : Number(atMs) }
  }
}

async function scrape({ metadata, status }: Node, nodes: Scrape, containers: Scrape): Promise<void> {
  const ip = status.addresses.find((a) => a.type === 'InternalIP')?.address ?? ''
  const text = await fetchText(`https://${ip}:${status.daemonEndpoints.kubeletEndpoint.Port}/metrics/resource`, file('kubelet-ca.crt'))
  const of = (all: Scrape, key: string): Reading => {
    const reading = all.get(key) ?? { atMs: Date.now(), cpuSeconds: 0, memoryBytes: 0 }
    all.set(key, reading)
    return reading
  }
  for (const { name, labels, value, atMs } of parse(text)) {
    const isNode = name.startsWith('node_')
    if (!isNode && !name.startsWith('container_')) continue
    const reading = isNode ? of(nodes, metadata.name) : of(containers, `${labels['namespace'] ?? ''}/${labels['pod'] ?? ''}/${labels['container'] ?? ''}`)
    if (name.endsWith('_cpu_usage_seconds_total')) Object.assign(reading, { cpuSeconds: value, ...(atMs !== undefined && { atMs }) })
    if (name.endsWith('_memory_working_set_bytes')) reading.memoryBytes = value
    if (name === 'container_start_time_seconds') reading.startedSeconds = value
  }
}

async function round(): Promise<void> {
  const { items } = await ask<{ items: Node[] }>('/api/v1/nodes')
  const [nodes, containers]: [Scrape, Scrape] = [new Map(), new Map()]
  for (const node of items) await scrape(node, nodes, containers).catch((error: unknown) => console.log(`scraping ${node.metadata.name}: ${String(error)}`))
  scrapes.nodes = [scrapes.nodes[1], nodes]
  scrapes.containers = [scrapes.containers[1], containers]
  console.log(`scraped ${nodes.size} nodes, ${containers.size} containers`)
}

/** As metrics-server: cores between the two readings, unless the container began in between or one is incomplete. */
function usage([before, after]: [Scrape, Scrape], key: string): { usage: { cpu: string; memory: string }; timestamp: string; window: string } | undefined {
  const [a, b] = [before.get(key), after.get(key)]
  if (!a || !b || b.atMs <= a.atMs || b.cpuSeconds < a.cpuSeconds || b.cpuSeconds === 0 || b.memoryBytes === 0) return undefined
  const seconds = (b.atMs - a.atMs) / 1000
  return { usage: { cpu: `${Math.ceil(((b.cpuSeconds - a.cpuSeconds) / seconds) * 1e9)}n`, memory: `${Math.ceil(b.memoryBytes / 1024)}Ki` }, timestamp: new Date(b.atMs).toISOString().replace(/\.\d+Z$/, 'Z'), window: `${seconds.toFixed(3)}s` }
}

async function serve(req: IncomingMessage, res: ServerResponse): Promise<void> {
  const url = new URL(req.url ?? '/', 'https://x')
  const user = await userOf(req)
  console.log(`${req.method} ${url.pathname}${url.search} ${user?.name ?? '(nobody)'}`)
  if (!user) return say(res, 401, { kind: 'Status', apiVersion: 'v1', status: 'Failure', reason: 'Unauthorized', code: 401, message: 'Unauthorized' })
  if (url.pathname === '/healthz' || url.pathname === '/readyz') return say(res, 200, 'ok')
  if (url.pathname === `/apis/${GROUP_VERSION}`) {
    const kind = (name: string, of: string, namespaced: boolean) => ({ name, singularName: '', namespaced, kind: of, verbs: ['get', 'list'] })
    return say(res, 200, { kind: 'APIResourceList', apiVersion: 'v1', groupVersion: GROUP_VERSION, resources: [kind('nodes', 'NodeMetrics', false), kind('pods', 'PodMetrics', true)] })
  }
  const [, namespace, resource, name] = new RegExp(`^/apis/${GROUP_VERSION}(?:/namespaces/([^/]+))?/(nodes|pods)(?:/([^/]+))?$`).exec(url.pathname) ?? []
  if (resource === undefined) return say(res, 404, { kind: 'Status', apiVersion: 'v1', status: 'Failure', reason: 'NotFound', code: 404, message: 'the server could not find the requested resource' })
  const review = await ask<{ status: { allowed: boolean } }>('/apis/authorization.k8s.io/v1/subjectaccessreviews', { method: 'POST', body: {
    apiVersion: 'authorization.k8s.io/v1', kind: 'SubjectAccessReview', spec: { user: user.name, groups: user.groups, resourceAttributes: { group: 'metrics.k8s.io', version: 'v1beta1', resource, verb: name === undefined ? 'list' : 'get', ...(namespace !== undefined && { namespace }), ...(name !== undefined && { name }) } },
  } })
  if (!review.status.allowed) return say(res, 403, { kind: 'Status', apiVersion: 'v1', status: 'Failure', reason: 'Forbidden', code: 403, message: `${resource}.metrics.k8s.io is forbidden: User ${JSON.stringify(user.name)} cannot ${name === undefined ? 'list' : 'get'} resource ${JSON.stringify(resource)} in API group "metrics.k8s.io"` })
  const selector = url.searchParams.get('labelSelector')
  const query = selector === null ? '' : `?labelSelector=${encodeURIComponent(selector)}`
  const items = resource === 'nodes' ? await nodeMetrics(query) : await podMetrics(namespace, query)
  if (name === undefined) return say(res, 200, { kind: resource === 'nodes' ? 'NodeMetricsList' : 'PodMetricsList', apiVersion: GROUP_VERSION, metadata: {}, items })
  const found = items.find((item) => item.metadata.name === name)
  say(res, found ? 200 : 404, found ?? { kind: 'Status', apiVersion: 'v1', status: 'Failure', reason: 'NotFound', code: 404, message: `${resource}.metrics.k8s.io ${JSON.stringify(name)} not found` })
}

async function nodeMetrics(query: string) {
  const { items } = await ask<{ items: Node[] }>(`/api/v1/nodes${query}`)
  return items.flatMap(({ metadata: { name, labels } }) => {
    const used = usage(scrapes.nodes, name)
    return used ? [{ kind: 'NodeMetrics', apiVersion: GROUP_VERSION, metadata: { name, labels, creationTimestamp: used.timestamp }, ...used }] : []
  })
}

async function podMetrics(namespace: string | undefined, query: string) {
  const { items } = await ask<{ items: Pod[] }>(`/api/v1/${namespace === undefined ? '' : `namespaces/${namespace}/`}pods${query}`)
  return items.flatMap(({ metadata }) => {
    const prefix = `${metadata.namespace}/${metadata.name}/`
    const containers = [...scrapes.containers[1].keys()].filter((key) => key.startsWith(prefix)).map((key) => ({ name: key.slice(prefix.length), used: usage(scrapes.containers, key) }))
    const [first] = containers
    // metrics-server tells of a pod when it knows all of it.
    if (!first?.used || containers.some((c) => !c.used)) return []
    const { timestamp, window } = first.used
    return [{ kind: 'PodMetrics', apiVersion: GROUP_VERSION, metadata: { name: metadata.name, namespace: metadata.namespace, labels: metadata.labels, creationTimestamp: timestamp }, timestamp, window, containers: containers.map((c) => ({ name: c.name, usage: c.used?.usage })) }]
  })
}

/** As the ConfigMap tells: a certificate of that authority, one of those names, then these headers. */
async function userOf(req: IncomingMessage): Promise<{ name: string; groups: string[] } | undefined> {
  const { data } = await believed
  const socket = req.socket as TLSSocket
  const allowed = JSON.parse(data['requestheader-allowed-names'] ?? '[]') as string[]
  const header = (which: string) => (JSON.parse(data[which] ?? '[]') as string[]).map((name) => req.headers[name.toLowerCase()]).find((value) => value !== undefined)
  const name = header('requestheader-username-headers')
  if (!socket.authorized || typeof name !== 'string' || (allowed.length > 0 && !allowed.includes(socket.getPeerCertificate().subject.CN as string))) return undefined
  return { name, groups: String(header('requestheader-group-headers') ?? '').split(', ') }
}

function say(res: ServerResponse, status: number, value: unknown): void {
  res.writeHead(status, { 'content-type': typeof value === 'string' ? 'text/plain' : 'application/json' })
  res.end(typeof value === 'string' ? value : JSON.stringify(value))
}

const believed = ask<{ data: Record<string, string> }>('/api/v1/namespaces/kube-system/configmaps/extension-apiserver-authentication')
const server = createServer({ cert: file('tls.crt'), key: file('tls.key'), ca: (await believed).data['requestheader-client-ca-file'], requestCert: true, rejectUnauthorized: false }, (req, res) => {
  serve(req, res).catch((error: unknown) => { console.log(String(error)); say(res, 500, String(error)) })
})
server.listen(Number(port), address, () => console.log('serving'))
for (;;) {
  await round().catch((error: unknown) => console.log(String(error)))
  await new Promise((resolve) => setTimeout(resolve, EVERY_MS))
}
