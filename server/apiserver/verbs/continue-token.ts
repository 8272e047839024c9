/** The `continue` token of a paged list: which state it is of and where the next page starts. Opaque to clients, checked here. */
import { createHash } from 'node:crypto'
import { badRequest } from '../http/status.ts'

export interface ContinueToken {
  /** The revision all pages are of; INCONSISTENT: whatever is newest. */
  revision: number
  /** The last key already given, relative to the list's prefix. */
  after: string
}

/** The token of an expired list goes on from its key at the newest revision. */
export const INCONSISTENT = -1

const CHECK_BYTES = 8
const TOKEN_LENGTH_MAX = 4096

export function encodeContinue(token: ContinueToken): string {
  const payload = Buffer.from(JSON.stringify({ v: 'meta.k8s.io/v1', rv: token.revision, start: token.after }))
  return Buffer.concat([check(payload), payload]).toString('base64url')
}

/** Throws a 400 unless this is a token as `encodeContinue` made it. */
export function decodeContinue(text: string): ContinueToken {
  const refuse = (why: string): never => { throw badRequest(`invalid continue token: continue key is not valid: ${why}`) }
  if (text.length > TOKEN_LENGTH_MAX || !/^[A-Za-z0-9_-]+$/.test(text)) refuse('encoding is not understood')
  const bytes = Buffer.from(text, 'base64url')
  const payload = bytes.subarray(CHECK_BYTES)
  if (payload.length === 0 || !check(payload).equals(bytes.subarray(0, CHECK_BYTES))) refuse('it was not made by this API server, or was changed')
  const { rv, start } = JSON.parse(payload.toString()) as { rv: number; start: string }
  return { revision: rv, after: start }
}

function check(payload: Buffer): Buffer {
  return createHash('sha256').update('skiff continue token\0').update(payload).digest().subarray(0, CHECK_BYTES)
}
