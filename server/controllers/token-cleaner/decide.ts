/** A bootstrap token that has expired is removed. Pure. */
import type { Secret, Stored } from '#api/types/index.ts'
import { nothing, type DecideContext, type Decision } from '#base/reconcile/action.ts'
import { expiresMs } from '../bootstrap-tokens.ts'

export type TokenCleanerAction = { kind: 'remove'; name: string; uid: string }

export function decideTokenCleaner(secret: Stored<Secret>, { nowMs }: DecideContext): Decision<TokenCleanerAction> {
  const endMs = expiresMs(secret)
  if (endMs === undefined) return nothing('it never expires')
  if (nowMs <= endMs) return nothing('it has not expired yet', endMs + 1)
  return { actions: [{ kind: 'remove', name: secret.metadata.name, uid: secret.metadata.uid }], because: 'it has expired' }
}
