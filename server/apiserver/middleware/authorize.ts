/** May they? One place makes Attributes of requests and words the refusals. */
import type { UserInfo } from '#api/types/index.ts'
import type { Attributes, Authorizer, Verdict } from '../auth.ts'
import { namespaceOf, type ResourceInfo } from '../http/request-info.ts'
import { forbidden, forbiddenPath, internal } from '../http/status.ts'

/** Of list, watch and deletecollection, as sent; empty: none. */
export interface Selectors { fieldSelector?: string; labelSelector?: string }

export function authorizeResource(authorizer: Authorizer, user: UserInfo, verb: string, info: ResourceInfo, selectors: Selectors = {}, told?: (verdict: Verdict) => void): Promise<void> {
  return authorizeAttributes(authorizer, attributesOf(user, verb, info, selectors), told)
}

export function authorizePath(authorizer: Authorizer, user: UserInfo, method: string, path: string, told?: (verdict: Verdict) => void): Promise<void> {
  return authorizeAttributes(authorizer, { user, verb: method.toLowerCase(), path }, told)
}

export function attributesOf(user: UserInfo, verb: string, info: ResourceInfo, { fieldSelector, labelSelector }: Selectors = {}): Attributes {
  const { group, version, resource, subresource, name } = info
  return { user, verb, resource: { group, version, resource, subresource, namespace: namespaceOf(info), name }, ...(fieldSelector && { fieldSelector }), ...(labelSelector && { labelSelector }) }
}

/** Throws 403, or 500 when nobody allowed it and somebody could not be asked. */
export async function authorizeAttributes(authorizer: Authorizer, attributes: Attributes, told?: (verdict: Verdict) => void): Promise<void> {
  const verdict = await authorizer.authorize(attributes)
  told?.(verdict)
  if (verdict.allowed) return
  if (verdict.error !== undefined) throw internal(verdict.error)
  const { user, verb } = attributes
  const because = verdict.reason === '' ? '' : `: ${verdict.reason}`
  if (!attributes.resource) throw forbiddenPath(`User ${JSON.stringify(user.name)} cannot ${verb} path ${JSON.stringify(attributes.path)}${because}`)
  const { group, resource, subresource, namespace, name } = attributes.resource
  const what = subresource === '' ? resource : `${resource}/${subresource}`
  const where = namespace === '' ? 'at the cluster scope' : `in the namespace "${namespace}"`
  throw forbidden({ group, resource }, name, `User ${JSON.stringify(user.name)} cannot ${verb} resource ${JSON.stringify(what)} in API group ${JSON.stringify(group)} ${where}${because}`)
}
