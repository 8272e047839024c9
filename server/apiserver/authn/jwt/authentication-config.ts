/**
 * AuthenticationConfiguration (`--authentication-config`, KEP-3331): which issuers' JWTs are believed, how their claims become
 * users, and who may be anonymous. Checked in upstream's words; expressions are compiled here, once.
 */
import { X509Certificate } from 'node:crypto'
import { parsePem } from '#base/x509/index.ts'
import { duplicate, invalid, required, tooMany, type FieldError } from '../../field-error.ts'
import type { CelTools, Program } from './expressions.ts'

/** How a part of the user comes about. */
export type Mapping = { claim: string; prefix: string } | { program: Program }

export interface JwtIssuerConfig {
  url: string
  /** Where the discovery document is; undefined: below `url`. */
  discoveryUrl: string | undefined
  /** PEM; undefined: the system's authorities. */
  ca: string | undefined
  /** A token must be meant for one of them. */
  audiences: readonly string[]
  /** JWS algorithms that are accepted. */
  algorithms: readonly string[]
  requiredClaims: readonly { claim: string; value: string }[]
  claimRules: readonly Rule[]
  username: Mapping
  groups: Mapping | undefined
  uid: { claim: string } | { program: Program } | undefined
  extra: readonly { key: string; program: Program }[]
  userRules: readonly Rule[]
}

export interface Rule { program: Program; message: string }

export interface AnonymousConfig { enabled: boolean; /** The only paths it holds for; empty: all. */ paths: readonly string[] }

export interface AuthenticationConfig {
  issuers: readonly JwtIssuerConfig[]
  /** Undefined: as `--anonymous-auth` says. */
  anonymous: AnonymousConfig | undefined
}

export type ParsedAuthenticationConfig = { ok: true; config: AuthenticationConfig } | { ok: false; message: string }

/** What go-oidc verifies; `none` and shared secrets are nobody's proof. */
export const SIGNING_ALGORITHMS: readonly string[] = ['RS256', 'RS384', 'RS512', 'ES256', 'ES384', 'ES512', 'PS256', 'PS384', 'PS512']

const ISSUERS_MAX = 64
const VERSIONS = ['v1', 'v1beta1', 'v1alpha1']

type Fields = Record<string, unknown>

/** Pure but for what `cel` remembers. `ownIssuers`: those of service accounts, which nobody else may claim. */
export function parseAuthenticationConfig(file: Fields, cel: CelTools, ownIssuers: readonly string[]): ParsedAuthenticationConfig {
  const [group, version] = String(file['apiVersion']).split('/')
  if (file['kind'] !== 'AuthenticationConfiguration' || group !== 'apiserver.config.k8s.io' || !VERSIONS.includes(version ?? '')) {
    return { ok: false, message: `expected AuthenticationConfiguration of apiserver.config.k8s.io/v1, got ${JSON.stringify(file['kind'] ?? '')} of ${JSON.stringify(file['apiVersion'] ?? '')}` }
  }
  const errors: FieldError[] = []
  const unknown = unknownField(file, SHAPE, '')
  if (unknown !== undefined) return { ok: false, message: `strict decoding error: unknown field ${JSON.stringify(unknown)}` }
  const jwt = records(file['jwt'])
  if (jwt.length > ISSUERS_MAX) return { ok: false, message: shown([tooMany('jwt', jwt.length, ISSUERS_MAX)]) }
  const seen = { url: new Set<string>(), discovery: new Set<string>() }
  const issuers = jwt.map((entry, i) => {
    const at = `jwt[${i}]`
    const issuer = parseIssuer(entry, at, cel, ownIssuers, errors)
    if (seen.url.has(issuer.url)) errors.push(duplicate(`${at}.issuer.url`, issuer.url))
    if (issuer.discoveryUrl !== undefined && seen.discovery.has(issuer.discoveryUrl)) errors.push(duplicate(`${at}.issuer.discoveryURL`, issuer.discoveryUrl))
    seen.url.add(issuer.url)
    if (issuer.discoveryUrl !== undefined) seen.discovery.add(issuer.discoveryUrl)
    return issuer
  })
  const anonymous = file['anonymous'] === undefined ? undefined : parseAnonymous(record(file['anonymous']), errors)
  return errors.length > 0 ? { ok: false, message: shown(errors) } : { ok: true, config: { issuers, anonymous } }
}

function parseAnonymous(given: Fields, errors: FieldError[]): AnonymousConfig {
  const enabled = given['enabled'] === true
  const paths = records(given['conditions']).map((c) => text(c['path']))
  if (!enabled && paths.length > 0) errors.push(invalid('anonymous.conditions', given['conditions'], 'enabled should be set to true when conditions are defined'))
  return { enabled, paths }
}

function parseIssuer(entry: Fields, at: string, cel: CelTools, ownIssuers: readonly string[], errors: FieldError[]): JwtIssuerConfig {
  const issuer = record(entry['issuer'])
  const url = text(issuer['url'])
  const discoveryUrl = text(issuer['discoveryURL'])
  if (url === '') errors.push(required(`${at}.issuer.url`))
  else checkUrl(url, ownIssuers, `${at}.issuer.url`, errors)
  if (discoveryUrl !== '') {
    if (url !== '' && trimmed(url) === trimmed(discoveryUrl)) errors.push(invalid(`${at}.issuer.discoveryURL`, discoveryUrl, 'discoveryURL must be different from URL'))
    checkUrl(discoveryUrl, [], `${at}.issuer.discoveryURL`, errors)
  }
  const audiences = checkAudiences(issuer, `${at}.issuer`, errors)
  const ca = text(issuer['certificateAuthority'])
  if (ca !== '' && !isBundle(ca)) errors.push(invalid(`${at}.issuer.certificateAuthority`, '<omitted>', 'data does not contain any valid RSA or ECDSA certificates'))
  const egress = text(issuer['egressSelectorType'])
  if (egress !== '' && egress !== 'controlplane' && egress !== 'cluster') errors.push(invalid(`${at}.issuer.egressSelectorType`, egress, 'egress selector must be either controlplane or cluster'))
  const claims = parseClaimRules(records(entry['claimValidationRules']), `${at}.claimValidationRules`, cel, errors)
  const mappings = parseMappings(record(entry['claimMappings']), `${at}.claimMappings`, cel, claims.rules, errors)
  const userRules = parseUserRules(records(entry['userValidationRules']), `${at}.userValidationRules`, cel, errors)
  return {
    url, audiences, discoveryUrl: discoveryUrl === '' ? undefined : discoveryUrl, ca: ca === '' ? undefined : ca, algorithms: SIGNING_ALGORITHMS,
    requiredClaims: claims.required, claimRules: claims.rules, ...mappings, userRules,
  }
}

function checkUrl(url: string, disallowed: readonly string[], at: string, errors: FieldError[]): void {
  if (disallowed.includes(url)) errors.push(invalid(at, url, `URL must not overlap with disallowed issuers: [${disallowed.toSorted().join(' ')}]`))
  const parsed = URL.parse(url)
  if (parsed?.protocol !== 'https:') errors.push(invalid(at, url, 'URL scheme must be https'))
  if (!parsed) return
  if (parsed.username !== '' || parsed.password !== '') errors.push(invalid(at, url, 'URL must not contain a username or password'))
  if (parsed.search !== '') errors.push(invalid(at, url, 'URL must not contain a query'))
  if (parsed.hash !== '') errors.push(invalid(at, url, 'URL must not contain a fragment'))
}

function checkAudiences(issuer: Fields, at: string, errors: FieldError[]): string[] {
  const audiences = list(issuer['audiences']).map(text)
  const policy = text(issuer['audienceMatchPolicy'])
  if (audiences.length === 0) {
    errors.push(required(`${at}.audiences`, `at least one ${at}.audiences is required`))
    return audiences
  }
  audiences.forEach((audience, i) => {
    if (audience === '') errors.push(required(`${at}.audiences[${i}]`))
    if (audiences.indexOf(audience) < i) errors.push(duplicate(`${at}.audiences[${i}]`, audience))
  })
  if (audiences.length > 1 && policy !== 'MatchAny') errors.push(invalid(`${at}.audienceMatchPolicy`, policy, 'audienceMatchPolicy must be MatchAny for multiple audiences'))
  if (audiences.length === 1 && policy !== '' && policy !== 'MatchAny') errors.push(invalid(`${at}.audienceMatchPolicy`, policy, 'audienceMatchPolicy must be empty or MatchAny for single audience'))
  return audiences
}

function parseClaimRules(rules: readonly Fields[], root: string, cel: CelTools, errors: FieldError[]): { required: { claim: string; value: string }[]; rules: Rule[] } {
  const found = { required: [] as { claim: string; value: string }[], rules: [] as Rule[] }
  const seen = { claims: new Set<string>(), expressions: new Set<string>() }
  rules.forEach((rule, i) => {
    const at = `${root}[${i}]`
    const [claim, expression, message, value] = [text(rule['claim']), text(rule['expression']), text(rule['message']), text(rule['requiredValue'])]
    if (claim !== '' && expression !== '') errors.push(invalid(at, claim, "claim and expression can't both be set"))
    else if (claim === '' && expression === '') errors.push(required(at, 'claim or expression is required'))
    else if (claim !== '') {
      if (message !== '') errors.push(invalid(`${at}.message`, message, 'may not be specified when claim is set'))
      if (seen.claims.has(claim)) errors.push(duplicate(`${at}.claim`, claim))
      seen.claims.add(claim)
      found.required.push({ claim, value })
    } else {
      if (value !== '') errors.push(invalid(`${at}.requiredValue`, value, 'may not be specified when expression is set'))
      if (seen.expressions.has(expression)) return void errors.push(duplicate(`${at}.expression`, expression))
      seen.expressions.add(expression)
      const program = compiled(cel.claims(expression, true), expression, `${at}.expression`, errors)
      if (program) found.rules.push({ program, message })
    }
  })
  return found
}

type Mappings = Pick<JwtIssuerConfig, 'username' | 'groups' | 'uid' | 'extra'>

function parseMappings(given: Fields, at: string, cel: CelTools, claimRules: readonly Rule[], errors: FieldError[]): Mappings {
  const username = parsePrefixed(record(given['username']), `${at}.username`, true, cel, errors) ?? { claim: '', prefix: '' }
  const groups = parsePrefixed(record(given['groups']), `${at}.groups`, false, cel, errors)
  const uid = parseUid(record(given['uid']), `${at}.uid`, cel, errors)
  const extra = parseExtra(records(given['extra']), `${at}.extra`, cel, errors)
  const verified = [...(username && 'program' in username ? [username.program] : []), ...extra.map((e) => e.program), ...claimRules.map((r) => r.program)]
  if ('program' in username && cel.readsClaim(username.program, 'email') && !verified.some((p) => cel.readsClaim(p, 'email_verified'))) {
    errors.push(invalid(`${at}.username.expression`, text(record(given['username'])['expression']), 'claims.email_verified must be used in claimMappings.username.expression or claimMappings.extra[*].valueExpression or claimValidationRules[*].expression when claims.email is used in claimMappings.username.expression'))
  }
  return { username, groups, uid, extra }
}

function parsePrefixed(given: Fields, at: string, isRequired: boolean, cel: CelTools, errors: FieldError[]): Mapping | undefined {
  const [claim, expression, prefix] = [text(given['claim']), text(given['expression']), given['prefix']]
  if (claim !== '' && expression !== '') errors.push(invalid(at, '', "claim and expression can't both be set"))
  else if (expression !== '') {
    if (typeof prefix === 'string') errors.push(invalid(`${at}.prefix`, prefix, 'may not be specified when expression is set'))
    const program = compiled(cel.claims(expression, false), expression, `${at}.expression`, errors)
    return program && { program }
  } else if (claim !== '') {
    if (typeof prefix !== 'string') errors.push(required(`${at}.prefix`, 'prefix is required when claim is set. It can be set to an empty string to disable prefixing'))
    return { claim, prefix: text(prefix) }
  } else if (isRequired) errors.push(required(at, 'claim or expression is required'))
  return undefined
}

function parseUid(given: Fields, at: string, cel: CelTools, errors: FieldError[]): JwtIssuerConfig['uid'] {
  const [claim, expression] = [text(given['claim']), text(given['expression'])]
  if (claim !== '' && expression !== '') errors.push(invalid(at, '', "claim and expression can't both be set"))
  else if (expression !== '') {
    const program = compiled(cel.claims(expression, false), expression, `${at}.expression`, errors)
    return program && { program }
  }
  return claim === '' ? undefined : { claim }
}

const DOMAIN = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/

function parseExtra(given: readonly Fields[], root: string, cel: CelTools, errors: FieldError[]): { key: string; program: Program }[] {
  const seen = new Set<string>()
  return given.flatMap((mapping, i) => {
    const at = `${root}[${i}]`
    const [key, expression] = [text(mapping['key']), text(mapping['valueExpression'])]
    const slash = key.indexOf('/')
    const domain = slash < 0 ? '' : key.slice(0, slash)
    if (key === '') errors.push(required(`${at}.key`))
    else if (domain === '' || slash === key.length - 1) errors.push(invalid(`${at}.key`, key, 'must be a domain-prefixed path (such as "acme.io/foo")'))
    else if (!DOMAIN.test(domain)) errors.push(invalid(`${at}.key`, domain, "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"))
    if (key !== key.toLowerCase()) errors.push(invalid(`${at}.key`, key, 'must be lowercase'))
    if (/(^|\.)(k8s|kubernetes)\.io$/.test(domain)) errors.push(invalid(`${at}.key`, key, 'k8s.io, kubernetes.io and their subdomains are reserved for Kubernetes use'))
    if (seen.has(key)) {
      errors.push(duplicate(`${at}.key`, key))
      return []
    }
    seen.add(key)
    if (expression === '') {
      errors.push(required(`${at}.valueExpression`))
      return []
    }
    const program = compiled(cel.claims(expression, false), expression, `${at}.valueExpression`, errors)
    return program ? [{ key, program }] : []
  })
}

function parseUserRules(given: readonly Fields[], root: string, cel: CelTools, errors: FieldError[]): Rule[] {
  const seen = new Set<string>()
  return given.flatMap((rule, i) => {
    const at = `${root}[${i}].expression`
    const expression = text(rule['expression'])
    if (expression === '' || seen.has(expression)) {
      errors.push(expression === '' ? required(at) : duplicate(at, expression))
      return []
    }
    seen.add(expression)
    const program = compiled(cel.user(expression), expression, at, errors)
    return program ? [{ program, message: text(rule['message']) }] : []
  })
}

function compiled(made: ReturnType<CelTools['user']>, expression: string, at: string, errors: FieldError[]): Program | undefined {
  if (made.ok) return made.program
  errors.push(invalid(at, expression, made.error))
  return undefined
}

function isBundle(pem: string): boolean {
  try {
    return parsePem(pem).some(({ label, bytes }) => label === 'CERTIFICATE' && new X509Certificate(bytes).subject !== undefined)
  } catch {
    return false // Whatever is wrong with it, it is no bundle.
  }
}

interface Shape { [field: string]: Shape | true }

const CLAIM: Shape = { claim: true, expression: true, prefix: true }
const SHAPE: Shape = {
  apiVersion: true, kind: true, anonymous: { enabled: true, conditions: { path: true } },
  jwt: {
    issuer: { url: true, discoveryURL: true, certificateAuthority: true, audiences: true, audienceMatchPolicy: true, egressSelectorType: true },
    claimValidationRules: { claim: true, requiredValue: true, expression: true, message: true },
    claimMappings: { username: CLAIM, groups: CLAIM, uid: { claim: true, expression: true }, extra: { key: true, valueExpression: true } },
    userValidationRules: { expression: true, message: true },
  },
}

/** A misspelt field would let in whom it was to keep out. The path of the first one that nobody knows. */
function unknownField(value: unknown, shape: Shape, at: string): string | undefined {
  if (Array.isArray(value)) return value.map((v, i) => unknownField(v, shape, `${at}[${i}]`)).find((found) => found !== undefined)
  for (const [name, inner] of Object.entries(record(value))) {
    const path = at === '' ? name : `${at}.${name}`
    const known = shape[name]
    if (known === undefined) return path
    const found = known === true ? undefined : unknownField(inner, known, path)
    if (found !== undefined) return found
  }
  return undefined
}

const trimmed = (url: string): string => url.replace(/\/+$/, '')
const record = (value: unknown): Fields => (typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {})
const list = (value: unknown): unknown[] => (Array.isArray(value) ? value : [])
const records = (value: unknown): Fields[] => list(value).map(record)
const text = (value: unknown): string => (typeof value === 'string' ? value : '')

function shown(errors: readonly FieldError[]): string {
  const all = errors.map((e) => `${e.field}: ${e.message}`)
  return all.length === 1 ? (all[0] ?? '') : `[${all.join(', ')}]`
}
