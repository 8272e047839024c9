/**
 * Authorization for a registry: Basic, or a Bearer token fetched from the realm the registry names.
 * https://distribution.github.io/distribution/spec/auth/token/
 */
import { CodedError } from '#base/errors.ts'
import type { RegistryAuth } from '../runtime.ts'
import { exchange, readBody } from './http-exchange.ts'
import type { TlsSettings } from './http-exchange.ts'
import { isLoopback } from './registries-config.ts'

export interface Challenge { scheme: 'basic' | 'bearer'; parameters: Record<string, string> }

const TOKEN_BYTES_MAX = 1 << 20

/** The strongest scheme we speak; undefined when there is none. */
export function parseChallenge(header: string | undefined): Challenge | undefined {
  if (header === undefined) return undefined
  const found: Challenge[] = []
  for (const match of header.matchAll(/\b(basic|bearer)\b((?:\s*,?\s*[\w-]+=(?:"(?:[^"\\]|\\.)*"|[^\s,"]+))*)/gi)) {
    const parameters: Record<string, string> = {}
    for (const pair of (match[2] ?? '').matchAll(/([\w-]+)=(?:"((?:[^"\\]|\\.)*)"|([^\s,"]+))/g)) {
      parameters[(pair[1] ?? '').toLowerCase()] = (pair[2] ?? pair[3] ?? '').replaceAll(/\\(.)/g, '$1')
    }
    found.push({ scheme: (match[1] ?? '').toLowerCase() === 'bearer' ? 'bearer' : 'basic', parameters })
  }
  return found.find((c) => c.scheme === 'bearer') ?? found[0]
}

export function basicAuthorization(auth: RegistryAuth): string {
  return `Basic ${Buffer.from(`${auth.username ?? ''}:${auth.password ?? ''}`).toString('base64')}`
}

/** The value for `Authorization`, or an error in containerd's words. */
export async function answerChallenge(
  challenge: Challenge,
  options: { auth: RegistryAuth | undefined; repository: string; /** Of the host that gives tokens. */ tlsFor: (host: string) => TlsSettings | undefined; stallMs: number; signal?: AbortSignal },
): Promise<string> {
  const { auth } = options
  if (auth?.registryToken) return `Bearer ${auth.registryToken}`
  if (challenge.scheme === 'basic') {
    if (!auth?.username) throw new CodedError('CRI_PULL_FAILED', 'authorization failed: no basic auth credentials')
    return basicAuthorization(auth)
  }
  const { realm, service } = challenge.parameters
  if (realm === undefined || !URL.canParse(realm)) throw new CodedError('CRI_PULL_FAILED', 'failed to authorize: the registry names no valid token realm')
  const url = new URL(realm)
  const scope = challenge.parameters.scope ?? `repository:${options.repository}:pull`
  const hasSecret = auth !== undefined && Boolean(auth.username || auth.identityToken)
  if (hasSecret && url.protocol !== 'https:' && !isLoopback(url.host)) {
    throw new CodedError('CRI_PULL_FAILED', `failed to authorize: the token realm ${url.origin} is not https, credentials are not sent there`)
  }
  return `Bearer ${await fetchToken(url, { ...options, scope, service, tls: options.tlsFor(url.host) })}`
}

async function fetchToken(url: URL, options: { auth: RegistryAuth | undefined; scope: string; service: string | undefined; tls: TlsSettings | undefined; stallMs: number; signal?: AbortSignal }): Promise<string> {
  const { auth, scope, service, tls, stallMs, signal } = options
  const common = { stallMs, ...(signal && { signal }), ...(tls && { tls }) }
  const kind = auth?.username || auth?.identityToken ? 'oauth' : 'anonymous'
  let answer
  if (auth?.identityToken) {
    const form = new URLSearchParams({ grant_type: 'refresh_token', refresh_token: auth.identityToken, client_id: 'skiff', scope, ...(service !== undefined && { service }) })
    answer = await exchange({ ...common, method: 'POST', url: url.href, headers: { 'Content-Type': 'application/x-www-form-urlencoded' }, body: form.toString() })
  } else {
    url.searchParams.set('scope', scope)
    if (service !== undefined) url.searchParams.set('service', service)
    answer = await exchange({ ...common, method: 'GET', url: url.href, headers: auth?.username ? { Authorization: basicAuthorization(auth) } : {} })
  }
  const body = await readBody(answer.body, TOKEN_BYTES_MAX, 'token answer')
  if (answer.status !== 200) {
    throw new CodedError('CRI_PULL_FAILED', `failed to authorize: failed to fetch ${kind} token: unexpected status from GET request to ${url.origin}${url.pathname}: ${answer.status}`, { details: { status: answer.status } })
  }
  const token = parseToken(body)
  if (token === undefined) throw new CodedError('CRI_PULL_FAILED', `failed to authorize: failed to fetch ${kind} token: ${url.origin} answered without a token`)
  return token
}

function parseToken(body: Buffer): string | undefined {
  let parsed: unknown
  try {
    parsed = JSON.parse(body.toString())
  } catch {
    // Not JSON: the same as an answer without a token, which the caller reports.
    return undefined
  }
  if (typeof parsed !== 'object' || parsed === null) return undefined
  const { token, access_token: accessToken } = parsed as { token?: unknown; access_token?: unknown }
  const value = typeof token === 'string' && token ? token : accessToken
  return typeof value === 'string' && /^[\x21-\x7e]+$/.test(value) ? value : undefined
}
