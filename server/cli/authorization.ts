/** Which authorizers are asked, as the flags say; names and defaults are kube-apiserver's. */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Clock } from '#base/clock.ts'
import { UsageError } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import type { Random } from '#base/random.ts'
import { parseAuthorizationConfig, type AuthorizerType, type ConfiguredAuthorizer } from '../apiserver/authz/authorization-config.ts'
import { webhookLink, type AuthorizerLink } from '../apiserver/authz/authorizer.ts'
import { loadConditionCompiler, type ConditionCompiler } from '../apiserver/authz/match-conditions.ts'
import { createAuthorizationWebhook, createWebhookClient, parseWebhookKubeconfig, type WebhookClient } from '../apiserver/webhook-client/index.ts'
import { readYamlMapping } from './config-file.ts'
import { durationSeconds } from './flag-checks.ts'
import type { FlagValues } from './flags.ts'
import type { Metric } from '#base/metrics.ts'
import { ReloadMetrics } from '../apiserver/metrics/reload-metrics.ts'
import { followFile } from './follow-file.ts'
import { list, text } from './node-config.ts'

/** In order. Those that need the cluster's objects are named, the others are there. */
export type AuthorizerChoice = readonly (AuthorizerType | AuthorizerLink)[]

export interface Authorization {
  /** As configured now: the same list until it changes. */
  authorizers: () => AuthorizerChoice
  metrics(): readonly Metric[]
  close(): void
}

interface Deps { clock: Clock; random: Random; log: Log; serverName: string }

const CONFIG = 'authorization-config'
const WEBHOOK = 'authorization-webhook-config-file'
const MODES = ['AlwaysAllow', 'AlwaysDeny', 'Node', 'RBAC', 'Webhook']

/** Throws UsageError for flags and files that make no sense. */
export async function authorizationOf(values: FlagValues, deps: Deps): Promise<Authorization> {
  const path = text(values, CONFIG)
  const modes = list(values, 'authorization-mode')
  const clients: { webhooks?: WebhookClient; stop?: () => void } = {}
  const close = (): void => {
    clients.stop?.()
    clients.webhooks?.close()
  }
  const linkOf = (one: ConfiguredAuthorizer, flag: string, conditions: ConditionCompiler | undefined): AuthorizerType | AuthorizerLink => {
    if (one.type !== 'Webhook') return one.type
    const webhooks = (clients.webhooks ??= createWebhookClient({ client: undefined, connector: undefined, ...deps }))
    const server = parseWebhookKubeconfig(one.kubeConfigFile, flag, (file) => readFileSync(file, 'utf8'))
    const ask = createAuthorizationWebhook({ ...deps, webhooks, server, version: one.version, authorizedMs: one.authorizedMs, unauthorizedMs: one.unauthorizedMs, timeoutMs: one.timeoutMs })
    return webhookLink(ask, { failsClosed: one.failsClosed, matches: conditions?.matcher(one.matchConditions) })
  }
  if (path === undefined) {
    const chain = byFlags(values, modes).map((one) => linkOf(one, WEBHOOK, undefined))
    return { authorizers: () => chain, metrics: () => [], close }
  }
  if (modes.length > 0 || text(values, WEBHOOK) !== undefined) throw new UsageError(`--${CONFIG} can not be specified when --authorization-mode or --authorization-webhook-* flags are defined: leave those out`)
  const conditions = await loadConditionCompiler()
  const load = (): AuthorizerChoice => {
    const parsed = parseAuthorizationConfig(readYamlMapping(path, { optional: false, what: `--${CONFIG}:` }), (expression) => conditions.problem(expression))
    if (!parsed.ok) throw new UsageError(`--${CONFIG}: ${path}: ${parsed.message}`)
    return parsed.authorizers.map((one) => linkOf(one, CONFIG, conditions))
  }
  const reloads = new ReloadMetrics('authorization', deps)
  const state = { chain: load() }
  reloads.inForce(readFileSync(path))
  clients.stop = followFile(resolve(path), () => {
    state.chain = load()
    reloads.inForce(readFileSync(path))
  }, { ...deps, reloads })
  return { authorizers: () => state.chain, metrics: () => reloads.all(), close }
}

function byFlags(values: FlagValues, modes: readonly string[]): ConfiguredAuthorizer[] {
  const wrong = (what: string) => new UsageError(`--authorization-mode: ${what}`)
  const kubeconfig = text(values, WEBHOOK)
  const chosen = modes.length > 0 ? modes : ['Node', 'RBAC']
  const unknown = chosen.find((mode) => !MODES.includes(mode))
  if (unknown !== undefined) throw wrong(`authorization-mode ${JSON.stringify(unknown)} is not a valid mode: use ${MODES.join(', ')}`)
  if (new Set(chosen).size < chosen.length) throw wrong(`authorization-mode ${JSON.stringify(chosen)} has mode specified more than once`)
  if (chosen.includes('Webhook') && kubeconfig === undefined) throw wrong(`authorization-mode Webhook's authorization config file not passed: pass --${WEBHOOK} FILE, too`)
  if (!chosen.includes('Webhook') && kubeconfig !== undefined) throw new UsageError(`--${WEBHOOK}: cannot specify --${WEBHOOK} without mode Webhook: pass --authorization-mode ${chosen.join(',')},Webhook, too`)
  const ms = (flag: string): number => (durationSeconds(text(values, flag) ?? '') ?? 0) * 1000
  return chosen.map((type): ConfiguredAuthorizer => (type !== 'Webhook' ? { type: type as AuthorizerType, name: type } : {
    type, name: 'default', kubeConfigFile: resolve(kubeconfig ?? ''), timeoutMs: 30_000, version: text(values, 'authorization-webhook-version') === 'v1' ? 'v1' : 'v1beta1', failsClosed: false, matchConditions: [],
    authorizedMs: ms('authorization-webhook-cache-authorized-ttl'), unauthorizedMs: ms('authorization-webhook-cache-unauthorized-ttl'),
  }))
}
