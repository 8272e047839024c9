/** The variables of admission expressions (policies, match conditions of webhooks) and their types, as upstream declares them. */
import type { CelType } from './type.ts'
import { BOOL, DYN, INT, list, map, object, opaque, STRING, TIMESTAMP } from './type.ts'

const GROUP_VERSION_KIND = object('kubernetes.GroupVersionKind', { group: STRING, version: STRING, kind: STRING })
const GROUP_VERSION_RESOURCE = object('kubernetes.GroupVersionResource', { group: STRING, version: STRING, resource: STRING })

/** AdmissionRequest without uid, object and oldObject. */
export const ADMISSION_REQUEST: CelType = object('kubernetes.AdmissionRequest', {
  kind: GROUP_VERSION_KIND, resource: GROUP_VERSION_RESOURCE, subResource: STRING, requestKind: GROUP_VERSION_KIND, requestResource: GROUP_VERSION_RESOURCE, requestSubResource: STRING,
  name: STRING, namespace: STRING, operation: STRING, dryRun: BOOL, options: DYN,
  userInfo: object('kubernetes.UserInfo', { username: STRING, uid: STRING, groups: list(STRING), extra: map(STRING, list(STRING)) }),
})

export const NAMESPACE_OBJECT: CelType = object('kubernetes.Namespace', {
  metadata: object('kubernetes.NamespaceMetadata', {
    name: STRING, generateName: STRING, namespace: STRING, labels: map(STRING, STRING), annotations: map(STRING, STRING), UID: STRING, creationTimestamp: TIMESTAMP,
    deletionGracePeriodSeconds: INT, deletionTimestamp: TIMESTAMP, generation: INT, resourceVersion: STRING, finalizers: list(STRING),
  }),
  spec: object('kubernetes.NamespaceSpec', { finalizers: list(STRING) }),
  status: object('kubernetes.NamespaceStatus', {
    conditions: list(object('kubernetes.NamespaceCondition', { status: STRING, type: STRING, lastTransitionTime: TIMESTAMP, message: STRING, reason: STRING })),
    phase: STRING,
  }),
})

export const AUTHORIZER: CelType = opaque('kubernetes.authorization.Authorizer')
export const RESOURCE_CHECK: CelType = opaque('kubernetes.authorization.ResourceCheck')

export interface AdmissionVariables {
  params?: boolean
  authorizer?: boolean
}

/** object, oldObject, request, namespaceObject; params and authorizer where there are any. Bind with `authorizerBindings` and plain JSON (null where there is no object). */
export function admissionVariables({ params = false, authorizer = false }: AdmissionVariables = {}): Record<string, CelType> {
  return {
    object: DYN, oldObject: DYN, namespaceObject: NAMESPACE_OBJECT, request: ADMISSION_REQUEST,
    ...(params && { params: DYN }),
    ...(authorizer && { authorizer: AUTHORIZER, 'authorizer.requestResource': RESOURCE_CHECK }),
  }
}
