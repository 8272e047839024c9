/** Bearer tokens of other issuers (OpenID Connect ID tokens and the like): who issued them is believed, what they say is mapped. */
import type { Clock } from '#base/clock.ts'
import { asError } from '#base/errors.ts'
import type { Authentication } from '../../auth.ts'
import type { HttpsPool } from '../../webhook-client/index.ts'
import { unverifiedClaims } from '../jwt.ts'
import type { JwtMetrics } from '../../metrics/jwt-metrics.ts'
import type { JwtIssuerConfig } from './authentication-config.ts'
import { userOfClaims, type Claims } from './claims-user.ts'
import type { CelTools } from './expressions.ts'
import { withDistributedClaim, type ClaimSources } from './distributed-claims.ts'
import { createIssuerKeys, fetchBytes, type IssuerKeys } from './issuer-keys.ts'

export interface JwtAuthenticator {
  /** `none`: issued by somebody nobody here knows. */
  authenticate(token: string): Promise<Authentication>
  /** These issuers, once all of them have told their keys; those of issuers that stay as they are, are kept. Rejects when one has not within a minute: those before stay. */
  replace(issuers: readonly JwtIssuerConfig[], cel: CelTools, signal: AbortSignal): Promise<void>
}

/** `metrics` is told of tokens of issuers that are known. */
export interface JwtAuthenticatorOptions { pool: HttpsPool; clock: Clock; metrics: JwtMetrics; issuers: readonly JwtIssuerConfig[]; cel: CelTools }

/** go-oidc's: clocks of issuers may be ahead by so much. */
const NOT_BEFORE_LEEWAY_SECONDS = 300

/** Upstream's, for a changed configuration. */
const ANSWERED_MS_MAX = 60_000
const ASK_AGAIN_MS = 10_000

/** Issuers of claims that tokens of one issuer refer to: more are not remembered. */
const CLAIM_ISSUERS_MAX = 16

interface Issuer {
  config: JwtIssuerConfig
  keys: IssuerKeys
  /** Of other issuers, by URL: those that signed claims its tokens refer to. */
  claimKeys: Map<string, IssuerKeys>
}

export function createJwtAuthenticator({ pool, clock, metrics, ...initial }: JwtAuthenticatorOptions): JwtAuthenticator {
  const made = (issuers: readonly JwtIssuerConfig[], before: ReadonlyMap<string, Issuer>): ReadonlyMap<string, Issuer> => new Map(issuers.map((config) => {
    const old = before.get(config.url)
    const isSame = old?.config.discoveryUrl === config.discoveryUrl && old?.config.ca === config.ca
    return [config.url, { config, ...(old && isSame ? { keys: old.keys, claimKeys: old.claimKeys } : { keys: createIssuerKeys(config, pool, clock, { fetched: (keySet) => metrics.fetched(config.url, keySet), failed: () => metrics.failed(config.url) }), claimKeys: new Map<string, IssuerKeys>() }) }]
  }))
  const state: { byUrl: ReadonlyMap<string, Issuer>; cel: CelTools } = { byUrl: made(initial.issuers, new Map()), cel: initial.cel }

  const authenticateBy = async (issuer: Issuer, token: string): Promise<Authentication> => {
    const refuse = (because: string): Authentication => ({ ok: false, why: 'invalid', because })
    let claims: Claims
    try {
      claims = await verify(token, issuer)
    } catch (error) {
      return refuse(`oidc: verify token: ${asError(error).message}`)
    }
    const problem = timeProblem(claims, clock.nowMs() / 1000) ?? audienceProblem(claims, issuer.config.audiences)
    if (problem !== undefined) return refuse(`oidc: verify token: ${problem}`)
    const { groups } = issuer.config
    try {
      claims = await withDistributedClaim(claims, groups && 'claim' in groups ? groups.claim : undefined, sourcesOf(issuer, pool, clock))
    } catch (error) {
      return refuse(`oidc: could not expand distributed claims: ${asError(error).message}`)
    }
    const mapped = userOfClaims(claims, issuer.config, state.cel)
    return mapped.ok ? { ok: true, user: mapped.user } : refuse(mapped.because)
  }

  return {
    async replace(issuers, cel, signal) {
      const byUrl = made(issuers, state.byUrl)
      const untilMs = clock.monotonicMs() + ANSWERED_MS_MAX
      await Promise.all([...byUrl.values()].map(({ keys }) => answered(keys, untilMs, clock, signal)))
      state.byUrl = byUrl
      state.cel = cel
      metrics.keep(new Set(byUrl.keys()))
    },
    async authenticate(token) {
      const url = unverifiedClaims(token)?.['iss']
      const issuer = typeof url === 'string' ? state.byUrl.get(url) : undefined
      if (!issuer) return { ok: false, why: 'none' }
      const begunMs = clock.monotonicMs()
      const answer = await authenticateBy(issuer, token)
      metrics.authenticated(issuer.config.url, answer.ok ? 'success' : 'failure', clock.monotonicMs() - begunMs)
      return answer
    },
  }
}

async function answered(keys: IssuerKeys, untilMs: number, clock: Clock, signal: AbortSignal): Promise<void> {
  for (;;) {
    try {
      await keys.current()
      return
    } catch (error) {
      if (clock.monotonicMs() + ASK_AGAIN_MS > untilMs) throw error
      await clock.sleep(ASK_AGAIN_MS, signal)
    }
  }
}

function sourcesOf({ config, claimKeys }: Issuer, pool: HttpsPool, clock: Clock): ClaimSources {
  const { ca } = config
  const keysOf = (url: string): IssuerKeys => {
    const keys = claimKeys.get(url) ?? createIssuerKeys({ url, discoveryUrl: undefined, ca }, pool, clock)
    if (claimKeys.size < CLAIM_ISSUERS_MAX) claimKeys.set(url, keys)
    return keys
  }
  return {
    async fetch(url, accessToken) {
      const body = await fetchBytes(url, { ca, pool, clock, headers: accessToken === '' ? {} : { authorization: `Bearer ${accessToken}` } })
      return body.toString('utf8').trim()
    },
    async verify(token) {
      const issuer = unverifiedClaims(token)?.['iss']
      if (typeof issuer !== 'string' || issuer === '') throw new Error('getting untrusted issuer from endpoint failed: malformed token, missing or empty issuer')
      try {
        const claims = await verify(token, { config, keys: keysOf(issuer) })
        const problem = timeProblem(claims, clock.nowMs() / 1000)
        if (problem !== undefined) throw new Error(problem)
        return claims
      } catch (error) {
        throw new Error(`verify distributed claim token: ${asError(error).message}`, { cause: error })
      }
    },
  }
}

/** The signature. A key that is not known is looked for once more at the issuer. */
async function verify(token: string, { config, keys }: Pick<Issuer, 'config' | 'keys'>): Promise<Claims> {
  const jose = await import('jose')
  const check = async (set: Parameters<typeof jose.createLocalJWKSet>[0]): Promise<Claims> => {
    const resolve = jose.createLocalJWKSet(set)
    const { payload } = await jose.compactVerify(token, resolve, { algorithms: [...config.algorithms] }).catch(async (error: unknown) => {
      if (!(error instanceof jose.errors.JWKSMultipleMatchingKeys)) throw error
      // A token without a key id: any of the issuer's keys may have signed it.
      for await (const key of error) {
        const verified = await jose.compactVerify(token, key, { algorithms: [...config.algorithms] }).catch(() => undefined)
        if (verified) return verified
      }
      throw new jose.errors.JWSSignatureVerificationFailed()
    })
    return JSON.parse(Buffer.from(payload).toString()) as Claims
  }
  const known = await fetched(keys.current())
  try {
    return await check(known)
  } catch (error) {
    if (!(error instanceof jose.errors.JWKSNoMatchingKey) && !(error instanceof jose.errors.JWSSignatureVerificationFailed)) throw worded(error, config)
    const fresh = await fetched(keys.refresh())
    if (fresh === known) throw worded(error, config)
    return check(fresh).catch((again: unknown) => { throw worded(again, config) })
  }
}

async function fetched<T>(keys: Promise<T>): Promise<T> {
  try {
    return await keys
  } catch (error) {
    throw new Error(`failed to verify signature: fetching keys ${asError(error).message}`, { cause: error })
  }
}

function worded(error: unknown, { algorithms }: JwtIssuerConfig): Error {
  const { code, message } = error as { code?: string; message?: string }
  if (code === 'ERR_JOSE_ALG_NOT_ALLOWED') return new Error(`oidc: malformed jwt: unexpected signature algorithm; expected [${algorithms.map((a) => JSON.stringify(a)).join(' ')}]`, { cause: error })
  if (code === 'ERR_JWKS_NO_MATCHING_KEY' || code === 'ERR_JWS_SIGNATURE_VERIFICATION_FAILED') return new Error('failed to verify signature: failed to verify id token signature', { cause: error })
  return new Error(`oidc: malformed jwt: ${message ?? ''}`, { cause: error })
}

function timeProblem({ exp, nbf }: Claims, nowSeconds: number): string | undefined {
  if (typeof exp !== 'number' || exp <= nowSeconds) return `oidc: token is expired (Token Expiry: ${shownTime(typeof exp === 'number' ? exp : 0)})`
  if (typeof nbf === 'number' && nbf > nowSeconds + NOT_BEFORE_LEEWAY_SECONDS) return `oidc: current time ${shownTime(nowSeconds)} before the nbf (not before) time: ${shownTime(nbf)}`
  return undefined
}

function audienceProblem({ aud }: Claims, wanted: readonly string[]): string | undefined {
  const given = typeof aud === 'string' ? [aud] : Array.isArray(aud) ? aud.filter((a) => typeof a === 'string') : []
  if (wanted.some((a) => given.includes(a))) return undefined
  return `oidc: expected audience in [${wanted.map((a) => JSON.stringify(a)).join(' ')}] got [${given.map((a) => JSON.stringify(a)).join(' ')}]`
}

/** `2026-01-02 03:04:05 +0000 UTC`; what is no time at all is shown as it is. */
function shownTime(seconds: number): string {
  const date = new Date(seconds * 1000)
  return Number.isNaN(date.getTime()) ? String(seconds) : date.toISOString().replace('T', ' ').replace(/\.\d+Z$/, ' +0000 UTC')
}
