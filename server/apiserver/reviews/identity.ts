/** TokenReview (whose token is this?) and SelfSubjectReview (`kubectl auth whoami`). */
import type { ApiResponse } from '#api/client/transport.ts'
import type { KubeObject, UserInfo } from '#api/types/index.ts'
import type { Authenticator } from '../auth.ts'
import { badRequest } from '../http/status.ts'
import { jsonResponse } from '../http/response.ts'
import { timestamp } from '../storage/object-meta.ts'
import type { Call } from '../verbs/call.ts'
import { readReview } from './access.ts'

/** Nobody knows the token: upstream's authenticators have nothing to say about it. */
const UNKNOWN: ReadonlySet<string> = new Set(['', 'no such token', 'the header is not JSON', 'the payload is not JSON', 'issued by somebody else'])

export async function reviewToken(call: Call, authenticator: Authenticator): Promise<ApiResponse> {
  const review = await readReview<KubeObject & { spec?: { token?: string; audiences?: string[] }; status?: unknown }>(call)
  const bearer = review.spec?.token ?? ''
  if (bearer === '') throw badRequest('token is required for TokenReview in authentication')
  const asked = review.spec?.audiences ?? []
  const audiences = asked.length > 0 ? asked : authenticator.audiences
  const answer = await authenticator.authenticate({ bearer, remoteAddress: '', ...(audiences && { audiences }) })
  if (answer.ok && answer.warning !== undefined) call.warn(answer.warning)
  review.status = answer.ok
    ? { authenticated: true, user: userInfo(answer.user), ...(answer.audiences && { audiences: answer.audiences }) }
    : { user: {}, error: answer.why === 'invalid' && !UNKNOWN.has(answer.because) ? `[invalid bearer token, ${answer.because}]` : 'invalid bearer token' }
  return jsonResponse(review, 201)
}

export async function reviewSelf(call: Call): Promise<ApiResponse> {
  const review = await readReview<KubeObject & { status?: unknown }>(call)
  // Upstream answers with a new object: nothing of what was sent is in it.
  return jsonResponse({ kind: review.kind, apiVersion: review.apiVersion, metadata: { creationTimestamp: timestamp(call.parts.clock.nowMs()) }, status: { userInfo: userInfo(call.user) } }, 201)
}

function userInfo(user: UserInfo): Record<string, unknown> {
  return { username: user.name, ...(user.uid !== undefined && { uid: user.uid }), groups: user.groups, ...(user.extra && { extra: user.extra }) }
}
