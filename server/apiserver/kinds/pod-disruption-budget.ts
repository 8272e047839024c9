/** Pod disruption budgets (policy/v1). */
import type { PodDisruptionBudget } from '#api/types/index.ts'
import { type FieldError, invalid } from '../field-error.ts'
import type { KindStrategy } from '../kind.ts'
import { keepStatus } from './carry.ts'
import { checkLabelSelector, intOrPercent, nonNegative, oneOf } from './check.ts'
import { validateConditions } from './conditions.ts'
import { semanticEqual } from './semantic-equal.ts'
import { ageColumn, column, count, nameColumn } from './table-columns.ts'

export const podDisruptionBudgetStrategy: KindStrategy<PodDisruptionBudget> = {
  nameRule: 'path-segment',
  finalizers: 'plain',
  requiresRevision: true,
  prepareCreate: (budget) => { budget.status = { currentHealthy: 0, desiredHealthy: 0, disruptionsAllowed: 0, expectedPods: 0 } },
  prepareUpdate: keepStatus,
  generation: (budget, old) => !semanticEqual(budget.spec, old.spec),
  validate: validateBudget,
  validateUpdate: validateBudget,
  validateStatusUpdate: ({ status }) => [...validateConditions('status.conditions', status?.conditions), ...(['disruptionsAllowed', 'currentHealthy', 'desiredHealthy', 'expectedPods'] as const).flatMap((key) => nonNegative(`status.${key}`, status?.[key]))],
  columns: [
    nameColumn(),
    column('Min Available', 'The minimum number of pods that must be available.', (o) => String(o.spec?.minAvailable ?? 'N/A')),
    column('Max Unavailable', 'The maximum number of pods that may be unavailable.', (o) => String(o.spec?.maxUnavailable ?? 'N/A')),
    count('Allowed Disruptions', 'Calculated number of pods that may be disrupted at this time.', (o) => o.status?.disruptionsAllowed ?? 0),
    ageColumn(),
  ],
}

function validateBudget(budget: PodDisruptionBudget): FieldError[] {
  const { minAvailable, maxUnavailable, selector, unhealthyPodEvictionPolicy } = budget.spec ?? {}
  const out: FieldError[] = []
  if (minAvailable !== undefined && maxUnavailable !== undefined) out.push(invalid('spec', budget.spec, 'minAvailable and maxUnavailable cannot be both set'))
  return [
    ...out,
    ...atMostAll('spec.minAvailable', minAvailable),
    ...atMostAll('spec.maxUnavailable', maxUnavailable),
    ...checkLabelSelector('spec.selector', selector),
    ...oneOf('spec.unhealthyPodEvictionPolicy', unhealthyPodEvictionPolicy, ['AlwaysAllow', 'IfHealthyBudget'], 'given'),
  ]
}

function atMostAll(at: string, value: number | string | undefined): FieldError[] {
  const out = intOrPercent(at, value)
  if (out.length === 0 && typeof value === 'string' && Number.parseInt(value, 10) > 100) out.push(invalid(at, value, 'must not be greater than 100%'))
  return out
}
