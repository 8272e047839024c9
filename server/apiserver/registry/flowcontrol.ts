/** The rows of one API group, see ../registry.ts. */
import * as R from '#api/types/resources.ts'
import type { KindRow } from '../kind.ts'
import { flowSchemaStrategy, priorityLevelStrategy } from '../kinds/flowcontrol.ts'
import { row } from './row.ts'

export const flowcontrolRows: readonly KindRow[] = [
  row(R.FLOW_SCHEMAS, flowSchemaStrategy, { sub: ['status'] }),
  row(R.PRIORITY_LEVEL_CONFIGURATIONS, priorityLevelStrategy, { sub: ['status'] }),
]
