/** Policies and bindings as stored, made ready for requests. */
import type { MatchResources, MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding, ParamRef, ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding } from '#api/types/index.ts'
import { compileLabelSelector, type LabelMatcher } from '#api/types/labels.ts'
import type { Rule } from '../webhooks/rules.ts'
import { type Cel, type Expression, ExpressionCompiler, type ExpressionOptions } from './expressions.ts'

export interface NamedRule extends Rule { resourceNames?: readonly string[] }

export interface Match {
  rules: readonly NamedRule[]
  excluded: readonly NamedRule[]
  /** matchPolicy Exact. */
  isExact: boolean
  namespaces: LabelMatcher
  objects: LabelMatcher
}

export interface Binding {
  name: string
  /** Undefined: whatever the policy matches. */
  match: Match | undefined
  paramRef: ParamRef | undefined
  /** Of validating ones: Deny, Warn, Audit. */
  actions: readonly string[]
}

export interface Policy {
  name: string
  match: Match
  paramKind: { apiVersion: string; kind: string } | undefined
  /** failurePolicy Ignore. */
  failsOpen: boolean
  variables: ReadonlyMap<string, Expression>
  conditions: readonly Expression[]
}

export type Bound<P> = P & { bindings: readonly Binding[] }

export interface ValidatingPolicy extends Policy {
  validations: readonly { expression: Expression; messageExpression: Expression | undefined; message: string; reason: string }[]
  auditAnnotations: readonly { key: string; expression: Expression }[]
}

export interface MutatingPolicy extends Policy {
  mutations: readonly { kind: 'apply' | 'json-patch'; expression: Expression }[]
  /** reinvocationPolicy IfNeeded. */
  isReinvocable: boolean
}

type AnyPolicy = ValidatingAdmissionPolicy | MutatingAdmissionPolicy
type AnyBinding = (ValidatingAdmissionPolicyBinding | MutatingAdmissionPolicyBinding) & Pick<ValidatingAdmissionPolicyBinding, 'spec'>

export function compileMatch(match: MatchResources | undefined): Match {
  return {
    rules: match?.resourceRules ?? [], excluded: match?.excludeResourceRules ?? [], isExact: match?.matchPolicy === 'Exact',
    namespaces: compileLabelSelector(match?.namespaceSelector ?? {}), objects: compileLabelSelector(match?.objectSelector ?? {}),
  }
}

export function compileBinding({ metadata, spec }: AnyBinding): Binding {
  return { name: metadata?.name ?? '', match: spec?.matchResources && compileMatch(spec.matchResources), paramRef: spec?.paramRef, actions: spec?.validationActions ?? [] }
}

function compileCommon(cel: Cel, { metadata, spec }: AnyPolicy): { common: Policy; compiler: ExpressionCompiler; options: ExpressionOptions } {
  const { paramKind } = spec ?? {}
  const options = { params: paramKind !== undefined, authorizer: true }
  const compiler = new ExpressionCompiler(cel)
  compiler.addVariables((spec?.variables ?? []).map(({ name, expression }) => ({ name, expression })), options)
  const common: Policy = {
    name: metadata?.name ?? '', match: compileMatch(spec?.matchConstraints), failsOpen: spec?.failurePolicy === 'Ignore', variables: compiler.variables,
    paramKind: paramKind && { apiVersion: paramKind.apiVersion ?? '', kind: paramKind.kind ?? '' },
    conditions: (spec?.matchConditions ?? []).map(({ expression }) => compiler.compile(expression, options, [cel.BOOL])),
  }
  return { common, compiler, options }
}

export function compileValidatingPolicy(cel: Cel, policy: ValidatingAdmissionPolicy): ValidatingPolicy {
  const { common, compiler, options } = compileCommon(cel, policy)
  return {
    ...common,
    validations: (policy.spec?.validations ?? []).map(({ expression, messageExpression, message, reason }) => ({
      expression: compiler.compile(expression, options, [cel.BOOL]), message: message?.trim() ?? '', reason: reason ?? 'Invalid',
      // Messages are made without asking the authorizer.
      messageExpression: messageExpression ? compiler.compile(messageExpression, { ...options, authorizer: false }, [cel.STRING]) : undefined,
    })),
    auditAnnotations: (policy.spec?.auditAnnotations ?? []).map(({ key, valueExpression }) => ({ key, expression: compiler.compile(valueExpression, options, [cel.STRING, cel.NULL]) })),
  }
}

export function compileMutatingPolicy(cel: Cel, policy: MutatingAdmissionPolicy): MutatingPolicy {
  const { common, compiler, options } = compileCommon(cel, policy)
  const patches = { ...options, patches: true }
  return {
    ...common,
    isReinvocable: policy.spec?.reinvocationPolicy === 'IfNeeded',
    mutations: (policy.spec?.mutations ?? []).map(({ patchType, applyConfiguration, jsonPatch }) =>
      patchType === 'JSONPatch'
        ? { kind: 'json-patch', expression: compiler.compile(jsonPatch?.expression ?? '', patches, [cel.list(cel.JSON_PATCH_OPERATION)]) }
        : { kind: 'apply', expression: compiler.compile(applyConfiguration?.expression ?? '', patches, [cel.APPLY_CONFIGURATION]) }),
  }
}
