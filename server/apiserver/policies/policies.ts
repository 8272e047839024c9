/** The two policy plugins over what is stored: a policy counts from the write of its binding on. */
import type { MutatingAdmissionPolicy, ValidatingAdmissionPolicy } from '#api/types/index.ts'
import type { AdmissionPlugin } from '../admission.ts'
import type { Parts } from '../verbs/call.ts'
import { checkExpressions } from './check-expressions.ts'
import { compileMutatingPolicy, compileValidatingPolicy, type MutatingPolicy, type ValidatingPolicy } from './compile-policy.ts'
import { mutatingPolicies } from './mutating.ts'
import { PolicyMetrics } from './policy-metrics.ts'
import { policySet } from './policy-set.ts'
import { validatingPolicies } from './validating.ts'

export function createPolicyPlugins(parts: Parts, metrics = new PolicyMetrics()): AdmissionPlugin[] {
  const mutating = policySet<MutatingAdmissionPolicy, MutatingPolicy>(parts, { policies: 'mutatingadmissionpolicies', bindings: 'mutatingadmissionpolicybindings' }, compileMutatingPolicy)
  const validating = policySet<ValidatingAdmissionPolicy, ValidatingPolicy>(parts, { policies: 'validatingadmissionpolicies', bindings: 'validatingadmissionpolicybindings' }, compileValidatingPolicy)
  const measured = { metrics, clock: parts.clock }
  return [mutatingPolicies(mutating, measured), validatingPolicies(validating, measured), checkExpressions]
}
