/** `<data-dir>/server/token` and `agent-token` (0600): made at first start, or what `--token` and `--agent-token` say. */
import { join } from 'node:path'
import { formatToken, parseToken, type TokenUser } from '#api/token/token.ts'
import { writeFileAtomic } from '#base/atomic-file.ts'
import { CodedError, UsageError } from '#base/errors.ts'
import type { Random } from '#base/random.ts'
import { readText } from './files.ts'

export interface JoinSecret { user: TokenUser; secret: string }

export interface TokenFiles {
  /** The full tokens, as the files have them. */
  server: string
  node: string
  secrets: readonly JoinSecret[]
}

/** `--token`/`--agent-token`: a bare secret or a full token; undefined keeps what is there. Throws UsageError or `PKI_BROKEN`. */
export async function ensureTokens(dataDir: string, caHash: string, given: { server?: string | undefined; node?: string | undefined }, random: Random): Promise<TokenFiles> {
  const server = await ensureToken(join(dataDir, 'server', 'token'), 'server', '--token', caHash, given.server, random)
  const node = await ensureToken(join(dataDir, 'server', 'agent-token'), 'node', '--agent-token', caHash, given.node, random)
  return {
    server: formatToken({ caHash, user: 'server', secret: server }),
    node: formatToken({ caHash, user: 'node', secret: node }),
    secrets: [{ user: 'server', secret: server }, { user: 'node', secret: node }],
  }
}

async function ensureToken(path: string, user: TokenUser, flag: string, caHash: string, given: string | undefined, random: Random): Promise<string> {
  const stored = await readText(path)
  const wanted = given === undefined ? undefined : secretOf(given, flag, caHash)
  const kept = stored === undefined ? undefined : storedSecret(path, stored)
  const secret = wanted ?? kept ?? random.bytes(16).toString('hex')
  const line = `${formatToken({ caHash, user, secret })}\n`
  // Also rewritten when only the hash is another: the file always shows the token that works.
  if (line !== stored) await writeFileAtomic(path, line, { mode: 0o600, directoryMode: 0o700 })
  return secret
}

function secretOf(given: string, flag: string, caHash: string): string {
  const token = parseToken(given)
  if (token.caHash !== undefined && token.caHash !== caHash) throw new UsageError(`${flag} is the token of another cluster: its CA hash ${token.caHash.slice(0, 12)}… is not this cluster's ${caHash.slice(0, 12)}…; pass only the secret, or leave ${flag} out`)
  return token.secret
}

function storedSecret(path: string, text: string): string {
  try {
    return parseToken(text).secret
  } catch (cause) {
    throw new CodedError('PKI_BROKEN', `${path} does not hold a token: restore it from a backup, or remove it and a new one is made (nodes that have joined are not affected)`, { cause })
  }
}
