/** Bootstrap tokens as the token cleaner and the bootstrap signer read them (upstream cluster-bootstrap `token/util`). Pure. */
import type { Secret, Stored } from '#api/types/index.ts'
import { parseTime } from './time.ts'

export const BOOTSTRAP_TOKENS = { namespace: 'kube-system', fieldSelector: 'type=bootstrap.kubernetes.io/token' } as const

export const tokenField = (secret: Secret, key: string): string => Buffer.from(secret.data?.[key] ?? '', 'base64').toString('utf8')

/** Milliseconds since 1970; undefined: never. What is no time has expired long ago. */
export function expiresMs(secret: Secret): number | undefined {
  const text = tokenField(secret, 'expiration')
  return text === '' ? undefined : (parseTime(text) ?? 0)
}

/** Id and secret of a token that may sign cluster-info now. */
export function signingToken(secret: Stored<Secret>, nowMs: number): { id: string; secret: string } | undefined {
  const id = /^bootstrap-token-([a-z0-9]{6})$/.exec(secret.metadata.name)?.[1]
  if (id === undefined || tokenField(secret, 'token-id') !== id || tokenField(secret, 'token-secret') === '' || tokenField(secret, 'usage-bootstrap-signing') !== 'true') return undefined
  return (expiresMs(secret) ?? Infinity) < nowMs ? undefined : { id, secret: tokenField(secret, 'token-secret') }
}
