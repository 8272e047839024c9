/**
 * How quota measures one resource. Admission charges by it, the resource quota controller counts by it: both must find the
 * same. Pure; time comes in.
 */
import type { KubeObject } from '../types/object.ts'
import type { ResourceQuota, ScopedResourceSelectorRequirement } from '../types/generated/models.ts'
import type { ResourceList } from './resource-list.ts'

export type Requirement = ScopedResourceSelectorRequirement

export interface Request {
  operation: 'CREATE' | 'UPDATE' | 'DELETE' | 'CONNECT'
  subresource: string
  object: KubeObject | undefined
  old: KubeObject | undefined
}

export interface Evaluator {
  /** Whether this request may change what the resource uses. */
  handles(request: Request): boolean
  /** Those of the names that this resource is counted under. */
  matchingResources(names: readonly string[]): string[]
  usage(object: KubeObject, nowMs: number): ResourceList
  /** Absent: no scope fits. */
  matchesScope?(requirement: Requirement, object: KubeObject): boolean
  /** What the object must say and does not, when these names are restricted; undefined: nothing. */
  constraint?(names: readonly string[], object: KubeObject): string | undefined
  /** A change after which used may be less, besides the object being gone. Absent: none. */
  isReplenishing?(before: KubeObject, after: KubeObject): boolean
}

/** Everything the quota asks of an object to count. */
export function requirementsOf({ spec }: ResourceQuota): Requirement[] {
  return [...(spec?.scopes ?? []).map((scopeName) => ({ scopeName, operator: 'Exists' })), ...(spec?.scopeSelector?.matchExpressions ?? [])]
}

/** `values`: what the object has under the scope's name; a requirement fits when it fits one of them. */
export function fitsRequirement({ operator, values }: Requirement, has: readonly string[]): boolean {
  const listed = (value: string): boolean => (values ?? []).includes(value)
  switch (operator) {
    case 'Exists': return has.length > 0
    case 'DoesNotExist': return has.length === 0
    case 'In': return has.some(listed)
    case 'NotIn': return has.length === 0 || has.some((value) => !listed(value))
    default: return false
  }
}
