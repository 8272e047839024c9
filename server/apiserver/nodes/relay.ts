/** A kubelet's or pod's HTTP answer as an ApiResponse, streamed with back-pressure. */
import type { IncomingMessage } from 'node:http'
import type { Duplex, Readable } from 'node:stream'
import type { ApiResponse, BodySink } from '#api/client/transport.ts'

const HOP_BY_HOP: ReadonlySet<string> = new Set(['connection', 'keep-alive', 'proxy-connection', 'proxy-authenticate', 'proxy-authorization', 'te', 'trailer', 'transfer-encoding', 'upgrade', 'http2-settings'])
/** What proves who the caller is to us is nobody else's business. */
const CREDENTIALS: ReadonlySet<string> = new Set(['authorization', 'cookie'])

/** `through`: what the body passes through on its way. */
export function relayResponse(answer: IncomingMessage, signal: AbortSignal, through: readonly Duplex[] = []): ApiResponse {
  const headers: Record<string, string> = {}
  for (const [name, value] of Object.entries(answer.headers)) {
    if (value !== undefined && !HOP_BY_HOP.has(name)) headers[name] = Array.isArray(value) ? value.join(', ') : value
  }
  return { status: answer.statusCode ?? 502, headers, body: { start: (sink) => pump(piped(answer, through), sink, signal) } }
}

/** Request headers to pass on to what is behind the API server. */
export function relayHeaders(headers: Readonly<Record<string, string>>, keep: ReadonlySet<string> = new Set()): Record<string, string> {
  const named = new Set((headers['connection'] ?? '').toLowerCase().split(',').map((h) => h.trim()))
  return Object.fromEntries(Object.entries(headers).filter(([name]) => keep.has(name)
    || (!HOP_BY_HOP.has(name) && !CREDENTIALS.has(name) && !named.has(name) && !name.startsWith(':') && !name.startsWith('impersonate-') && name !== 'host' && name !== 'content-length')))
}

function piped(answer: Readable, through: readonly Duplex[]): Readable {
  return through.reduce((from: Readable, to) => {
    from.on('error', (error) => { to.destroy(error) })
    from.on('close', () => { if (!from.readableEnded) to.destroy() })
    to.on('close', () => { from.destroy() })
    return from.pipe(to)
  }, answer)
}

function pump(answer: Readable, sink: BodySink, signal: AbortSignal): void {
  const stop = () => answer.destroy()
  signal.addEventListener('abort', stop, { once: true })
  const done = () => signal.removeEventListener('abort', stop)
  sink.onDrain(() => answer.resume())
  answer.on('data', (chunk: Buffer) => { if (!sink.write(chunk)) answer.pause() })
  answer.on('end', () => { done(); sink.end() })
  answer.on('error', (error) => { done(); sink.fail(error) })
  answer.on('close', () => { done(); if (!answer.readableEnded) sink.fail(new Error('the node closed the connection before the answer was complete')) })
}
