/** `/proxy` of pods, services and nodes: the request goes on to what is behind, the answer comes back, its links leading here. */
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { ApiResponse } from '#api/client/transport.ts'
import type { Call } from '../verbs/call.ts'
import { admitProxy } from './connect-options.ts'
import type { KubeletClient } from './kubelet-client.ts'
import { proxyTarget } from './proxy-target.ts'
import { relayHeaders, relayResponse } from './relay.ts'
import type { ProxyPlace } from './rewrite-links.ts'

export async function proxy(call: Call, kubelet: KubeletClient): Promise<ApiResponse> {
  const options = await admitProxy(call)
  const target = await proxyTarget(call)
  const prefix = prefixOf(call)
  // Relative links of a page at /proxy would lead beside it: upstream sends browsers to /proxy/.
  if (!options.path && (call.method === 'GET' || call.method === 'HEAD')) return { status: 301, headers: { location: `${prefix}/${call.rawQuery}` }, body: Buffer.alloc(0) }
  const host = call.headers['host'] ?? call.headers[':authority'] ?? ''
  const path = options.path || '/'
  const answer = await kubelet.request({
    node: target.node, ...(target.authority !== undefined && { authority: target.authority }), tls: target.tls,
    method: call.method, path: `${path}${call.rawQuery}`, headers: { ...relayHeaders(call.headers), 'x-forwarded-uri': `${prefix}${path}` }, body: call.body, signal: call.signal,
    ...(host !== '' && { host }),
  })
  const place = { prefix, behind: target.authority ?? target.node, host }
  const { location } = answer.headers
  // Whom the pod lets share is not for it to say: the answer is this server's.
  for (const name of Object.keys(answer.headers)) if (name.startsWith('access-control-')) delete answer.headers[name]
  if (location !== undefined) answer.headers.location = (await import('./rewrite-links.ts')).rewriteUrl(location, place)
  return relayResponse(answer, call.signal, location === undefined && call.method !== 'HEAD' ? await rewriting(answer, place) : [])
}

/** Without the slash at its end. */
function prefixOf({ info, row }: Call): string {
  return `/api/v1/${info.namespace === '' ? '' : `namespaces/${info.namespace}/`}${row.ref.resource}/${info.name}/proxy`
}

/** Nothing for what is not HTML, or packed in a way that upstream does not unpack either. */
async function rewriting(answer: IncomingMessage, place: ProxyPlace): Promise<Duplex[]> {
  const encoding = answer.headers['content-encoding'] ?? ''
  if (answer.headers['content-type']?.split(';', 1)[0]?.trim() !== 'text/html' || !['', 'gzip', 'deflate'].includes(encoding)) return []
  delete answer.headers['content-length']
  const rewriter = new (await import('./rewrite-links.ts')).LinkRewriter(place)
  if (encoding === '') return [rewriter]
  const { createDeflateRaw, createGunzip, createGzip, createInflateRaw } = await import('node:zlib')
  return encoding === 'gzip' ? [createGunzip(), rewriter, createGzip()] : [createInflateRaw(), rewriter, createDeflateRaw()]
}
