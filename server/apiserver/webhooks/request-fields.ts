/** A request as a webhook is told of it: AdmissionRequest of admission.k8s.io without uid and objects, also the variable `request` of CEL. Pure. */
import type { KubeObject } from '#api/types/index.ts'
import type { AdmissionRequest } from '../admission.ts'
import type { KindRow } from '../kind.ts'
import type { Hook } from './hook.ts'
import { attributesNamespace } from './rules.ts'

/** What goes to the webhook. */
export interface Invocation {
  hook: Hook
  /** The row in whose terms the webhook asked for it: the request's own, or an equivalent one. */
  row: KindRow
  object: KubeObject | undefined
  old: KubeObject | undefined
}

export function requestFields(row: KindRow, own: KindRow, request: AdmissionRequest): Record<string, unknown> {
  const { user, subresource, ref } = request
  const resource = ({ group, version, resource: name }: KindRow['ref']) => ({ group, version, resource: name })
  const namespace = attributesNamespace(request)
  return {
    kind: kindOf(row, own, request), resource: resource(row.ref), ...(subresource !== '' && { subResource: subresource }),
    requestKind: request.kind, requestResource: resource(ref), ...(subresource !== '' && { requestSubResource: subresource }),
    ...(request.name !== '' && { name: request.name }), ...(namespace !== '' && { namespace }), operation: request.operation,
    userInfo: { username: user.name, ...(user.uid !== undefined && { uid: user.uid }), ...(user.groups.length > 0 && { groups: user.groups }), ...(user.extra && { extra: user.extra }) },
    dryRun: request.dryRun, options: request.options ?? null,
  }
}

/** Subresources with a form of their own have it in all versions. */
function kindOf(row: KindRow, own: KindRow, { kind }: AdmissionRequest): AdmissionRequest['kind'] {
  return row !== own && kind.kind === own.ref.kind ? { group: row.ref.group, version: row.ref.version, kind: row.ref.kind } : kind
}
