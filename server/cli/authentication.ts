/** Who is believed, as the flags say; names and defaults are kube-apiserver's. */
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import type { UserInfo } from '#api/types/index.ts'
import type { Clock } from '#base/clock.ts'
import { asError, UsageError } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import type { Random } from '#base/random.ts'
import { parsePem } from '#base/x509/index.ts'
import { parseAuthenticationConfig, SIGNING_ALGORITHMS, type AnonymousConfig, type AuthenticationConfig } from '../apiserver/authn/jwt/authentication-config.ts'
import { loadCelTools } from '../apiserver/authn/jwt/expressions.ts'
import { createJwtAuthenticator, type JwtAuthenticator } from '../apiserver/authn/jwt/jwt-authenticator.ts'
import { parseTokenFile } from '../apiserver/authn/token-file.ts'
import type { Metric } from '#base/metrics.ts'
import { JwtMetrics } from '../apiserver/metrics/jwt-metrics.ts'
import { ReloadMetrics } from '../apiserver/metrics/reload-metrics.ts'
import { createDialer, createHttpsPool, createTokenWebhook, createWebhookClient, parseWebhookKubeconfig, type AuthenticateToken } from '../apiserver/webhook-client/index.ts'
import { readYamlMapping } from './config-file.ts'
import { durationSeconds } from './flag-checks.ts'
import type { FlagValues } from './flags.ts'
import { followFile } from './follow-file.ts'
import { list, text } from './node-config.ts'

export interface Authentication {
  staticTokens: ReadonlyMap<string, UserInfo>
  jwt: JwtAuthenticator | undefined
  anonymous: () => AnonymousConfig
  tokenWebhook: AuthenticateToken | undefined
  metrics(): readonly Metric[]
  close(): void
}

interface Deps { clock: Clock; random: Random; log: Log; serverName: string }

const CONFIG = 'authentication-config'
const OIDC = ['oidc-issuer-url', 'oidc-client-id', 'oidc-username-claim', 'oidc-username-prefix', 'oidc-groups-claim', 'oidc-groups-prefix', 'oidc-ca-file', 'oidc-signing-algs', 'oidc-required-claim']

/** Throws UsageError for flags and files that make no sense. `ownIssuers`: of service accounts. */
export async function authenticationOf(values: FlagValues, ownIssuers: readonly string[], deps: Deps): Promise<Authentication> {
  const tokens = text(values, 'token-auth-file')
  // Who may do anything has to be somebody.
  const everybodyMay = list(values, 'authorization-mode').includes('AlwaysAllow')
  const enabled = values['anonymous-auth'] !== false && !everybodyMay
  if (everybodyMay && values['anonymous-auth'] !== false) deps.log.warn('AnonymousAuth is not allowed with the AlwaysAllow authorizer. Resetting AnonymousAuth to false. You should use a different authorizer')
  const path = text(values, CONFIG)
  const oidc = OIDC.filter((flag) => (Array.isArray(values[flag]) ? values[flag].length > 0 : text(values, flag) !== undefined))
  if (path !== undefined && oidc.length > 0) throw new UsageError(`--${CONFIG}: authentication-config file and oidc-* flags are mutually exclusive: leave out --${oidc[0]}`)
  const closers: (() => void)[] = []
  const reloads = new ReloadMetrics('authentication', deps)
  const jwtMetrics = new JwtMetrics(deps)
  const state: { config: AuthenticationConfig } = { config: { issuers: [], anonymous: undefined } }
  const jwt = path !== undefined || oidc.length > 0 ? await jwtOf(path, values, ownIssuers, state, closers, { ...deps, reloads, jwtMetrics }) : undefined
  const tokenWebhook = tokenWebhookOf(values, closers, deps)
  return {
    staticTokens: tokens === undefined ? new Map<string, UserInfo>() : parseTokenFile(readText(tokens, 'token-auth-file'), (what) => new UsageError(`--token-auth-file: ${tokens}: ${what}`)),
    jwt, tokenWebhook, anonymous: () => state.config.anonymous ?? { enabled, paths: [] },
    metrics: () => [...(jwt ? jwtMetrics.all() : []), ...(path === undefined ? [] : reloads.all())],
    close() { for (const close of closers) close() },
  }
}

async function jwtOf(path: string | undefined, values: FlagValues, ownIssuers: readonly string[], state: { config: AuthenticationConfig }, closers: (() => void)[], deps: Deps & { reloads: ReloadMetrics; jwtMetrics: JwtMetrics }): Promise<JwtAuthenticator> {
  const cel = await loadCelTools()
  const read = (): AuthenticationConfig => {
    const parsed = parseAuthenticationConfig(path === undefined ? oidcDocument(values) : readYamlMapping(path, { optional: false, what: `--${CONFIG}:` }), cel, ownIssuers)
    if (!parsed.ok) throw new UsageError(path === undefined ? `--oidc-issuer-url: ${parsed.message}` : `--${CONFIG}: ${path}: ${parsed.message}`)
    const algorithms = list(values, 'oidc-signing-algs')
    return path === undefined ? { ...parsed.config, issuers: parsed.config.issuers.map((issuer) => ({ ...issuer, algorithms: algorithms.length > 0 ? algorithms : ['RS256'] })) } : parsed.config
  }
  state.config = read()
  if (path !== undefined && state.config.anonymous && values['anonymous-auth'] === false) throw new UsageError(`--anonymous-auth: it can only be set once, by flag or in ${path}: leave one of them out`)
  const pool = createHttpsPool(createDialer({ client: undefined, connector: undefined, ...deps }), deps.clock)
  closers.push(() => pool.close())
  const jwt = createJwtAuthenticator({ pool, clock: deps.clock, metrics: deps.jwtMetrics, issuers: state.config.issuers, cel })
  if (path !== undefined) {
    deps.reloads.inForce(readText(path, CONFIG))
    closers.push(followFile(resolve(path), async (signal) => {
      const config = read()
      await jwt.replace(config.issuers, cel, signal)
      state.config = config
      deps.reloads.inForce(readText(path, CONFIG))
    }, deps))
  }
  return jwt
}

/** The flags of before AuthenticationConfiguration, as one. */
function oidcDocument(values: FlagValues): Record<string, unknown> {
  const url = text(values, 'oidc-issuer-url')
  const clientId = text(values, 'oidc-client-id')
  if (url === undefined || clientId === undefined) throw new UsageError('--oidc-issuer-url: oidc-issuer-url and oidc-client-id must be specified together when any oidc-* flags are specified')
  const unknown = list(values, 'oidc-signing-algs').find((alg) => !SIGNING_ALGORITHMS.includes(alg))
  if (unknown !== undefined) throw new UsageError(`--oidc-signing-algs: oidc: unsupported signing alg: ${JSON.stringify(unknown)}: use one of ${SIGNING_ALGORITHMS.join(', ')}`)
  const claim = text(values, 'oidc-username-claim') ?? 'sub'
  const prefix = text(values, 'oidc-username-prefix')
  const groups = text(values, 'oidc-groups-claim')
  const ca = text(values, 'oidc-ca-file')
  return {
    apiVersion: 'apiserver.config.k8s.io/v1', kind: 'AuthenticationConfiguration',
    jwt: [{
      issuer: { url, audiences: [clientId], ...(ca !== undefined && { certificateAuthority: readText(ca, 'oidc-ca-file') }) },
      claimMappings: {
        // Names of other issuers' users must not be taken for one's own: only addresses go without a prefix.
        username: { claim, prefix: prefix === '-' ? '' : prefix ?? (claim === 'email' ? '' : `${url}#`) },
        ...(groups !== undefined && { groups: { claim: groups, prefix: text(values, 'oidc-groups-prefix') ?? '' } }),
      },
      claimValidationRules: list(values, 'oidc-required-claim').map((pair) => {
        const [name = '', ...rest] = pair.split('=')
        if (name === '' || rest.length === 0) throw new UsageError(`--oidc-required-claim: ${JSON.stringify(pair)} is not claim=value`)
        return { claim: name, requiredValue: rest.join('=') }
      }),
    }],
  }
}

function tokenWebhookOf(values: FlagValues, closers: (() => void)[], deps: Deps): AuthenticateToken | undefined {
  const flag = 'authentication-token-webhook-config-file'
  const path = text(values, flag)
  if (path === undefined) return undefined
  const server = parseWebhookKubeconfig(resolve(path), flag, (file) => readFileSync(file, 'utf8'))
  const webhooks = createWebhookClient({ client: undefined, connector: undefined, ...deps })
  closers.push(() => webhooks.close())
  return createTokenWebhook({
    ...deps, webhooks, server, version: text(values, 'authentication-token-webhook-version') === 'v1' ? 'v1' : 'v1beta1',
    cacheMs: (durationSeconds(text(values, 'authentication-token-webhook-cache-ttl') ?? '') ?? 0) * 1000,
  })
}

/** PEM of the certificates in the file that a flag names; '' where it is not given. */
export function certificatesFile(values: FlagValues, flag: string): string {
  const path = text(values, flag)
  if (path === undefined) return ''
  const pem = readText(path, flag)
  try {
    if (parsePem(pem).some(({ label }) => label === 'CERTIFICATE')) return pem
  } catch {
    // Said below.
  }
  throw new UsageError(`--${flag}: ${path} holds no certificate: it must be PEM`)
}

export function readText(path: string, flag: string): string {
  try {
    return readFileSync(resolve(path), 'utf8')
  } catch (error) {
    throw new UsageError(`--${flag}: ${path} cannot be read (${asError(error).message})`, { cause: error })
  }
}
