/** One Secret of type kubernetes.io/service-account-token: filled with a token for its account, and removed when that is gone (upstream's tokens controller). Pure. */
import type { Secret, ServiceAccount, Stored } from '#api/types/index.ts'
import { nothing, type Decision } from '#base/reconcile/action.ts'

export const TOKEN_SECRET_TYPE = 'kubernetes.io/service-account-token'
export const ACCOUNT_NAME = 'kubernetes.io/service-account.name'
export const ACCOUNT_UID = 'kubernetes.io/service-account.uid'

export interface TokenSecretView {
  secret: Stored<Secret>
  /** The account that it names. */
  account: Stored<ServiceAccount> | undefined
  rootCaPem: string
}

export type TokenSecretAction =
  /** `data` in base64; `needsToken`: a token is to be signed and added. */
  | { kind: 'fill'; uid: string; data: Record<string, string>; needsToken: boolean }
  | { kind: 'delete' }

export function decideTokenSecret({ secret, account, rootCaPem }: TokenSecretView): Decision<TokenSecretAction> {
  const { deletionTimestamp, namespace = '', annotations = {} } = secret.metadata
  const name = annotations[ACCOUNT_NAME] ?? ''
  if (deletionTimestamp !== undefined || secret.type !== TOKEN_SECRET_TYPE || name === '') return nothing('not a token of an account')
  const uid = annotations[ACCOUNT_UID] ?? ''
  if (!account || (uid !== '' && uid !== account.metadata.uid)) return { actions: [{ kind: 'delete' }], because: `service account ${namespace}/${name} was not found` }
  // A token for an account that is going away would be worth nothing.
  if (account.metadata.deletionTimestamp !== undefined) return nothing('the account is being deleted')
  const ca = Buffer.from(rootCaPem).toString('base64')
  const has = secret.data ?? {}
  const data = { ...(has['ca.crt'] !== ca && { 'ca.crt': ca }), ...(!has['namespace'] && { namespace: Buffer.from(namespace).toString('base64') }) }
  const needsToken = !has['token']
  if (Object.keys(data).length === 0 && !needsToken && uid !== '') return nothing('filled')
  return { actions: [{ kind: 'fill', uid: account.metadata.uid, data, needsToken }], because: 'something is missing' }
}
