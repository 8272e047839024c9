/** Who lets a policy read parameters must be able to read them: messages could tell what is in them (registry `admissionregistration/.../authz.go`). */
import type { MutatingAdmissionPolicy, UserInfo, ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding } from '#api/types/index.ts'
import type { AdmissionApi, AdmissionRequest } from '../admission.ts'
import { PRIVILEGED_GROUP } from '../authz/authorizer.ts'
import { type FieldError, forbidden } from '../field-error.ts'
import { equalJson } from '../storage/equal.ts'
import { GROUP } from './policy-set.ts'

type Policy = ValidatingAdmissionPolicy | MutatingAdmissionPolicy
type ParamKind = { apiVersion?: string; kind?: string }

/** Empty where nothing about parameters is new. */
export async function checkParams(request: AdmissionRequest, api: AdmissionApi): Promise<FieldError[]> {
  if (request.user.groups.includes(PRIVILEGED_GROUP)) return []
  switch (request.ref.resource) {
    case 'validatingadmissionpolicies': case 'mutatingadmissionpolicies': return checkKind(request, api)
    case 'validatingadmissionpolicybindings': return checkRef(request, api, 'validatingadmissionpolicies')
    case 'mutatingadmissionpolicybindings': return checkRef(request, api, 'mutatingadmissionpolicies')
    default: return []
  }
}

async function checkKind({ object, old, user }: AdmissionRequest, api: AdmissionApi): Promise<FieldError[]> {
  const kind = (object as Policy).spec?.paramKind
  if (!kind || equalJson(kind, (old as Policy | undefined)?.spec?.paramKind)) return []
  if (await mayGet(user, kind, '*', '*', api)) return []
  return [forbidden('spec.paramKind', `user ${userText(user)} must have "get" permission on all objects of the referenced paramKind (kind=${kind.kind ?? ''}, apiVersion=${kind.apiVersion ?? ''})`)]
}

async function checkRef({ object, old, user }: AdmissionRequest, api: AdmissionApi, policies: string): Promise<FieldError[]> {
  const spec = (object as ValidatingAdmissionPolicyBinding).spec
  const paramRef = spec?.paramRef
  const policyName = spec?.policyName ?? ''
  const before = (old as ValidatingAdmissionPolicyBinding | undefined)?.spec
  if (!paramRef || (equalJson(paramRef, before?.paramRef) && policyName === before?.policyName)) return []
  const row = api.rows.find(GROUP, 'v1', policies)
  // A policy that is not there yet may name anything.
  const policy = row && (await api.client.get<Policy>(row.ref, policyName).catch(() => undefined))
  if (await mayGet(user, policy?.spec?.paramKind, paramRef.name ?? '', paramRef.namespace ?? '', api)) return []
  return [forbidden('spec.paramRef', `user ${userText(user)} does not have "get" permission on the object referenced by paramRef`)]
}

async function mayGet(user: UserInfo, kind: ParamKind | undefined, name: string, namespace: string, { authorizer, rows }: AdmissionApi): Promise<boolean> {
  const [version = '', group = ''] = (kind?.apiVersion ?? '').split('/').toReversed()
  const resource = (kind && rows.findKind(kind.apiVersion ?? '', kind.kind ?? '')?.ref.resource) ?? '*'
  const asked = kind ? { group, version, resource } : { group: '*', version: '*', resource: '*' }
  return (await authorizer.authorize({ user, verb: 'get', resource: { ...asked, subresource: '', namespace, name } })).allowed
}

/** As Go prints upstream's user. */
function userText({ name, uid = '', groups, extra = {} }: UserInfo): string {
  return `&{${name} ${uid} [${groups.join(' ')}] map[${Object.entries(extra).map(([key, values]) => `${key}:[${values.join(' ')}]`).sort().join(' ')}]}`
}
