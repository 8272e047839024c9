/**
 * One HTTP GET, HEAD or POST with what registries need: TLS settings, a limit on silence, redirects that do not carry
 * credentials to strangers. The body is left as a stream.
 */
import { request as httpRequest } from 'node:http'
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { CodedError } from '#base/errors.ts'

export interface TlsSettings { ca?: Buffer; cert?: Buffer; key?: Buffer; rejectUnauthorized?: boolean }

export interface Exchange {
  method: 'GET' | 'HEAD' | 'POST'
  url: string
  headers: Record<string, string>
  body?: string
  /** For the first host only. */
  tls?: TlsSettings
  /** No byte for this long, in any phase: the exchange fails. */
  stallMs: number
  signal?: AbortSignal
}

export interface Answer { status: number; headers: IncomingHttpHeaders; body: IncomingMessage; url: string }

const REDIRECTS_MAX = 10

/** Rejects with the socket's error, or CRI_TIMEOUT after silence; the body stream fails the same way. */
export async function exchange(options: Exchange): Promise<Answer> {
  let { url } = options
  let headers = options.headers
  let { tls } = options
  for (let hop = 0; hop <= REDIRECTS_MAX; hop++) {
    const body = await once({ ...options, url, headers, ...(tls && { tls }) })
    const status = body.statusCode ?? 0
    const location = body.headers.location
    if (status < 300 || status > 399 || status === 304 || location === undefined) return { status, headers: body.headers, body, url }
    body.resume()
    const next = new URL(location, url)
    if (next.protocol !== 'https:' && next.protocol !== 'http:') throw new CodedError('CRI_PULL_FAILED', `${url} redirects to ${next.protocol}, which is not followed`)
    if (next.origin !== new URL(url).origin) {
      headers = Object.fromEntries(Object.entries(headers).filter(([name]) => name.toLowerCase() !== 'authorization'))
      tls = undefined
    }
    url = next.href
  }
  throw new CodedError('CRI_PULL_FAILED', `${options.url} redirects more than ${REDIRECTS_MAX} times`)
}

function once(options: Exchange): Promise<IncomingMessage> {
  const url = new URL(options.url)
  const { signal } = options
  return new Promise((resolve, reject) => {
    const send = url.protocol === 'https:' ? httpsRequest : httpRequest
    const request = send(url, {
      method: options.method,
      // No keep-alive pool: pulls are rare and an idle socket is memory.
      agent: false,
      headers: { 'User-Agent': 'skiff', ...options.headers, ...(options.body !== undefined && { 'Content-Length': String(Buffer.byteLength(options.body)) }) },
      ...(signal && { signal }),
      ...(url.protocol === 'https:' && options.tls),
    })
    const stalled = () => new CodedError('CRI_TIMEOUT', `${options.method} ${redactedUrl(url)}: no data for ${options.stallMs} ms`)
    request.setTimeout(options.stallMs, () => request.destroy(stalled()))
    request.on('response', (response) => {
      response.setTimeout(options.stallMs, () => response.destroy(stalled()))
      resolve(response)
    })
    request.on('error', (error) => reject(signal?.aborted || error instanceof CodedError ? error : new Error(`${options.method} "${redactedUrl(url)}": ${error.message}`, { cause: error })))
    request.end(options.body)
  })
}

/** Signed blob URLs and tokens live in the query: it stays out of messages. */
function redactedUrl(url: URL): string {
  return `${url.origin}${url.pathname}`
}

/** The whole body, refused beyond `bytesMax`. */
export async function readBody(body: IncomingMessage, bytesMax: number, what: string): Promise<Buffer> {
  const chunks: Buffer[] = []
  let total = 0
  for await (const chunk of body) {
    total += (chunk as Buffer).length
    if (total > bytesMax) {
      body.destroy()
      throw new CodedError('CRI_PULL_FAILED', `${what} is larger than ${bytesMax} bytes`)
    }
    chunks.push(chunk as Buffer)
  }
  return Buffer.concat(chunks)
}
