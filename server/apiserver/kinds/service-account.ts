/** Service accounts. */
import type { ServiceAccount } from '#api/types/index.ts'
import type { KindStrategy } from '../kind.ts'
import { ageColumn, count, nameColumn } from './table-columns.ts'

export const serviceAccountStrategy: KindStrategy<ServiceAccount> = {
  generation: false,
  columns: [nameColumn(), count('Secrets', 'Secrets is a list of the secrets in the same namespace that pods running using this ServiceAccount are allowed to use.', (o) => (o.secrets ?? []).length), ageColumn()],
}
