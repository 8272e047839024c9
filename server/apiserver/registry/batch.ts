/** The rows of one API group, see ../registry.ts. */
import * as R from '#api/types/resources.ts'
import type { KindRow } from '../kind.ts'
import { cronJobStrategy, jobStrategy } from '../kinds/batch.ts'
import { ALL, row } from './row.ts'

export const batchRows: readonly KindRow[] = [
  row(R.CRON_JOBS, cronJobStrategy, { short: ['cj'], categories: ALL, sub: ['status'] }),
  row(R.JOBS, jobStrategy, { categories: ALL, sub: ['status'] }),
]
