/** Bootstrap tokens (upstream's): Secrets `bootstrap-token-<id>` in kube-system, for joining without the cluster's own token. */
import { parseBootstrapToken } from '#api/token/token.ts'
import { SECRETS, type Secret, type UserInfo } from '#api/types/index.ts'
import type { Lookup } from './lookup.ts'
import { isSecretEqual } from './secret-equal.ts'

export const BOOTSTRAP_GROUP = 'system:bootstrappers'
/** Groups a token may add: upstream's rule. */
const EXTRA_GROUP = /^system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]$/

export type BootstrapVerdict = { ok: true; user: UserInfo } | { ok: false; because: string }

/** Undefined: not a bootstrap token by its form. */
export async function verifyBootstrapToken(bearer: string, lookup: Lookup, nowMs: number): Promise<BootstrapVerdict | undefined> {
  const token = parseBootstrapToken(bearer)
  if (!token) return undefined
  const secret = await lookup.get<Secret>(SECRETS, `bootstrap-token-${token.id}`, 'kube-system')
  return judgeBootstrapSecret(token, secret, nowMs)
}

/** Pure. */
export function judgeBootstrapSecret(token: { id: string; secret: string }, object: Secret | undefined, nowMs: number): BootstrapVerdict {
  const refuse = (because: string): BootstrapVerdict => ({ ok: false, because: `bootstrap token ${token.id}: ${because}` })
  if (!object) return refuse('there is no such token')
  if (object.metadata?.deletionTimestamp !== undefined) return refuse('it is being deleted')
  if (object.type !== 'bootstrap.kubernetes.io/token') return refuse(`the Secret has type ${object.type ?? 'Opaque'}`)
  const value = (key: string) => Buffer.from(object.data?.[key] ?? '', 'base64').toString('utf8')
  if (value('token-secret') === '' || !isSecretEqual(value('token-secret'), token.secret)) return refuse('the secret is wrong')
  if (value('token-id') !== token.id) return refuse('token-id does not match the name')
  const expiration = value('expiration')
  if (expiration !== '' && !(Date.parse(expiration) > nowMs)) return refuse('it has expired')
  if (value('usage-bootstrap-authentication') !== 'true') return refuse('it is not for authentication')
  const extra = value('auth-extra-groups').split(',').map((g) => g.trim()).filter((g) => g !== '')
  const bad = extra.find((g) => !EXTRA_GROUP.test(g))
  if (bad !== undefined) return refuse(`group ${JSON.stringify(bad)} is not allowed`)
  return { ok: true, user: { name: `system:bootstrap:${token.id}`, groups: [...new Set([BOOTSTRAP_GROUP, ...extra, 'system:authenticated'])] } }
}
