/** Service accounts. */
import type { ServiceAccount } from '#api/types/index.ts'
import type { KindStrategy } from '../kind.ts'
import { ageColumn, nameColumn } from './table-columns.ts'

const MOUNTABLE = 'kubernetes.io/enforce-mountable-secrets'

export const serviceAccountStrategy: KindStrategy<ServiceAccount> = {
  generation: false,
  prepareCreate: bareSecrets,
  prepareUpdate: bareSecrets,
  warnings: (account, old) => (MOUNTABLE in (account.metadata?.annotations ?? {}) && !(MOUNTABLE in (old?.metadata?.annotations ?? {})) ? [`metadata.annotations[${MOUNTABLE}]: deprecated in v1.32+; prefer separate namespaces to isolate access to mounted secrets`] : []),
  columns: [nameColumn(), ageColumn()],
}

/** Of the Secrets it names, nothing but the names counts. */
function bareSecrets(account: ServiceAccount): void {
  if (account.secrets) account.secrets = account.secrets.map(({ name }) => (name ? { name } : {}))
}
