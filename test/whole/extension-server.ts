/**
 * What people put beside a cluster, as a program: `extension-server.ts ADDRESS PORT DIRECTORY` serves an extension API (flunders
 * of wardle.example.com/v1alpha1, kept in memory), two admission webhooks, a token and an authorization webhook. DIRECTORY holds tls.crt, tls.key and
 * front-proxy-ca.crt; as real ones do, it believes X-Remote headers only of who shows a certificate of that CA.
 */
import { readFileSync } from 'node:fs'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'

interface Flunder { apiVersion: string; kind: string; metadata: { name: string; namespace: string; uid: string; resourceVersion: string; creationTimestamp: string }; spec?: Record<string, unknown> }
interface Review { apiVersion: string; request: { uid: string; object: { data?: Record<string, string> } | null; operation: string } }

interface TokenReview { apiVersion: string; spec: { token: string } }
interface AccessReview { apiVersion: string; spec: { user: string; resourceAttributes?: { verb: string; resource: string } } }

const [address = '', port = '', directory = ''] = process.argv.slice(2)
const file = (name: string) => readFileSync(join(directory, name))
const GROUP_VERSION = 'wardle.example.com/v1alpha1'
const flunders = new Map<string, Flunder>()
const watchers = new Set<ServerResponse>()
let revision = 1

const server = createServer({ cert: file('tls.crt'), key: file('tls.key'), ca: file('front-proxy-ca.crt'), requestCert: true, rejectUnauthorized: false }, (req, res) => {
  const chunks: Buffer[] = []
  req.on('data', (chunk: Buffer) => chunks.push(chunk))
  req.on('end', () => {
    const body = Buffer.concat(chunks).toString()
    const url = new URL(req.url ?? '/', 'https://x')
    if (url.pathname === '/webhook/token') return answerToken(JSON.parse(body) as TokenReview, res)
    if (url.pathname === '/webhook/access') return answerAccess(JSON.parse(body) as AccessReview, res)
    if (url.pathname.startsWith('/webhook/')) return review(url.pathname, JSON.parse(body) as Review, res)
    const user = userOf(req)
    console.log(`${req.method} ${req.url} ${user ?? '(nobody)'}`)
    if (user === undefined) return say(res, 401, { kind: 'Status', apiVersion: 'v1', status: 'Failure', reason: 'Unauthorized', code: 401, message: 'not the front proxy' })
    serve(req, url, body, user, res)
  })
})
server.listen(Number(port), address, () => console.log('serving'))

function userOf(req: IncomingMessage): string | undefined {
  const socket = req.socket as TLSSocket
  const user = req.headers['x-remote-user']
  return socket.authorized && socket.getPeerCertificate().subject.CN === 'system:auth-proxy' && typeof user === 'string' ? user : undefined
}

function serve(req: IncomingMessage, url: URL, body: string, user: string, res: ServerResponse): void {
  if (url.pathname === `/apis/${GROUP_VERSION}`) {
    return say(res, 200, { kind: 'APIResourceList', apiVersion: 'v1', groupVersion: GROUP_VERSION, resources: [{ name: 'flunders', singularName: 'flunder', namespaced: true, kind: 'Flunder', verbs: ['create', 'delete', 'get', 'list', 'watch'], shortNames: ['fl'] }] })
  }
  const [, namespace = '', name] = new RegExp(`^/apis/${GROUP_VERSION}/namespaces/([^/]+)/flunders(?:/([^/]+))?$`).exec(url.pathname) ?? []
  if (namespace === '') return notFound(res, url.pathname)
  const key = `${namespace}/${name ?? ''}`
  const found = flunders.get(key)
  if (req.method === 'POST') return create(JSON.parse(body) as Flunder, namespace, user, res)
  if (url.searchParams.get('watch') === 'true' || url.searchParams.get('watch') === '1') {
    res.writeHead(200, { 'content-type': 'application/json' })
    res.flushHeaders()
    watchers.add(res)
    res.on('close', () => watchers.delete(res))
    return
  }
  if (name === undefined) return say(res, 200, { kind: 'FlunderList', apiVersion: GROUP_VERSION, metadata: { resourceVersion: String(revision) }, items: [...flunders.values()].filter((f) => f.metadata.namespace === namespace) })
  if (!found) return notFound(res, name)
  if (req.method === 'DELETE') {
    flunders.delete(key)
    tell('DELETED', found)
    return say(res, 200, { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success' })
  }
  say(res, 200, found)
}

function create(given: Flunder, namespace: string, user: string, res: ServerResponse): void {
  const made: Flunder = { apiVersion: GROUP_VERSION, kind: 'Flunder', metadata: { ...given.metadata, namespace, uid: `uid-${++revision}`, resourceVersion: String(revision), creationTimestamp: new Date().toISOString() }, spec: { ...given.spec, madeBy: user } }
  flunders.set(`${namespace}/${made.metadata.name}`, made)
  tell('ADDED', made)
  say(res, 201, made)
}

function tell(type: string, object: Flunder): void {
  for (const watcher of watchers) watcher.write(`${JSON.stringify({ type, object })}\n`)
}

/** `/webhook/mutate` gives a ConfigMap `seen: "true"`; `/webhook/deny` refuses those with `deny`, and every connection to a pod. */
function review(path: string, { apiVersion, request }: Review, res: ServerResponse): void {
  console.log(`${path} ${request.operation}`)
  const data = request.object?.data ?? {}
  const patch = path === '/webhook/mutate' ? { patchType: 'JSONPatch', patch: Buffer.from(JSON.stringify([{ op: 'add', path: '/data', value: { ...data, seen: 'true' } }])).toString('base64') } : {}
  const denied = path === '/webhook/deny' && (data['deny'] !== undefined || request.operation === 'CONNECT')
  say(res, 200, { kind: 'AdmissionReview', apiVersion, response: { uid: request.uid, allowed: !denied, ...(denied && { status: { code: 403, reason: 'Forbidden', message: 'this may not be' } }), ...patch } })
}

/** `magic` is ada's. */
function answerToken({ apiVersion, spec }: TokenReview, res: ServerResponse): void {
  console.log('/webhook/token')
  say(res, 200, { kind: 'TokenReview', apiVersion, status: spec.token === 'magic' ? { authenticated: true, user: { username: 'ada', groups: ['readers'] } } : { authenticated: false } })
}

/** ada may list ConfigMaps. */
function answerAccess({ apiVersion, spec }: AccessReview, res: ServerResponse): void {
  console.log('/webhook/access')
  say(res, 200, { kind: 'SubjectAccessReview', apiVersion, status: { allowed: spec.user === 'ada' && spec.resourceAttributes?.verb === 'list' && spec.resourceAttributes.resource === 'configmaps', reason: 'says the webhook' } })
}

function notFound(res: ServerResponse, what: string): void {
  say(res, 404, { kind: 'Status', apiVersion: 'v1', status: 'Failure', reason: 'NotFound', code: 404, message: `flunders.wardle.example.com ${JSON.stringify(what)} not found` })
}

function say(res: ServerResponse, status: number, value: unknown): void {
  res.writeHead(status, { 'content-type': 'application/json' })
  res.end(JSON.stringify(value))
}
