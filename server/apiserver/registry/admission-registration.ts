/** The rows of one API group, see ../registry.ts. */
import type { KubeObject, MutatingAdmissionPolicyBinding } from '#api/types/index.ts'
import type { KindRow } from '../kind.ts'
import { mutatingAdmissionPolicyBindingStrategy, mutatingAdmissionPolicyStrategy, validatingAdmissionPolicyBindingStrategy, validatingAdmissionPolicyStrategy } from '../kinds/admission-policy.ts'
import { mutatingWebhookConfigurationStrategy, validatingWebhookConfigurationStrategy } from '../kinds/webhook-configuration.ts'
import { refsOf, row, sameShape } from './row.ts'

const v1 = refsOf('admissionregistration.k8s.io', 'v1')
const CATEGORIES = { categories: ['api-extensions'] }
const mutatingPolicies = row(v1('mutatingadmissionpolicies', 'MutatingAdmissionPolicy', false), mutatingAdmissionPolicyStrategy, CATEGORIES)
const mutatingBindings = row(v1('mutatingadmissionpolicybindings', 'MutatingAdmissionPolicyBinding', false), mutatingAdmissionPolicyBindingStrategy, CATEGORIES)

export const admissionRegistrationRows: readonly KindRow[] = [
  mutatingBindings,
  mutatingPolicies,
  row(v1('mutatingwebhookconfigurations', 'MutatingWebhookConfiguration', false), mutatingWebhookConfigurationStrategy, CATEGORIES),
  row(v1('validatingadmissionpolicies', 'ValidatingAdmissionPolicy', false), validatingAdmissionPolicyStrategy, { ...CATEGORIES, sub: ['status'] }),
  row(v1('validatingadmissionpolicybindings', 'ValidatingAdmissionPolicyBinding', false), validatingAdmissionPolicyBindingStrategy, CATEGORIES),
  row(v1('validatingwebhookconfigurations', 'ValidatingWebhookConfiguration', false), validatingWebhookConfigurationStrategy, CATEGORIES),
  ...sameShape(mutatingBindings, ['v1beta1', 'v1alpha1'], { v1alpha1: { since: 35, gone: 38 } }).map((version) => (version.ref.version === 'v1alpha1' ? { ...version, strategy: denyingWithoutParams(version.strategy) } : version)),
  ...sameShape(mutatingPolicies, ['v1beta1', 'v1alpha1'], { v1alpha1: { since: 35, gone: 38 } }),
]

/** Of the later versions each binding says it by itself. */
function denyingWithoutParams(strategy: KindRow['strategy']): KindRow['strategy'] {
  return {
    ...strategy,
    defaults(object: KubeObject & Partial<MutatingAdmissionPolicyBinding>) {
      strategy.defaults?.(object)
      const param = object.spec?.paramRef
      if (param) param.parameterNotFoundAction ??= 'Deny'
    },
  }
}
