/** GET for probes and hooks: straight from the node to a pod, no proxy, certificates unchecked, answer cut at 10 KiB (upstream's limits). */
import type { Agent, IncomingMessage, request as httpRequest, RequestOptions } from 'node:http'
import type { Duplex, Readable } from 'node:stream'
import type { Clock } from '#base/clock.ts'
import { asError, CodedError, hasCode } from '#base/errors.ts'
import type { HTTPGetAction } from '#api/types/index.ts'
import { createDeadline, type Deadline } from './deadline.ts'

const BODY_BYTES_MAX = 10 * 1024
const REQUESTS_MAX = 10
/** Of an answer. Go takes 10 MiB; Node's own 16 KiB is less than some applications say. */
const HEADERS_BYTES_MAX = 1024 * 1024

/** Headers by their names in small letters; one that is given several times is sent so. */
export interface HttpTarget { scheme: 'http' | 'https'; host: string; port: number; path: string; headers: Record<string, string | string[]> }
export interface HttpAnswer { status: number; body: string }

export function httpTarget(action: HTTPGetAction, host: string, port: number, userAgent: string): HttpTarget {
  const headers: Record<string, string | string[]> = {}
  for (const { name, value: text } of action.httpHeaders ?? []) {
    const key = name.toLowerCase()
    // Node writes each character as one byte: so that UTF-8 goes out, as from Go.
    const value = Buffer.from(text, 'utf8').toString('latin1')
    const before = headers[key]
    headers[key] = before === undefined ? value : key === 'host' ? before : [before, value].flat()
  }
  headers['user-agent'] ??= userAgent
  headers.accept ??= '*/*'
  // An empty value means: not at all.
  for (const name of ['user-agent', 'accept']) if (headers[name] === '') delete headers[name]
  return { scheme: action.scheme === 'HTTPS' ? 'https' : 'http', host: action.host || host, port, path: requestPath(action.path ?? '/'), headers }
}

/** As Go sends it: from the root, without a fragment, what no URL may hold escaped. */
function requestPath(path: string): string {
  const sent = path.replace(/#.*$/s, '').replace(/[^!-~]+/g, encodeURIComponent)
  return sent.startsWith('/') ? sent : `/${sent}`
}

export function targetUrl(t: HttpTarget): string {
  return `${t.scheme}://${t.host.includes(':') ? `[${t.host}]` : t.host}:${t.port}${t.path}`
}

export type HttpGet = (target: HttpTarget, timeoutMs: number, signal?: AbortSignal) => Promise<HttpAnswer>

/** One agent for all requests of a scheme, none of which keeps its connection: to make one for each costs a fifth of a probe. */
interface Dialer { request: typeof httpRequest; agent: Agent }
type Dialers = Partial<Record<HttpTarget['scheme'], Dialer>>

export function createHttpGet(clock: Pick<Clock, 'after'>): HttpGet {
  const dialers: Dialers = {}
  return async (target, timeoutMs, signal) => {
    const deadline = createDeadline(clock, timeoutMs, signal)
    try {
      return await follow(target, deadline, dialers)
    } finally {
      deadline.end()
    }
  }
}

async function follow(target: HttpTarget, deadline: Deadline, dialers: Dialers): Promise<HttpAnswer> {
  let at = target
  for (let hop = 0; ; hop++) {
    let answer: Answer
    try {
      answer = await once(at, deadline.signal, (dialers[at.scheme] ??= await dialerOf(at.scheme)))
    } catch (error) {
      if (hasCode(error, 'PROBE_UNREAD')) throw error
      if (deadline.expired) throw new CodedError('PROBE_TIMEOUT', `Get "${targetUrl(at)}": context deadline exceeded (Client.Timeout exceeded while awaiting headers)`, { cause: error })
      throw new CodedError('PROBE_FAILED', `Get "${targetUrl(at)}": ${dialMessage(error, at)}`, { cause: error })
    }
    // Those that Go follows, to the same host; any other is the answer.
    if (![301, 302, 303, 307, 308].includes(answer.status) || answer.location === undefined) return answer
    const next = new URL(answer.location, targetUrl(at))
    if (next.hostname.replace(/^\[|\]$/g, '') !== at.host) return answer
    if (hop + 1 >= REQUESTS_MAX) throw new CodedError('PROBE_FAILED', `Get "${answer.location}": stopped after ${REQUESTS_MAX} redirects`)
    const scheme = next.protocol === 'https:' ? 'https' : 'http'
    at = { ...at, scheme, port: next.port === '' ? (scheme === 'https' ? 443 : 80) : Number(next.port), path: next.pathname + next.search }
  }
}

async function dialerOf(scheme: HttpTarget['scheme']): Promise<Dialer> {
  const { request, Agent: AgentOf } = scheme === 'https' ? await import('node:https') : await import('node:http')
  return { request, agent: new AgentOf({ keepAlive: false, ...(scheme === 'https' && { maxCachedSessions: 0 }) }) }
}

interface Answer extends HttpAnswer { location: string | undefined }

/** Rejects with PROBE_UNREAD when the answer's body does not come to its end. */
async function once(t: HttpTarget, signal: AbortSignal, { request, agent }: Dialer): Promise<Answer> {
  const options: RequestOptions & { rejectUnauthorized?: boolean } = {
    host: t.host, port: t.port, path: t.path, method: 'GET', headers: { connection: 'close', ...t.headers }, agent,
    // As Go reads answers: lines that end without CR, as shell scripts write them, are lines. There is one answer on a connection, so none can be smuggled.
    insecureHTTPParser: true, maxHeaderSize: HEADERS_BYTES_MAX,
    ...(t.scheme === 'https' && { rejectUnauthorized: false }),
  }
  return new Promise((resolve, reject) => {
    signal.throwIfAborted()
    let isAnswered = false
    const req = request(options, (res: IncomingMessage) => read(res, res))
    // 101, though nobody has asked for another protocol: what comes is read, as from Go.
    req.on('upgrade', (res: IncomingMessage, socket: Duplex, head: Buffer) => {
      // The request has ended for Node, and with it what holds it to its time.
      const abort = () => { socket.destroy(asError(signal.reason)) }
      signal.addEventListener('abort', abort, { once: true })
      socket.on('close', () => signal.removeEventListener('abort', abort))
      socket.unshift(head)
      read(res, isProtocolSwitch(res) ? socket : res)
    })
    const read = (res: IncomingMessage, from: Readable) => {
      isAnswered = true
      const chunks: Buffer[] = []
      let size = 0
      const finish = () => {
        resolve({ status: res.statusCode ?? 0, body: Buffer.concat(chunks).subarray(0, BODY_BYTES_MAX).toString('utf8'), location: res.headers.location })
        req.destroy()
        if (from !== res) from.destroy()
      }
      // Only what says that it goes on in another protocol has something to say.
      if (res.statusCode === 101 && from === res) return finish()
      from.on('data', (chunk: Buffer) => {
        chunks.push(chunk)
        size += chunk.length
        if (size >= BODY_BYTES_MAX) finish()
      })
      from.on('end', finish)
      from.on('error', unread)
    }
    const unread = (error: Error) => reject(new CodedError('PROBE_UNREAD', signal.aborted ? 'context deadline exceeded (Client.Timeout or context cancellation while reading body)' : hasCode(error, 'ECONNRESET') ? 'unexpected EOF' : error.message, { cause: error }))
    req.on('error', (error) => { if (isAnswered) unread(error); else reject(error) })
    // Not by the option: Node watches each stream to its end for that, which costs as much as the request.
    const abort = () => { req.destroy(asError(signal.reason)) }
    signal.addEventListener('abort', abort, { once: true })
    req.on('close', () => signal.removeEventListener('abort', abort))
    req.end()
  })
}

const isProtocolSwitch = ({ headers: { upgrade, connection } }: IncomingMessage): boolean => upgrade !== undefined && /(^|,)\s*upgrade\s*(,|$)/i.test(connection ?? '')

/** What answers is not TLS; as good as always it is this. */
export const HTTP_TO_HTTPS = 'http: server gave HTTP response to HTTPS client'

/** As Go words what went wrong while connecting. */
export function dialMessage(error: unknown, { host, port }: { host: string; port: number }): string {
  const { code, message } = error as { code?: string; message?: string }
  const at = `dial tcp ${host.includes(':') ? `[${host}]` : host}:${port}`
  switch (code) {
    case 'ECONNREFUSED': return `${at}: connect: connection refused`
    case 'EHOSTUNREACH': return `${at}: connect: no route to host`
    case 'ENETUNREACH': return `${at}: connect: network is unreachable`
    case 'ETIMEDOUT': return `${at}: i/o timeout`
    case 'ECONNRESET': return 'read: connection reset by peer'
    case 'EPROTO': case 'ERR_SSL_WRONG_VERSION_NUMBER': case 'ERR_SSL_PACKET_LENGTH_TOO_LONG': return HTTP_TO_HTTPS
    case 'ENOTFOUND': return `dial tcp: lookup ${host}: no such host`
    default: return code?.startsWith('HPE_') ? `net/http: HTTP/1.x transport connection broken: malformed HTTP response: ${(message ?? '').replace(/^Parse Error: /, '')}` : message ?? 'failed'
  }
}
