/** Service account tokens for projected volumes: requested bound to the pod, kept until 80% of their life has passed (upstream's token manager). */
import { ApiError, type Client } from '#api/client/client.ts'
import { SERVICE_ACCOUNTS, type AuthenticationV1TokenRequest, type Pod, type ServiceAccountTokenProjection, type Stored } from '#api/types/index.ts'
import type { Clock } from '#base/clock.ts'
import { asError } from '#base/errors.ts'
import type { Log } from '#base/log.ts'

const LIFE_SECONDS_DEFAULT = 3_600
const REFRESH_AT = 0.8
/** However long a token lives, a younger one takes its place after a day. */
const AGE_MS_MAX = 24 * 3_600_000

export interface Tokens {
  /** Rejects only when no valid token can be had. */
  get(pod: Stored<Pod>, projection: ServiceAccountTokenProjection): Promise<string>
  /** Wall time at which the pod's next token falls due; undefined: it has none. */
  nextRefreshMs(podUid: string): number | undefined
  release(podUid: string): void
}

/** In wall time. */
export interface KeptToken { token: string; expiresMs: number; refreshMs: number }

/** Keeps each pod's first token (encrypted), so that it starts after a reboot while the server is away; nobody could use a newer one then either. */
export interface TokenStore {
  saveToken(podUid: string, key: string, token: string): Promise<void>
  loadToken(podUid: string, key: string): Promise<string | undefined>
}

/** Between tries to renew a token from disk, or one that could not be renewed. */
const STALE_REFRESH_MS = 30_000

export function createTokens(client: Client, { clock, log, store }: { clock: Clock; log: Log; store?: TokenStore }): Tokens {
  const byPod = new Map<string, Map<string, KeptToken>>()
  return {
    async get(pod, projection) {
      const { uid } = pod.metadata
      const key = JSON.stringify([projection.audience ?? '', projection.expirationSeconds ?? 0])
      const kept = byPod.get(uid)?.get(key)
      if (kept && clock.nowMs() < kept.refreshMs) return kept.token
      try {
        const fresh = await requestToken(client, clock, pod, projection)
        const tokens = byPod.get(uid) ?? new Map<string, KeptToken>()
        const first = !tokens.has(key)
        byPod.set(uid, tokens.set(key, fresh))
        if (first) store?.saveToken(uid, key, fresh.token).catch((error: unknown) => log.warn('cannot keep a token for offline restarts', { pod: pod.metadata.name, error: asError(error) }))
        return fresh.token
      } catch (error) {
        const away = !(error instanceof ApiError)
        const stale = away && !kept ? await store?.loadToken(uid, key) : undefined
        if (stale !== undefined) {
          byPod.set(uid, (byPod.get(uid) ?? new Map<string, KeptToken>()).set(key, { token: stale, expiresMs: clock.nowMs(), refreshMs: clock.nowMs() + STALE_REFRESH_MS }))
          return stale
        }
        // However old: with the server away nobody can have a better one.
        if (!kept || (!away && clock.nowMs() >= kept.expiresMs)) throw error
        kept.refreshMs = clock.nowMs() + STALE_REFRESH_MS
        log.warn('token not renewed, the present one stays', { pod: `${pod.metadata.namespace ?? ''}/${pod.metadata.name}`, error: asError(error) })
        return kept.token
      }
    },
    nextRefreshMs(uid) {
      const due = [...(byPod.get(uid)?.values() ?? [])].map((k) => k.refreshMs)
      return due.length > 0 ? Math.min(...due) : undefined
    },
    release: (uid) => { byPod.delete(uid) },
  }
}

/** A new one, bound to the pod. `accountUid`: it must still be this account. */
export async function requestToken(client: Client, clock: Clock, pod: Stored<Pod>, projection: Pick<ServiceAccountTokenProjection, 'audience' | 'expirationSeconds'> & { accountUid?: string }): Promise<KeptToken> {
  const { name, namespace = '', uid } = pod.metadata
  const seconds = projection.expirationSeconds ?? LIFE_SECONDS_DEFAULT
  const askedMs = clock.nowMs()
  const body: AuthenticationV1TokenRequest = {
    apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest',
    metadata: { name: pod.spec?.serviceAccountName || 'default', namespace, ...(projection.accountUid !== undefined && { uid: projection.accountUid }) },
    spec: {
      audiences: projection.audience ? [projection.audience] : [],
      expirationSeconds: seconds,
      boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name, uid },
    },
  }
  const { status } = await client.create<AuthenticationV1TokenRequest>(SERVICE_ACCOUNTS, body, { subresource: 'token' })
  const token = status?.token ?? ''
  if (token === '') throw new Error('the API server answered a TokenRequest without a token')
  const given = Date.parse(status?.expirationTimestamp ?? '')
  const expiresMs = Number.isFinite(given) ? given : askedMs + seconds * 1000
  // Our own clock counts, by the life asked for: the server's may differ.
  const lifeMs = Math.max(0, Math.min(expiresMs - askedMs, seconds * 1000))
  return { token, expiresMs, refreshMs: askedMs + Math.min(lifeMs * REFRESH_AT, AGE_MS_MAX) }
}
