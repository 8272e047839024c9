/** HTTP/2 streams to the handler and back. */
import type { Http2Session, IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2'
import { isBodyStream, type ApiResponse, type BodySink } from '#api/client/transport.ts'
import type { Clock } from '#base/clock.ts'
import type { ServedApi } from './served-api.ts'
import type { Peer } from '../middleware/authenticate.ts'
import { writeGzipped } from './gzip.ts'
import { isSeparate, separateValues } from './separate-values.ts'
import { statusResponse } from './response.ts'
import { readBody, sized, wantsGzip, writeAll, type BodyRoom } from './send.ts'
import { NO_ROOM } from './http1.ts'
import { methodNotAllowed, tooLarge, tooManyRequests } from './status.ts'

export interface Http2Options {
  api: ServedApi
  clock: Clock
  bodyBytesMax: number
  room: BodyRoom
  /** A body must be complete by then: slow senders hold a stream otherwise. */
  bodyTimeoutMs: number
  /** --goaway-chance: whether the client is to come back on a new connection. */
  sendsAway: () => boolean
}

const NO_ERROR = 0
const CANCEL = 8

export function serveHttp2(options: Http2Options, session: Http2Session, peer: Peer): void {
  session.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, flags: number, rawHeaders: string[]) => {
    stream.on('error', () => { /* The client reset it; 'close' follows and aborts the request. */ })
    // What is in flight is still answered.
    if (options.sendsAway()) session.close()
    void serveStream(options, peer, stream, headers, rawHeaders, (flags & END_STREAM) !== 0)
  })
}

const END_STREAM = 1

async function serveStream(options: Http2Options, peer: Peer, stream: ServerHttp2Stream, raw: IncomingHttpHeaders, rawHeaders: readonly string[], isEnded: boolean): Promise<void> {
  const { api, clock, bodyBytesMax, bodyTimeoutMs, room } = options
  const gone = new AbortController()
  stream.on('close', () => { if (!stream.writableFinished) gone.abort() })
  const method = raw[':method'] ?? 'GET'
  const path = raw[':path']
  if (path === undefined || method === 'CONNECT') return send(stream, method, undefined, statusResponse(methodNotAllowed().body))
  const headers = flatHeaders(raw, rawHeaders)
  const isPassedOn = !isEnded && api.passesOn(path)
  const cancelDeadline = isEnded || isPassedOn ? () => {} : clock.after(bodyTimeoutMs, () => stream.close(CANCEL))
  const length = headers['content-length']
  const body = isEnded || isPassedOn ? undefined : await readBody(stream, bodyBytesMax, length === undefined ? undefined : Number(length), room)
  cancelDeadline()
  if (body?.kind === 'gone') return
  if (body?.kind === 'too-large' || body?.kind === 'no-room') {
    stream.on('finish', () => stream.close(NO_ERROR))
    return send(stream, method, undefined, statusResponse((body.kind === 'too-large' ? tooLarge(bodyBytesMax) : tooManyRequests(NO_ROOM, 1)).body))
  }
  const response = await api.handle({ method, path, headers, signal: gone.signal, peer, ...(body && body.bytes.length > 0 && { body: body.bytes }), ...(isPassedOn && { stream }) })
  body?.release()
  if (!stream.destroyed && !stream.closed) send(stream, method, headers['accept-encoding'], response)
}

function flatHeaders(raw: IncomingHttpHeaders, rawHeaders: readonly string[]): Record<string, string> {
  const headers: Record<string, string> = {}
  let separate = false
  for (const name in raw) {
    const value = raw[name]
    if (name.charCodeAt(0) !== COLON && value !== undefined) headers[name] = Array.isArray(value) ? value.join(', ') : value
    separate ||= isSeparate(name)
  }
  if (separate) separateValues(headers, rawHeaders)
  return headers
}

const COLON = 0x3a

function send(stream: ServerHttp2Stream, method: string, acceptEncoding: string | undefined, response: ApiResponse): void {
  const head = { ':status': response.status, ...response.headers }
  if (isBodyStream(response.body)) {
    stream.respond(head)
    response.body.start(sinkOf(stream))
    return
  }
  if (wantsGzip(method, acceptEncoding, response)) {
    stream.respond({ ...head, 'content-encoding': 'gzip', vary: 'Accept-Encoding' })
    writeGzipped(stream, sized(response.body).chunks).catch(() => stream.close(CANCEL))
    return
  }
  const { chunks, bytes } = sized(response.body)
  stream.respond({ ...head, 'content-length': bytes })
  if (chunks.length === 1) stream.end(chunks[0])
  else writeAll(stream, chunks)
}

function sinkOf(stream: ServerHttp2Stream): BodySink {
  return {
    write: (chunk) => stream.destroyed || stream.write(chunk),
    onDrain: (fn) => { stream.on('drain', fn) },
    end: () => { stream.end() },
    fail: () => { stream.close(CANCEL) },
  }
}
