/** Requests that an authenticating proxy in front of this server speaks for others in: X-Remote headers (upstream's requestheader authenticator). Pure. */
import type { UserInfo } from '#api/types/index.ts'

const EXTRA = 'x-remote-extra-'

/** The user that the headers name; undefined: none. */
export function frontProxyUser(headers: Readonly<Record<string, string>>): UserInfo | undefined {
  const name = headers['x-remote-user']?.trim() ?? ''
  if (name === '') return undefined
  const uid = headers['x-remote-uid']?.trim() ?? ''
  const groups = [...new Set([...split(headers['x-remote-group']), 'system:authenticated'])]
  const extra = Object.entries(headers).filter(([key]) => key.startsWith(EXTRA)).map(([key, value]) => [decodeKey(key.slice(EXTRA.length)), split(value)] as const)
  return { name, groups, ...(uid !== '' && { uid }), ...(extra.length > 0 && { extra: Object.fromEntries(extra) }) }
}

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
