/** May they? One place makes Attributes of requests and words the refusals. */
import type { UserInfo } from '#api/types/index.ts'
import type { Attributes, Authorizer, Verdict } from '../auth.ts'
import type { ResourceInfo } from '../http/request-info.ts'
import { forbidden, forbiddenPath, internal } from '../http/status.ts'

/** Of list, watch and deletecollection, as sent; empty: none. */
export interface Selectors { fieldSelector?: string; labelSelector?: string }

export async function authorizeResource(authorizer: Authorizer, user: UserInfo, verb: string, info: ResourceInfo, selectors: Selectors = {}, told?: (verdict: Verdict) => void): Promise<void> {
  const { group, version, resource, subresource, namespace, name } = info
  const attributes: Attributes = { user, verb, resource: { group, version, resource, subresource, namespace, name }, ...(selectors.fieldSelector && { fieldSelector: selectors.fieldSelector }), ...(selectors.labelSelector && { labelSelector: selectors.labelSelector }) }
  const verdict = await authorizer.authorize(attributes)
  told?.(verdict)
  if (verdict.allowed) return
  if (verdict.error !== undefined) throw internal(verdict.error)
  const what = subresource === '' ? resource : `${resource}/${subresource}`
  const where = namespace === '' ? 'at the cluster scope' : `in the namespace "${namespace}"`
  const because = verdict.reason === '' ? '' : `: ${verdict.reason}`
  throw forbidden({ group, resource }, name, `User ${JSON.stringify(user.name)} cannot ${verb} resource ${JSON.stringify(what)} in API group ${JSON.stringify(group)} ${where}${because}`)
}

export async function authorizePath(authorizer: Authorizer, user: UserInfo, method: string, path: string, told?: (verdict: Verdict) => void): Promise<void> {
  const verb = method.toLowerCase()
  const verdict = await authorizer.authorize({ user, verb, path })
  told?.(verdict)
  if (!verdict.allowed && verdict.error !== undefined) throw internal(verdict.error)
  if (!verdict.allowed) throw forbiddenPath(`User ${JSON.stringify(user.name)} cannot ${verb} path ${JSON.stringify(path)}${verdict.reason === '' ? '' : `: ${verdict.reason}`}`)
}
