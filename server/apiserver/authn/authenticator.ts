/**
 * Who asks: the client certificate first, then the bearer token, as upstream orders them. One wrong token is a
 * refusal, never anonymous.
 */
import type { UserInfo } from '#api/types/index.ts'
import { parseToken } from '#api/token/token.ts'
import type { Clock } from '#base/clock.ts'
import type { Authentication, Authenticator, PeerCertificate } from '../auth.ts'
import type { JoinSecret } from '../pki/tokens.ts'
import type { AuthenticateToken } from '../webhook-client/index.ts'
import { BOOTSTRAP_GROUP, verifyBootstrapToken } from './bootstrap-tokens.ts'
import { JWT_CHARS_MAX, isJwtShaped } from './jwt.ts'
import type { Lookup } from './lookup.ts'
import { isSecretEqual } from './secret-equal.ts'
import type { ServiceAccountTokens } from './service-account-tokens.ts'

export interface AuthenticatorOptions {
  serviceAccounts: ServiceAccountTokens
  /** For bootstrap token Secrets. */
  lookup: Lookup
  /** The cluster's own join tokens. A function: `--token` may change them. */
  joinSecrets: () => readonly JoinSecret[]
  /** Static tokens: bearer → user. For an admin without certificates; usually none. */
  staticTokens?: ReadonlyMap<string, UserInfo>
  /** Another server that knows tokens; asked last, about those that nobody here takes. */
  tokenWebhook?: AuthenticateToken | undefined
  clock: Clock
}

/** Everyone who joins as a node is in it; the default bindings let it ask for a node's certificate and no more. */
export const NODE_BOOTSTRAP_GROUP = 'system:bootstrappers:skiff:node'
export const SERVER_BOOTSTRAP_GROUP = 'system:bootstrappers:skiff:server'

export function createAuthenticator(options: AuthenticatorOptions): Authenticator {
  return {
    async authenticate(credentials) {
      const byCertificate = credentials.certificate && userOfCertificate(credentials.certificate)
      if (byCertificate) return { ok: true, user: byCertificate }
      const bearer = credentials.bearer?.trim()
      return bearer === undefined || bearer === '' ? { ok: false, why: 'none' } : authenticateAnyBearer(bearer, credentials.audiences, options)
    },
  }
}

/** A certificate without a common name is nobody's (upstream's CommonNameUserConversion). */
function userOfCertificate(certificate: PeerCertificate): UserInfo | undefined {
  if (certificate.commonName === '') return undefined
  return { name: certificate.commonName, groups: [...new Set([...certificate.organizations, 'system:authenticated'])] }
}

/** Why a token is refused here is what counts when nobody else knows it either. Our own join tokens are nobody else's business. */
async function authenticateAnyBearer(bearer: string, audiences: readonly string[] | undefined, options: AuthenticatorOptions): Promise<Authentication> {
  const own = await authenticateBearer(bearer, audiences, options)
  if (own.ok || !options.tokenWebhook || bearer.length > JWT_CHARS_MAX || bearer.startsWith(JOIN_TOKEN_START)) return own
  const theirs = await options.tokenWebhook(bearer, audiences)
  return !theirs.ok && theirs.why === 'none' ? own : theirs
}

const JOIN_TOKEN_START = 'S10'

async function authenticateBearer(bearer: string, audiences: readonly string[] | undefined, options: AuthenticatorOptions): Promise<Authentication> {
  const refuse = (because: string): Authentication => ({ ok: false, why: 'invalid', because })
  if (bearer.length > JWT_CHARS_MAX) return refuse('the token is too long')
  for (const [token, user] of options.staticTokens ?? []) if (isSecretEqual(token, bearer)) return { ok: true, user }
  if (isJwtShaped(bearer)) {
    const verdict = await options.serviceAccounts.verify(bearer, audiences)
    if (verdict.ok) return { ok: true, user: verdict.user, ...(audiences && { audiences: verdict.audiences }) }
    return refuse(verdict.because)
  }
  const bootstrap = await verifyBootstrapToken(bearer, options.lookup, options.clock.nowMs())
  if (bootstrap) return bootstrap.ok ? bootstrap : refuse(bootstrap.because)
  const user = joinUser(bearer, options.joinSecrets())
  return user ? { ok: true, user } : refuse('no such token')
}

/** `node:<secret>`, `server:<secret>`, a bare secret or the whole token. All are compared, so that the time tells nothing. */
function joinUser(bearer: string, secrets: readonly JoinSecret[]): UserInfo | undefined {
  let given: { user: string | undefined; secret: string }
  try {
    given = parseToken(bearer)
  } catch {
    return undefined // Not a join token by its form.
  }
  const matches = secrets.filter((s) => isSecretEqual(s.secret, given.secret)).filter((s) => given.user === undefined || given.user === s.user)
  // Where both users share one secret, the stronger identity is the right one for a bare secret.
  const match = matches.find((s) => s.user === 'server') ?? matches[0]
  if (!match) return undefined
  const groups = [BOOTSTRAP_GROUP, NODE_BOOTSTRAP_GROUP, ...(match.user === 'server' ? [SERVER_BOOTSTRAP_GROUP] : []), 'system:authenticated']
  return { name: `system:bootstrap:skiff-${match.user}`, groups }
}
