/** What the expressions of a policy see of one request. */
import type { KubeObject, Namespace } from '#api/types/index.ts'
import type { AdmissionApi, AdmissionRequest } from '../admission.ts'
import type { KindRow } from '../kind.ts'
import { convertBetween } from '../webhooks/equivalents.ts'
import { requestFields } from '../webhooks/request-fields.ts'
import type { Cel } from './expressions.ts'

/** The objects in the form of the row whose rule matched. */
export interface Seen { row: KindRow; object: KubeObject | undefined; old: KubeObject | undefined }

export async function seenAs(own: KindRow, row: KindRow, { object, old, kind }: AdmissionRequest): Promise<Seen> {
  // Subresources with a form of their own (Scale) have it in all versions.
  const isOwnKind = kind.kind === own.ref.kind && kind.group === own.ref.group
  if (row === own || !isOwnKind) return { row, object, old }
  return { row, object: object && (await convertBetween(own, row, object)), old: old && (await convertBetween(own, row, old)) }
}

/** One authorizer for all policies of a request: a question is asked once. */
export function authorizerOf(cel: Cel, request: AdmissionRequest, api: AdmissionApi): Record<string, unknown> {
  const { group, resource } = request.ref
  return cel.authorizerBindings((question) => api.authorizer.authorize(question), request.user, { group, resource, subresource: request.subresource, namespace: request.namespace, name: request.name })
}

export function bindingsFor(seen: Seen, own: KindRow, request: AdmissionRequest, param: KubeObject | null, namespace: Namespace | undefined, authorizer: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const names = { apiVersion: request.kind.group === '' ? request.kind.version : `${request.kind.group}/${request.kind.version}`, kind: request.kind.kind }
  const whole = (object: KubeObject | undefined): KubeObject | null => (object ? (object.kind ? object : { ...names, ...object }) : null)
  return {
    ...authorizer, object: whole(seen.object), oldObject: whole(seen.old), params: param, namespaceObject: namespace ?? null,
    request: requestFields(seen.row, own, request),
  }
}
