/** Service accounts. */
import type { ServiceAccount } from '#api/types/index.ts'
import type { KindStrategy } from '../kind.ts'
import { ageColumn, nameColumn } from './table-columns.ts'

export const serviceAccountStrategy: KindStrategy<ServiceAccount> = {
  generation: false,
  prepareCreate: bareSecrets,
  prepareUpdate: bareSecrets,
  columns: [nameColumn(), ageColumn()],
}

/** Of the Secrets it names, nothing but the names counts. */
function bareSecrets(account: ServiceAccount): void {
  if (account.secrets) account.secrets = account.secrets.map(({ name }) => (name ? { name } : {}))
}
