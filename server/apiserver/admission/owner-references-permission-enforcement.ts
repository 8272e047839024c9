/**
 * OwnerReferencesPermissionEnforcement: who changes an object's owners must be allowed to delete it, as the garbage collector
 * then may; who lets it block an owner's deletion must be allowed to set the owner's finalizers.
 */
import type { KubeObject, OwnerReference } from '#api/types/index.ts'
import type { AdmissionApi, AdmissionPlugin, AdmissionRequest, Refusal } from '../admission.ts'
import { semanticEqual } from '../kinds/semantic-equal.ts'
import { isFor, refuse } from './refuse.ts'

export const ownerReferencesPermissionEnforcement: AdmissionPlugin = {
  name: 'OwnerReferencesPermissionEnforcement',
  validate(request, api) {
    if (request.operation !== 'CREATE' && request.operation !== 'UPDATE') return undefined
    if (isFor(request, '', 'pods') && request.subresource === 'status') return undefined
    const [after, before] = [ownersOf(request.object), ownersOf(request.old)]
    return semanticEqual(after, before) ? undefined : checkOwners(request, api, after, before)
  },
}

async function checkOwners(request: AdmissionRequest, api: AdmissionApi, after: readonly OwnerReference[], before: readonly OwnerReference[]): Promise<Refusal | undefined> {
  if (request.operation === 'UPDATE') {
    const { ref, subresource, namespace, name, user } = request
    const { allowed, reason } = await api.authorizer.authorize({ user, verb: 'delete', resource: { group: ref.group, version: ref.version, resource: ref.resource, subresource, namespace, name } })
    if (!allowed) return refuse(`cannot set an ownerRef on a resource you can't delete: ${reason}, <nil>`)
  }
  for (const owner of after.filter((o) => o.blockOwnerDeletion === true && !before.some((b) => b.uid === o.uid && b.blockOwnerDeletion === true))) {
    const refusal = await mayBlock(owner, request, api)
    if (refusal) return refusal
  }
  return undefined
}

const ownersOf = (object: KubeObject | undefined): OwnerReference[] => object?.metadata?.ownerReferences ?? []

async function mayBlock(owner: OwnerReference, request: AdmissionRequest, api: AdmissionApi): Promise<Refusal | undefined> {
  const row = api.rows.findKind(owner.apiVersion, owner.kind)
  if (!row) return refuse(`cannot set blockOwnerDeletion in this case because cannot find RESTMapping for APIVersion ${owner.apiVersion} Kind ${owner.kind}: no matches for kind "${owner.kind}" in version "${owner.apiVersion}"`)
  const { group, version, resource, namespaced } = row.ref
  const { allowed, reason } = await api.authorizer.authorize({ user: request.user, verb: 'update', resource: { group, version, resource, subresource: 'finalizers', namespace: namespaced ? request.namespace : '', name: owner.name } })
  return allowed ? undefined : refuse(`cannot set blockOwnerDeletion if an ownerReference refers to a resource you can't set finalizers on: ${reason}, <nil>`)
}
