/** Whether someone may, as another server says (SubjectAccessReview webhook, `--authorization-webhook-config-file`). */
import type { Clock } from '#base/clock.ts'
import { asError } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import type { Random } from '#base/random.ts'
import type { Attributes } from '../auth.ts'
import { fieldRequirements, labelRequirements, type SelectorRequirement } from '../authz/selectors.ts'
import { createAnswerCache } from './answer-cache.ts'
import { callWithRetry, EVERYBODYS } from './retry.ts'
import type { WebhookClient } from './webhook-client.ts'
import type { WebhookServer } from './webhook-kubeconfig.ts'

export interface AuthorizationWebhookOptions {
  webhooks: WebhookClient
  server: WebhookServer
  /** `--authorization-webhook-version`; upstream's default is v1beta1. */
  version: 'v1' | 'v1beta1'
  /** `--authorization-webhook-cache-authorized-ttl`, `--authorization-webhook-cache-unauthorized-ttl`. */
  authorizedMs: number
  unauthorizedMs: number
  /** Undefined: upstream's 30 s. */
  timeoutMs?: number
  clock: Clock
  random: Random
  log: Log
}

export const AUTHORIZATION_WEBHOOK_CACHE = { authorizedMs: 300_000, unauthorizedMs: 30_000 } as const

/** `failed`: why it could not be asked; what follows from that is the caller's policy (upstream's flag: no opinion). */
export interface Opinion { decision: 'allow' | 'deny' | 'none'; reason: string; failed?: string }

export type AskAuthorizationWebhook = (attributes: Attributes) => Promise<Opinion>

const TIMEOUT_MS = 30_000
const ENTRIES_MAX = 8192
/** Requests with longer attributes are not kept: who asks chooses them. */
const CACHED_CHARS_MAX = 10_000

interface Review { status?: { allowed?: unknown; denied?: unknown; reason?: unknown; evaluationError?: unknown } }

export function createAuthorizationWebhook(options: AuthorizationWebhookOptions): AskAuthorizationWebhook {
  const { webhooks, server, version, clock, random } = options
  const log = options.log.with('authorization-webhook')
  const cache = createAnswerCache<Opinion>(clock, ({ decision }) => (decision === 'allow' ? options.authorizedMs : options.unauthorizedMs), ENTRIES_MAX)

  const ask = async (spec: object): Promise<Opinion> => {
    const review = { kind: 'SubjectAccessReview', apiVersion: `authorization.k8s.io/${version}`, metadata: {}, spec, status: { allowed: false } }
    const call = { config: server.config, identity: server.identity, body: Buffer.from(JSON.stringify(review)), timeoutMs: options.timeoutMs ?? TIMEOUT_MS, tellTimeout: true, signal: EVERYBODYS }
    return parseAccessReview((await callWithRetry(webhooks, call, clock, random)) as Review)
  }

  return async (attributes) => {
    const spec = reviewSpec(attributes, version)
    const key = JSON.stringify(spec)
    try {
      return key.length > CACHED_CHARS_MAX ? await ask(spec) : await cache.get(key, () => ask(spec))
    } catch (error) {
      log.warn('the authorization webhook could not be asked', { error: asError(error) })
      return { decision: 'none', reason: '', failed: asError(error).message }
    }
  }
}

/** Pure. v1beta1 calls groups `group`. */
export function reviewSpec({ user, verb, resource, path, fieldSelector, labelSelector }: Attributes, version: 'v1' | 'v1beta1'): object {
  const { name, uid, groups, extra } = user
  const given = (fields: Record<string, string>): Record<string, string> => Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== ''))
  return {
    ...(resource
      ? { resourceAttributes: { ...given({ namespace: resource.namespace, verb, group: resource.group, version: resource.version, resource: resource.resource, subresource: resource.subresource, name: resource.name }), ...selectorOf('fieldSelector', fieldRequirements(fieldSelector ?? '')), ...selectorOf('labelSelector', labelRequirements(labelSelector ?? '')) } }
      : { nonResourceAttributes: given({ path: path ?? '', verb }) }),
    user: name, ...(groups.length > 0 && { [version === 'v1' ? 'groups' : 'group']: groups }), ...(extra && { extra }), ...(uid !== undefined && { uid }),
  }
}

const selectorOf = (name: string, requirements: SelectorRequirement[]) => (requirements.length === 0 ? {} : { [name]: { requirements } })

/** Pure. Saying both is an error of the webhook. */
export function parseAccessReview({ status }: Review): Opinion {
  const reason = typeof status?.reason === 'string' ? status.reason : ''
  if (status?.denied === true && status.allowed === true) return { decision: 'deny', reason: 'webhook subject access review returned both allow and deny response' }
  if (status?.denied === true) return { decision: 'deny', reason }
  return { decision: status?.allowed === true ? 'allow' : 'none', reason }
}
