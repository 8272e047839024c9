/** Token and authorization webhooks as the flags ask for them; names and defaults are kube-apiserver's. */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Clock } from '#base/clock.ts'
import { UsageError } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import type { Random } from '#base/random.ts'
import { createAuthorizationWebhook, createTokenWebhook, createWebhookClient, parseWebhookKubeconfig, type AskAuthorizationWebhook, type AuthenticateToken, type WebhookClient, type WebhookServer } from '../apiserver/webhook-client/index.ts'
import { durationSeconds } from './flag-checks.ts'
import type { FlagValues } from './flags.ts'
import { text } from './node-config.ts'

export interface AuthWebhooks {
  token?: AuthenticateToken
  authorization?: AskAuthorizationWebhook
  close(): void
}

const TOKEN = 'authentication-token-webhook-config-file'
const AUTHORIZATION = 'authorization-webhook-config-file'

/** Undefined: nobody is asked. Throws a UsageError for a file that is no such kubeconfig. */
export function authWebhooksOf(values: FlagValues, deps: { clock: Clock; random: Random; log: Log }): AuthWebhooks | undefined {
  const [token, authorization] = [serverOf(values, TOKEN), serverOf(values, AUTHORIZATION)]
  if (!token && !authorization) return undefined
  const webhooks: WebhookClient = createWebhookClient({ client: undefined, connector: undefined, ...deps })
  const ms = (flag: string): number => (durationSeconds(text(values, flag) ?? '') ?? 0) * 1000
  const version = (flag: string) => (text(values, flag) === 'v1' ? 'v1' : 'v1beta1')
  return {
    ...(token && { token: createTokenWebhook({ ...deps, webhooks, server: token, version: version('authentication-token-webhook-version'), cacheMs: ms('authentication-token-webhook-cache-ttl') }) }),
    ...(authorization && {
      authorization: createAuthorizationWebhook({
        ...deps, webhooks, server: authorization, version: version('authorization-webhook-version'),
        authorizedMs: ms('authorization-webhook-cache-authorized-ttl'), unauthorizedMs: ms('authorization-webhook-cache-unauthorized-ttl'),
      }),
    }),
    close: () => webhooks.close(),
  }
}

function serverOf(values: FlagValues, flag: string): WebhookServer | undefined {
  const path = text(values, flag)
  if (path === undefined) return undefined
  if (path === '') throw new UsageError(`--${flag}: give it the path of a kubeconfig`)
  return parseWebhookKubeconfig(resolve(path), flag, (file) => readFileSync(file, 'utf8'))
}
