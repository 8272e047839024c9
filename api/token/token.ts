/**
 * The join token: `S10<sha256 of the cluster's server CA certificate in DER, lower-case hex>::<user>:<secret>`.
 * The hash lets a joiner check whom it talks to before it sends the secret; a bare secret gives that up.
 */
import { UsageError } from '#base/errors.ts'

export type TokenUser = 'server' | 'node'

export interface JoinToken {
  /** Undefined for a bare secret: the CA cannot be verified, and the caller must say so. */
  caHash: string | undefined
  /** Undefined for a bare secret: the server finds out by itself. */
  user: TokenUser | undefined
  /** For bootstrap tokens (`abcdef.0123456789abcdef`) the whole of it. */
  secret: string
}

/** Longest token read; ours have 107 characters. */
export const TOKEN_CHARS_MAX = 1024

const HASH_CHARS = 64

/** Bootstrap tokens have no user: `S10<hash>::abcdef.0123456789abcdef`. */
export function formatToken(token: { caHash: string; user: TokenUser | undefined; secret: string }): string {
  return `S10${token.caHash}::${token.user === undefined ? '' : `${token.user}:`}${token.secret}`
}

/** What goes into `Authorization: Bearer`: never the hash, which is of no use to the server. */
export function bearerOf(token: JoinToken): string {
  return token.user === undefined ? token.secret : `${token.user}:${token.secret}`
}

/** Throws UsageError with a sentence that names the mend; the secret is never part of it. */
export function parseToken(text: string): JoinToken {
  const token = text.trim()
  if (token === '') throw new UsageError('the token is empty: pass --token with the contents of <data-dir>/server/token of a server')
  if (token.length > TOKEN_CHARS_MAX) throw new UsageError(`the token is longer than ${TOKEN_CHARS_MAX} characters: pass --token with the contents of <data-dir>/server/token of a server`)
  if (!/^[\x21-\x7e]+$/.test(token)) throw new UsageError('the token has a space or a character outside ASCII in it: copy it again, whole and on one line')
  if (token.startsWith('K10')) throw new UsageError('the token is of a k3s cluster (K10…): take it from <data-dir>/server/token of a skiff server')
  if (!/^S10[0-9a-fA-F]{8}/.test(token)) return credentials(undefined, token)
  const at = token.indexOf('::')
  const hash = (at < 0 ? token.slice(3) : token.slice(3, at)).toLowerCase()
  if (at < 0 || !/^[0-9a-f]+$/.test(hash) || hash.length !== HASH_CHARS) {
    throw new UsageError(`the token starts with S10 but is not S10<${HASH_CHARS} hex digits>::<user>:<secret>: it was probably cut off, copy it again from <data-dir>/server/token`)
  }
  return credentials(hash, token.slice(at + 2))
}

function credentials(caHash: string | undefined, text: string): JoinToken {
  const at = text.indexOf(':')
  const user = at < 0 ? undefined : text.slice(0, at)
  const secret = at < 0 ? text : text.slice(at + 1)
  if (user !== undefined && user !== 'server' && user !== 'node') throw new UsageError(`the token is for the user ${JSON.stringify(user.slice(0, 20))}, which does not exist: it must be server or node`)
  if (secret === '') throw new UsageError('the token has no secret after its last colon: it was probably cut off, copy it again from <data-dir>/server/token')
  return { caHash, user, secret }
}

/** A bootstrap token of upstream's form: id and secret (KEP-130). */
export function parseBootstrapToken(secret: string): { id: string; secret: string } | undefined {
  const match = /^([a-z0-9]{6})\.([a-z0-9]{16})$/.exec(secret)
  return match ? { id: match[1] ?? '', secret: match[2] ?? '' } : undefined
}
