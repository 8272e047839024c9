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
import type { AnonymousConfig } from './jwt/authentication-config.ts'
import type { JwtAuthenticator } from './jwt/jwt-authenticator.ts'
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
  /** JWTs of other issuers. */
  jwt?: JwtAuthenticator | undefined
  /** As configured now. Undefined: who shows no credentials is anonymous. */
  anonymous?: () => AnonymousConfig
  /** Another server that knows tokens; asked last, about those that nobody here takes. */
  tokenWebhook?: AuthenticateToken | undefined
  clock: Clock
}

/** Everyone who joins as a node is in it; the default bindings let it ask for a node's certificate and no more. */
export const NODE_BOOTSTRAP_GROUP = 'system:bootstrappers:skiff:node'
export const SERVER_BOOTSTRAP_GROUP = 'system:bootstrappers:skiff:server'

/** Who takes a token: the first that knows it decides; `none`: not mine. */
type TokenSource = (bearer: string, audiences: readonly string[] | undefined) => Authentication | Promise<Authentication>

export function createAuthenticator(options: AuthenticatorOptions): Authenticator {
  const sources = tokenSources(options)
  return {
    audiences: options.serviceAccounts.apiAudiences,
    mayBeAnonymous: (path) => {
      const { enabled, paths } = options.anonymous?.() ?? EVERYBODY
      return enabled && (paths.length === 0 || paths.includes(path))
    },
    async authenticate(credentials) {
      const byCertificate = credentials.certificate && certified(credentials.certificate)
      if (byCertificate) return { ok: true, user: byCertificate }
      const bearer = credentials.bearer?.trim()
      const problem = credentials.certificate && uidProblem(credentials.certificate)
      if (bearer === undefined || bearer === '') return problem === undefined ? NOT_MINE : refuse(problem)
      return authenticateBearer(bearer, credentials.audiences, sources)
    },
  }
}

const EVERYBODY: AnonymousConfig = { enabled: true, paths: [] }
const NOT_MINE: Authentication = { ok: false, why: 'none' }
const refuse = (because: string): Authentication => ({ ok: false, why: 'invalid', because })

/** The first refusal tells why nobody let the token in. */
async function authenticateBearer(bearer: string, audiences: readonly string[] | undefined, sources: readonly TokenSource[]): Promise<Authentication> {
  if (bearer.length > JWT_CHARS_MAX) return refuse('the token is too long')
  let refusal: Authentication | undefined
  for (const source of sources) {
    const answer = await source(bearer, audiences)
    if (answer.ok) return answer
    if (answer.why === 'invalid') refusal ??= answer
  }
  return refusal ?? refuse('no such token')
}

/** In upstream's order; those that another server has to be asked about come last. */
function tokenSources({ serviceAccounts, staticTokens, jwt, lookup, joinSecrets, tokenWebhook, clock }: AuthenticatorOptions): TokenSource[] {
  /** Tokens that know no audience are the API's own. */
  const forApi = (answer: Authentication, audiences: readonly string[] | undefined): Authentication => {
    if (!answer.ok || !audiences) return answer
    const both = audiences.filter((a) => serviceAccounts.apiAudiences.includes(a))
    return both.length === 0 ? NOT_MINE : { ...answer, audiences: both }
  }
  const byStatic: TokenSource = (bearer) => {
    for (const [token, user] of staticTokens ?? []) if (isSecretEqual(token, bearer)) return { ok: true, user }
    return NOT_MINE
  }
  const byServiceAccount: TokenSource = async (bearer, audiences) => {
    if (!isJwtShaped(bearer)) return NOT_MINE
    const verdict = await serviceAccounts.verify(bearer, audiences)
    if (verdict.ok) return { ok: true, user: verdict.user, ...(audiences && { audiences: verdict.audiences }), ...(verdict.warning !== undefined && { warning: verdict.warning }) }
    return verdict.isForeign && jwt ? NOT_MINE : refuse(verdict.because)
  }
  const byBootstrap: TokenSource = async (bearer) => {
    const verdict = await verifyBootstrapToken(bearer, lookup, clock.nowMs())
    return verdict ? (verdict.ok ? verdict : refuse(verdict.because)) : NOT_MINE
  }
  const byJoinToken: TokenSource = (bearer) => {
    const user = joinUser(bearer, joinSecrets())
    return user ? { ok: true, user } : NOT_MINE
  }
  const agnostic = [byStatic, ...(jwt ? [(bearer: string) => jwt.authenticate(bearer)] : []), byBootstrap, byJoinToken].map((source): TokenSource => async (bearer, audiences) => forApi(await source(bearer, audiences), audiences))
  const [first, ...others] = agnostic
  return [
    ...(first ? [first] : []), byServiceAccount, ...others,
    // Our own join tokens are nobody else's business.
    ...(tokenWebhook ? [(bearer: string, audiences: readonly string[] | undefined) => (bearer.startsWith(JOIN_TOKEN_START) ? NOT_MINE : tokenWebhook(bearer, audiences))] : []),
  ]
}

const JOIN_TOKEN_START = 'S10'

/** Connections keep their certificate, and ask about it with each request. */
const users = new WeakMap<PeerCertificate, UserInfo>()

function certified(certificate: PeerCertificate): UserInfo | undefined {
  const known = users.get(certificate)
  const user = known ?? userOfCertificate(certificate)
  if (user && !known) users.set(certificate, user)
  return user
}

/** A certificate without a common name is nobody's (upstream's CommonNameUserConversion). */
function userOfCertificate(certificate: PeerCertificate): UserInfo | undefined {
  if (certificate.commonName === '' || uidProblem(certificate) !== undefined) return undefined
  const { commonName: name, organizations, fingerprint, uids = [] } = certificate
  const [uid] = uids
  // Which certificate was used goes with the user (KEP-4193).
  return { name, ...(uid !== undefined && { uid }), groups: [...new Set([...organizations, 'system:authenticated'])], ...(fingerprint && { extra: { 'authentication.kubernetes.io/credential-id': [`X509SHA256=${fingerprint}`] } }) }
}

/** Why nobody can say whose certificate it is. */
function uidProblem({ uids = [] }: PeerCertificate): string | undefined {
  if (uids.length > 1) return `expected 1 UID, but found multiple: [${uids.join(' ')}]`
  return uids[0] === '' ? 'UID cannot be an empty string' : undefined
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
