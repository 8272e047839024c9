/** grpc.health.v1.Health/Check over cleartext HTTP/2: the one message each way is written by hand. */
import { CodedError } from '#base/errors.ts'

const STATUS_NAMES = ['UNKNOWN', 'SERVING', 'NOT_SERVING', 'SERVICE_UNKNOWN']
const BODY_BYTES_MAX = 4_096

export interface GrpcTarget { host: string; port: number; service: string }

/** The serving status by name. Rejects when no answer could be had; the code is upstream's wording's. */
export async function grpcHealth({ host, port, service }: GrpcTarget, signal: AbortSignal): Promise<string> {
  const { connect } = await import('node:http2')
  signal.throwIfAborted()
  const session = connect(`http://${host.includes(':') ? `[${host}]` : host}:${port}`)
  try {
    return await new Promise<string>((resolve, reject) => {
      const onAbort = () => reject(new CodedError('PROBE_TIMEOUT', 'context deadline exceeded'))
      signal.addEventListener('abort', onAbort, { once: true })
      session.on('error', reject)
      const stream = session.request({ ':method': 'POST', ':path': '/grpc.health.v1.Health/Check', 'content-type': 'application/grpc', te: 'trailers', 'user-agent': 'kube-probe/1.36' })
      const chunks: Buffer[] = []
      let size = 0
      let code = ''
      stream.on('response', (headers) => { code = String(headers['grpc-status'] ?? code) })
      stream.on('trailers', (headers) => { code = String(headers['grpc-status'] ?? code) })
      stream.on('data', (chunk: Buffer) => {
        size += chunk.length
        if (size <= BODY_BYTES_MAX) chunks.push(chunk)
        else stream.destroy()
      })
      stream.on('error', reject)
      stream.on('end', () => {
        signal.removeEventListener('abort', onAbort)
        if (code === '12') reject(new CodedError('PROBE_FAILED', 'this server does not implement the grpc health protocol (grpc.health.v1.Health): Unimplemented'))
        else if (code !== '0') reject(new CodedError('PROBE_FAILED', `service health check failed with gRPC status ${code || 'none'}`))
        else resolve(STATUS_NAMES[statusOf(Buffer.concat(chunks))] ?? 'UNKNOWN')
      })
      stream.end(requestMessage(service))
    })
  } finally {
    session.destroy()
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
