/** gRPC over HTTP/2 on a unix socket, the serving end: unary calls and streams of answers, with the caller's deadline. */
import { chmod, rm } from 'node:fs/promises'
import type { Http2Server, IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2'
import type { Clock } from '../clock.ts'
import { asError } from '../errors.ts'
import type { Log } from '../log.ts'
import { decode, encode, type Message } from '../protobuf/message.ts'
import { encodeMessage, frame, GRPC, GrpcError, Unframer } from './grpc-status.ts'
import type { Call } from './call.ts'

/** `signal` aborts when the caller has gone or its deadline has passed. */
export type Unary<Request, Answered> = (request: Request, signal: AbortSignal) => Promise<Answered>
/** Sends until it resolves. */
export type Streaming<Request, Answered> = (request: Request, send: (answer: Answered) => void, signal: AbortSignal) => Promise<void>

interface Method { request: Message<unknown, unknown>; response: Message<unknown, unknown>; serve: Streaming<unknown, unknown> }

export class GrpcServer {
  readonly #methods = new Map<string, Method>()
  readonly #deps: { clock: Clock; log: Log }
  readonly #sessions = new Set<{ destroy(): void }>()
  #server: Http2Server | undefined

  constructor(deps: { clock: Clock; log: Log }) {
    this.#deps = deps
  }

  unary<Request, Response, Asked, Answered>(call: Call<Request, Response, Asked, Answered>, serve: Unary<Request, Answered>): void {
    this.streaming(call, async (request, send, signal) => send(await serve(request, signal)))
  }

  streaming<Request, Response, Asked, Answered>(call: Call<Request, Response, Asked, Answered>, serve: Streaming<Request, Answered>): void {
    this.#methods.set(call.path, { request: call.request, response: call.response as Message<unknown, unknown>, serve: serve as Streaming<unknown, unknown> })
  }

  /** The socket is the owner's alone. Rejects when it cannot be made. */
  async listen(socketPath: string): Promise<void> {
    const { createServer } = await import('node:http2')
    const server = createServer()
    this.#server = server
    server.on('session', (session) => {
      this.#sessions.add(session)
      session.on('close', () => this.#sessions.delete(session))
      session.on('error', (error) => this.#deps.log.debug('a gRPC client connection failed', { error }))
    })
    server.on('stream', (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => { void this.#serve(stream, headers) })
    // Left by an earlier life.
    await rm(socketPath, { force: true })
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error) => reject(new Error(`cannot listen on ${socketPath}: ${error.message}`, { cause: error })))
      server.listen(socketPath, () => resolve())
    })
    await chmod(socketPath, 0o600)
  }

  async close(): Promise<void> {
    const server = this.#server
    if (!server) return
    const closed = new Promise<void>((resolve) => { server.close(() => resolve()) })
    for (const session of this.#sessions) session.destroy()
    await closed
  }

  async #serve(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): Promise<void> {
    stream.on('error', () => { /* the caller went away: its signal tells whoever works for it */ })
    const stop = new AbortController()
    const timeoutMs = parseTimeout(headers['grpc-timeout'])
    const deadline = new GrpcError(GRPC.deadlineExceeded, 'context deadline exceeded')
    const cancel = timeoutMs === undefined ? () => {} : this.#deps.clock.after(timeoutMs, () => stop.abort(deadline))
    stream.on('close', () => stop.abort(new GrpcError(GRPC.cancelled, 'context canceled')))
    const path = String(headers[':path'])
    try {
      const method = this.#methods.get(path)
      if (!method) throw new GrpcError(GRPC.unimplemented, `unknown method ${path.slice(path.lastIndexOf('/') + 1)} for service ${path.slice(1, path.lastIndexOf('/'))}`)
      const request = decode(method.request, await firstMessage(stream))
      const respond = () => {
        if (!stream.headersSent && !stream.destroyed) {
          stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true })
          stream.once('wantTrailers', () => stream.sendTrailers({ 'grpc-status': String(GRPC.ok) }))
        }
      }
      await untilAborted(method.serve(request, (answer) => {
        respond()
        if (!stream.destroyed && !stream.writableEnded) stream.write(frame(encode(method.response, answer)))
      }, stop.signal), stop.signal)
      respond()
      stream.end()
    } catch (error) {
      this.#fail(stream, error)
    } finally {
      cancel()
    }
  }

  #fail(stream: ServerHttp2Stream, error: unknown): void {
    if (stream.destroyed) return
    const { status, message } = error instanceof GrpcError ? error : { status: GRPC.unknown, message: asError(error).message }
    const trailers = { 'grpc-status': String(status), 'grpc-message': encodeMessage(message) }
    if (stream.headersSent) {
      stream.removeAllListeners('wantTrailers')
      stream.once('wantTrailers', () => stream.sendTrailers(trailers))
      stream.end()
    } else {
      stream.respond({ ':status': 200, 'content-type': 'application/grpc', ...trailers }, { endStream: true })
    }
  }
}

/** Rejects when the signal aborts first: the work's own end is then nobody's. */
function untilAborted<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(asError(signal.reason))
    if (signal.aborted) onAbort()
    signal.addEventListener('abort', onAbort, { once: true })
    work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}

function firstMessage(stream: ServerHttp2Stream): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const unframer = new Unframer()
    stream.on('data', (chunk: Buffer) => {
      try {
        const [message] = unframer.push(chunk)
        if (message) resolve(message)
      } catch (error) {
        reject(asError(error))
      }
    })
    stream.on('end', () => reject(new GrpcError(GRPC.internal, 'the request has no message')))
    stream.on('close', () => reject(new GrpcError(GRPC.cancelled, 'context canceled')))
  })
}

const UNIT_MS: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1_000, m: 1, u: 1e-3, n: 1e-6 }

/** `10S`, `500m`: gRPC's `grpc-timeout`. */
export function parseTimeout(value: string | string[] | undefined): number | undefined {
  const match = /^(\d{1,8})([HMSmun])$/.exec(String(value ?? ''))
  return match ? Number(match[1]) * (UNIT_MS[match[2] ?? ''] ?? 0) : undefined
}
