/** gRPC over HTTP/2 on a unix socket: unary calls and streams of answers. The connection is made when first needed and again after it broke. */
import type { ClientHttp2Session, ClientHttp2Stream, IncomingHttpHeaders } from 'node:http2'
import type { Clock } from '#base/clock.ts'
import { asError } from '#base/errors.ts'
import { decode, encode } from '#base/protobuf/message.ts'
import { decodeMessage, frame, GRPC, GrpcError, Unframer } from './grpc-status.ts'
import type { Call } from './services.ts'

export interface CallOptions {
  /** Undefined: for as long as it takes. */
  timeoutMs?: number | undefined
  signal?: AbortSignal | undefined
}

/** How long a server has to take the connection. */
const CONNECT_MS_MAX = 10_000
/** The deadline is the server's to keep; this much later we give up on it ourselves. */
const DEADLINE_GRACE_MS = 1_000

export class GrpcClient {
  readonly #socketPath: string
  readonly #clock: Clock
  #session: Promise<ClientHttp2Session> | undefined
  #isClosed = false

  constructor(socketPath: string, clock: Clock) {
    this.#socketPath = socketPath
    this.#clock = clock
  }

  /** Rejects with GrpcError. */
  async unary<Request, Response, Asked, Answered>(call: Call<Request, Response, Asked, Answered>, request: Asked, options: CallOptions = {}): Promise<Response> {
    const answers: Response[] = []
    await this.stream(call, request, (answer) => { answers.push(answer) }, options)
    const [answer] = answers
    if (answer === undefined) throw new GrpcError(GRPC.internal, `${call.path}: the answer has no message`)
    return answer
  }

  /** Resolves when the server has said that all went well and is over. */
  async stream<Request, Response, Asked, Answered>(call: Call<Request, Response, Asked, Answered>, request: Asked, onAnswer: (answer: Response) => void, options: CallOptions = {}): Promise<void> {
    const { timeoutMs, signal } = options
    if (signal?.aborted) throw new GrpcError(GRPC.cancelled, `${call.path}: cancelled`)
    const session = await this.#connected()
    const stream = session.request({
      ':method': 'POST', ':path': call.path, ':authority': 'localhost', 'content-type': 'application/grpc', te: 'trailers', 'user-agent': 'skiff',
      ...(timeoutMs !== undefined && { 'grpc-timeout': `${Math.min(99_999_999, Math.max(1, Math.ceil(timeoutMs)))}m` }),
    })
    const over = ended(stream, (message) => onAnswer(decode(call.response, message)), call.path)
    const cancel = timeoutMs === undefined ? () => {} : this.#clock.after(timeoutMs + DEADLINE_GRACE_MS, () => stream.destroy(new GrpcError(GRPC.deadlineExceeded, `${call.path}: no answer within ${timeoutMs} ms`)))
    const onAbort = () => stream.destroy(new GrpcError(GRPC.cancelled, `${call.path}: cancelled`))
    signal?.addEventListener('abort', onAbort, { once: true })
    stream.end(frame(encode(call.request, request)))
    try {
      await over
    } finally {
      cancel()
      signal?.removeEventListener('abort', onAbort)
    }
  }

  close(): void {
    this.#isClosed = true
    this.#session?.then((session) => session.destroy(), () => { /* it never came to be */ })
    this.#session = undefined
  }

  #connected(): Promise<ClientHttp2Session> {
    if (this.#isClosed) return Promise.reject(new GrpcError(GRPC.cancelled, 'the runtime client is closed'))
    this.#session ??= this.#connect().catch((error: unknown) => {
      this.#session = undefined
      throw error
    })
    return this.#session
  }

  async #connect(): Promise<ClientHttp2Session> {
    const { connect } = await import('node:http2')
    const { connect: dial } = await import('node:net')
    return new Promise((resolve, reject) => {
      const session = connect('http://localhost', { createConnection: () => dial(this.#socketPath) })
      const cancel = this.#clock.after(CONNECT_MS_MAX, () => session.destroy(new Error(`no connection within ${CONNECT_MS_MAX} ms`)))
      const forget = () => {
        cancel()
        this.#session = undefined
      }
      session.once('connect', () => {
        cancel()
        resolve(session)
      })
      session.on('goaway', forget)
      session.on('error', (error) => {
        forget()
        reject(new GrpcError(GRPC.unavailable, `cannot reach the container runtime at ${this.#socketPath}: ${error.message}`, { cause: error }))
      })
      session.on('close', () => {
        forget()
        reject(new GrpcError(GRPC.unavailable, `cannot reach the container runtime at ${this.#socketPath}: the connection was closed`))
      })
    })
  }
}

function ended(stream: ClientHttp2Stream, onMessage: (message: Buffer) => void, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const unframer = new Unframer()
    let status: { code: number; message: string } | undefined
    const note = (headers: IncomingHttpHeaders) => {
      const code = headers['grpc-status']
      if (code !== undefined) status = { code: Number(code), message: decodeMessage(String(headers['grpc-message'] ?? '')) }
      else if (headers[':status'] !== undefined && String(headers[':status']) !== '200') status = { code: GRPC.unknown, message: `${path}: HTTP status ${String(headers[':status'])}` }
    }
    stream.on('response', note)
    stream.on('trailers', note)
    stream.on('data', (chunk: Buffer) => {
      try {
        for (const message of unframer.push(chunk)) onMessage(message)
      } catch (error) {
        stream.destroy(asError(error))
      }
    })
    stream.on('error', (error) => reject(error instanceof GrpcError ? error : new GrpcError(GRPC.unavailable, `${path}: ${error.message}`, { cause: error })))
    stream.on('close', () => {
      if (!status) reject(new GrpcError(GRPC.unavailable, `${path}: the connection to the container runtime was lost`))
      else if (status.code === GRPC.ok) resolve()
      else reject(new GrpcError(status.code, status.message))
    })
  })
}
