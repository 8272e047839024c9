/** The rows of one API group, see ../registry.ts. */
import * as R from '#api/types/resources.ts'
import type { KindRow } from '../kind.ts'
import { priorityClassStrategy } from '../kinds/scheduling.ts'
import { row } from './row.ts'

export const schedulingRows: readonly KindRow[] = [
  row(R.PRIORITY_CLASSES, priorityClassStrategy, { short: ['pc'] }),
]
