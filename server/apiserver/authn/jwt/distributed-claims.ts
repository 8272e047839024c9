/** Groups that an ID token only says where to find (OpenID Connect Core 5.6.2): the claim is fetched, and believed if it is signed by who issued it. */
import type { Claims } from './claims-user.ts'

/** Rejects with upstream's words where the token says there is something and it cannot be had. */
export async function withDistributedClaim(claims: Claims, claim: string | undefined, sources: ClaimSources): Promise<Claims> {
  if (claim === undefined || Object.hasOwn(claims, claim) || !Object.hasOwn(claims, '_claim_names')) return claims
  const names = claims['_claim_names']
  if (!isObject(names) || Object.values(names).some((name) => typeof name !== 'string')) throw new Error('oidc: error parsing distributed claim names: it is no object of strings')
  if (!Object.hasOwn(claims, '_claim_sources')) throw new Error('oidc: no claim sources')
  const all = claims['_claim_sources']
  if (!isObject(all)) throw new Error('oidc: could not parse claim sources: it is no object')
  if (!Object.hasOwn(names, claim)) return claims
  const source = String(names[claim])
  const endpoint = Object.hasOwn(all, source) ? all[source] : undefined
  if (!isObject(endpoint)) throw new Error(`id token _claim_names contained a source ${source} missing in _claims_sources`)
  const { endpoint: url, access_token: accessToken } = endpoint
  // An aggregated claim: the source itself is the token. Nobody reads those, upstream neither.
  if (typeof url !== 'string' || url === '') return claims
  const token = await sources.fetch(url, typeof accessToken === 'string' ? accessToken : '').catch((error: unknown) => { throw new Error(`while getting distributed claim ${JSON.stringify(claim)}: ${messageOf(error)}`, { cause: error }) })
  const verified = await sources.verify(token)
  if (!Object.hasOwn(verified, claim)) throw new Error(`jwt returned by distributed claim endpoint ${url} did not contain claim: ${claim}`)
  return { ...claims, [claim]: verified[claim] }
}

export interface ClaimSources {
  /** The token that is at an endpoint; `accessToken`: '' for none. */
  fetch(url: string, accessToken: string): Promise<string>
  /** Its claims, whoever issued it, if that issuer signed it and it has not expired. */
  verify(token: string): Promise<Claims>
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> => typeof value === 'object' && value !== null && !Array.isArray(value)

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error))
