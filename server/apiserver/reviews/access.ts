/** SubjectAccessReview and its kin: questions to the authorizer, answered and forgotten. */
import type { ApiResponse } from '#api/client/transport.ts'
import type { KubeObject, UserInfo } from '#api/types/index.ts'
import type { Attributes, Authorizer } from '../auth.ts'
import { invalid as invalidField, type FieldError } from '../field-error.ts'
import { jsonResponse } from '../http/response.ts'
import { invalid } from '../http/status.ts'
import { admitFully } from '../verbs/admit.ts'
import { readBody } from '../verbs/body.ts'
import type { Call } from '../verbs/call.ts'
import { admissionOptions, parseWriteOptions } from '../verbs/options.ts'

interface AccessSpec {
  resourceAttributes?: { namespace?: string; verb?: string; group?: string; version?: string; resource?: string; subresource?: string; name?: string; fieldSelector?: { rawSelector?: string } }
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
  const isSelf = call.row.ref.kind === 'SelfSubjectAccessReview'
  const { spec } = review
  const errors = checkSpec(spec ?? {}, isSelf, call.info.namespace, call.row.ref.kind)
  if (errors.length > 0) throw invalid(call.row.ref, '', errors)
  const user: UserInfo = isSelf ? call.user : { name: spec.user ?? '', groups: spec.groups ?? [], ...(spec.uid !== undefined && { uid: spec.uid }), ...(spec.extra && { extra: spec.extra }) }
  const verdict = await authorizer.authorize(attributesOf(spec, user))
  review.status = { allowed: verdict.allowed, ...(verdict.reason !== '' && { reason: verdict.reason }) }
  return jsonResponse(review, 201)
}

function attributesOf(spec: AccessSpec, user: UserInfo): Attributes {
  if (spec.nonResourceAttributes) return { user, verb: spec.nonResourceAttributes.verb ?? '', path: spec.nonResourceAttributes.path ?? '' }
  const { verb = '', group = '', version = '', resource = '', subresource = '', namespace = '', name = '', fieldSelector } = spec.resourceAttributes ?? {}
  return { user, verb, resource: { group, version, resource, subresource, namespace, name }, ...(fieldSelector?.rawSelector !== undefined && { fieldSelector: fieldSelector.rawSelector }) }
}

function checkSpec(spec: AccessSpec, isSelf: boolean, namespace: string, kind: string): FieldError[] {
  const errors: FieldError[] = []
  const both = spec.resourceAttributes !== undefined && spec.nonResourceAttributes !== undefined
  if (both) errors.push(invalidField('spec.nonResourceAttributes', spec.nonResourceAttributes, 'cannot be specified in combination with resourceAttributes'))
  if (!spec.resourceAttributes && !spec.nonResourceAttributes) errors.push(invalidField('spec.resourceAttributes', null, 'exactly one of nonResourceAttributes or resourceAttributes must be specified'))
  if (!isSelf && !spec.user && (spec.groups ?? []).length === 0) errors.push(invalidField('spec.user', spec.user ?? '', 'at least one of user or group must be specified'))
  if (kind === 'LocalSubjectAccessReview' && (spec.resourceAttributes?.namespace ?? '') !== namespace) {
    errors.push(invalidField('spec.resourceAttributes.namespace', spec.resourceAttributes?.namespace ?? '', 'must match metadata.namespace'))
  }
  return errors
}

/** `kubectl auth can-i --list`. */
export async function reviewRules(call: Call, authorizer: Authorizer): Promise<ApiResponse> {
  const review = await readReview<KubeObject & { spec?: { namespace?: string }; status?: unknown }>(call)
  const namespace = review.spec?.namespace ?? ''
  if (namespace === '') throw invalid(call.row.ref, '', [invalidField('spec.namespace', namespace, 'must not be empty')])
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
