/**
 * One SPDY/3.1 connection over any Duplex: streams opened by the peer (or by us, for tests and CRI clients) become
 * Duplexes. Enough of the protocol for Kubernetes streaming: no flow control, no priorities, no push.
 */
import { Duplex } from 'node:stream'
import { asError, CodedError } from '#base/errors.ts'
import { controlFrame, dataFrame, FLAG_FIN, FrameParser, GOAWAY, PING, RST_STREAM, SYN_REPLY, SYN_STREAM, words, type Frame } from './frames.ts'
import { HeaderCodec, type SpdyHeaders } from './header-block.ts'

const RST_REFUSED = 3
const RST_CANCEL = 5
/** Streams open at the same time: a port-forward uses two per connection. */
const STREAMS_MAX = 4_096
/** Data is cut into frames of this size, as the clients' library does. */
const DATA_BYTES = 32 * 1024

export class SpdyStream extends Duplex {
  readonly id: number
  readonly headers: SpdyHeaders
  readonly #session: SpdySession
  #peerEnded = false
  /** The peer wants to hear no more of it. */
  #isLost = false

  constructor(session: SpdySession, id: number, headers: SpdyHeaders) {
    super({ allowHalfOpen: true })
    this.id = id
    this.headers = headers
    this.#session = session
  }

  override _read(): void {
    this.#session.taken(this)
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    this.#session.sendData(this.id, chunk, callback)
  }

  override _final(callback: (error?: Error | null) => void): void {
    this.#session.sendEnd(this.id, callback)
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#session.forget(this, !this.#isLost && !(this.#peerEnded && this.writableFinished))
    callback(error)
  }

  /** From the session: data or the end from the peer. False: enough for now. After the end nothing more can come, so nothing is held up. */
  receive(data: Buffer, fin: boolean): boolean {
    const more = data.length === 0 ? this.readableLength < this.readableHighWaterMark : this.push(data)
    if (fin && !this.#peerEnded) {
      this.#peerEnded = true
      this.push(null)
    }
    return more || this.#peerEnded
  }

  /** From the session: the peer gave it up, or the connection is over. What a server had said to its end before can still be read. */
  lose(error: Error | undefined, isClient: boolean): void {
    this.#isLost = true
    if (isClient && this.#peerEnded && !this.readableEnded) this.once('end', () => this.destroy())
    else this.destroy(error)
  }
}

export interface SpdySessionOptions {
  /** A stream the peer opened; it is accepted (SYN_REPLY) before this is called. */
  onStream: (stream: SpdyStream) => void
  /** The connection is over; all streams are destroyed. Called once. */
  onClose: (error: Error | undefined) => void
  /** We open streams with odd ids, as the side that connected; default false. */
  isClient?: boolean
}

export class SpdySession {
  readonly #connection: Duplex
  readonly #options: SpdySessionOptions
  readonly #parser = new FrameParser()
  readonly #headers = new HeaderCodec()
  readonly #streams = new Map<number, SpdyStream>()
  /** Those whose reader is slow: SPDY without windows has nothing finer than to hold up the whole connection. */
  readonly #full = new Set<SpdyStream>()
  #nextId: number
  /** Frames are worked through one after the other: unpacking headers is asynchronous. */
  #incoming: Promise<void> = Promise.resolve()
  #outgoing: Promise<unknown> = Promise.resolve()
  #closed = false

  constructor(connection: Duplex, options: SpdySessionOptions) {
    this.#connection = connection
    this.#options = options
    this.#nextId = options.isClient ? 1 : 2
    connection.on('data', (chunk: Buffer) => this.#receive(chunk))
    // What arrived before the end is still being worked through.
    connection.on('end', () => { this.#incoming = this.#incoming.then(() => this.close()) })
    connection.on('error', (error) => { this.#incoming = this.#incoming.then(() => this.close(error)) })
    connection.on('close', () => { this.#incoming = this.#incoming.then(() => this.close()) })
  }

  /** Opens a stream to the peer. */
  async open(headers: SpdyHeaders): Promise<SpdyStream> {
    // Nobody would ever end it.
    if (this.#closed) throw new CodedError('SPDY_CLOSED', 'the connection is closed')
    const id = this.#nextId
    this.#nextId += 2
    const stream = new SpdyStream(this, id, headers)
    this.#streams.set(id, stream)
    await this.#sendHeaders(SYN_STREAM, words(id, 0), headers, Buffer.alloc(2))
    return stream
  }

  close(error?: Error): void {
    if (this.#closed) return
    this.#closed = true
    for (const stream of this.#streams.values()) stream.lose(error, this.#options.isClient ?? false)
    this.#streams.clear()
    this.#full.clear()
    this.#headers.close()
    if (!this.#connection.destroyed) this.#connection.end()
    this.#options.onClose(error)
  }

  /** From streams. */
  sendData(id: number, chunk: Buffer, callback: (error?: Error | null) => void): void {
    if (this.#closed) return callback(new CodedError('SPDY_CLOSED', 'the connection is closed'))
    let drained = true
    for (let at = 0; at < chunk.length; at += DATA_BYTES) {
      for (const part of dataFrame(id, chunk.subarray(at, at + DATA_BYTES), false)) drained = this.#connection.write(part)
    }
    if (drained) callback()
    else this.#connection.once('drain', () => callback())
  }

  sendEnd(id: number, callback: (error?: Error | null) => void): void {
    if (!this.#closed) for (const part of dataFrame(id, Buffer.alloc(0), true)) this.#connection.write(part)
    callback()
  }

  forget(stream: SpdyStream, abrupt: boolean): void {
    if (this.#streams.get(stream.id) !== stream) return
    this.#streams.delete(stream.id)
    this.taken(stream)
    if (abrupt && !this.#closed) this.#connection.write(controlFrame(RST_STREAM, 0, words(stream.id, RST_CANCEL)))
  }

  /** From streams: more is wanted, or nothing ever again. */
  taken(stream: SpdyStream): void {
    if (this.#full.delete(stream) && this.#full.size === 0) this.#connection.resume()
  }

  #receive(chunk: Buffer): void {
    let frames: Frame[]
    try {
      frames = this.#parser.push(chunk)
    } catch (error) {
      return this.close(asError(error))
    }
    for (const frame of frames) {
      this.#incoming = this.#incoming.then(() => (this.#closed ? undefined : this.#accept(frame))).catch((error: unknown) => this.close(asError(error)))
    }
  }

  async #accept(frame: Frame): Promise<void> {
    if (frame.kind === 'data') {
      const stream = this.#streams.get(frame.streamId)
      if (!stream) return
      if (stream.receive(frame.data, frame.fin)) return this.taken(stream)
      this.#full.add(stream)
      this.#connection.pause()
      return
    }
    switch (frame.type) {
      case SYN_STREAM:
        return this.#acceptStream(frame.flags, frame.body)
      case SYN_REPLY:
        // Unpacked even though nothing is read from it: the codec's memory must not lose step.
        await this.#headers.decompress(frame.body.subarray(4))
        return
      case RST_STREAM:
        this.#streams.get(frame.body.readUInt32BE(0))?.lose(undefined, this.#options.isClient ?? false)
        return
      case PING:
        this.#connection.write(controlFrame(PING, 0, frame.body))
        return
      case GOAWAY:
        // The peer opens no more streams; those that are open go on until it closes the connection.
        return
      default:
        return
    }
  }

  async #acceptStream(flags: number, body: Buffer): Promise<void> {
    if (body.length < 10) throw new CodedError('SPDY_PROTOCOL', 'a SYN_STREAM frame is too short')
    const id = body.readUInt32BE(0) & 0x7fffffff
    const headers = await this.#headers.decompress(body.subarray(10))
    if (this.#streams.size >= STREAMS_MAX || this.#streams.has(id)) {
      this.#connection.write(controlFrame(RST_STREAM, 0, words(id, RST_REFUSED)))
      return
    }
    const stream = new SpdyStream(this, id, headers)
    stream.on('error', () => { /* told to whoever reads or writes it; never to the process */ })
    this.#streams.set(id, stream)
    await this.#sendHeaders(SYN_REPLY, words(id), {})
    if ((flags & FLAG_FIN) !== 0) stream.receive(Buffer.alloc(0), true)
    this.#options.onStream(stream)
  }

  /** One at a time, so that blocks are sent in the order in which they were compressed. */
  #sendHeaders(type: number, prefix: Buffer, headers: SpdyHeaders, extra: Buffer = Buffer.alloc(0)): Promise<void> {
    const sent = this.#outgoing.then(async () => {
      if (this.#closed) return
      const block = await this.#headers.compress(headers)
      if (!this.#closed) this.#connection.write(controlFrame(type, 0, prefix, extra, block))
    })
    this.#outgoing = sent.catch(() => { /* told to the caller through `sent` */ })
    return sent
  }
}
