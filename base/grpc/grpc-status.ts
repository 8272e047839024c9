/** gRPC's status codes (grpc.github.io, `statuscodes`) and the framing that client and server share. */
import { CodedError } from '../errors.ts'

export const GRPC = {
  ok: 0, cancelled: 1, unknown: 2, invalidArgument: 3, deadlineExceeded: 4, notFound: 5, alreadyExists: 6, resourceExhausted: 8, failedPrecondition: 9, outOfRange: 11, unimplemented: 12, internal: 13, unavailable: 14,
} as const

/** `code` of the error is `GRPC_<number>`. */
export class GrpcError extends CodedError {
  readonly status: number
  /** False: the request never left, so it may be made again whatever it was. */
  readonly wasSent: boolean

  constructor(status: number, message: string, options: { cause?: unknown; wasSent?: boolean } = {}) {
    super(`GRPC_${status}`, message, options)
    this.status = status
    this.wasSent = options.wasSent ?? true
  }
}

/** As kubelet and containerd: 16 MiB. */
export const MESSAGE_BYTES_MAX = 16 * 1024 * 1024
const PREFIX_BYTES = 5

/** A byte of flags (no compression) and the length. */
export function frame(message: Buffer): Buffer {
  const framed = Buffer.allocUnsafe(PREFIX_BYTES + message.length)
  framed[0] = 0
  framed.writeUInt32BE(message.length, 1)
  message.copy(framed, PREFIX_BYTES)
  return framed
}

/** Cuts a byte stream into messages. Throws GrpcError for compressed and for too large ones. */
export class Unframer {
  readonly #bytesMax: number
  #chunks: Buffer[] = []
  #size = 0

  constructor(bytesMax = MESSAGE_BYTES_MAX) {
    this.#bytesMax = bytesMax
  }

  push(chunk: Buffer): Buffer[] {
    this.#chunks.push(chunk)
    this.#size += chunk.length
    const messages: Buffer[] = []
    for (;;) {
      if (this.#size < PREFIX_BYTES) return messages
      const head = this.#joined(PREFIX_BYTES)
      if (head[0] !== 0) throw new GrpcError(GRPC.unimplemented, 'the message is compressed, which was not agreed')
      const length = head.readUInt32BE(1)
      if (length > this.#bytesMax) throw new GrpcError(GRPC.resourceExhausted, `the message has ${length} bytes, more than the ${this.#bytesMax} allowed`)
      if (this.#size < PREFIX_BYTES + length) return messages
      const all = this.#joined(PREFIX_BYTES + length)
      messages.push(all.subarray(PREFIX_BYTES, PREFIX_BYTES + length))
      const rest = all.subarray(PREFIX_BYTES + length)
      this.#chunks = rest.length > 0 ? [rest] : []
      this.#size = rest.length
    }
  }

  /** The first chunk, made to hold at least `bytes`. */
  #joined(bytes: number): Buffer {
    const [first] = this.#chunks
    if (first && first.length >= bytes) return first.length === this.#size ? first : this.#join()
    return this.#join()
  }

  #join(): Buffer {
    const all = Buffer.concat(this.#chunks)
    this.#chunks = [all]
    return all
  }
}

/** `grpc-message` is percent-encoded UTF-8. */
export function encodeMessage(text: string): string {
  return [...Buffer.from(text)].map((b) => (b >= 0x20 && b <= 0x7e && b !== 0x25 ? String.fromCharCode(b) : `%${b.toString(16).toUpperCase().padStart(2, '0')}`)).join('')
}

export function decodeMessage(text: string): string {
  const bytes = text.replaceAll(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
  return Buffer.from(bytes, 'latin1').toString()
}
