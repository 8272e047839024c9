/** What all API objects have in common, and how a kind is named on the wire. */
import type { ObjectMeta } from './generated/models.ts'

export interface KubeObject {
  apiVersion?: string
  kind?: string
  metadata?: ObjectMeta
}

/** An object that has been stored: name, uid, resourceVersion and creationTimestamp are there. */
export type Stored<T extends KubeObject> = T & {
  metadata: ObjectMeta & { name: string; uid: string; resourceVersion: string; creationTimestamp: string }
}

/** A kind as it appears in paths: `/api/v1/namespaces/x/pods` is `{group: '', version: 'v1', resource: 'pods'}`. */
export interface ResourceRef {
  readonly group: string
  readonly version: string
  /** Lower-case plural. */
  readonly resource: string
  readonly kind: string
  readonly namespaced: boolean
}

/** `v1` or `apps/v1`. */
export function apiVersionOf(ref: { group: string; version: string }): string {
  return ref.group === '' ? ref.version : `${ref.group}/${ref.version}`
}

/** `namespace/name`, or just the name of a cluster-scoped object: the key of queues and informers. */
export function keyOf(object: KubeObject): string {
  const { namespace, name } = object.metadata ?? {}
  return namespace ? `${namespace}/${name ?? ''}` : (name ?? '')
}

export function splitKey(key: string): { namespace: string; name: string } {
  const at = key.indexOf('/')
  return at < 0 ? { namespace: '', name: key } : { namespace: key.slice(0, at), name: key.slice(at + 1) }
}
