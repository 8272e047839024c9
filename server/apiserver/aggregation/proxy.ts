/** Requests for a group version that another server serves: authorized here, answered there. */
import type { Duplex } from 'node:stream'
import type { ApiRequest, ApiResponse } from '#api/client/transport.ts'
import type { UserInfo } from '#api/types/index.ts'
import { asError } from '#base/errors.ts'
import { relayHeaders, relayResponse } from '../nodes/relay.ts'
import { join } from '../nodes/upgrade.ts'
import type { Backend } from './api-services.ts'
import { hostOf, remoteHeaders, type BackendClient } from './backend-client.ts'

const KEPT_HEADERS: ReadonlySet<string> = new Set(['connection', 'upgrade'])

/** Upstream answers in plain text here. */
const plain = (status: number, text: string): ApiResponse => ({ status, headers: { 'content-type': 'text/plain; charset=utf-8', 'x-content-type-options': 'nosniff' }, body: Buffer.from(`${text}\n`) })
const UNAVAILABLE = 'service unavailable'
const unreachable = (error: unknown): string => `error trying to reach service: ${asError(error).message}`

export async function proxyRequest(client: BackendClient, backend: Backend, request: ApiRequest, user: UserInfo): Promise<ApiResponse> {
  if (!backend.isAvailable) return plain(503, UNAVAILABLE)
  const length = request.stream && request.headers['content-length']
  const headers = { ...client.passedOn(relayHeaders(request.headers)), ...(length !== undefined && { 'content-length': length }) }
  try {
    const answer = await client.request(backend, { method: request.method, path: request.path, headers, body: request.stream ?? request.body, user, signal: request.signal })
    return relayResponse(answer, request.signal)
  } catch (error) {
    return plain(503, unreachable(error))
  }
}

/** Takes the client's socket over once the other server is reached; rejects before that. */
export async function proxyUpgrade(client: BackendClient, backend: Backend, request: ApiRequest, user: UserInfo, socket: Duplex, head: Buffer): Promise<void> {
  if (!backend.isAvailable) return refuse(socket, UNAVAILABLE)
  let upstream: Duplex
  try {
    upstream = await client.connect(backend, request.signal)
  } catch (error) {
    return refuse(socket, unreachable(error))
  }
  if (socket.destroyed) {
    upstream.destroy()
    return
  }
  upstream.write(requestHead(client, backend, request, user))
  if (head.length > 0) upstream.write(head)
  join(socket, upstream)
}

function requestHead(client: BackendClient, backend: Backend, request: ApiRequest, user: UserInfo): string {
  const headers = { ...client.passedOn(relayHeaders(request.headers, KEPT_HEADERS)), ...remoteHeaders(user) }
  const lines = Object.entries(headers).flatMap(([name, value]) => (Array.isArray(value) ? value : [value]).map((one) => `${name}: ${one.replace(/[\r\n]/g, ' ')}\r\n`))
  return `${request.method} ${request.path} HTTP/1.1\r\nhost: ${hostOf(backend)}:${backend.service.port}\r\n${lines.join('')}\r\n`
}

function refuse(socket: Duplex, text: string): void {
  socket.end(`HTTP/1.1 503 Service Unavailable\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: ${Buffer.byteLength(text) + 1}\r\nconnection: close\r\n\r\n${text}\n`)
}
