/** Validating- and MutatingAdmissionPolicy with their bindings. That CEL expressions compile is checked where CEL is. */
import type { AuditAnnotation, LabelSelector, MatchResources, Mutation, MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding, ParamRef, ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding, Validation, Variable } from '#api/types/index.ts'
import { checkDnsSubdomain, checkQualifiedName } from '#api/types/index.ts'
import { duplicate, type FieldError, invalid, notSupported, required } from '../field-error.ts'
import { parseJsonPath } from '../crd/json-path.ts'
import type { KindStrategy } from '../kind.ts'
import { defaultMatchResources, FAILURE_POLICIES, REINVOCATION_POLICIES, validateMatchConditions, validateMatchResources, validateParamKind, validateParamRef } from './admission-rules.ts'
import { keepStatus, RESET_FOR_STATUS } from './carry.ts'
import { named, oneOf, requiredName } from './check.ts'
import { validateConditions } from './conditions.ts'
import { semanticEqual } from './semantic-equal.ts'
import { ageColumn, column, count, nameColumn } from './table-columns.ts'

const AUDIT_ANNOTATIONS_MAX = 20
const AUDIT_EXPRESSION_BYTES_MAX = 5 * 1024
const ACTIONS = ['Audit', 'Deny', 'Warn']
const REASONS = ['Forbidden', 'Invalid', 'RequestEntityTooLarge']
/** What can be changed on its way. */
const MUTABLE_OPERATIONS = ['*', 'CONNECT', 'CREATE', 'UPDATE']
const PATCH_TYPES = ['ApplyConfiguration', 'JSONPatch']
const CEL_RESERVED: ReadonlySet<string> = new Set(['true', 'false', 'null', 'in', 'as', 'break', 'const', 'continue', 'else', 'for', 'function', 'if', 'import', 'let', 'loop', 'package', 'namespace', 'return', 'var', 'void', 'while'])

type PolicySpec = NonNullable<ValidatingAdmissionPolicy['spec']> | NonNullable<MutatingAdmissionPolicy['spec']>

export const validatingAdmissionPolicyStrategy: KindStrategy<ValidatingAdmissionPolicy> = {
  requiresRevision: true,
  statusKeepsMetadata: RESET_FOR_STATUS,
  defaults(policy) {
    const spec = (policy.spec ??= {})
    spec.failurePolicy ??= 'Fail'
    defaultMatchResources(spec.matchConstraints)
  },
  prepareCreate: (policy) => { policy.status = {} },
  prepareUpdate: keepStatus,
  generation: (policy, old) => !semanticEqual(policy.spec, old.spec),
  validate: validatePolicy,
  validateUpdate: validatePolicy,
  validateStatusUpdate: ({ status }) => [
    ...(status?.typeChecking?.expressionWarnings ?? []).flatMap(({ fieldRef, warning }, i) => {
      const at = `status.typeChecking.expressionWarnings[${i}]`
      return [...(warning ? [] : [required(`${at}.warning`)]), ...checkFieldRef(`${at}.fieldRef`, fieldRef?.trim() ?? '')]
    }),
    ...validateConditions('status.conditions', status?.conditions),
  ],
  columns: [
    nameColumn(),
    count('Validations', 'Validations indicates the number of validation rules defined in this configuration', (o) => (o.spec?.validations ?? []).length),
    column('ParamKind', 'ParamKind specifies the kind of resources used to parameterize this policy', (o) => paramKindText(o.spec)),
    ageColumn(),
  ],
}

function checkFieldRef(at: string, path: string): FieldError[] {
  if (path === '') return [required(at)]
  const parsed = parseJsonPath(path)
  return parsed.ok ? [] : [invalid(at, path, `invalid JSONPath: ${parsed.message}`)]
}

export const mutatingAdmissionPolicyStrategy: KindStrategy<MutatingAdmissionPolicy> = {
  requiresRevision: true,
  defaults(policy) {
    const spec = (policy.spec ??= {})
    spec.failurePolicy ??= 'Fail'
    defaultMatchResources(spec.matchConstraints)
  },
  generation: (policy, old) => !semanticEqual(policy.spec, old.spec),
  validate: validateMutatingPolicy,
  validateUpdate: validateMutatingPolicy,
  columns: [
    nameColumn(),
    count('Mutations', 'Mutation indicates the number of mutations rules defined in this configuration', (o) => (o.spec?.mutations ?? []).length),
    column('ParamKind', 'ParamKind specifies the kind of resources used to parameterize this policy', (o) => paramKindText(o.spec)),
    ageColumn(),
  ],
}

export const validatingAdmissionPolicyBindingStrategy: KindStrategy<ValidatingAdmissionPolicyBinding> = {
  requiresRevision: true,
  defaults: (binding) => defaultMatchResources(binding.spec?.matchResources),
  generation: (binding, old) => !semanticEqual(binding.spec, old.spec),
  validate: (binding) => [...validateBinding(binding), ...validateActions('spec.validationActions', binding.spec?.validationActions ?? [])],
  validateUpdate: (binding) => [...validateBinding(binding), ...validateActions('spec.validationActions', binding.spec?.validationActions ?? [])],
  columns: bindingColumns<ValidatingAdmissionPolicyBinding>(),
}

export const mutatingAdmissionPolicyBindingStrategy: KindStrategy<MutatingAdmissionPolicyBinding> = {
  requiresRevision: true,
  defaults: (binding) => defaultMatchResources(binding.spec?.matchResources),
  generation: (binding, old) => !semanticEqual(binding.spec, old.spec),
  validate: validateMutatingBinding,
  validateUpdate: validateMutatingBinding,
  columns: bindingColumns<MutatingAdmissionPolicyBinding>(),
}

type Binding = Pick<MutatingAdmissionPolicyBinding, 'metadata' | 'spec'>

function bindingColumns<T extends Binding>(): NonNullable<KindStrategy<T>['columns']> {
  return [
    nameColumn(),
    column('PolicyName', 'PolicyName indicates the policy definition which the policy binding binded to', (o) => o.spec?.policyName ?? ''),
    column('ParamRef', 'ParamRef indicates the param resource which sets the configration param', (o) => paramRefText(o.spec?.paramRef)),
    ageColumn(),
  ]
}

function paramRefText(ref: ParamRef | undefined): string {
  if (!ref) return '<unset>'
  if (ref.name) return `${ref.namespace || '*'}/${ref.name}`
  return ref.selector ? goSelector(ref.selector) : '<unset>'
}

/** As Go prints a selector. */
function goSelector({ matchLabels = {}, matchExpressions = [] }: LabelSelector): string {
  const labels = Object.keys(matchLabels).sort().map((key) => `${key}: ${matchLabels[key] ?? ''},`).join('')
  const requirements = matchExpressions.map(({ key, operator, values = [] }) => `LabelSelectorRequirement{Key:${key},Operator:${operator},Values:[${values.join(' ')}],},`).join('')
  return `&LabelSelector{MatchLabels:map[string]string{${labels}},MatchExpressions:[]LabelSelectorRequirement{${requirements}},}`
}

const paramKindText = (spec: PolicySpec | undefined): string => (spec?.paramKind ? `${spec.paramKind.apiVersion ?? ''}/${spec.paramKind.kind ?? ''}` : '<unset>')

function validateBinding({ spec }: Binding): FieldError[] {
  return [
    ...requiredName('spec.policyName', spec?.policyName, checkDnsSubdomain),
    ...validateParamRef('spec.paramRef', spec?.paramRef),
    ...validateMatchResources('spec.matchResources', spec?.matchResources),
  ]
}

function validateMutatingBinding(binding: MutatingAdmissionPolicyBinding): FieldError[] {
  return [...validateBinding(binding), ...validateMutable('spec.matchResources', binding.spec?.matchResources)]
}

/** Upstream says of no rule that it is the one. */
function validateMutable(at: string, match: MatchResources | undefined): FieldError[] {
  const operations = (match?.resourceRules ?? []).flatMap((rule) => rule.operations ?? [])
  return operations.filter((op) => !MUTABLE_OPERATIONS.includes(op)).map((op) => notSupported(`${at}.resourceRules.operations`, op, MUTABLE_OPERATIONS))
}

function validateActions(at: string, actions: readonly string[]): FieldError[] {
  const out: FieldError[] = []
  for (const [i, action] of actions.entries()) {
    if (!ACTIONS.includes(action)) out.push(notSupported(`${at}[${i}]`, action, ACTIONS))
    if (actions.indexOf(action) < i) out.push(duplicate(`${at}[${i}]`, action))
  }
  if (actions.includes('Deny') && actions.includes('Warn')) out.push(invalid(at, actions, 'must not contain both Deny and Warn (repeating the same validation failure information in the API response and headers serves no purpose)'))
  return actions.length === 0 ? [...out, required(at, 'at least one validation action is required')] : out
}

/** What both kinds of policies have. */
function validateCommon(spec: PolicySpec): FieldError[] {
  const out = spec.failurePolicy === undefined ? [required('spec.failurePolicy')] : oneOf('spec.failurePolicy', spec.failurePolicy, FAILURE_POLICIES, 'given')
  if (spec.paramKind) out.push(...validateParamKind('spec.paramKind', spec.paramKind))
  if (spec.matchConstraints) {
    out.push(...validateMatchResources('spec.matchConstraints', spec.matchConstraints))
    if ((spec.matchConstraints.resourceRules ?? []).length === 0) out.push(required('spec.matchConstraints.resourceRules'))
  } else {
    out.push(required('spec.matchConstraints'))
  }
  return [...out, ...validateMatchConditions('spec.matchConditions', spec.matchConditions), ...(spec.variables ?? []).flatMap((v, i) => validateVariable(`spec.variables[${i}]`, v))]
}

function validateVariable(at: string, { name, expression }: Variable): FieldError[] {
  const out: FieldError[] = []
  if (!name?.trim()) out.push(required(`${at}.name`, 'name is not specified'))
  else if (!/^[_a-zA-Z][_a-zA-Z0-9]*$/.test(name) || CEL_RESERVED.has(name)) out.push(invalid(`${at}.name`, name, 'must be a valid CEL identifier'))
  if (!expression?.trim()) out.push(required(`${at}.expression`, 'expression is not specified'))
  return out
}

function validatePolicy(policy: ValidatingAdmissionPolicy): FieldError[] {
  const spec = policy.spec ?? {}
  const { validations = [], auditAnnotations = [] } = spec
  const out = validateCommon(spec)
  if (validations.length === 0 && auditAnnotations.length === 0) {
    const need = 'validations or auditAnnotations must contain at least one item'
    return [...out, required('spec.validations', need), required('spec.auditAnnotations', need)]
  }
  out.push(...validations.flatMap((v, i) => validateValidation(`spec.validations[${i}]`, v)))
  if (auditAnnotations.length > AUDIT_ANNOTATIONS_MAX) out.push(invalid('spec.auditAnnotations', auditAnnotations, `must not have more than ${AUDIT_ANNOTATIONS_MAX} auditAnnotations`))
  const keys = new Set<string>()
  for (const [i, annotation] of auditAnnotations.entries()) {
    const at = `spec.auditAnnotations[${i}]`
    out.push(...validateAuditAnnotation(at, annotation, policy.metadata?.name ?? ''))
    if (keys.has(annotation.key)) out.push(duplicate(`${at}.key`, annotation.key))
    keys.add(annotation.key)
  }
  return out
}

function validateValidation(at: string, validation: Validation): FieldError[] {
  const { expression, message, messageExpression, reason } = validation
  const out: FieldError[] = []
  if (!expression?.trim()) out.push(required(`${at}.expression`, 'expression is not specified'))
  if (messageExpression && messageExpression.trim() === '') out.push(invalid(`${at}.messageExpression`, messageExpression, 'must be non-empty if specified'))
  if (message && message.trim() === '') out.push(invalid(`${at}.message`, message, 'must be non-empty if specified'))
  else if (/[\n\r]/.test(message?.trim() ?? '')) out.push(invalid(`${at}.message`, message, 'must not contain line breaks'))
  if (reason !== undefined && !REASONS.includes(reason)) out.push(notSupported(`${at}.reason`, reason, REASONS))
  return out
}

function validateAuditAnnotation(at: string, annotation: AuditAnnotation, policyName: string): FieldError[] {
  const out = policyName ? named(`${at}.key`, `${policyName}/${annotation.key}`, checkQualifiedName) : [invalid(`${at}.key`, annotation.key, 'requires metadata.name be non-empty')]
  const expression = annotation.valueExpression?.trim() ?? ''
  if (expression === '') out.push(required(`${at}.valueExpression`, 'valueExpression is not specified'))
  else if (Buffer.byteLength(expression) > AUDIT_EXPRESSION_BYTES_MAX) out.push(required(`${at}.valueExpression`, `must not exceed ${AUDIT_EXPRESSION_BYTES_MAX} bytes in length`))
  return out
}

function validateMutatingPolicy(policy: MutatingAdmissionPolicy): FieldError[] {
  const spec = policy.spec ?? {}
  const mutations = spec.mutations ?? []
  return [
    ...validateCommon(spec),
    ...validateMutable('spec.matchConstraints', spec.matchConstraints),
    ...(mutations.length === 0 ? [required('spec.mutations', 'mutations must contain at least one item')] : mutations.flatMap((m, i) => validateMutation(`spec.mutations[${i}]`, m))),
    ...oneOf('spec.reinvocationPolicy', spec.reinvocationPolicy, REINVOCATION_POLICIES, 'required'),
  ]
}

function validateMutation(at: string, { patchType, applyConfiguration, jsonPatch }: Mutation): FieldError[] {
  const out = oneOf(`${at}.patchType`, patchType, PATCH_TYPES, 'required')
  if (patchType === 'JSONPatch') out.push(...validatePatch(`${at}.jsonPatch`, jsonPatch, patchType), ...(applyConfiguration ? [invalid(`${at}.applyConfiguration`, '{applyConfiguration}', 'must not be specified when patchType is JSONPatch')] : []))
  if (patchType === 'ApplyConfiguration') out.push(...validatePatch(`${at}.applyConfiguration`, applyConfiguration, patchType), ...(jsonPatch ? [invalid(`${at}.jsonPatch`, '{jsonPatch}', 'must not be specified when patchType is ApplyConfiguration')] : []))
  return out
}

function validatePatch(at: string, patch: { expression?: string } | undefined, type: string): FieldError[] {
  if (!patch) return [required(at, `must be specified when patchType is ${type}`)]
  return patch.expression?.trim() ? [] : [required(`${at}.expression`)]
}
