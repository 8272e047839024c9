/** grpc.health.v1.Health/Check over cleartext HTTP/2: the one message each way is written by hand. */
import type { IncomingHttpHeaders } from 'node:http2'
import { GRPC } from '#base/grpc/grpc-status.ts'

const STATUS_NAMES = ['UNKNOWN', 'SERVING', 'NOT_SERVING', 'SERVICE_UNKNOWN']
const BODY_BYTES_MAX = 4_096

export interface GrpcTarget { host: string; port: number; service: string }

/** `connected`: the server spoke HTTP/2. `status`: of serving, by name, when the call succeeded; else its code and message. */
export interface GrpcHealth { connected: boolean; status?: string; code?: number; message?: string }

/** Rejects only when aborted. */
export async function grpcHealth({ host, port, service }: GrpcTarget, signal: AbortSignal): Promise<GrpcHealth> {
  const { connect } = await import('node:http2')
  signal.throwIfAborted()
  const session = connect(`http://${host.includes(':') ? `[${host}]` : host}:${port}`)
  let connected = false
  session.once('remoteSettings', () => { connected = true })
  try {
    return await new Promise<GrpcHealth>((resolve) => {
      const timedOut = () => resolve({ connected, code: GRPC.deadlineExceeded, message: 'context deadline exceeded' })
      signal.addEventListener('abort', timedOut, { once: true })
      const failed = (error: Error) => resolve({ connected, code: GRPC.unavailable, message: error.message })
      session.on('error', failed)
      const stream = session.request({ ':method': 'POST', ':path': '/grpc.health.v1.Health/Check', 'content-type': 'application/grpc', te: 'trailers', 'user-agent': 'kube-probe/1.36' })
      const chunks: Buffer[] = []
      let size = 0
      let outcome: { code?: number; message: string } = { message: '' }
      const note = (headers: IncomingHttpHeaders) => {
        const code = headers['grpc-status']
        if (code !== undefined) outcome = { code: Number(code), message: percentDecoded([headers['grpc-message'] ?? ''].flat()[0] ?? '') }
      }
      stream.on('response', note)
      stream.on('trailers', note)
      stream.on('data', (chunk: Buffer) => {
        size += chunk.length
        if (size <= BODY_BYTES_MAX) chunks.push(chunk)
        else stream.destroy()
      })
      stream.on('error', failed)
      stream.on('end', () => {
        signal.removeEventListener('abort', timedOut)
        if (outcome.code === GRPC.ok) resolve({ connected: true, status: STATUS_NAMES[statusOf(Buffer.concat(chunks))] ?? 'UNKNOWN' })
        else resolve({ connected: true, code: outcome.code ?? GRPC.internal, message: outcome.code === undefined ? 'server closed the stream without sending trailers' : outcome.message })
      })
      stream.end(requestMessage(service))
    })
  } finally {
    session.destroy()
  }
}

function percentDecoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text // It was not encoded.
  }
}

/** Length-prefixed HealthCheckRequest{service = 1}. */
export function requestMessage(service: string): Buffer {
  const name = Buffer.from(service)
  const message = name.length === 0 ? Buffer.alloc(0) : Buffer.concat([Buffer.from([0x0a, ...varint(name.length)]), name])
  const prefix = Buffer.alloc(5)
  prefix.writeUInt32BE(message.length, 1)
  return Buffer.concat([prefix, message])
}

/** HealthCheckResponse{status = 1}: an absent field is 0. */
export function statusOf(body: Buffer): number {
  return body.length >= 7 && body[5] === 0x08 ? (body[6] ?? 0) : 0
}

function varint(n: number): number[] {
  const out: number[] = []
  for (let rest = n; ; rest >>>= 7) {
    if (rest < 0x80) return [...out, rest]
    out.push((rest & 0x7f) | 0x80)
  }
}
