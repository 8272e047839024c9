/** SubjectAccessReview and its kin: questions to the authorizer, answered and forgotten. */
import type { ApiResponse } from '#api/client/transport.ts'
import { checkLabelValue, checkQualifiedName, type KubeObject, type UserInfo } from '#api/types/index.ts'
import type { Attributes, Authorizer } from '../auth.ts'
import { fieldSelectorText, labelSelectorText, type SelectorAttributes, usable } from '../authz/selectors.ts'
import { forbidden, invalid as invalidField, required, type FieldError } from '../field-error.ts'
import { jsonResponse } from '../http/response.ts'
import { badRequest, invalid } from '../http/status.ts'
import { named } from '../kinds/check.ts'
import { admitFully } from '../verbs/admit.ts'
import { readBody } from '../verbs/body.ts'
import type { Call } from '../verbs/call.ts'
import { ownFields } from '../verbs/managed-fields.ts'
import { admissionOptions, parseWriteOptions } from '../verbs/options.ts'
import type { Full } from '../verbs/stored.ts'

interface AccessSpec {
  resourceAttributes?: {
    namespace?: string; verb?: string; group?: string; version?: string; resource?: string; subresource?: string; name?: string
    fieldSelector?: SelectorAttributes; labelSelector?: SelectorAttributes
  }
  nonResourceAttributes?: { path?: string; verb?: string }
  user?: string
  groups?: string[]
  uid?: string
  extra?: Record<string, string[]>
}

type AccessReview = KubeObject & { spec: AccessSpec; status?: unknown }

/** For SubjectAccessReview, LocalSubjectAccessReview and SelfSubjectAccessReview alike. */
export async function reviewAccess(call: Call, authorizer: Authorizer): Promise<ApiResponse> {
  const review = await readReview<AccessReview>(call)
  const { kind } = call.row.ref
  const spec = review.spec ?? {}
  if (kind === 'LocalSubjectAccessReview') {
    review.metadata ??= {}
    if ((review.metadata.namespace ?? '') !== '' && review.metadata.namespace !== call.info.namespace) throw badRequest('the namespace of the provided object does not match the namespace sent on the request')
    review.metadata.namespace = call.info.namespace
  }
  const errors = checkReview(review, spec, kind, call.info.namespace)
  // Upstream asks the object for its kind, which has lost it by then.
  if (errors.length > 0) throw invalid({ group: call.row.ref.group, kind: '' }, '', errors)
  const user: UserInfo = kind === 'SelfSubjectAccessReview' ? call.user : { name: spec.user ?? '', groups: spec.groups ?? [], ...(spec.uid !== undefined && { uid: spec.uid }), ...(spec.extra && { extra: spec.extra }) }
  const { allowed, denied, reason, error } = await authorizer.authorize(attributesOf(spec, user))
  const problems = [...(error === undefined ? [] : [error]), ...selectorProblems(spec.resourceAttributes ?? {})]
  review.status = { allowed, ...(denied && { denied }), ...(reason !== '' && { reason }), ...(problems.length > 0 && { evaluationError: problems.join('; ') }) }
  return jsonResponse(review, 201)
}

function attributesOf(spec: AccessSpec, user: UserInfo): Attributes {
  if (spec.nonResourceAttributes) return { user, verb: spec.nonResourceAttributes.verb ?? '', path: spec.nonResourceAttributes.path ?? '' }
  const { verb = '', group = '', version = '', resource = '', subresource = '', namespace = '', name = '' } = spec.resourceAttributes ?? {}
  const [fieldSelector, labelSelector] = [fieldSelectorText(spec.resourceAttributes?.fieldSelector), labelSelectorText(spec.resourceAttributes?.labelSelector)]
  return { user, verb, resource: { group, version, resource, subresource, namespace, name }, ...(fieldSelector !== undefined && { fieldSelector }), ...(labelSelector !== undefined && { labelSelector }) }
}

/** In upstream's order and words (authorization/validation). */
function checkReview(review: AccessReview, spec: AccessSpec, kind: string, namespace: string): FieldError[] {
  const errors: FieldError[] = []
  const { resourceAttributes: resource, nonResourceAttributes: path } = spec
  if (resource && path) errors.push(invalidField('spec.nonResourceAttributes', path, 'cannot be specified in combination with resourceAttributes'))
  if (!resource && !path) errors.push(invalidField('spec.resourceAttributes', null, 'exactly one of nonResourceAttributes or resourceAttributes must be specified'))
  if (kind !== 'SelfSubjectAccessReview' && !spec.user && (spec.groups ?? []).length === 0) errors.push(invalidField('spec.user', spec.user ?? '', 'at least one of user or group must be specified'))
  if (resource) errors.push(...checkSelector(resource.fieldSelector, 'spec.resourceAttributes.fieldSelector', false), ...checkSelector(resource.labelSelector, 'spec.resourceAttributes.labelSelector', true))
  const { managedFields: _managed, namespace: given, ...meta } = review.metadata ?? {}
  const isLocal = kind === 'LocalSubjectAccessReview'
  const isEmpty = Object.values(meta).every((v) => v === undefined || v === null || v === '') && (isLocal || given === undefined || given === '')
  if (!isEmpty) errors.push(invalidField('metadata', { ...(given !== undefined && { namespace: given }), ...meta }, isLocal ? 'must be empty except for namespace' : 'must be empty'))
  if (!isLocal) return errors
  if (resource && (resource.namespace ?? '') !== namespace) errors.push(invalidField('spec.resourceAttributes.namespace', resource.namespace ?? '', 'must match metadata.namespace'))
  if (path) errors.push(invalidField('spec.nonResourceAttributes', path, 'disallowed on this kind of request'))
  return errors
}

/** Operators that are not known are those of newer clients: they restrict nothing. */
function checkSelector(selector: SelectorAttributes | undefined, at: string, isLabel: boolean): FieldError[] {
  if (!selector) return []
  const errors: FieldError[] = []
  const { rawSelector = '', requirements = [] } = selector
  if (rawSelector !== '' && requirements.length > 0) errors.push(invalidField(`${at}.rawSelector`, rawSelector, 'may not specified at the same time as requirements'))
  if (rawSelector === '' && requirements.length === 0) errors.push(required(`${at}.requirements`, `when ${at} is specified, requirements or rawSelector is required`))
  requirements.forEach(({ key, operator, values = [] }, i) => {
    const field = `${at}.requirements[${i}]`
    const isSet = operator === 'In' || operator === 'NotIn'
    const isPresence = operator === 'Exists' || operator === 'DoesNotExist'
    if (!isLabel && key === '') errors.push(required(`${field}.key`, 'must be specified'))
    if (isSet && values.length === 0) errors.push(required(`${field}.values`, "must be specified when `operator` is 'In' or 'NotIn'"))
    if (isPresence && values.length > 0) errors.push(forbidden(`${field}.values`, "may not be specified when `operator` is 'Exists' or 'DoesNotExist'"))
    if (isLabel) errors.push(...named(`${field}.key`, key, checkQualifiedName), ...values.flatMap((value, j) => named(`${field}.values[${j}]`, value, checkLabelValue)))
  })
  return errors
}

/** What of the selectors nobody could use, and what was thus decided without. */
function selectorProblems({ fieldSelector, labelSelector }: NonNullable<AccessSpec['resourceAttributes']>): string[] {
  const problem = (of: 'field' | 'label', selector: SelectorAttributes | undefined): string[] => {
    const { given, used } = selector ? usable(selector, of) : { given: 0, used: 0 }
    return given === used ? [] : [`spec.resourceAttributes.${of}Selector ${used > 0 && !selector?.rawSelector ? 'partially ' : ''}ignored due to parse error`]
  }
  return [...problem('field', fieldSelector), ...problem('label', labelSelector)]
}

/** `kubectl auth can-i --list`. */
export async function reviewRules(call: Call, authorizer: Authorizer): Promise<ApiResponse> {
  const review = await readReview<KubeObject & { spec?: { namespace?: string }; status?: unknown }>(call)
  const namespace = review.spec?.namespace ?? ''
  if (namespace === '') throw badRequest('no namespace on request')
  // Upstream answers with a new object: nothing of what was sent is in it.
  return jsonResponse({ kind: review.kind, apiVersion: review.apiVersion, metadata: {}, spec: {}, status: await authorizer.rulesFor(call.user, namespace) }, 201)
}

/** The body, once admission has let it through. */
export async function readReview<T extends KubeObject>(call: Call): Promise<T> {
  const options = parseWriteOptions(call, 'CreateOptions')
  const review = readBody<T>(call, { model: call.row.model, expect: call.row.ref, validation: options.fieldValidation })
  review.metadata ??= {}
  // As with everything that is in no namespace.
  if (!call.row.ref.namespaced) delete review.metadata.namespace
  ownFields(call, undefined, review as Full, options)
  await admitFully(call, { operation: 'CREATE', name: review.metadata.name ?? '', object: review, old: undefined, options: admissionOptions(call, 'CreateOptions'), dryRun: options.dryRun })
  return review
}
