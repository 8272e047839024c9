/** HTTP/1.1 requests to the handler and back. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { isBodyStream, type ApiResponse, type BodySink } from '#api/client/transport.ts'
import type { Clock } from '#base/clock.ts'
import type { ServedApi } from './served-api.ts'
import type { Peer } from '../middleware/authenticate.ts'
import { writeGzipped } from './gzip.ts'
import { isSeparate, separateValues } from './separate-values.ts'
import { statusResponse } from './response.ts'
import { readBody, sized, wantsGzip, writeAll, type BodyRoom } from './send.ts'
import { tooLarge, tooManyRequests } from './status.ts'

export interface Http1Options {
  api: ServedApi
  bodyBytesMax: number
  room: BodyRoom
  clock: Clock
  isStopping: () => boolean
}

export async function serveHttp1(options: Http1Options, peer: Peer, req: IncomingMessage, res: ServerResponse): Promise<void> {
  const { api, bodyBytesMax, room } = options
  const gone = new AbortController()
  res.on('close', () => { if (!res.writableFinished) gone.abort() })
  const headers = flatHeaders(req)
  const method = req.method ?? 'GET'
  const length = headers['content-length']
  const hasBody = (length !== undefined && length !== '0') || headers['transfer-encoding'] !== undefined
  const isPassedOn = hasBody && api.passesOn(req.url ?? '/')
  const body = hasBody && !isPassedOn ? await readBody(req, bodyBytesMax, length === undefined ? undefined : Number(length), room) : undefined
  if (body?.kind === 'gone') return
  if (options.isStopping()) res.shouldKeepAlive = false
  if (body?.kind === 'too-large' || body?.kind === 'no-room') {
    return refuseBody(options.clock, req, res, statusResponse((body.kind === 'too-large' ? tooLarge(bodyBytesMax) : tooManyRequests(NO_ROOM, 1)).body))
  }
  const response = await api.handle({ method, path: req.url ?? '/', headers, signal: gone.signal, peer, ...(body && { body: body.bytes }), ...(isPassedOn && { stream: req }) })
  body?.release()
  if (!res.destroyed) send(res, req, method, headers['accept-encoding'], response)
}

/** A client that goes on sending what is not wanted is heard out this long. */
const LINGER_MS = 2_000

/**
 * Answers while the body is still on its way, and ends the connection. To close it with bytes unread would reset it, and
 * the client might lose the answer (RFC 9112 section 9.6): they are thrown away until it stops.
 */
function refuseBody(clock: Clock, req: IncomingMessage, res: ServerResponse, response: ApiResponse): void {
  const { chunks, bytes } = sized(response.body as Buffer | readonly Buffer[])
  res.shouldKeepAlive = false
  res.writeHead(response.status, { ...response.headers, 'content-length': String(bytes) })
  for (const chunk of chunks) res.write(chunk)
  const end = () => {
    cancel()
    res.end()
  }
  const cancel = clock.after(LINGER_MS, end)
  req.on('end', end)
  req.on('close', end)
  req.on('error', end)
  req.resume()
}

export const NO_ROOM = 'Too many requests, please try again later.'

/** Node joins repeated headers already; what stays an array is joined here. */
export function flatHeaders(req: IncomingMessage): Record<string, string> {
  const { headers } = req
  let separate = false
  for (const name in headers) {
    if (Array.isArray(headers[name])) headers[name] = headers[name].join(', ')
    separate ||= isSeparate(name)
  }
  if (separate) separateValues(headers, req.rawHeaders)
  return headers as Record<string, string>
}

function send(res: ServerResponse, req: IncomingMessage, method: string, acceptEncoding: string | undefined, response: ApiResponse): void {
  if (isBodyStream(response.body)) {
    // What is relayed may know its length; HTTP/1.0 knows no chunks.
    const isPlain = req.httpVersionMinor === 0 || response.headers['content-length'] !== undefined
    if (req.httpVersionMinor === 0) res.shouldKeepAlive = false
    if (!isPlain) response.headers['transfer-encoding'] = 'chunked'
    res.writeHead(response.status, response.headers)
    res.flushHeaders()
    response.body.start(isPlain ? plainSink(res) : chunkedSink(res))
    return
  }
  if (wantsGzip(method, acceptEncoding, response)) {
    res.writeHead(response.status, { ...response.headers, 'content-encoding': 'gzip', vary: 'Accept-Encoding' })
    writeGzipped(res, sized(response.body).chunks).catch(() => res.destroy())
    return
  }
  const { chunks, bytes } = sized(response.body)
  response.headers['content-length'] = String(bytes)
  res.writeHead(response.status, response.headers)
  if (chunks.length === 1) res.end(chunks[0])
  else writeAll(res, chunks)
}

/**
 * Chunks framed by ourselves: the same event goes to many watchers, so its frame is made once and each watcher costs one
 * write to its socket.
 */
const frames = new WeakMap<Buffer, Buffer>()

function framed(chunk: Buffer): Buffer {
  let frame = frames.get(chunk)
  if (!frame) {
    frame = Buffer.concat([Buffer.from(`${chunk.length.toString(16)}\r\n`), chunk, CRLF])
    frames.set(chunk, frame)
  }
  return frame
}

const CRLF = Buffer.from('\r\n')
/** What is larger is not copied for its frame. */
const FRAMED_BYTES_MAX = 64 * 1024

function writeAround(socket: Socket, chunk: Buffer): boolean {
  socket.cork()
  socket.write(`${chunk.length.toString(16)}\r\n`)
  socket.write(chunk)
  const hasRoom = socket.write(CRLF)
  socket.uncork()
  return hasRoom
}

function chunkedSink(res: ServerResponse): BodySink {
  const { socket } = res
  // Not its turn yet: an earlier request on the connection is still being answered. Node holds it back and frames it.
  if (!socket) return plainSink(res)
  return {
    write: (chunk) => socket.destroyed || chunk.length === 0 || (chunk.length > FRAMED_BYTES_MAX ? writeAround(socket, chunk) : socket.write(framed(chunk))),
    onDrain(fn) {
      socket.on('drain', fn)
      res.on('close', () => socket.off('drain', fn))
    },
    end: () => { res.end() },
    fail: () => { socket.destroy() },
  }
}

function plainSink(res: ServerResponse): BodySink {
  return {
    write: (chunk) => res.write(chunk),
    onDrain: (fn) => { res.on('drain', fn) },
    end: () => { res.end() },
    fail: () => { res.destroy() },
  }
}
