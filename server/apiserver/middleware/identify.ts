/** Who a request is from: authentication, the begin of its audit trail, impersonation. */
import type { UserInfo } from '#api/types/index.ts'
import type { Log } from '#base/log.ts'
import type { Auditor } from '../audit/auditor.ts'
import type { Attributes, Authenticator, Authorizer } from '../auth.ts'
import { selectedBy, type Exchange, type PeerRequest } from '../exchange.ts'
import { splitTarget } from '../http/query.ts'
import type { PathInfo, ResourceInfo } from '../http/request-info.ts'
import { auditVerb } from '../request-verb.ts'
import { authenticate } from './authenticate.ts'
import { attributesOf } from './authorize.ts'
import type { RequestHeaders } from './front-proxy.ts'
import { asksToImpersonate, createImpersonator } from './impersonate.ts'

export interface IdentifyOptions {
  authenticator: Authenticator
  authorizer: Authorizer
  requestHeaders: RequestHeaders | undefined
  auditor: Auditor | undefined
  /** Told of each request with a client's certificate. */
  certificateShown: (expiresMs: number) => void
  log: Log
}

/** Throws 401, and 403 for who may not speak for another. */
export type Identify = (request: PeerRequest, exchange: Exchange, info: ResourceInfo | PathInfo) => Promise<UserInfo>

export function createIdentify({ authenticator, authorizer, requestHeaders, auditor, certificateShown, log }: IdentifyOptions): Identify {
  const impersonator = createImpersonator(authorizer)
  return async (request, exchange, info) => {
    const { headers, peer } = request
    const noted = () => ({ request, auditId: exchange.auditId, receivedMs: exchange.receivedMs, verb: auditVerb(request, info), info: info.kind === 'resource' ? namedBySelector(request, info) : undefined, path: splitTarget(request.path).path })
    const expiresMs = 'user' in peer ? undefined : peer.certificate?.expiresMs
    if (expiresMs !== undefined) certificateShown(expiresMs)
    let user: UserInfo
    try {
      user = await authenticate(peer, headers, splitTarget(request.path).path, { authenticator, requestHeaders, warn: (text) => exchange.warnings.add(text), log })
    } catch (error) {
      auditor?.authenticationFailed(noted())
      throw error
    }
    if (auditor) exchange.trail = auditor.begin({ ...noted(), user })
    if (!asksToImpersonate(headers)) return user
    const impersonated = await impersonator.impersonate(headers, requestAttributes(request, info, user))
    if (!impersonated) return user
    exchange.trail?.impersonated(impersonated.user, impersonated.constraint)
    return impersonated.user
  }
}

function namedBySelector(request: PeerRequest, info: ResourceInfo): ResourceInfo {
  if (info.name !== '' || request.method !== 'GET' || !request.path.includes('fieldSelector=')) return info
  return selectedBy(splitTarget(request.path).query.text('fieldSelector'), info)
}

/** As it is authorized in the end; what no verb asks for is refused later. */
function requestAttributes(request: PeerRequest, info: ResourceInfo | PathInfo, user: UserInfo): Attributes {
  if (info.kind === 'path') return { user, verb: request.method.toLowerCase(), path: info.path }
  const verb = auditVerb(request, info)
  const { query } = splitTarget(request.path)
  const isMany = verb === 'list' || verb === 'watch' || verb === 'deletecollection'
  return attributesOf(user, verb, info, isMany ? { fieldSelector: query.text('fieldSelector'), labelSelector: query.text('labelSelector') } : {})
}
