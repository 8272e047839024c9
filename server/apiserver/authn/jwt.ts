/** JSON Web Tokens as service accounts have them: compact form, signed by ECDSA or RSA (RFC 7515, 7518), nothing else accepted. */
import { sign, verify, type KeyObject } from 'node:crypto'
import assert from 'node:assert/strict'
import type { SigningKey } from '../pki/service-account-keys.ts'

/** Longest token looked at: claims with generous names stay under 2 KB. */
export const JWT_CHARS_MAX = 16 * 1024

export type JwtClaims = Readonly<Record<string, unknown>>

export type JwtResult = { ok: true; claims: JwtClaims } | { ok: false; because: string }

const CURVES: Readonly<Record<string, { alg: string; digest: string }>> = {
  prime256v1: { alg: 'ES256', digest: 'sha256' }, secp384r1: { alg: 'ES384', digest: 'sha384' }, secp521r1: { alg: 'ES512', digest: 'sha512' },
}

/** The algorithm that goes with a key, as upstream chooses it; undefined: such keys sign no tokens. */
export function algorithmOf(key: KeyObject): { alg: string; digest: string } | undefined {
  return key.asymmetricKeyType === 'rsa' ? { alg: 'RS256', digest: 'sha256' } : key.asymmetricKeyType === 'ec' ? CURVES[key.asymmetricKeyDetails?.namedCurve ?? ''] : undefined
}

export function signJwt(claims: JwtClaims, key: SigningKey): string {
  const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
  const algorithm = algorithmOf(key.key)
  assert(algorithm, 'keys are looked at when they are read')
  const input = `${encode({ alg: algorithm.alg, kid: key.kid })}.${encode(claims)}`
  return `${input}.${sign(algorithm.digest, Buffer.from(input), { key: key.key, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`
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
  const alike = keys.filter((k) => algorithmOf(k.key)?.alg === header['alg'])
  if (alike.length === 0) return { ok: false, because: `algorithm ${JSON.stringify(header['alg'])?.slice(0, 20)} is not accepted` }
  const candidates = typeof header['kid'] === 'string' ? alike.filter((k) => k.kid === header['kid']) : alike
  const input = Buffer.from(`${head}.${body}`)
  const bytes = Buffer.from(signature, 'base64url')
  if (!candidates.some((k) => verify(algorithmOf(k.key)?.digest, input, { key: k.key, dsaEncoding: 'ieee-p1363' }, bytes))) return { ok: false, because: 'the signature is of no key known here' }
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
