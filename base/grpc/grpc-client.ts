/**
 * gRPC over HTTP/2, on a unix socket or over TCP with or without TLS: unary calls and streams. One connection, made when first
 * needed and again after it broke; a server that fell silent under open calls is found by a ping.
 */
import type { ClientHttp2Session, ClientHttp2Stream, IncomingHttpHeaders } from 'node:http2'
import type { Socket } from 'node:net'
import type { Clock } from '../clock.ts'
import { asError } from '../errors.ts'
import { decode, encode } from '../protobuf/message.ts'
import type { Call } from './call.ts'
import { decodeMessage, frame, GRPC, GrpcError, Unframer } from './grpc-status.ts'

/** PEM, read by whoever makes the endpoint. */
export interface GrpcTls { ca?: string | undefined; cert?: string | undefined; key?: string | undefined }

export type GrpcEndpoint = { socketPath: string } | { host: string; port: number; /** Undefined: in the clear. */ tls: GrpcTls | undefined }

export interface GrpcClientOptions {
  endpoint: GrpcEndpoint
  /** What it talks to, for messages: `the container runtime`. */
  peer: string
  clock: Clock
  /** Sent with each call. Lower-case names. */
  metadata?: Readonly<Record<string, string>>
  /** Largest answer taken; default 16 MiB. */
  messageBytesMax?: number
  /** How much the server may send ahead. Default: HTTP/2's 64 KiB. */
  windowBytes?: number
  /** Open calls and nothing heard for so long: the server is pinged, and given up when it does not answer in half that time. Undefined: never. */
  silenceMsMax?: number
}

export interface CallOptions {
  /** Undefined: for as long as it takes. */
  timeoutMs?: number | undefined
  signal?: AbortSignal | undefined
}

/** A call with messages in both directions. */
export interface GrpcStream<Asked> {
  send(message: Asked): void
  /** No more will be asked; answers may still come. */
  end(): void
  cancel(): void
  /** Resolves when the server has said that all went well and is over; rejects with GrpcError. */
  readonly over: Promise<void>
}

/** Of a connection: calls under way, when the server was last heard, and the end of looking at that. */
interface Pulse { open: number; heardMs: number; unwatch: () => void }

/** How long a server has to take the connection. */
const CONNECT_MS_MAX = 10_000
/** Linux: a path and its end are 108 bytes. */
const SOCKET_PATH_BYTES_MAX = 107
/** The deadline is the server's to keep; this much later we give up on it ourselves. */
const DEADLINE_GRACE_MS = 1_000

export class GrpcClient {
  readonly #options: GrpcClientOptions
  /** For messages. */
  readonly #address: string
  #session: Promise<ClientHttp2Session> | undefined
  #isClosed = false
  readonly #pulses = new WeakMap<ClientHttp2Session, Pulse>()

  constructor(options: GrpcClientOptions) {
    this.#options = options
    const { endpoint } = options
    this.#address = 'socketPath' in endpoint ? endpoint.socketPath : `${endpoint.tls ? 'https' : 'http'}://${endpoint.host}:${endpoint.port}`
  }

  /** Rejects with GrpcError. What is to be answered once is not waited for endlessly. */
  async unary<Request, Response, Asked, Answered>(call: Call<Request, Response, Asked, Answered>, request: Asked, options: CallOptions & { timeoutMs: number }): Promise<Response> {
    const answers: Response[] = []
    await this.stream(call, request, (answer) => { answers.push(answer) }, options)
    const [answer] = answers
    if (answer === undefined) throw new GrpcError(GRPC.internal, `${call.path}: the answer has no message`)
    return answer
  }

  /** Resolves when the server has said that all went well and is over. */
  async stream<Request, Response, Asked, Answered>(call: Call<Request, Response, Asked, Answered>, request: Asked, onAnswer: (answer: Response) => void, options: CallOptions = {}): Promise<void> {
    const stream = await this.open(call, onAnswer, options)
    stream.send(request)
    stream.end()
    await stream.over
  }

  /** `onAnswer` that throws ends the call. Rejects with GrpcError when it could not even begin. */
  async open<Request, Response, Asked, Answered>(call: Call<Request, Response, Asked, Answered>, onAnswer: (answer: Response) => void, options: CallOptions = {}): Promise<GrpcStream<Asked>> {
    const { clock, metadata, messageBytesMax, peer } = this.#options
    const { timeoutMs, signal } = options
    if (signal?.aborted) throw new GrpcError(GRPC.cancelled, `${call.path}: cancelled`, { wasSent: false })
    const session = await this.#connected()
    // It may have been given up while the connection was made, and nobody would tell again.
    if (signal?.aborted) throw new GrpcError(GRPC.cancelled, `${call.path}: cancelled`, { wasSent: false })
    const stream = this.#request(session, call.path, {
      ...metadata,
      ...(timeoutMs !== undefined && { 'grpc-timeout': `${Math.min(99_999_999, Math.max(1, Math.ceil(timeoutMs)))}m` }),
    })
    const pulse = this.#pulseOf(session)
    const leave = this.#enter(session, pulse)
    const heard = () => { pulse.heardMs = clock.monotonicMs() }
    const cancelTimer = timeoutMs === undefined ? () => {} : clock.after(timeoutMs + DEADLINE_GRACE_MS, () => stream.destroy(new GrpcError(GRPC.deadlineExceeded, `${call.path}: no answer within ${timeoutMs} ms`)))
    const cancel = () => { stream.destroy(new GrpcError(GRPC.cancelled, `${call.path}: cancelled`)) }
    signal?.addEventListener('abort', cancel, { once: true })
    const over = ended(stream, { path: call.path, peer, unframer: new Unframer(messageBytesMax), heard, onMessage: (message) => onAnswer(decode(call.response, message)) }).finally(() => {
      leave()
      cancelTimer()
      signal?.removeEventListener('abort', cancel)
    })
    over.catch(() => { /* for whoever waits for it */ })
    return { send: (message) => { if (!stream.destroyed && !stream.writableEnded) stream.write(frame(encode(call.request, message))) }, end: () => { stream.end() }, cancel, over }
  }

  /** Makes the connection now, unless there is one; calls use the same. Rejects with GrpcError. */
  async connect(): Promise<{ readonly ended: Promise<void> }> {
    const session = await this.#connected()
    return { ended: new Promise((resolve) => { session.once('close', () => resolve()) }) }
  }

  close(): void {
    this.#isClosed = true
    this.#session?.then((session) => session.destroy(), () => { /* it never came to be */ })
    this.#session = undefined
  }

  #request(session: ClientHttp2Session, path: string, metadata: Record<string, string>): ClientHttp2Stream {
    try {
      return session.request({ ':method': 'POST', ':path': path, ':authority': 'localhost', 'content-type': 'application/grpc', te: 'trailers', 'user-agent': 'skiff', ...metadata })
    } catch (cause) {
      throw new GrpcError(GRPC.unavailable, `${path}: the connection to ${this.#options.peer} at ${this.#address} is gone`, { cause, wasSent: false })
    }
  }

  async #connected(): Promise<ClientHttp2Session> {
    for (;;) {
      if (this.#isClosed) throw new GrpcError(GRPC.cancelled, `the client of ${this.#options.peer} is closed`, { wasSent: false })
      const isOwn = this.#session === undefined
      const made = (this.#session ??= this.#connect())
      try {
        const session = await made
        if (!session.destroyed && !session.closed) return session
      } catch (error) {
        this.#forget(made)
        throw error
      }
      // Ended a moment ago.
      this.#forget(made)
      // And was made just now: trying on and on is for the caller, who waits in between.
      if (isOwn) throw new GrpcError(GRPC.unavailable, `cannot reach ${this.#options.peer} at ${this.#address}: the connection was closed`, { wasSent: false })
    }
  }

  #forget(made: Promise<ClientHttp2Session>): void {
    if (this.#session === made) this.#session = undefined
  }

  async #connect(): Promise<ClientHttp2Session> {
    const { connect } = await import('node:http2')
    const { clock, endpoint, peer, windowBytes } = this.#options
    // Such a socket is destroyed before it connects, which node's HTTP/2 takes for connected.
    if ('socketPath' in endpoint && Buffer.byteLength(endpoint.socketPath) > SOCKET_PATH_BYTES_MAX) throw new GrpcError(GRPC.unavailable, `cannot reach ${peer} at ${this.#address}: the path of a socket has ${SOCKET_PATH_BYTES_MAX} bytes at most`, { wasSent: false })
    const createConnection = await dialer(endpoint)
    return new Promise((resolve, reject) => {
      const session = connect(`${'tls' in endpoint && endpoint.tls ? 'https' : 'http'}://localhost`, { createConnection, settings: { enablePush: false, ...(windowBytes !== undefined && { initialWindowSize: windowBytes }) } })
      const cancel = clock.after(CONNECT_MS_MAX, () => session.destroy(new Error(`no connection within ${CONNECT_MS_MAX} ms`)))
      session.once('connect', () => {
        cancel()
        if (windowBytes !== undefined) session.setLocalWindowSize(windowBytes)
        resolve(session)
      })
      session.on('error', (error) => {
        cancel()
        reject(new GrpcError(GRPC.unavailable, `cannot reach ${peer} at ${this.#address}: ${error.message}`, { cause: error, wasSent: false }))
      })
      session.on('close', () => {
        cancel()
        reject(new GrpcError(GRPC.unavailable, `cannot reach ${peer} at ${this.#address}: the connection was closed`, { wasSent: false }))
      })
    })
  }

  #pulseOf(session: ClientHttp2Session): Pulse {
    const known = this.#pulses.get(session) ?? { open: 0, heardMs: 0, unwatch: () => {} }
    this.#pulses.set(session, known)
    return known
  }

  /** A call begins; the returned function ends it. Only while calls are open is anything looked at. */
  #enter(session: ClientHttp2Session, pulse: Pulse): () => void {
    const { clock, silenceMsMax, peer } = this.#options
    if (silenceMsMax === undefined) return () => {}
    const look = () => {
      const quietMs = clock.monotonicMs() - pulse.heardMs
      if (quietMs < silenceMsMax) {
        pulse.unwatch = clock.after(silenceMsMax - quietMs, look)
        return
      }
      if (session.destroyed) return
      let hasAnswered = false
      // After a turn of the loop: where this process stood still itself, the answer lies there unread.
      const giveUp = clock.after(silenceMsMax / 2, () => setImmediate(() => {
        if (!hasAnswered) session.destroy(new Error(`${peer} has been silent for ${silenceMsMax * 1.5} ms`))
      }))
      pulse.unwatch = giveUp
      session.ping((error) => {
        hasAnswered = true
        giveUp()
        if (error || pulse.open === 0) return
        pulse.heardMs = clock.monotonicMs()
        pulse.unwatch = clock.after(silenceMsMax, look)
      })
    }
    // One watch for all calls that are open at once.
    if (pulse.open++ === 0) {
      pulse.heardMs = clock.monotonicMs()
      pulse.unwatch = clock.after(silenceMsMax, look)
    }
    return () => {
      if (--pulse.open === 0) pulse.unwatch()
    }
  }
}

async function dialer(endpoint: GrpcEndpoint): Promise<() => Socket> {
  if ('socketPath' in endpoint) {
    const { connect } = await import('node:net')
    return () => connect(endpoint.socketPath)
  }
  const { host, port, tls } = endpoint
  if (!tls) {
    const { connect } = await import('node:net')
    return () => connect({ host, port, noDelay: true })
  }
  const { connect } = await import('node:tls')
  const { isIP } = await import('node:net')
  // An address in the certificate is checked against the host; a name for SNI there is none then.
  return () => connect({ host, port, ALPNProtocols: ['h2'], ...(isIP(host) === 0 && { servername: host }), ...(tls.ca !== undefined && { ca: tls.ca }), ...(tls.cert !== undefined && { cert: tls.cert }), ...(tls.key !== undefined && { key: tls.key }) }).setNoDelay(true)
}

interface Reading { path: string; peer: string; unframer: Unframer; heard: () => void; onMessage: (message: Buffer) => void }

function ended(stream: ClientHttp2Stream, { path, peer, unframer, heard, onMessage }: Reading): Promise<void> {
  return new Promise((resolve, reject) => {
    let status: { code: number; message: string } | undefined
    const note = (headers: IncomingHttpHeaders) => {
      heard()
      const code = headers['grpc-status']
      if (code !== undefined) status = { code: Number(code), message: decodeMessage(String(headers['grpc-message'] ?? '')) }
      else if (headers[':status'] !== undefined && String(headers[':status']) !== '200') status = { code: GRPC.unknown, message: `${path}: HTTP status ${String(headers[':status'])}` }
    }
    stream.on('response', note)
    stream.on('trailers', note)
    stream.on('data', (chunk: Buffer) => {
      heard()
      try {
        for (const message of unframer.push(chunk)) onMessage(message)
      } catch (error) {
        stream.destroy(asError(error))
      }
    })
    stream.on('error', (error) => reject(error instanceof GrpcError ? error : new GrpcError(GRPC.unavailable, `${path}: ${error.message}`, { cause: error, wasSent: stream.rstCode !== REFUSED_STREAM })))
    stream.on('close', () => {
      if (!status) reject(new GrpcError(GRPC.unavailable, `${path}: the connection to ${peer} was lost`))
      else if (status.code === GRPC.ok) resolve()
      else reject(new GrpcError(status.code, status.message))
    })
  })
}

/** HTTP/2's way of saying that nothing was done. */
const REFUSED_STREAM = 7
