/** Bootstrap tokens as the objects upstream defines them (KEP-130), and as lines to read. Pure. */
import type { Secret, Stored } from '#api/types/index.ts'
import type { Random } from '#base/random.ts'

export const BOOTSTRAP_TOKEN_TYPE = 'bootstrap.kubernetes.io/token'
/** May ask for a node's certificate, and has it approved; nothing else. */
const NODE_GROUP = 'system:bootstrappers:skiff:node'
const ALPHABET = 'abcdefghijklmnopqrstuvwxyz0123456789'

export interface TokenFacts { id: string; description: string; /** RFC 3339; '' for ever. */ expiration: string; usages: string[]; groups: string[] }

/** `ttlSeconds` 0: for ever. */
export function bootstrapTokenSecret(options: { random: Random; nowMs: number; ttlSeconds: number; description: string | undefined }): { secret: Secret; token: string } {
  const [id, secret] = [letters(options.random, 6), letters(options.random, 16)]
  const data: Record<string, string> = {
    'token-id': id, 'token-secret': secret, 'usage-bootstrap-authentication': 'true', 'usage-bootstrap-signing': 'true', 'auth-extra-groups': NODE_GROUP,
    ...(options.ttlSeconds > 0 && { expiration: new Date(options.nowMs + options.ttlSeconds * 1000).toISOString().replace(/\.\d+Z$/, 'Z') }),
    ...(options.description !== undefined && { description: options.description }),
  }
  return {
    token: `${id}.${secret}`,
    secret: {
      apiVersion: 'v1', kind: 'Secret', type: BOOTSTRAP_TOKEN_TYPE, metadata: { name: `bootstrap-token-${id}`, namespace: 'kube-system' },
      data: Object.fromEntries(Object.entries(data).map(([k, v]) => [k, Buffer.from(v, 'utf8').toString('base64')])),
    },
  }
}

/** Never the secret. */
export function describeToken(secret: Stored<Secret>): TokenFacts {
  const value = (key: string) => Buffer.from(secret.data?.[key] ?? '', 'base64').toString('utf8')
  const usages = ['authentication', 'signing'].filter((u) => value(`usage-bootstrap-${u}`) === 'true')
  return { id: value('token-id'), description: value('description'), expiration: value('expiration'), usages, groups: value('auth-extra-groups').split(',').filter((g) => g !== '') }
}

export function tokenTable(tokens: readonly TokenFacts[], nowMs: number): string {
  const rows = [['ID', 'TTL', 'EXPIRES', 'USAGES', 'DESCRIPTION'], ...tokens.map((t) => [t.id, ttl(t.expiration, nowMs), t.expiration || '<never>', t.usages.join(',') || '<none>', printable(t.description) || '<none>'])]
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((r) => (r[column] ?? '').length))) ?? []
  return `${rows.map((r) => r.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join('   ').trimEnd()).join('\n')}\n`
}

function ttl(expiration: string, nowMs: number): string {
  if (expiration === '') return '<forever>'
  const seconds = Math.floor((Date.parse(expiration) - nowMs) / 1000)
  if (!(seconds > 0)) return '<expired>'
  if (seconds >= 172_800) return `${Math.floor(seconds / 86_400)}d`
  return seconds >= 3_600 ? `${Math.floor(seconds / 3_600)}h` : seconds >= 60 ? `${Math.floor(seconds / 60)}m` : `${seconds}s`
}

/** Somebody else may have written it: nothing that moves a terminal's cursor. */
function printable(value: string): string {
  return value.replaceAll(/[\p{Cc}\p{Cf}]/gu, ' ')
}

/** No letter likelier than another: bytes that would make one so are drawn again. */
function letters(random: Random, count: number): string {
  let out = ''
  while (out.length < count) for (const byte of random.bytes(count)) if (byte < 252 && out.length < count) out += ALPHABET[byte % ALPHABET.length] ?? ''
  return out
}
