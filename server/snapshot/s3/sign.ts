/** AWS Signature Version 4, in the Authorization header, as S3 wants it (docs.aws.amazon.com, "Authenticating Requests: Using the Authorization Header"). Pure. */
import { createHash, createHmac } from 'node:crypto'

export interface S3Credentials { accessKey: string; secretKey: string; sessionToken?: string | undefined }

export interface S3Request {
  method: string
  host: string
  /** Not encoded: `/bucket/a key`. */
  path: string
  /** Not encoded. */
  query: Readonly<Record<string, string>>
  /** Lower-case names; further ones to be signed. */
  headers: Readonly<Record<string, string>>
  /** SHA-256 of the body in hex. */
  bodyHash: string
}

export const EMPTY_HASH = createHash('sha256').digest('hex')

/** All headers to send, the signature among them. */
export function signedHeaders(request: S3Request, credentials: S3Credentials, { region, nowMs }: { region: string; nowMs: number }): Record<string, string> {
  const stamp = new Date(nowMs).toISOString().replaceAll(/[-:]|\.\d{3}/g, '')
  const day = stamp.slice(0, 8)
  const headers: Record<string, string> = {
    ...request.headers, host: request.host, 'x-amz-content-sha256': request.bodyHash, 'x-amz-date': stamp,
    ...(credentials.sessionToken !== undefined && { 'x-amz-security-token': credentials.sessionToken }),
  }
  const names = Object.keys(headers).sort()
  const canonical = [
    request.method, encodePath(request.path), encodeQuery(request.query),
    ...names.map((name) => `${name}:${(headers[name] ?? '').trim().replaceAll(/ +/g, ' ')}`), '', names.join(';'), request.bodyHash,
  ].join('\n')
  const scope = `${day}/${region}/s3/aws4_request`
  const toSign = ['AWS4-HMAC-SHA256', stamp, scope, createHash('sha256').update(canonical).digest('hex')].join('\n')
  const key = [day, region, 's3', 'aws4_request'].reduce<Buffer | string>((k, part) => hmac(k, part), `AWS4${credentials.secretKey}`)
  return { ...headers, authorization: `AWS4-HMAC-SHA256 Credential=${credentials.accessKey}/${scope},SignedHeaders=${names.join(';')},Signature=${hmac(key, toSign).toString('hex')}` }
}

export const encodePath = (path: string): string => path.split('/').map(encode).join('/')

export function encodeQuery(query: Readonly<Record<string, string>>): string {
  return Object.entries(query).map(([name, value]) => [encode(name), encode(value)] as const).sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, value]) => `${name}=${value}`).join('&')
}

/** RFC 3986: all but letters, digits and `-._~`. */
const encode = (text: string): string => encodeURIComponent(text).replaceAll(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)

const hmac = (key: Buffer | string, text: string): Buffer => createHmac('sha256', key).update(text).digest()
