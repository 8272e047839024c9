/**
 * Expressions of policies and of webhooks' match conditions are compiled when they are written: what does not compile is a 422, as any
 * other invalid field. A plugin, and not part of the kinds' own rules, because CEL is loaded when somebody first writes an expression.
 */
import type { MutatingAdmissionPolicy, MutatingWebhookConfiguration, ValidatingAdmissionPolicy } from '#api/types/index.ts'
import type { AdmissionApi, AdmissionPlugin, AdmissionRequest, Refusal } from '../admission.ts'
import { type FieldError, invalid as invalidField } from '../field-error.ts'
import { invalid } from '../http/status.ts'
import { equalJson } from '../storage/equal.ts'
import { checkParams } from './check-params.ts'
import { type Cel, type Expression, ExpressionCompiler } from './expressions.ts'
import { GROUP } from './policy-set.ts'

export const checkExpressions: AdmissionPlugin = {
  name: 'AdmissionExpressions',
  validate(request, api) {
    return request.ref.group !== GROUP || request.subresource !== '' || !request.object || request.operation === 'DELETE' ? undefined : check(request, api)
  },
}

async function check(request: AdmissionRequest, api: AdmissionApi): Promise<Refusal | undefined> {
  const find = CHECKS[request.ref.resource]
  const errors = find && !isUnchanged(request) ? find(await import('#api/cel/index.ts'), request.object as never) : []
  if (errors.length === 0) errors.push(...(await checkParams(request, api)))
  if (errors.length > 0) throw invalid(request.ref, request.name, errors)
  return undefined
}

/** What was stored once stays acceptable. */
function isUnchanged({ object, old }: AdmissionRequest): boolean {
  const contents = (o: unknown): unknown => {
    const { spec, webhooks } = (o ?? {}) as { spec?: unknown; webhooks?: unknown }
    return { spec, webhooks }
  }
  return old !== undefined && equalJson(contents(object), contents(old))
}

const complain = (at: string, expression: Expression): FieldError[] => (expression.ok ? [] : [invalidField(at, expression.text, expression.error)])

const CHECKS: Readonly<Record<string, (cel: Cel, object: never) => FieldError[]>> = {
  validatingadmissionpolicies: checkValidatingPolicy,
  mutatingadmissionpolicies: checkMutatingPolicy,
  validatingwebhookconfigurations: checkWebhooks,
  mutatingwebhookconfigurations: checkWebhooks,
}

function checkCommon(cel: Cel, { spec }: ValidatingAdmissionPolicy | MutatingAdmissionPolicy): { compiler: ExpressionCompiler; options: { params: boolean; authorizer: boolean }; errors: FieldError[] } {
  const options = { params: spec?.paramKind !== undefined, authorizer: true }
  const compiler = new ExpressionCompiler(cel)
  compiler.addVariables((spec?.variables ?? []).map(({ name, expression }) => ({ name, expression })), options)
  const variables = (spec?.variables ?? []).flatMap(({ name }, i) => {
    const compiled = compiler.variables.get(name)
    return compiled ? complain(`spec.variables[${i}].expression`, compiled) : []
  })
  const conditions = (spec?.matchConditions ?? []).flatMap(({ expression }, i) => complain(`spec.matchConditions[${i}].expression`, compiler.compile(expression, options, [cel.BOOL])))
  return { compiler, options, errors: [...conditions, ...variables] }
}

function checkValidatingPolicy(cel: Cel, policy: ValidatingAdmissionPolicy): FieldError[] {
  const { compiler, options, errors } = checkCommon(cel, policy)
  return [
    ...errors,
    ...(policy.spec?.validations ?? []).flatMap(({ expression, messageExpression }, i) => [
      ...complain(`spec.validations[${i}].expression`, compiler.compile(expression, options, [cel.BOOL])),
      ...(messageExpression ? complain(`spec.validations[${i}].messageExpression`, compiler.compile(messageExpression, { ...options, authorizer: false }, [cel.STRING])) : []),
    ]),
    ...(policy.spec?.auditAnnotations ?? []).flatMap(({ valueExpression }, i) => complain(`spec.auditAnnotations[${i}].valueExpression`, compiler.compile(valueExpression, options, [cel.STRING, cel.NULL]))),
  ]
}

function checkMutatingPolicy(cel: Cel, policy: MutatingAdmissionPolicy): FieldError[] {
  const { compiler, options, errors } = checkCommon(cel, policy)
  const patches = { ...options, patches: true }
  return [
    ...errors,
    ...(policy.spec?.mutations ?? []).flatMap(({ applyConfiguration, jsonPatch }, i) => [
      ...(applyConfiguration?.expression ? complain(`spec.mutations[${i}].applyConfiguration.expression`, compiler.compile(applyConfiguration.expression, patches, [cel.APPLY_CONFIGURATION])) : []),
      ...(jsonPatch?.expression ? complain(`spec.mutations[${i}].jsonPatch.expression`, compiler.compile(jsonPatch.expression, patches, [cel.list(cel.JSON_PATCH_OPERATION)])) : []),
    ]),
  ]
}

function checkWebhooks(cel: Cel, { webhooks = [] }: MutatingWebhookConfiguration): FieldError[] {
  const compiler = new ExpressionCompiler(cel, {}, false)
  return webhooks.flatMap(({ matchConditions = [] }, i) =>
    matchConditions.flatMap(({ expression }, j) => complain(`webhooks[${i}].matchConditions[${j}].expression`, compiler.compile(expression, { params: false, authorizer: true }, [cel.BOOL]))))
}
