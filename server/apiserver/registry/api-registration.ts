/** The rows of one API group, see ../registry.ts. */
import type { KindRow } from '../kind.ts'
import { apiServiceStrategy } from '../kinds/api-service.ts'
import { refsOf, row } from './row.ts'

export const apiRegistrationRows: readonly KindRow[] = [
  row(refsOf('apiregistration.k8s.io', 'v1')('apiservices', 'APIService', false), apiServiceStrategy, { categories: ['api-extensions'], sub: ['status'] }),
]
