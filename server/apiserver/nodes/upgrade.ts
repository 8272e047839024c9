/**
 * exec, attach, port-forward and proxied WebSockets: the client's HTTP/1.1 upgrade request is authorized here, sent on
 * to the node as it is (without what proves who the client is), and then bytes are piped both ways until both sides
 * are done. The node's answer, 101 or a refusal, is passed back verbatim.
 */
import type { Duplex } from 'node:stream'
import type { Pod } from '#api/types/index.ts'
import { badRequest, noSuchResource } from '../http/status.ts'
import { authorizeResource } from '../middleware/authorize.ts'
import type { Call } from '../verbs/call.ts'
import { readHeld, type Full } from '../verbs/stored.ts'
import { admitAttach, admitExec, admitPortForward, admitProxy, type StreamOptions } from './connect-options.ts'
import type { KubeletClient } from './kubelet-client.ts'
import { containerOf } from './pod-container.ts'
import { proxyTarget } from './proxy-target.ts'
import { relayHeaders } from './relay.ts'

/** The subresources that may be upgraded. */
export const UPGRADES: ReadonlySet<string> = new Set(['exec', 'attach', 'portforward', 'proxy'])

const STREAMS = [['stdin', 'input'], ['stdout', 'output'], ['stderr', 'error'], ['tty', 'tty']] as const
const KEPT_HEADERS: ReadonlySet<string> = new Set(['connection', 'upgrade'])
/** A browser's token, as a sub-protocol; it is not told back. */
export const WEBSOCKET_BEARER = 'base64url.bearer.authorization.k8s.io.'

interface Destination { node: string; authority?: string; tls?: boolean; path: string }

/** Throws a refusal as long as nothing was sent to the client; afterwards the streams speak for themselves. */
export async function upgradeCall(call: Call, client: Duplex, head: Buffer, kubelet: KubeletClient): Promise<void> {
  const { node, authority, tls, path } = await destinationOf(call)
  const upstream = await kubelet.connect(node, authority, tls)
  if (client.destroyed) {
    upstream.destroy()
    return
  }
  upstream.write(requestHead(call, path, authority ?? node))
  if (head.length > 0) upstream.write(head)
  join(client, upstream)
}

/** Of a request that takes no connection over: whatever else is wrong with it is told first. */
export async function refuseUnlessUpgraded(call: Call): Promise<never> {
  await destinationOf(call)
  throw badRequest('Upgrade request required')
}

async function destinationOf(call: Call): Promise<Destination> {
  const { info } = call
  if (info.subresource === 'proxy') {
    const options = await admitProxy(call)
    const target = await proxyTarget(call)
    return { node: target.node, ...(target.authority !== undefined && { authority: target.authority }), tls: target.tls, path: `${options.path || '/'}${call.rawQuery}` }
  }
  if (call.row.ref.resource !== 'pods' || !UPGRADES.has(info.subresource)) throw noSuchResource()
  const pathFor = await admittedPath(call)
  const pod = (await readHeld(call)).object as Full & Pod
  const pathIn = pathFor(pod)
  const node = pod.spec?.nodeName
  if (!node) throw badRequest(`pod ${info.name} does not have a host assigned`)
  return { node, path: pathIn() }
}

/** Upstream's kubelet paths and parameter names, once admission has let the connection through. What is wrong with the container is told before its pod is looked for a host, all else after. */
async function admittedPath(call: Call): Promise<(pod: Full & Pod) => () => string> {
  const { info } = call
  // WebSockets begin with a GET: who may only look may not do.
  if (call.verb !== 'create') await authorizeResource(call.parts.authorizer, call.user, 'create', info)
  if (info.subresource === 'portforward') {
    const { ports = [] } = await admitPortForward(call)
    return () => () => withQuery(`/portForward/${info.namespace}/${info.name}`, new URLSearchParams(ports.map((port) => ['port', String(port)])))
  }
  const what = info.subresource === 'exec' ? 'exec' : 'attach'
  const options = what === 'exec' ? await admitExec(call) : await admitAttach(call)
  return (pod) => {
    const container = containerOf(pod, options.container ?? '', what)
    return () => withQuery(`/${what}/${info.namespace}/${info.name}/${container}`, streamQuery(options, what))
  }
}

function streamQuery(options: StreamOptions, what: 'exec' | 'attach'): URLSearchParams {
  const out = new URLSearchParams()
  for (const [name, kubeletName] of STREAMS) if (options[name] === true) out.set(kubeletName, '1')
  if (!out.has('input') && !out.has('output') && !out.has('error')) throw badRequest('you must specify at least 1 of stdin, stdout, stderr')
  if (what === 'attach') return out
  const { command = [] } = options
  if (command.length === 0) throw badRequest('you must specify at least 1 command for the container')
  for (const part of command) out.append('command', part)
  return out
}

const withQuery = (path: string, query: URLSearchParams): string => (query.size > 0 ? `${path}?${query.toString()}` : path)

function requestHead(call: Call, path: string, host: string): string {
  const headers = relayHeaders(call.headers, KEPT_HEADERS)
  const protocols = headers['sec-websocket-protocol']
  // A browser's token travels as a sub-protocol; it stops here.
  if (protocols !== undefined) headers['sec-websocket-protocol'] = protocols.split(',').map((p) => p.trim()).filter((p) => !p.startsWith(WEBSOCKET_BEARER)).join(', ')
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value.replace(/[\r\n]/g, ' ')}\r\n`)
  return `${call.method} ${path} HTTP/1.1\r\nhost: ${host}\r\n${lines.join('')}\r\n`
}

/** Pipes both ways: an end on one side is passed on as an end, an abrupt close tears both down. */
export function join(a: Duplex, b: Duplex): void {
  for (const [from, to] of [[a, b], [b, a]] as const) {
    from.pipe(to)
    from.on('error', () => to.destroy())
    from.on('close', () => { if (!from.readableEnded) to.destroy() })
  }
}

/** The bearer token a browser sends as a WebSocket sub-protocol. */
export function webSocketBearer(headers: Readonly<Record<string, string>>): string | undefined {
  const found = (headers['sec-websocket-protocol'] ?? '').split(',').map((p) => p.trim()).find((p) => p.startsWith(WEBSOCKET_BEARER))
  return found === undefined ? undefined : Buffer.from(found.slice(WEBSOCKET_BEARER.length), 'base64url').toString()
}
