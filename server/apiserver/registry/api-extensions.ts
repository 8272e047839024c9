/** The rows of one API group, see ../registry.ts. */
import { CRDS } from '../crd/definition.ts'
import type { KindRow } from '../kind.ts'
import { customResourceDefinitionStrategy } from '../kinds/custom-resource-definition.ts'
import { row } from './row.ts'

export const apiExtensionsRows: readonly KindRow[] = [
  row(CRDS, customResourceDefinitionStrategy, { short: ['crd', 'crds'], categories: ['api-extensions'], sub: ['status'] }),
]
