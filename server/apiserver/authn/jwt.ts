/** JSON Web Tokens as service accounts have them: compact form, ES256 (RFC 7515, 7518), nothing else accepted. */
import { sign, verify } from 'node:crypto'
import type { SigningKey } from '../pki/service-account-keys.ts'

/** Longest token looked at: claims with generous names stay under 2 KB. */
export const JWT_CHARS_MAX = 16 * 1024

export type JwtClaims = Readonly<Record<string, unknown>>

export type JwtResult = { ok: true; claims: JwtClaims } | { ok: false; because: string }

export function signJwt(claims: JwtClaims, key: SigningKey): string {
  const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const input = `${encode({ alg: 'ES256', kid: key.kid })}.${encode(claims)}`
  return `${input}.${sign('sha256', Buffer.from(input), { key: key.key, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`
}

export function isJwtShaped(token: string): boolean {
  return token.length <= JWT_CHARS_MAX && /^[\w-]+\.[\w-]+\.[\w-]+$/.test(token)
}

/** Checks form and signature only; what the claims mean is the caller's. Tries the key named by `kid`, or all when it names none. */
export function verifyJwt(token: string, keys: readonly SigningKey[]): JwtResult {
  if (!isJwtShaped(token)) return { ok: false, because: 'not a JWT' }
  const [head = '', body = '', signature = ''] = token.split('.')
  const header = parseObject(head)
  if (!header) return { ok: false, because: 'the header is not JSON' }
  if (header['alg'] !== 'ES256') return { ok: false, because: `algorithm ${JSON.stringify(header['alg'])?.slice(0, 20)} is not accepted` }
  const candidates = typeof header['kid'] === 'string' ? keys.filter((k) => k.kid === header['kid']) : keys
  const input = Buffer.from(`${head}.${body}`)
  const bytes = Buffer.from(signature, 'base64url')
  if (!candidates.some((k) => verify('sha256', input, { key: k.key, dsaEncoding: 'ieee-p1363' }, bytes))) return { ok: false, because: 'the signature is of no key known here' }
  const claims = parseObject(body)
  return claims ? { ok: true, claims } : { ok: false, because: 'the claims are not JSON' }
}

/** What a token says before anybody has looked at its signature: good for finding out whose it is, for nothing else. */
export function unverifiedClaims(token: string): JwtClaims | undefined {
  return isJwtShaped(token) ? parseObject(token.split('.')[1] ?? '') : undefined
}

function parseObject(part: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString('utf8'))
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Record<string, unknown>) : undefined
  } catch {
    return undefined // Not JSON: the caller says so.
  }
}
