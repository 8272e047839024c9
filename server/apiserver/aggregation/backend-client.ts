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

/** As upstream's aggregator asks for itself: whether a server answers, and what all it serves. */
export const AGGREGATOR: UserInfo = { name: 'system:kube-aggregator', groups: ['system:masters'] }
/** As it asks a server that has no aggregated discovery for one group version. */
export const DISCOVERING_AGGREGATOR: UserInfo = { name: 'system:kube-aggregator', groups: [] }
/** As it asks for API documents. */
const DOCUMENTING_AGGREGATOR: UserInfo = { name: 'system:aggregator', groups: [] }
const ASK_MS_MAX = 5_000
const ANSWER_BYTES_MAX = 4 * 1024 * 1024

export const urlOf = (backend: Backend, path: string): string => `https://${hostOf(backend)}:${backend.service.port}${path}`

export interface Question { path: string; headers?: Readonly<Record<string, string>>; user: UserInfo }
/** The message says what is wrong, without the URL first. */
export type Asked<T> = { ok: true; answer: T } | { ok: false; message: string }
export interface Answer { status: number; headers: IncomingMessage['headers']; text: string }
export interface Asking { client: BackendClient; clock: Clock; signal: AbortSignal }

/** A GET by the aggregator itself, whatever comes back. */
export function ask(asking: Asking, backend: Backend, question: Question): Promise<Asked<Answer>> {
  return within(asking, backend, question, async (answer) => ({ status: statusOf(answer), headers: answer.headers, text: await readText(answer) }))
}

/** Whether it answers at all; what it says is not looked at. No `Accept`: some take only what upstream sends. */
export async function askWhetherThere(asking: Asking, backend: Backend, path: string): Promise<Asked<undefined>> {
  const asked = await within(asking, backend, { path, user: AGGREGATOR }, async (answer) => {
    // To its end, so that the connection can be kept; what fails from here on changes nothing.
    await readText(answer).catch(() => undefined)
    return statusOf(answer)
  })
  if (!asked.ok) return asked
  return isGood(asked.answer) ? { ok: true, answer: undefined } : { ok: false, message: `bad status from ${urlOf(backend, path)}: ${asked.answer}` }
}

export async function askJson(asking: Asking, backend: Backend, path: string): Promise<Asked<unknown>> {
  const asked = await ask(asking, backend, { path, headers: { accept: 'application/json' }, user: DOCUMENTING_AGGREGATOR })
  if (!asked.ok) return asked
  if (!isGood(asked.answer.status)) return { ok: false, message: `bad status from ${urlOf(backend, path)}: ${asked.answer.status}` }
  const answer = parseBoundedJson(Buffer.from(asked.answer.text))
  return answer === undefined ? { ok: false, message: `no JSON from ${urlOf(backend, path)}` } : { ok: true, answer }
}

const statusOf = (answer: IncomingMessage): number => answer.statusCode ?? 0
const isGood = (status: number): boolean => status >= 200 && status < 300

async function within<T>({ client, clock, signal }: Asking, backend: Backend, { path, headers = {}, user }: Question, read: (answer: IncomingMessage) => Promise<T>): Promise<Asked<T>> {
  const limit = new AbortController()
  const cancel = clock.after(ASK_MS_MAX, () => limit.abort())
  try {
    return { ok: true, answer: await read(await client.request(backend, { method: 'GET', path, headers, user, signal: AbortSignal.any([signal, limit.signal]) })) }
  } catch (error) {
    const because = limit.signal.aborted ? 'context deadline exceeded (Client.Timeout exceeded while awaiting headers)' : asError(error).message
    return { ok: false, message: `Get ${JSON.stringify(urlOf(backend, path))}: ${because}` }
  } finally {
    cancel()
  }
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
