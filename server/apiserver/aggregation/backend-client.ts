/** Requests to extension API servers: as the front proxy, saying for whom in X-Remote headers. */
import type { IncomingMessage } from 'node:http'
import type { Readable } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import type { UserInfo } from '#api/types/index.ts'
import type { Clock } from '#base/clock.ts'
import { asError } from '#base/errors.ts'
import { createHttpsPool, parseBoundedJson, type Dial, type HttpsTarget } from '../webhook-client/index.ts'
import type { Backend } from './api-services.ts'

export interface ClientCertificate { certPem: string; keyPem: string }

export interface BackendRequest {
  method: string
  /** With query. */
  path: string
  headers: Readonly<Record<string, string>>
  body?: Buffer | Readable | undefined
  user: UserInfo
  signal: AbortSignal
}

export interface BackendClient {
  /** Without what a client says of itself in the headers that are ours. */
  passedOn(headers: Readonly<Record<string, string>>): Record<string, string>
  /** Rejects in Go's words. */
  request(backend: Backend, request: BackendRequest): Promise<IncomingMessage>
  /** For upgrades. */
  connect(backend: Backend, signal: AbortSignal): Promise<TLSSocket>
  close(): void
}

/** Watches stay open, each on its own connection: no bound on those, a few idle ones are kept. */
const POOL = { connectionsMax: Infinity, idleMax: 8, idleMs: 60_000, targetsMax: 64 }

/** `identity`: the front-proxy certificate as it is now. */
export function createBackendClient(dial: Dial, clock: Clock, { identity, isIdentityHeader }: { identity: () => ClientCertificate | undefined; isIdentityHeader: (name: string) => boolean }): BackendClient {
  const pool = createHttpsPool(dial, clock, POOL)
  return {
    passedOn: (headers) => Object.fromEntries(Object.entries(headers).filter(([name]) => !isIdentityHeader(name))),
    request: (backend, { user, headers, ...request }) => pool.request(targetOf(backend, identity()), { ...request, headers: { ...headers, ...remoteHeaders(user) } }),
    connect: (backend, signal) => pool.connect(targetOf(backend, identity()), signal),
    close: () => pool.close(),
  }
}

export const hostOf = ({ service }: Backend): string => `${service.name}.${service.namespace}.svc`

function targetOf(backend: Backend, clientCertificate: ClientCertificate | undefined): HttpsTarget {
  const host = hostOf(backend)
  return {
    host, port: backend.service.port, route: { service: backend.service },
    tls: { serverName: host, ca: backend.ca, insecure: backend.insecure, clientCertificate },
  }
}

/** client-go `transport.SetAuthProxyHeaders`. */
export function remoteHeaders({ name, uid, groups, extra }: UserInfo): Record<string, string | string[]> {
  const extras = Object.entries(extra ?? {}).map(([key, values]) => [`X-Remote-Extra-${escapeKey(key)}`, [...values]] as const)
  return { 'X-Remote-User': name, ...(uid !== undefined && uid !== '' && { 'X-Remote-Uid': uid }), ...(groups.length > 0 && { 'X-Remote-Group': [...groups] }), ...Object.fromEntries(extras) }
}

/** Characters that no header name may have are percent-encoded, and so is `%`. */
function escapeKey(key: string): string {
  return Array.from(Buffer.from(key), (byte) => {
    const char = String.fromCharCode(byte)
    return /[A-Za-z0-9!#$&'*+.^_`|~-]/.test(char) ? char : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
  }).join('')
}

/** As upstream's aggregator asks for itself. */
const AGGREGATOR: UserInfo = { name: 'system:kube-aggregator', groups: ['system:masters'] }
const ASK_MS_MAX = 5_000
const ANSWER_BYTES_MAX = 4 * 1024 * 1024

export const urlOf = (backend: Backend, path: string): string => `https://${hostOf(backend)}:${backend.service.port}${path}`

/** A GET by the aggregator itself. The message says what is wrong, without the URL first. */
export async function askText(client: BackendClient, backend: Backend, path: string, clock: Clock, signal: AbortSignal): Promise<{ ok: true; text: string } | { ok: false; message: string }> {
  const url = urlOf(backend, path)
  const limit = new AbortController()
  const cancel = clock.after(ASK_MS_MAX, () => limit.abort())
  try {
    const answer = await client.request(backend, { method: 'GET', path, headers: { accept: 'application/json' }, user: AGGREGATOR, signal: AbortSignal.any([signal, limit.signal]) })
    const status = answer.statusCode ?? 0
    const text = await readText(answer)
    return status >= 200 && status < 300 ? { ok: true, text } : { ok: false, message: `bad status from ${url}: ${status}` }
  } catch (error) {
    const because = limit.signal.aborted ? 'context deadline exceeded (Client.Timeout exceeded while awaiting headers)' : asError(error).message
    return { ok: false, message: `Get ${JSON.stringify(url)}: ${because}` }
  } finally {
    cancel()
  }
}

export async function askJson(...args: Parameters<typeof askText>): Promise<{ ok: true; value: unknown } | { ok: false; message: string }> {
  const asked = await askText(...args)
  if (!asked.ok) return asked
  const value = parseBoundedJson(Buffer.from(asked.text))
  return value === undefined ? { ok: false, message: `no JSON from ${urlOf(args[1], args[2])}` } : { ok: true, value }
}

async function readText(answer: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > ANSWER_BYTES_MAX) throw new Error(`the answer is larger than ${ANSWER_BYTES_MAX} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}
