/**
 * Calls webhooks: a JSON object is POSTed, a JSON object comes back. Used by admission, conversion, authentication and
 * authorization. Failures are worded as client-go words them.
 */
import type { IncomingMessage } from 'node:http'
import type { Clock } from '#base/clock.ts'
import { asError, CodedError } from '#base/errors.ts'
import { parseBoundedJson } from './bounded-json.ts'
import { createDialer, type DialerParts } from './dialer.ts'
import { createHttpsPool, type HttpsTarget } from './https-pool.ts'

/** `clientConfig` of admission webhooks and CRD conversion. Exactly one of url and service. */
export interface ClientConfig {
  url?: string
  service?: { namespace: string; name: string; path?: string; port?: number }
  /** PEM, in base64. */
  caBundle?: string
}

/** What a kubeconfig of webhook authentication or authorization adds. */
export interface ClientIdentity {
  clientCertificate?: { certPem: string; keyPem: string } | undefined
  bearer?: string | undefined
  serverName?: string | undefined
  insecure?: boolean | undefined
}

export interface WebhookCall {
  config: ClientConfig
  identity?: ClientIdentity
  /** JSON text. */
  body: Buffer
  timeoutMs: number
  /** Told to the webhook as `?timeout=10s`, as admission and conversion do. */
  tellTimeout: boolean
  signal: AbortSignal
}

export interface WebhookClient {
  /** The answer's JSON. Rejects with `WEBHOOK_FAILED`, whose message follows `failed to call webhook: `; details.status: the answer's, if there was one. */
  call(call: WebhookCall): Promise<unknown>
  close(): void
}

/** Two objects of 3 MiB and what surrounds them; an answer never needs more. */
const ANSWER_BYTES_MAX = 16 * 1024 * 1024
const ERROR_BYTES_SHOWN = 1024
const DEFAULT_PORT = 443

export function createWebhookClient(parts: DialerParts): WebhookClient {
  const pool = createHttpsPool(createDialer(parts), parts.clock)
  const { clock } = parts
  const targets = new WeakMap<ClientConfig, { identity: ClientIdentity; target: HttpsTarget; path: string }>()
  return {
    close: () => pool.close(),
    async call({ config, identity = NOBODY, body, timeoutMs, tellTimeout, signal }) {
      let known = targets.get(config)
      if (known?.identity !== identity) targets.set(config, (known = { identity, ...targetOf(config, identity) }))
      const { target, path } = known
      const shownPath = tellTimeout ? `${path}?timeout=${Math.ceil(timeoutMs / 1000)}s` : path
      const url = `https://${hostOf(config, target)}${shownPath}`
      const deadline = withDeadline(clock, timeoutMs, signal)
      const headers = { 'content-type': 'application/json', accept: 'application/json, */*', 'user-agent': 'kube-apiserver-admission', ...(identity.bearer !== undefined && { authorization: `Bearer ${identity.bearer}` }) }
      try {
        const answer = await pool.request(target, { method: 'POST', path: shownPath, headers, body, replayable: true, signal: deadline.signal })
        return parseAnswer(answer.statusCode ?? 0, await readAnswer(answer))
      } catch (error) {
        if (error instanceof AnswerError) throw new CodedError('WEBHOOK_FAILED', error.message, { cause: error, details: { status: error.status } })
        const because = deadline.isOver() ? 'context deadline exceeded' : asError(error).message
        throw new CodedError('WEBHOOK_FAILED', `Post ${JSON.stringify(url)}: ${because}`, { cause: error })
      } finally {
        deadline.cancel()
      }
    },
  }
}

const NOBODY: ClientIdentity = {}

/** The webhook answered, but not with what was asked for. */
class AnswerError extends Error {
  /** Of the answer; 0: its status was fine. */
  readonly status: number
  constructor(message: string, status = 0) {
    super(message)
    this.status = status
  }
}

export function targetOf(config: ClientConfig, identity: ClientIdentity = {}): { target: HttpsTarget; path: string } {
  const ca = config.caBundle === undefined || config.caBundle === '' ? undefined : Buffer.from(config.caBundle, 'base64').toString()
  const trust = { ca, clientCertificate: identity.clientCertificate, insecure: identity.insecure ?? false }
  if (config.service) {
    const { namespace, name, path = '', port = DEFAULT_PORT } = config.service
    const host = `${name}.${namespace}.svc`
    return { target: { host, port, route: { service: { namespace, name, port } }, tls: { ...trust, serverName: identity.serverName ?? host } }, path: path.startsWith('/') ? path : `/${path}` }
  }
  const url = parseUrl(config.url ?? '')
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const port = url.port === '' ? DEFAULT_PORT : Number(url.port)
  return { target: { host, port, route: { host, port }, tls: { ...trust, serverName: identity.serverName ?? host } }, path: url.pathname }
}

function parseUrl(text: string): URL {
  const url = URL.parse(text)
  if (!url || url.protocol !== 'https:') throw new CodedError('WEBHOOK_FAILED', `invalid webhook URL ${JSON.stringify(text)}: it must begin with https://`)
  return url
}

/** As the URL says it: a service's port is always shown, a URL's only when given. */
function hostOf(config: ClientConfig, { host, port }: HttpsTarget): string {
  return config.service ? `${host}:${port}` : parseUrl(config.url ?? '').host
}

function withDeadline(clock: Clock, timeoutMs: number, outer: AbortSignal): { signal: AbortSignal; isOver: () => boolean; cancel: () => void } {
  const controller = new AbortController()
  const state = { isOver: false }
  const onOuter = (): void => controller.abort()
  const stop = clock.after(timeoutMs, () => {
    state.isOver = true
    controller.abort()
  })
  if (outer.aborted) controller.abort()
  else outer.addEventListener('abort', onOuter, { once: true })
  return { signal: controller.signal, isOver: () => state.isOver, cancel: () => { stop(); outer.removeEventListener('abort', onOuter) } }
}

async function readAnswer(answer: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > ANSWER_BYTES_MAX) {
      answer.destroy()
      throw new AnswerError(`the webhook's answer is larger than ${ANSWER_BYTES_MAX} bytes`)
    }
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

function parseAnswer(status: number, body: Buffer): unknown {
  const value = parseBoundedJson(body)
  if (status >= 200 && status < 300) {
    if (value === undefined) throw new AnswerError(`couldn't get version/kind; json parse error: ${JSON.stringify(body.toString('utf8', 0, ERROR_BYTES_SHOWN))} is no JSON`)
    return value
  }
  const { kind, message } = (value ?? {}) as { kind?: unknown; message?: unknown }
  if (kind === 'Status' && typeof message === 'string' && message !== '') throw new AnswerError(message, status)
  throw new AnswerError(wordedStatus(status, body.toString('utf8', 0, ERROR_BYTES_SHOWN).trim()), status)
}

/** apimachinery `NewGenericServerResponse`. */
function wordedStatus(status: number, text: string): string {
  switch (status) {
    case 400: return 'the server rejected our request for an unknown reason'
    case 401: return 'the server has asked for the client to provide credentials'
    case 403: return text === '' ? 'unknown' : text
    case 404: return 'the server could not find the requested resource'
    case 405: return 'the server does not allow this method on the requested resource'
    case 406: return text === '' ? 'the server was unable to respond with a content type that the client supports' : text
    case 409: return 'the server reported a conflict'
    case 413: return 'Request entity too large'
    case 415: return text === '' ? 'unknown' : text
    case 422: return 'the server rejected our request due to an error in our request'
    case 429: return 'the server has received too many requests and has asked us to try again later'
    case 503: return 'the server is currently unable to handle the request'
    case 504: return 'the server was unable to return a response in the time allotted, but may still be processing the request'
    default: return status >= 500 ? `an error on the server (${JSON.stringify(text === '' ? 'unknown' : text)}) has prevented the request from succeeding` : `the server responded with the status code ${status} but did not return more information`
  }
}
