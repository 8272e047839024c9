/** The rows of one API group, see ../registry.ts. */
import * as R from '#api/types/resources.ts'
import type { KindRow } from '../kind.ts'
import { runtimeClassStrategy } from '../kinds/scheduling.ts'
import { row } from './row.ts'

export const nodeRows: readonly KindRow[] = [
  row(R.RUNTIME_CLASSES, runtimeClassStrategy),
]
