/** Service accounts. */
import type { ServiceAccount } from '#api/types/index.ts'
import type { KindStrategy } from '../kind.ts'
import { ageColumn, nameColumn } from './table-columns.ts'

export const serviceAccountStrategy: KindStrategy<ServiceAccount> = {
  generation: false,
  columns: [nameColumn(), ageColumn()],
}
