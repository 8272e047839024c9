/** gRPC's status codes (grpc.github.io, `statuscodes`) and the framing that client and server share. */
import { asError, CodedError } from '../errors.ts'

export const GRPC = {
  ok: 0, cancelled: 1, unknown: 2, invalidArgument: 3, deadlineExceeded: 4, notFound: 5, alreadyExists: 6, resourceExhausted: 8, failedPrecondition: 9, aborted: 10, outOfRange: 11, unimplemented: 12, internal: 13, unavailable: 14,
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

/** As grpc-go names them. */
const CODE_NAMES = ['OK', 'Canceled', 'Unknown', 'InvalidArgument', 'DeadlineExceeded', 'NotFound', 'AlreadyExists', 'PermissionDenied', 'ResourceExhausted', 'FailedPrecondition', 'Aborted', 'OutOfRange', 'Unimplemented', 'Internal', 'Unavailable', 'DataLoss', 'Unauthenticated']
export const grpcCodeName = (code: number): string => CODE_NAMES[code] ?? `Code(${code})`

/** As grpc-go's errors read, for messages that people and tools know from there. */
export const goRpcError = (error: unknown): string => (error instanceof GrpcError ? `rpc error: code = ${grpcCodeName(error.status)} desc = ${error.message}` : asError(error).message)

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
    // Joined only when a message is whole: a large one comes in thousands of chunks.
    while (this.#size >= PREFIX_BYTES) {
      this.#gather(PREFIX_BYTES)
      const [head = Buffer.alloc(0)] = this.#chunks
      if (head[0] !== 0) throw new GrpcError(GRPC.unimplemented, 'the message is compressed, which was not agreed')
      const length = head.readUInt32BE(1)
      if (length > this.#bytesMax) throw new GrpcError(GRPC.resourceExhausted, `the message has ${length} bytes, more than the ${this.#bytesMax} allowed`)
      if (this.#size < PREFIX_BYTES + length) break
      this.#gather(PREFIX_BYTES + length)
      const [all = Buffer.alloc(0)] = this.#chunks
      messages.push(all.subarray(PREFIX_BYTES, PREFIX_BYTES + length))
      const rest = all.subarray(PREFIX_BYTES + length)
      this.#chunks.splice(0, 1, ...(rest.length > 0 ? [rest] : []))
      this.#size -= PREFIX_BYTES + length
    }
    return messages
  }

  /** Makes the first chunk hold at least `bytes`, which are there. */
  #gather(bytes: number): void {
    let [size, count] = [0, 0]
    while (size < bytes) size += this.#chunks[count++]?.length ?? 0
    if (count > 1) this.#chunks.splice(0, count, Buffer.concat(this.#chunks.slice(0, count), size))
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
