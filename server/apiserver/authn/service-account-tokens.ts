/**
 * Service account tokens (KEP-1205, KEP-4193): issuing as the TokenRequest API does, verifying, and the OIDC
 * discovery documents. Claims and messages are upstream's.
 */
import { createHash, createPublicKey } from 'node:crypto'
import { NODES, PODS, SECRETS, SERVICE_ACCOUNTS, type KubeObject, type Node, type Pod, type ResourceRef, type Secret, type ServiceAccount, type Stored, type UserInfo } from '#api/types/index.ts'
import type { Clock } from '#base/clock.ts'
import { uuid, type Random } from '#base/random.ts'
import { spkiOf } from '#base/x509/index.ts'
import type { StatusDetails } from '../http/status.ts'
import type { SigningKey } from '../pki/service-account-keys.ts'
import { algorithmOf, isJwtShaped, signJwt, unverifiedClaims, verifyJwt, type JwtClaims } from './jwt.ts'
import type { Lookup } from './lookup.ts'
import { isSecretEqual } from './secret-equal.ts'

export interface TokenOptions {
  /** The first signs. */
  keys: readonly SigningKey[]
  /** `https://kubernetes.default.svc.<domain>`, or the first `--service-account-issuer`: what new tokens say. */
  issuer: string
  /** Issuers of before, whose tokens are still taken. */
  formerIssuers?: readonly string[]
  /** `--service-account-jwks-uri`: where the discovery document says that the keys are. Default: below the issuer. */
  jwksUri?: string | undefined
  /** Audiences of the API itself; default: the issuer. A token must carry one of them to be let in. */
  apiAudiences?: readonly string[]
  /** `--service-account-max-token-expiration`: longer ones are cut. Default: none. */
  expirationSecondsMax?: number | undefined
  /** `--service-account-extend-token-expiration`. Default: true. */
  extendsExpiration?: boolean
  /** A token kept in a Secret was used, for the first time today (`2026-11-21`). */
  noteLegacyUse?: (secret: Stored<Secret>, date: string) => void
  lookup: Lookup
  clock: Clock
  random: Random
}

export interface BoundObjectRef { apiVersion?: string; kind?: string; name?: string; uid?: string }

export interface TokenRequestInput {
  namespace: string
  serviceAccount: string
  /** Empty: the API's own. */
  audiences: readonly string[]
  /** Default 3600. */
  expirationSeconds?: number | undefined
  boundObjectRef?: BoundObjectRef | undefined
}

export type IssueResult =
  | { ok: true; token: string; id: string; expirationTimestamp: string; audiences: readonly string[]; expirationSeconds: number; warning?: string }
  /** For a Status: `code` 400, 404, 409 or 422. */
  | { ok: false; code: number; reason: string; message: string; details?: StatusDetails }

/** `isForeign`: another issuer made it. `warning`: for whoever uses it. */
export type TokenVerdict = { ok: true; user: UserInfo; audiences: readonly string[]; warning?: string } | { ok: false; because: string; isForeign?: true }

export interface ServiceAccountTokens {
  readonly apiAudiences: readonly string[]
  issueToken(input: TokenRequestInput): Promise<IssueResult>
  /** A token without end, for a Secret of type kubernetes.io/service-account-token. */
  issueLegacyToken(owner: { namespace: string; serviceAccount: string; uid: string; secret: string }): string
  /** `audiences` undefined: the API's. For TokenReview with spec.audiences. */
  verify(token: string, audiences?: readonly string[]): Promise<TokenVerdict>
  /** `/.well-known/openid-configuration`. */
  openIdConfiguration(): unknown
  /** `/openid/v1/jwks`. */
  jwks(): unknown
}

/** Upstream's bounds of spec.expirationSeconds. */
const EXPIRATION_SECONDS_MIN = 600
const EXPIRATION_SECONDS_MAX = 2 ** 32
/** The expiration that marks an injected volume's token: upstream keeps such a token alive a year so that old clients which never re-read it do not break, and warns instead. */
const WARN_ONLY_SECONDS = 3607
const EXTENDED_SECONDS = 365 * 24 * 3600
/** How far apart clocks may be for nbf, and how long a deleted owner is still believed (upstream's leeway). */
const LEEWAY_SECONDS = 60
/** Signatures already checked, by the token's hash: a busy cluster has a few hundred pods. */
const VERIFIED_MAX = 1024

const BINDABLE: Readonly<Record<string, { ref: ResourceRef; claim: string }>> = {
  Pod: { ref: PODS, claim: 'pod' }, Secret: { ref: SECRETS, claim: 'secret' }, Node: { ref: NODES, claim: 'node' },
}

interface Named { name: string; uid: string }
/** Without a uid: a pod is on it, and there is no such Node. */
type NodeNamed = Omit<Named, 'uid'> & Partial<Pick<Named, 'uid'>>

export function createServiceAccountTokens(options: TokenOptions): ServiceAccountTokens {
  const { keys, issuer, lookup, clock, random } = options
  const apiAudiences = options.apiAudiences ?? [issuer]
  const issuers = [issuer, ...(options.formerIssuers ?? [])]
  const { expirationSecondsMax, extendsExpiration = true } = options
  const verified = new Map<string, JwtClaims>()

  const nowSeconds = () => Math.floor(clock.nowMs() / 1000)

  /** Signature and form, remembered; everything that can change is checked again each time. */
  const claimsOf = (token: string): { ok: true; claims: JwtClaims } | { ok: false; because: string } => {
    const hash = createHash('sha256').update(token).digest('base64')
    const known = verified.get(hash)
    if (known) return { ok: true, claims: known }
    const result = verifyJwt(token, keys)
    if (!result.ok) return result
    if (verified.size >= VERIFIED_MAX) verified.delete(verified.keys().next().value ?? '')
    verified.set(hash, result.claims)
    return result
  }

  return {
    apiAudiences,

    async issueToken(input) {
      const wanted = input.expirationSeconds ?? 3600
      const seconds = expirationSecondsMax !== undefined && wanted > expirationSecondsMax ? expirationSecondsMax : wanted
      const invalid = expirationProblem(wanted)
      if (invalid) {
        const message = `Invalid value: ${wanted}: ${invalid}`
        return {
          ok: false, code: 422, reason: 'Invalid', message: `TokenRequest.authentication.k8s.io "" is invalid: spec.expirationSeconds: ${message}`,
          details: { group: 'authentication.k8s.io', kind: 'TokenRequest', causes: [{ reason: 'FieldValueInvalid', message, field: 'spec.expirationSeconds' }] },
        }
      }
      const account = await lookup.get<ServiceAccount>(SERVICE_ACCOUNTS, input.serviceAccount, input.namespace)
      if (!account) return { ok: false, code: 404, reason: 'NotFound', message: `serviceaccounts ${JSON.stringify(input.serviceAccount)} not found`, details: { name: input.serviceAccount, kind: 'serviceaccounts' } }
      const bound = await findBound(lookup, input)
      if (!bound.ok) return bound
      const audiences = input.audiences.length > 0 ? input.audiences : apiAudiences
      const now = nowSeconds()
      const extended = extendsExpiration && seconds === WARN_ONLY_SECONDS && bound.claims['pod'] !== undefined && audiences.every((a) => apiAudiences.includes(a))
      const id = uuid(random)
      const token = signJwt({
        aud: audiences, exp: now + (extended ? EXTENDED_SECONDS : seconds), iat: now, iss: issuer, jti: id,
        'kubernetes.io': {
          namespace: input.namespace, ...bound.claims, serviceaccount: { name: account.metadata.name, uid: account.metadata.uid }, ...(extended && { warnafter: now + seconds }),
        },
        nbf: now, sub: userName(input.namespace, input.serviceAccount),
      }, keys[0] as SigningKey)
      return { ok: true, token, id, expirationTimestamp: new Date((now + seconds) * 1000).toISOString().replace(/\.\d+Z$/, 'Z'), audiences, expirationSeconds: seconds, ...(seconds < wanted && { warning: `requested expiration of ${wanted} seconds shortened to ${seconds} seconds` }) }
    },

    issueLegacyToken: ({ namespace, serviceAccount, uid, secret }) => signJwt({
      iss: LEGACY_ISSUER, 'kubernetes.io/serviceaccount/namespace': namespace, 'kubernetes.io/serviceaccount/secret.name': secret,
      'kubernetes.io/serviceaccount/service-account.name': serviceAccount, 'kubernetes.io/serviceaccount/service-account.uid': uid, sub: userName(namespace, serviceAccount),
    }, keys[0] as SigningKey),

    async verify(token, wanted = apiAudiences) {
      if (!isJwtShaped(token)) return { ok: false, because: 'not a service account token' }
      const said = unverifiedClaims(token)
      if (said?.['iss'] === LEGACY_ISSUER) {
        const checked = claimsOf(token)
        if (!checked.ok) return checked
        const audiences = wanted.filter((a) => apiAudiences.includes(a))
        if (audiences.length === 0) return { ok: false, because: `token audiences ${quoted(apiAudiences)} is invalid for the target audiences ${quoted(wanted)}` }
        const verdict = await verifyLegacy(token, checked.claims, lookup)
        // Whoever still tries a token that was marked invalid is to be found, too.
        const date = new Date(clock.nowMs()).toISOString().slice(0, 10)
        if (verdict.secret && verdict.secret.metadata.labels?.[LAST_USED_LABEL] !== date) options.noteLegacyUse?.(verdict.secret, date)
        if (!verdict.ok) return { ok: false, because: verdict.because }
        return { ok: true, user: verdict.user, audiences, ...(verdict.isAutomatic && { warning: AUTOMATIC_TOKEN }) }
      }
      if (said && !issuers.includes(String(said['iss']))) return { ok: false, because: 'issued by somebody else', isForeign: true }
      const result = claimsOf(token)
      if (!result.ok) return result
      const claims = parseClaims(result.claims)
      if (!claims) return { ok: false, because: 'the claims are not those of a service account' }
      const now = nowSeconds()
      if (now - LEEWAY_SECONDS > claims.expires) return { ok: false, because: 'service account token has expired' }
      if (now + LEEWAY_SECONDS < claims.notBefore) return { ok: false, because: 'service account token is not valid yet' }
      const audiences = claims.audiences.filter((a) => wanted.includes(a))
      if (audiences.length === 0) return { ok: false, because: `token audiences ${quoted(claims.audiences)} is invalid for the target audiences ${quoted(wanted)}` }
      const problem = await ownerProblem(lookup, claims, now)
      return problem ? { ok: false, because: problem } : { ok: true, user: userOf(claims), audiences }
    },

    openIdConfiguration: () => ({
      issuer, jwks_uri: options.jwksUri ?? `${issuer}/openid/v1/jwks`, response_types_supported: ['id_token'], subject_types_supported: ['public'], id_token_signing_alg_values_supported: [...new Set(keys.map(({ key }) => algorithmOf(key)?.alg))],
    }),

    jwks: () => ({
      keys: [...new Map(keys.map(({ kid, key }) => [kid, key]))].map(([kid, key]) => {
        const { kty, ...rest } = createPublicKey({ key: spkiOf(key), format: 'der', type: 'spki' }).export({ format: 'jwk' })
        return { use: 'sig', kty, kid, alg: algorithmOf(key)?.alg, ...rest }
      }),
    }),
  }
}

/** As Go prints a list of texts. */
const quoted = (texts: readonly string[]): string => `[${texts.map((text) => JSON.stringify(text)).join(' ')}]`

function expirationProblem(seconds: number): string | undefined {
  if (!Number.isInteger(seconds) || seconds < EXPIRATION_SECONDS_MIN) return 'may not specify a duration less than 10 minutes'
  if (seconds > EXPIRATION_SECONDS_MAX) return 'may not specify a duration larger than 2^32 seconds'
  return undefined
}

type Bound = { ok: true; claims: Record<string, NodeNamed> } | { ok: false; code: number; reason: string; message: string; details?: StatusDetails }

async function findBound(lookup: Lookup, input: TokenRequestInput): Promise<Bound> {
  const wanted = input.boundObjectRef
  if (!wanted) return { ok: true, claims: {} }
  const kind = BINDABLE[wanted.kind ?? '']
  const apiVersion = wanted.apiVersion ?? ''
  // Of the core group any version will do, and none.
  if (!kind || apiVersion.includes('/')) return { ok: false, code: 400, reason: 'BadRequest', message: `cannot bind token to object of type ${apiVersion.includes('/') ? apiVersion : `/${apiVersion}`}, Kind=${wanted.kind ?? ''}` }
  const name = wanted.name ?? ''
  if (name === '') return { ok: false, code: 400, reason: 'BadRequest', message: 'Name parameter required.' }
  const object = await lookup.get<KubeObject>(kind.ref, name, kind.ref.namespaced ? input.namespace : undefined)
  if (!object) return { ok: false, code: 404, reason: 'NotFound', message: `${kind.ref.resource} ${JSON.stringify(name)} not found`, details: { name, kind: kind.ref.resource } }
  if (wanted.uid !== undefined && wanted.uid !== '' && wanted.uid !== object.metadata.uid) {
    return { ok: false, code: 409, reason: 'Conflict', details: { name, kind: wanted.kind ?? '' }, message: `Operation cannot be fulfilled on ${wanted.kind} ${JSON.stringify(name)}: the UID in the bound object reference (${wanted.uid}) does not match the UID in record. The object might have been deleted and then recreated` }
  }
  const claims: Record<string, NodeNamed> = { [kind.claim]: { name, uid: object.metadata.uid } }
  if (kind.ref === PODS) {
    const { spec } = object as Stored<Pod>
    if ((spec?.serviceAccountName ?? '') !== input.serviceAccount) return { ok: false, code: 400, reason: 'BadRequest', message: `cannot bind token for serviceaccount ${JSON.stringify(input.serviceAccount)} to pod running with different serviceaccount name.` }
    // Which node the pod runs on travels with its token, so that its use elsewhere can be told (KEP-4193).
    const node = spec?.nodeName ? await lookup.get<Node>(NODES, spec.nodeName) : undefined
    if (spec?.nodeName) claims['node'] = { name: spec.nodeName, ...(node && { uid: node.metadata.uid }) }
  }
  return { ok: true, claims }
}

export const LEGACY_ISSUER = 'kubernetes/serviceaccount'
export const LAST_USED_LABEL = 'kubernetes.io/legacy-token-last-used'
const INVALID_SINCE_LABEL = 'kubernetes.io/legacy-token-invalid-since'

const AUTOMATIC_TOKEN = 'Use tokens from the TokenRequest API or manually created secret-based tokens instead of auto-generated secret-based tokens.'

/** A token that lives in a Secret is good as long as the Secret holds it and the account is the same. `isAutomatic`: made for the account, which names it, as before 1.24. */
async function verifyLegacy(token: string, claims: JwtClaims, lookup: Lookup): Promise<{ ok: true; user: UserInfo; secret: Stored<Secret>; isAutomatic: boolean } | { ok: false; because: string; secret?: Stored<Secret> }> {
  const claim = (name: string): string => { const value = claims[`kubernetes.io/serviceaccount/${name}`]; return typeof value === 'string' ? value : '' }
  const [namespace, name, uid, secretName] = [claim('namespace'), claim('service-account.name'), claim('service-account.uid'), claim('secret.name')]
  const refuse = (because: string) => ({ ok: false as const, because })
  if (namespace === '' || secretName === '' || name === '' || uid === '') return refuse(`the token lacks ${namespace === '' ? 'namespace' : secretName === '' ? 'secret name' : name === '' ? 'service account name' : 'service account uid'}`)
  if (claims['sub'] !== userName(namespace, name)) return refuse('the claims are not those of a service account')
  const secret = await lookup.get<Secret>(SECRETS, secretName, namespace)
  if (!secret || secret.metadata.deletionTimestamp !== undefined) return refuse('service account token has been invalidated')
  if (!isSecretEqual(Buffer.from(secret.data?.['token'] ?? '', 'base64').toString(), token)) return refuse("service account token does not match server's copy")
  const account = await lookup.get<ServiceAccount>(SERVICE_ACCOUNTS, name, namespace)
  if (!account || account.metadata.deletionTimestamp !== undefined) return refuse(`service account ${namespace}/${name} has been deleted`)
  if (account.metadata.uid !== uid) return refuse(`service account UID (${account.metadata.uid}) does not match claim (${uid})`)
  if ((secret.metadata.labels?.[INVALID_SINCE_LABEL] ?? '') !== '') {
    return { ...refuse(`the token in secret ${namespace}/${secretName} for service account ${namespace}/${name} has been marked invalid. Use tokens from the TokenRequest API or manually created secret-based tokens, or remove the '${INVALID_SINCE_LABEL}' label from the secret to temporarily allow use of this token`), secret }
  }
  const isAutomatic = account.secrets?.some((one) => one.name === secretName) ?? false
  return { ok: true, secret, isAutomatic, user: { name: userName(namespace, name), uid, groups: ['system:serviceaccounts', `system:serviceaccounts:${namespace}`, 'system:authenticated'] } }
}

interface ServiceAccountClaims {
  audiences: string[]
  expires: number
  notBefore: number
  id: string | undefined
  namespace: string
  account: Named
  pod: Named | undefined
  secret: Named | undefined
  node: NodeNamed | undefined
}

function parseClaims(claims: JwtClaims): ServiceAccountClaims | undefined {
  const own = claims['kubernetes.io']
  if (typeof own !== 'object' || own === null) return undefined
  const { namespace, serviceaccount, pod, secret, node } = own as Record<string, unknown>
  const account = parseNamed(serviceaccount)
  const { aud, exp, nbf, sub, jti } = claims
  const audiences = typeof aud === 'string' ? [aud] : Array.isArray(aud) ? aud.filter((a) => typeof a === 'string') : []
  if (typeof namespace !== 'string' || !account || typeof exp !== 'number') return undefined
  // The subject is what other verifiers go by: a token must not say two things.
  if (sub !== userName(namespace, account.name)) return undefined
  return {
    audiences, expires: exp, notBefore: typeof nbf === 'number' ? nbf : 0, id: typeof jti === 'string' ? jti : undefined,
    namespace, account, pod: parseNamed(pod), secret: parseNamed(secret), node: parseNamed(node) ?? nameOf(node),
  }
}

function parseNamed(value: unknown): Named | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { name, uid } = value as Record<string, unknown>
  return typeof name === 'string' && typeof uid === 'string' ? { name, uid } : undefined
}

function nameOf(value: unknown): NodeNamed | undefined {
  const name = typeof value === 'object' && value !== null ? (value as Record<string, unknown>)['name'] : undefined
  return typeof name === 'string' ? { name } : undefined
}

/** A token lives no longer than its account and what it is bound to. */
async function ownerProblem(lookup: Lookup, claims: ServiceAccountClaims, nowSeconds: number): Promise<string | undefined> {
  const { namespace, account, pod, secret } = claims
  const isGone = (o: KubeObject | undefined) => !o || (o.metadata?.deletionTimestamp !== undefined && Date.parse(o.metadata.deletionTimestamp) / 1000 < nowSeconds - LEEWAY_SECONDS)
  const found = await lookup.get<ServiceAccount>(SERVICE_ACCOUNTS, account.name, namespace)
  if (isGone(found)) return `service account ${namespace}/${account.name} has been deleted`
  if (found?.metadata.uid !== account.uid) return `service account UID (${found?.metadata.uid}) does not match claim (${account.uid})`
  if (secret) {
    const object = await lookup.get<Secret>(SECRETS, secret.name, namespace)
    if (isGone(object)) return 'service account token has been invalidated'
    if (object?.metadata.uid !== secret.uid) return `secret UID (${object?.metadata.uid}) does not match service account secret ref claim (${secret.uid})`
  }
  if (pod) {
    const object = await lookup.get<Pod>(PODS, pod.name, namespace)
    if (isGone(object)) return 'service account token has been invalidated'
    if (object?.metadata.uid !== pod.uid) return `pod UID (${object?.metadata.uid}) does not match service account pod ref claim (${pod.uid})`
  } else if (claims.node) {
    // A node named beside a pod is only told; one bound alone must exist (KEP-4193).
    const object = await lookup.get<Node>(NODES, claims.node.name)
    if (isGone(object)) return 'service account token has been invalidated'
    if (object?.metadata.uid !== claims.node.uid) return `node UID (${object?.metadata.uid}) does not match service account node ref claim (${claims.node.uid})`
  }
  return undefined
}

function userOf(claims: ServiceAccountClaims): UserInfo {
  const extra: Record<string, string[]> = {}
  if (claims.id !== undefined) extra['authentication.kubernetes.io/credential-id'] = [`JTI=${claims.id}`]
  if (claims.node) {
    extra['authentication.kubernetes.io/node-name'] = [claims.node.name]
    if (claims.node.uid !== undefined) extra['authentication.kubernetes.io/node-uid'] = [claims.node.uid]
  }
  if (claims.pod) {
    extra['authentication.kubernetes.io/pod-name'] = [claims.pod.name]
    extra['authentication.kubernetes.io/pod-uid'] = [claims.pod.uid]
  }
  return {
    name: userName(claims.namespace, claims.account.name), uid: claims.account.uid,
    groups: ['system:serviceaccounts', `system:serviceaccounts:${claims.namespace}`, 'system:authenticated'],
    extra,
  }
}

const userName = (namespace: string, name: string): string => `system:serviceaccount:${namespace}:${name}`
