/**
 * What servers ask of each other over the API's port, with the server token and nothing less: the keys of the cluster,
 * and to be taken in as a member. Not part of the public API: no user, no certificate and no agent token opens it.
 */
import type { ApiResponse } from '#api/client/transport.ts'
import { parseToken } from '#api/token/token.ts'
import { asError } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import type { PeerRequest } from '../apiserver/app.ts'
import { isSecretEqual } from '../apiserver/authn/secret-equal.ts'
import { statusResponse } from '../apiserver/http/response.ts'
import { encodeBundle, type JoinBundle } from './join-bundle.ts'
import { parseMemberRequest, type MemberRequest } from './member-request.ts'

export const BUNDLE_PATH = '/skiff/v1/join'
export const MEMBERS_PATH = '/skiff/v1/members'

export interface JoinEndpointOptions {
  /** The secret of the server token. */
  secret: () => string
  bundle: () => Promise<JoinBundle>
  /** Resolves when the change is in the log. */
  admit: (request: MemberRequest) => Promise<Admission>
  log: Log
}

export type Admission =
  | { ok: true }
  /** Only the leader can: `host:port` of its API; undefined: nobody is known to lead. */
  | { ok: false; why: 'notLeader'; leader: string | undefined }
  /** Try again. */
  | { ok: false; why: 'busy'; message: string }
  /** A person must decide. */
  | { ok: false; why: 'refused'; message: string }

/** Undefined: the request is not for it. Never rejects. */
export function createJoinEndpoint(options: JoinEndpointOptions): (request: PeerRequest) => Promise<ApiResponse> | undefined {
  const log = options.log.with('join')
  const serve = async (request: PeerRequest, path: string): Promise<ApiResponse> => {
    if (!isServerToken(request.headers['authorization'], options.secret())) {
      log.warn('refused a server that wants to join: it does not have the server token', { remoteAddress: 'remoteAddress' in request.peer ? request.peer.remoteAddress : undefined })
      return refusal(401, 'Unauthorized', 'only the server token opens this: take it from <data-dir>/server/token of a server and pass it as --token')
    }
    const method = path === BUNDLE_PATH ? 'GET' : 'POST'
    if (request.method !== method) return refusal(405, 'MethodNotAllowed', `${path} takes ${method} only`)
    if (path === BUNDLE_PATH) {
      log.info('gave the keys of the cluster to a server that wants to join', { remoteAddress: 'remoteAddress' in request.peer ? request.peer.remoteAddress : undefined })
      return json(200, encodeBundle(await options.bundle()))
    }
    const asked = parseMemberRequest(request.body)
    if (!asked) return refusal(400, 'BadRequest', 'the request does not name a member, its address and its name')
    const admission = await options.admit(asked)
    if (admission.ok) return json(200, Buffer.from('{}'))
    switch (admission.why) {
      case 'notLeader': return json(421, Buffer.from(JSON.stringify({ leader: admission.leader })))
      case 'busy': return refusal(503, 'ServiceUnavailable', admission.message)
      case 'refused': return refusal(409, 'Conflict', admission.message)
    }
  }
  return (request) => {
    const path = request.path.split('?')[0] ?? ''
    if (path !== BUNDLE_PATH && path !== MEMBERS_PATH) return undefined
    return serve(request, path).catch((error: unknown) => {
      log.error('a server that wants to join could not be answered', { path, error: asError(error) })
      return refusal(500, 'InternalError', 'the request could not be completed; the log of this server has the reason')
    })
  }
}

/** The whole token, `server:<secret>`, or the bare secret. */
export function isServerToken(authorization: string | undefined, secret: string): boolean {
  const bearer = /^bearer (\S+)$/i.exec(authorization?.trim() ?? '')?.[1]
  if (bearer === undefined) return false
  try {
    const given = parseToken(bearer)
    return isSecretEqual(given.secret, secret) && given.user !== 'node'
  } catch {
    // Not a token by its form.
    return false
  }
}

const json = (status: number, body: Buffer): ApiResponse => ({ status, headers: { 'content-type': 'application/json', 'cache-control': 'no-store' }, body })

const refusal = (code: number, reason: string, message: string): ApiResponse => statusResponse({ code, reason, message })
