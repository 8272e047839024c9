/** KMS v2 (`v2.KeyManagementService`): three unary gRPC calls to a plugin on a Unix socket. The connection is made when first needed. */
import type { ClientHttp2Session } from 'node:http2'
import type { Clock } from '#base/clock.ts'
import { asError, CodedError } from '#base/errors.ts'
import { WireReader, WireWriter } from '../protobuf/index.ts'

export interface KmsStatus { version: string; healthz: string; keyId: string }

export interface EncryptedKey { ciphertext: Buffer; keyId: string; annotations: ReadonlyMap<string, Buffer> }

/** Rejects with KMS_UNAVAILABLE, which names the socket. */
export interface KmsClient {
  status(): Promise<KmsStatus>
  encrypt(plain: Buffer, uid: string): Promise<EncryptedKey>
  decrypt(key: EncryptedKey, uid: string): Promise<Buffer>
  close(): void
}

/** More than any answer of a KMS is: a key, its name, a few annotations. */
const ANSWER_BYTES_MAX = 64 * 1024

export function createKmsClient({ socketPath, timeoutMs, clock }: { socketPath: string; timeoutMs: number; clock: Clock }): KmsClient {
  const state: { session: Promise<ClientHttp2Session> | undefined } = { session: undefined }

  async function connect(): Promise<ClientHttp2Session> {
    const [{ connect: dial }, { connect: dialSocket }] = await Promise.all([import('node:http2'), import('node:net')])
    const session = dial('http://localhost', { createConnection: () => dialSocket(socketPath) })
    const forget = (): void => { state.session = undefined }
    session.on('error', forget)
    session.on('close', forget)
    session.unref()
    return session
  }

  async function call(method: string, message: Buffer): Promise<Map<number, Buffer[]>> {
    try {
      const session = await (state.session ??= connect())
      return fieldsOf(await unary(session, `/v2.KeyManagementService/${method}`, message, timeoutMs, clock))
    } catch (error) {
      throw new CodedError('KMS_UNAVAILABLE', `the KMS plugin at ${socketPath} did not answer ${method}: ${asError(error).message}`, { cause: error })
    }
  }

  return {
    async status() {
      const answer = await call('Status', Buffer.alloc(0))
      return { version: text(answer, 1), healthz: text(answer, 2), keyId: text(answer, 3) }
    },
    async encrypt(plain, uid) {
      const answer = await call('Encrypt', messageOf([[1, plain], [2, Buffer.from(uid)]]))
      return { ciphertext: bytes(answer, 1), keyId: text(answer, 2), annotations: annotationsOf(answer.get(3)) }
    },
    async decrypt({ ciphertext, keyId, annotations }, uid) {
      return bytes(await call('Decrypt', messageOf([[1, ciphertext], [2, Buffer.from(uid)], [3, Buffer.from(keyId)], ...annotationFields(4, annotations)])), 1)
    },
    close() {
      state.session?.then((session) => session.destroy(), () => { /* it never came to be */ })
      state.session = undefined
    },
  }
}

/** One message there, one back, each behind a byte of flags and four of length. */
function unary(session: ClientHttp2Session, path: string, message: Buffer, timeoutMs: number, clock: Clock): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const stream = session.request({ ':method': 'POST', ':path': path, 'content-type': 'application/grpc', te: 'trailers' })
    const chunks: Buffer[] = []
    let size = 0
    let status: { code: string; message: string } | undefined
    const note = (headers: Record<string, unknown>): void => {
      if (headers['grpc-status'] !== undefined) status = { code: grpcText(headers['grpc-status']), message: grpcText(headers['grpc-message']) }
    }
    const fail = (error: Error): void => {
      cancel()
      stream.close()
      reject(error)
    }
    const cancel = clock.after(timeoutMs, () => fail(new Error(`no answer within ${timeoutMs} ms`)))
    stream.on('response', note)
    stream.on('trailers', note)
    stream.on('error', fail)
    stream.on('data', (chunk: Buffer) => {
      size += chunk.length
      if (size > ANSWER_BYTES_MAX) fail(new Error(`the answer is larger than ${ANSWER_BYTES_MAX} bytes`))
      else chunks.push(chunk)
    })
    stream.on('end', () => {
      cancel()
      const whole = Buffer.concat(chunks)
      if (status && status.code !== '0') reject(new Error(`gRPC status ${status.code}: ${status.message}`))
      else if (whole.length < 5 || whole[0] !== 0 || whole.readUInt32BE(1) !== whole.length - 5) reject(new Error('the answer is no gRPC message'))
      else resolve(whole.subarray(5))
    })
    const head = Buffer.alloc(5)
    head.writeUInt32BE(message.length, 1)
    stream.end(Buffer.concat([head, message]))
  })
}

const grpcText = (value: unknown): string => (typeof value === 'string' ? value : '')

const DEPTH_MAX = 8

/** Length-delimited fields by number; numbers are kept as their decimal text. Throws for what is no message. */
export function fieldsOf(message: Buffer): Map<number, Buffer[]> {
  const reader = new WireReader(message, DEPTH_MAX)
  const fields = new Map<number, Buffer[]>()
  while (reader.at < reader.end) {
    const tag = reader.int64()
    const [number, wire] = [Math.floor(tag / 8), tag % 8]
    if (wire !== 2 && wire !== 0) {
      reader.skip(wire)
      continue
    }
    const value = wire === 2 ? reader.slice() : Buffer.from(String(reader.int64()))
    fields.set(number, [...(fields.get(number) ?? []), value])
  }
  return fields
}

const bytes = (fields: ReadonlyMap<number, Buffer[]>, number: number): Buffer => fields.get(number)?.at(-1) ?? Buffer.alloc(0)
const text = (fields: ReadonlyMap<number, Buffer[]>, number: number): string => bytes(fields, number).toString()

/** Empty values are left out, as proto3 does. */
export function messageOf(fields: readonly (readonly [number, Buffer])[]): Buffer {
  const writer = new WireWriter()
  for (const [number, value] of fields.toReversed()) {
    if (value.length === 0) continue
    writer.bytes(value)
    writer.tag(number, 2)
  }
  return writer.finish()
}

export function annotationFields(number: number, annotations: ReadonlyMap<string, Buffer>): [number, Buffer][] {
  return [...annotations].map(([key, value]) => [number, messageOf([[1, Buffer.from(key)], [2, value]])])
}

export function annotationsOf(entries: readonly Buffer[] | undefined): Map<string, Buffer> {
  return new Map((entries ?? []).map((entry) => {
    const fields = fieldsOf(entry)
    return [text(fields, 1), bytes(fields, 2)]
  }))
}
