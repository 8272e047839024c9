/**
 * Who may use the kubelet API on its port: client certificates of the cluster's authority, or tokens by TokenReview; then
 * SubjectAccessReview on `nodes/<subresource>` of this node. Upstream's defaults: nobody is anonymous. Verdicts are kept for a while,
 * so that a scrape every few seconds asks the API server every few minutes.
 */
import { createHash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { TLSSocket } from 'node:tls'
import type { Client } from '#api/client/client.ts'
import type { ResourceRef, SubjectAccessReview, TokenReview } from '#api/types/index.ts'
import type { Clock } from '#base/clock.ts'
import { asError } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import { kubeletAttributes } from './kubelet-paths.ts'

export interface KubeletUser { name: string; groups: string[]; uid?: string; extra?: Record<string, string[]> }
export type KubeletVerdict = { ok: true } | { ok: false; status: 401 | 403 | 500; message: string }
export interface KubeletAuthOptions { client: Pick<Client, 'create'>; nodeName: string; clock: Clock; log: Log }

const TOKEN_REVIEWS: ResourceRef = { group: 'authentication.k8s.io', version: 'v1', resource: 'tokenreviews', kind: 'TokenReview', namespaced: false }
const SUBJECT_ACCESS_REVIEWS: ResourceRef = { group: 'authorization.k8s.io', version: 'v1', resource: 'subjectaccessreviews', kind: 'SubjectAccessReview', namespaced: false }

/** Upstream's webhook cache times. */
const TOKEN_KEPT_MS = 120_000
const ALLOWED_KEPT_MS = 300_000
const DENIED_KEPT_MS = 30_000
/** More of either kind and the oldest goes: made-up tokens must not fill memory. */
const KEPT_MAX = 1_024
const TOKEN_BYTES_MAX = 64 * 1024

export function createKubeletAuth(options: KubeletAuthOptions): (request: IncomingMessage) => Promise<KubeletVerdict> {
  const { client, nodeName, clock } = options
  const log = options.log.with('kubelet-auth')
  const users = cache<KubeletUser | undefined>(clock)
  const rights = cache<boolean>(clock)

  const byToken = async (token: string): Promise<KubeletUser | undefined> => {
    const key = createHash('sha256').update(token).digest('base64')
    const known = users.get(key)
    if (known) return known.value
    const { status } = await client.create<TokenReview>(TOKEN_REVIEWS, { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenReview', metadata: {}, spec: { token } } as TokenReview)
    const { username, groups, uid, extra } = status?.user ?? {}
    const user = status?.authenticated && username !== undefined ? { name: username, groups: [...(groups ?? [])], ...(uid !== undefined && { uid }), ...(extra && { extra: extra as Record<string, string[]> }) } : undefined
    users.set(key, user, user ? TOKEN_KEPT_MS : DENIED_KEPT_MS)
    return user
  }

  const isAllowed = async (user: KubeletUser, verb: string, subresource: string): Promise<boolean> => {
    const key = createHash('sha256').update(JSON.stringify([user, verb, subresource])).digest('base64')
    const known = rights.get(key)
    if (known) return known.value
    const { status } = await client.create<SubjectAccessReview>(SUBJECT_ACCESS_REVIEWS, {
      apiVersion: 'authorization.k8s.io/v1', kind: 'SubjectAccessReview', metadata: {},
      spec: { user: user.name, groups: user.groups, ...(user.uid !== undefined && { uid: user.uid }), ...(user.extra && { extra: user.extra }), resourceAttributes: { group: '', version: 'v1', resource: 'nodes', subresource, name: nodeName, verb } },
    } as SubjectAccessReview)
    const allowed = status?.allowed ?? false
    rights.set(key, allowed, allowed ? ALLOWED_KEPT_MS : DENIED_KEPT_MS)
    return allowed
  }

  /** As upstream: a token that cannot be checked now is nobody's. */
  const whoIs = async (request: IncomingMessage): Promise<KubeletUser | undefined> => {
    const token = bearerOf(request)
    try {
      return byCertificate(request) ?? (token === undefined ? undefined : await byToken(token))
    } catch (error) {
      log.warn('cannot ask the API server whose token somebody has', { error: asError(error) })
      return undefined
    }
  }

  return async (request) => {
    const user = await whoIs(request)
    if (!user) return { ok: false, status: 401, message: 'Unauthorized' }
    const { verb, subresources } = kubeletAttributes(request.method ?? '', pathOf(request))
    for (const subresource of subresources) {
      try {
        if (await isAllowed(user, verb, subresource)) return { ok: true }
      } catch (error) {
        log.warn('cannot ask the API server what somebody may do with the kubelet API', { user: user.name, error: asError(error) })
        return { ok: false, status: 500, message: `Authorization error (user=${user.name}, verb=${verb}, resource=nodes, subresource=${subresource})` }
      }
    }
    return { ok: false, status: 403, message: `Forbidden (user=${user.name}, verb=${verb}, resource=nodes, subresource(s)=[${subresources.join(' ')}])\n` }
  }
}

function pathOf(request: IncomingMessage): string {
  return new URL(request.url ?? '/', 'http://kubelet').pathname
}

/** Common name and organizations of a certificate that the TLS layer has verified. */
function byCertificate({ socket }: IncomingMessage): KubeletUser | undefined {
  if (!(socket instanceof TLSSocket) || !socket.authorized) return undefined
  const { subject, raw } = socket.getPeerCertificate() as { subject?: { CN?: string | string[]; O?: string | string[] }; raw?: Buffer }
  const name = Array.isArray(subject?.CN) ? subject.CN.at(-1) : subject?.CN
  if (name === undefined || name === '') return undefined
  return { name, groups: [...(subject?.O === undefined ? [] : [subject.O].flat()), 'system:authenticated'], ...(raw && { extra: { 'authentication.kubernetes.io/credential-id': [`X509SHA256=${createHash('sha256').update(raw).digest('hex')}`] } }) }
}

function bearerOf({ headers }: IncomingMessage): string | undefined {
  const token = /^Bearer +(\S+)\s*$/i.exec(headers.authorization ?? '')?.[1]
  return token !== undefined && token.length <= TOKEN_BYTES_MAX ? token : undefined
}

function cache<T>(clock: Clock) {
  const kept = new Map<string, { value: T; untilMs: number }>()
  return {
    get(key: string): { value: T } | undefined {
      const found = kept.get(key)
      return found && found.untilMs > clock.monotonicMs() ? found : undefined
    },
    set(key: string, value: T, forMs: number) {
      kept.delete(key)
      kept.set(key, { value, untilMs: clock.monotonicMs() + forMs })
      for (const oldest of kept.keys()) {
        if (kept.size <= KEPT_MAX) break
        kept.delete(oldest)
      }
    },
  }
}
