/** SubjectAccessReview and its kin: questions to the authorizer, answered and forgotten. */
import type { ApiResponse } from '#api/client/transport.ts'
import type { KubeObject, UserInfo } from '#api/types/index.ts'
import type { Attributes, Authorizer } from '../auth.ts'
import { fieldSelectorText, labelSelectorText, type SelectorAttributes } from '../authz/selectors.ts'
import { forbidden, invalid as invalidField, required, type FieldError } from '../field-error.ts'
import { jsonResponse } from '../http/response.ts'
import { badRequest, invalid } from '../http/status.ts'
import { admitFully } from '../verbs/admit.ts'
import { readBody } from '../verbs/body.ts'
import type { Call } from '../verbs/call.ts'
import { admissionOptions, parseWriteOptions } from '../verbs/options.ts'

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
  if (errors.length > 0) throw invalid(call.row.ref, review.metadata?.name ?? '', errors)
  const user: UserInfo = kind === 'SelfSubjectAccessReview' ? call.user : { name: spec.user ?? '', groups: spec.groups ?? [], ...(spec.uid !== undefined && { uid: spec.uid }), ...(spec.extra && { extra: spec.extra }) }
  const { allowed, denied, reason, error } = await authorizer.authorize(attributesOf(spec, user))
  review.status = { allowed, ...(denied && { denied }), ...(reason !== '' && { reason }), ...(error !== undefined && { evaluationError: error }) }
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
  if (resource) errors.push(...checkSelector(resource.fieldSelector, 'spec.resourceAttributes.fieldSelector', false), ...checkSelector(resource.labelSelector, 'spec.resourceAttributes.labelSelector', true))
  if (kind !== 'SelfSubjectAccessReview' && !spec.user && (spec.groups ?? []).length === 0) errors.push(invalidField('spec.user', spec.user ?? '', 'at least one of user or group must be specified'))
  const { managedFields: _managed, namespace: given, ...meta } = review.metadata ?? {}
  const isLocal = kind === 'LocalSubjectAccessReview'
  const isEmpty = Object.values(meta).every((v) => v === undefined || v === null || v === '') && (isLocal || given === undefined || given === '')
  if (!isEmpty) errors.push(invalidField('metadata', review.metadata, isLocal ? 'must be empty except for namespace' : 'must be empty'))
  if (!isLocal) return errors
  if (resource && (resource.namespace ?? '') !== namespace) errors.push(invalidField('spec.resourceAttributes.namespace', resource.namespace ?? '', 'must match metadata.namespace'))
  if (path) errors.push(invalidField('spec.nonResourceAttributes', path, 'disallowed on this kind of request'))
  return errors
}

const LABEL_KEY = /^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*\/)?[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/

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
    if (isLabel && !LABEL_KEY.test(key)) errors.push(invalidField(`${field}.key`, key, LABEL_KEY_RULE))
  })
  return errors
}

const LABEL_KEY_RULE = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"

/** `kubectl auth can-i --list`. */
export async function reviewRules(call: Call, authorizer: Authorizer): Promise<ApiResponse> {
  const review = await readReview<KubeObject & { spec?: { namespace?: string }; status?: unknown }>(call)
  const namespace = review.spec?.namespace ?? ''
  if (namespace === '') throw badRequest('no namespace on request')
  review.status = await authorizer.rulesFor(call.user, namespace)
  return jsonResponse(review, 201)
}

/** The body, once admission has let it through. */
export async function readReview<T extends KubeObject>(call: Call): Promise<T> {
  const { fieldValidation, dryRun } = parseWriteOptions(call, 'CreateOptions')
  const review = readBody<T>(call, { model: call.row.model, expect: call.row.ref, validation: fieldValidation })
  review.metadata ??= {}
  await admitFully(call, { operation: 'CREATE', name: review.metadata.name ?? '', object: review, old: undefined, options: admissionOptions(call, 'CreateOptions'), dryRun })
  return review
}
