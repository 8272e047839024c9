/** Aggregated ClusterRoles (admin, edit, view and whoever else has an aggregationRule): their rules are those of all ClusterRoles their selectors match, by name. Pure. */
import { compileLabelSelector, type ClusterRole, type PolicyRule, type Stored } from '#api/types/index.ts'
import { nothing, type Decision } from '#base/reconcile/action.ts'
import { jsonEqual } from '../json-equal.ts'

export interface AggregationView { role: Stored<ClusterRole>; all: readonly Stored<ClusterRole>[] }

export type AggregationAction = { kind: 'writeRules'; rules: PolicyRule[] }

export function decideAggregation({ role, all }: AggregationView): Decision<AggregationAction> {
  const selectors = role.aggregationRule?.clusterRoleSelectors ?? []
  if (selectors.length === 0) return nothing('not aggregated')
  const rules: PolicyRule[] = []
  for (const selector of selectors) {
    const matcher = compileLabelSelector(selector)
    const parts = all.filter((r) => r.metadata.name !== role.metadata.name && matcher.matches(r.metadata.labels)).toSorted((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))
    for (const rule of parts.flatMap((r) => r.rules ?? [])) if (!rules.some((known) => jsonEqual(known, rule))) rules.push(rule)
  }
  return jsonEqual(rules, role.rules ?? []) ? nothing('rules are right') : { actions: [{ kind: 'writeRules', rules }], because: 'the roles it is made of have changed' }
}
