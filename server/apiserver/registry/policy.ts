/** The rows of one API group, see ../registry.ts. */
import * as R from '#api/types/resources.ts'
import type { KindRow } from '../kind.ts'
import { podDisruptionBudgetStrategy } from '../kinds/pod-disruption-budget.ts'
import { row } from './row.ts'

export const policyRows: readonly KindRow[] = [
  row(R.POD_DISRUPTION_BUDGETS, podDisruptionBudgetStrategy, { short: ['pdb'], sub: ['status'] }),
]
