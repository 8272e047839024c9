/** Bearer tokens that another server knows (TokenReview webhook, `--authentication-token-webhook-config-file`). */
import { createHmac } from 'node:crypto'
import type { UserInfo } from '#api/types/index.ts'
import type { Clock } from '#base/clock.ts'
import { asError } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import type { Random } from '#base/random.ts'
import type { Authentication } from '../auth.ts'
import { createAnswerCache } from './answer-cache.ts'
import { callWithRetry, EVERYBODYS } from './retry.ts'
import type { WebhookClient } from './webhook-client.ts'
import type { WebhookServer } from './webhook-kubeconfig.ts'

export interface TokenWebhookOptions {
  webhooks: WebhookClient
  server: WebhookServer
  /** `--authentication-token-webhook-version`; upstream's default is v1beta1. */
  version: 'v1' | 'v1beta1'
  /** `--authentication-token-webhook-cache-ttl`, default two minutes; 0: nothing is kept. */
  cacheMs: number
  clock: Clock
  random: Random
  log: Log
}

export type AuthenticateToken = (token: string, audiences: readonly string[] | undefined) => Promise<Authentication>

export const TOKEN_WEBHOOK_CACHE_MS = 120_000
const TIMEOUT_MS = 30_000
const ENTRIES_MAX = 4096

interface Review { status?: { authenticated?: unknown; user?: { username?: unknown; uid?: unknown; groups?: unknown; extra?: unknown }; audiences?: unknown; error?: unknown } }

/** A token the server does not know is `none`: another authenticator may. When the server cannot be asked, the token is refused. */
export function createTokenWebhook(options: TokenWebhookOptions): AuthenticateToken {
  const { webhooks, server, version, clock, random } = options
  const log = options.log.with('token-webhook')
  const cache = createAnswerCache<Authentication>(clock, () => options.cacheMs, ENTRIES_MAX)
  // The cache holds no tokens, and what it holds is of no use elsewhere.
  const secret = random.bytes(32)

  const ask = async (token: string, audiences: readonly string[] | undefined): Promise<Authentication> => {
    const review = { kind: 'TokenReview', apiVersion: `authentication.k8s.io/${version}`, metadata: {}, spec: { token, ...(audiences && { audiences }) }, status: { user: {} } }
    const call = { config: server.config, identity: server.identity, body: Buffer.from(JSON.stringify(review)), timeoutMs: TIMEOUT_MS, tellTimeout: true, signal: EVERYBODYS }
    return parseTokenReview((await callWithRetry(webhooks, call, clock, random)) as Review, audiences)
  }

  return async (token, audiences) => {
    const key = createHmac('sha256', secret).update(JSON.stringify([token, audiences])).digest('base64')
    try {
      return await cache.get(key, () => ask(token, audiences))
    } catch (error) {
      log.warn('the token webhook could not be asked', { error: asError(error) })
      return { ok: false, why: 'invalid', because: asError(error).message }
    }
  }
}

/** Pure. */
export function parseTokenReview({ status }: Review, audiences: readonly string[] | undefined): Authentication {
  if (status?.authenticated !== true) {
    return typeof status?.error === 'string' && status.error !== '' ? { ok: false, why: 'invalid', because: status.error } : { ok: false, why: 'none' }
  }
  const { username, uid, groups, extra } = status.user ?? {}
  if (typeof username !== 'string' || username === '') return { ok: false, why: 'invalid', because: 'the webhook named no user' }
  const meant = texts(status.audiences)
  const both = audiences?.filter((a) => meant.length === 0 || meant.includes(a))
  if (audiences && audiences.length > 0 && both?.length === 0) return { ok: false, why: 'none' }
  const user: UserInfo = {
    name: username, groups: [...new Set([...texts(groups), 'system:authenticated'])], ...(typeof uid === 'string' && uid !== '' && { uid }),
    ...(typeof extra === 'object' && extra !== null && { extra: Object.fromEntries(Object.entries(extra).map(([k, v]) => [k, texts(v)])) }),
  }
  return { ok: true, user, ...(both && { audiences: both }) }
}

const texts = (value: unknown): string[] => (Array.isArray(value) ? value.filter((v): v is string => typeof v === 'string') : [])

