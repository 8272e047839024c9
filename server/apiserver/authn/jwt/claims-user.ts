/** Verified claims to the user they stand for, by an issuer's rules; failures in upstream's words. Pure. */
import type { UserInfo } from '#api/types/index.ts'
import type { JwtIssuerConfig, Mapping, Rule } from './authentication-config.ts'
import type { CelTools } from './expressions.ts'

export type Claims = Readonly<Record<string, unknown>>

export type MappedUser = { ok: true; user: UserInfo } | { ok: false; because: string }

/** `cel`: undefined where no issuer has expressions. */
export function userOfClaims(claims: Claims, config: JwtIssuerConfig, cel: CelTools): MappedUser {
  try {
    return { ok: true, user: map(claims, config, cel) }
  } catch (error) {
    if (error instanceof Refused) return { ok: false, because: `oidc: ${error.message}` }
    throw error
  }
}

class Refused extends Error {}

function map(claims: Claims, config: JwtIssuerConfig, cel: CelTools): UserInfo {
  const name = usernameOf(claims, config.username, cel)
  const groups = groupsOf(claims, config.groups, cel)
  const uid = uidOf(claims, config.uid, cel)
  const extra = extraOf(claims, config, cel)
  checkClaims(claims, config, cel)
  const user: UserInfo = { name, groups, ...(uid !== undefined && { uid }), ...(Object.keys(extra).length > 0 && { extra }) }
  checkRules(config.userRules, { user: { username: name, uid: uid ?? '', groups, extra } }, 'error evaluating user info validation rule', cel)
  return { ...user, groups: [...new Set([...groups, 'system:authenticated'])] }
}

function checkClaims(claims: Claims, { requiredClaims, claimRules }: JwtIssuerConfig, cel: CelTools): void {
  for (const { claim, value } of requiredClaims) {
    if (!has(claims, claim)) throw new Refused(`required claim ${claim} not present in ID token`)
    const got = claims[claim]
    if (typeof got !== 'string') throw new Refused(`parse claim ${claim}: it is no string`)
    if (got !== value) throw new Refused(`required claim ${claim} value does not match. Got = ${got}, want = ${value}`)
  }
  checkRules(claimRules, { claims }, 'error evaluating claim validation expression', cel)
}

function checkRules(rules: readonly Rule[], bindings: Readonly<Record<string, unknown>>, what: string, cel: CelTools): void {
  for (const { program, message } of rules) {
    const value = attempt(() => cel.evaluate(program, bindings), what)
    if (value !== true) throw new Refused(`${what}: validation expression '${program.expression}' failed${message === '' ? '' : `: ${message}`}`)
  }
}

function usernameOf(claims: Claims, mapping: Mapping, cel: CelTools): string {
  if ('program' in mapping) {
    const value = attempt(() => cel.evaluate(mapping.program, { claims }), 'error evaluating username claim expression')
    if (typeof value !== 'string') throw new Refused('error evaluating username claim expression: username claim expression must return a string')
    if (value === '') throw new Refused('empty username via CEL expression is not allowed')
    return value
  }
  const { claim, prefix } = mapping
  const value = claims[claim]
  if (!has(claims, claim)) throw new Refused(`parse username claims ${JSON.stringify(claim)}: claim not present`)
  if (typeof value !== 'string') throw new Refused(`parse username claims ${JSON.stringify(claim)}: it is no string`)
  // An address that its owner never confirmed could be anybody's.
  if (claim === 'email' && has(claims, 'email_verified') && claims['email_verified'] !== true) {
    throw new Refused(typeof claims['email_verified'] === 'boolean' ? 'email not verified' : "parse 'email_verified' claim: it is no bool")
  }
  return prefix + value
}

function groupsOf(claims: Claims, mapping: Mapping | undefined, cel: CelTools): string[] {
  if (!mapping) return []
  if ('program' in mapping) {
    const what = 'error evaluating group claim expression'
    const value = attempt(() => cel.evaluate(mapping.program, { claims }), what)
    return textsOf(value) ?? fail(`${what}: expression must return a string or a list of strings`)
  }
  if (!has(claims, mapping.claim)) return []
  const value = claims[mapping.claim]
  const groups = groupTexts(value)
  if (!groups) throw new Refused(`parse groups claim ${JSON.stringify(mapping.claim)}: it is neither a string nor an array of strings`)
  return groups.map((group) => mapping.prefix + group)
}

/** As Go reads it into texts: null is nothing, and within an array an empty one; empty ones count. */
function groupTexts(value: unknown): string[] | undefined {
  if (value === null) return []
  if (typeof value === 'string') return [value]
  return Array.isArray(value) && value.every((v) => v === null || typeof v === 'string') ? value.map((v) => v ?? '') : undefined
}

function uidOf(claims: Claims, mapping: JwtIssuerConfig['uid'], cel: CelTools): string | undefined {
  if (!mapping) return undefined
  if ('program' in mapping) {
    const value = attempt(() => cel.evaluate(mapping.program, { claims }), 'error evaluating UID claim expression')
    return typeof value === 'string' ? value : fail('error evaluating UID claim expression: UID claim expression must return a string')
  }
  const value = claims[mapping.claim]
  if (typeof value !== 'string') throw new Refused(`parse UID claim ${JSON.stringify(mapping.claim)}: ${has(claims, mapping.claim) ? 'it is no string' : 'claim not present'}`)
  return value
}

function extraOf(claims: Claims, { extra }: JwtIssuerConfig, cel: CelTools): Record<string, string[]> {
  const found: Record<string, string[]> = {}
  // Which token was used goes with the user, as with service accounts (KEP-4193).
  if (typeof claims['jti'] === 'string' && claims['jti'] !== '') found['authentication.kubernetes.io/credential-id'] = [`JTI=${claims['jti']}`]
  for (const { key, program } of extra) {
    const what = 'error evaluating extra claim expression'
    const values = textsOf(attempt(() => cel.evaluate(program, { claims }), what)) ?? fail(`${what}: expression must return a string or a list of strings`)
    if (values.length > 0) found[key] = values
  }
  return found
}

/** Empty texts and null are nothing. */
function textsOf(value: unknown): string[] | undefined {
  if (value === null || value === '') return []
  if (typeof value === 'string') return [value]
  return Array.isArray(value) && value.every((v) => typeof v === 'string') ? value.filter((v) => v !== '') : undefined
}

const has = (claims: Claims, name: string): boolean => Object.hasOwn(claims, name)

function attempt<T>(evaluate: () => T, what: string): T {
  try {
    return evaluate()
  } catch (error) {
    throw new Refused(`${what}: ${error instanceof Error ? error.message : String(error)}`)
  }
}

function fail(why: string): never {
  throw new Refused(why)
}
