/** Requests that an authenticating proxy in front of this server speaks for others in: X-Remote headers (upstream's requestheader authenticator). Pure. */
import type { UserInfo } from '#api/types/index.ts'

/** `--requestheader-*`. Headers are lower case; the first that says something counts. */
export interface RequestHeaders {
  /** Common names of certificates that may speak for others; none: all that the authority signed. */
  allowedNames: readonly string[]
  userHeaders: readonly string[]
  uidHeaders: readonly string[]
  groupHeaders: readonly string[]
  extraPrefixes: readonly string[]
}

/** Who the front proxy of the aggregation layer is. */
export const FRONT_PROXY_NAME = 'system:auth-proxy'

export const REQUEST_HEADERS: RequestHeaders = {
  allowedNames: [FRONT_PROXY_NAME], userHeaders: ['x-remote-user'], uidHeaders: ['x-remote-uid'], groupHeaders: ['x-remote-group'], extraPrefixes: ['x-remote-extra-'],
}

export const maySpeakForOthers = (commonName: string, { allowedNames }: RequestHeaders): boolean => allowedNames.length === 0 || allowedNames.includes(commonName)

/** The user that the headers name; undefined: none. */
export function frontProxyUser(headers: Readonly<Record<string, string>>, names: RequestHeaders = REQUEST_HEADERS): UserInfo | undefined {
  const firstOf = (candidates: readonly string[]) => candidates.map((name) => headers[name]?.trim() ?? '').find((value) => value !== '')
  const name = firstOf(names.userHeaders)
  if (name === undefined) return undefined
  const uid = firstOf(names.uidHeaders)
  const groups = [...new Set([...names.groupHeaders.flatMap((header) => split(headers[header])), 'system:authenticated'])]
  const extra = names.extraPrefixes.flatMap((prefix) => Object.entries(headers).filter(([key]) => key.startsWith(prefix)).map(([key, value]) => [decodeKey(key.slice(prefix.length)), split(value)] as const))
  return { name, groups, ...(uid !== undefined && { uid }), ...(extra.length > 0 && { extra: Object.fromEntries(extra) }) }
}

/** Whether a header says who somebody is, here or to an extension API server: what clients say in them is not passed on. */
export const isIdentityHeader = (names: RequestHeaders) => (header: string): boolean =>
  header.startsWith('x-remote-') || names.userHeaders.includes(header) || names.uidHeaders.includes(header) || names.groupHeaders.includes(header) || names.extraPrefixes.some((prefix) => header.startsWith(prefix))

/** Repeated headers arrive joined. */
const split = (value: string | undefined): string[] => (value ?? '').split(',').map((v) => v.trim()).filter((v) => v !== '')

function decodeKey(key: string): string {
  try {
    return decodeURIComponent(key)
  } catch {
    // Not escaped, then: upstream takes it as it is.
    return key
  }
}
