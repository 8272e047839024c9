/**
 * k3s's registries.yaml, parsed: mirrors, credentials, TLS. Pure: which addresses to ask for an image, in which order.
 * https://docs.k3s.io/installation/private-registry
 */
import { CodedError } from '#base/errors.ts'
import type { RegistryAuth } from '../runtime.ts'
import type { Reference } from './reference.ts'

export interface RegistriesConfig {
  /** By registry host, or `*` for all others. */
  mirrors?: Record<string, { endpoint?: string[]; rewrite?: Record<string, string> }>
  /** By `host[:port]` of an endpoint, or `*`. */
  configs?: Record<string, {
    auth?: { username?: string; password?: string; auth?: string; identity_token?: string }
    tls?: { ca_file?: string; cert_file?: string; key_file?: string; insecure_skip_verify?: boolean }
  }>
}

/** Where docker.io's images are served from. */
const HUB_HOST = 'registry-1.docker.io'

export interface Endpoint {
  /** `https://registry-1.docker.io/v2`, no slash at the end. */
  baseUrl: string
  /** `host[:port]`: the key of credentials and TLS. */
  host: string
  /** As this endpoint calls it, rewrites applied. */
  repository: string
  /** Set for mirrors: the registry that is mirrored, sent as `ns`. */
  mirrorOf?: string
}

/** Mirrors first, the registry itself last. */
export function endpointsFor(ref: Reference, config: RegistriesConfig): Endpoint[] {
  const mirror = config.mirrors?.[ref.host] ?? config.mirrors?.['*']
  const own = ownEndpoint(ref, config)
  const mirrors = (mirror?.endpoint ?? []).map((endpoint) => mirrorEndpoint(endpoint, ref, mirror?.rewrite ?? {}))
  return [...mirrors, own].filter((e, i, all) => all.findIndex((o) => o.baseUrl === e.baseUrl && o.repository === e.repository) === i)
}

/** What `configs` says of a host: by its name, as Docker Hub also by the name people know, or `*`. */
export function configFor(host: string, config: RegistriesConfig): NonNullable<RegistriesConfig['configs']>[string] | undefined {
  const { configs } = config
  return configs?.[host] ?? (host === HUB_HOST ? configs?.['docker.io'] : undefined) ?? configs?.['*']
}

/** The image's own pull secret wins over the node's configuration. */
export function credentialsFor(endpoint: Endpoint, given: RegistryAuth | undefined, config: RegistriesConfig): RegistryAuth | undefined {
  if (given && Object.values(given).some((value) => value)) return given
  const auth = configFor(endpoint.host, config)?.auth
  if (!auth) return undefined
  if (auth.auth) {
    const [username = '', ...password] = Buffer.from(auth.auth, 'base64').toString().split(':')
    return { username, password: password.join(':') }
  }
  return {
    ...(auth.username !== undefined && { username: auth.username }),
    ...(auth.password !== undefined && { password: auth.password }),
    ...(auth.identity_token !== undefined && { identityToken: auth.identity_token }),
  }
}

/** `localhost`, 127.0.0.0/8, `::1`, with or without a port: plain HTTP is fine there. */
export function isLoopback(host: string): boolean {
  const name = host.startsWith('[') ? host.slice(1, host.indexOf(']')) : host.replace(/:\d+$/, '')
  return name === 'localhost' || name === '::1' || /^127\.\d+\.\d+\.\d+$/.test(name)
}

function ownEndpoint(ref: Reference, config: RegistriesConfig): Endpoint {
  const host = ref.host === 'docker.io' ? HUB_HOST : ref.host
  // Who gives TLS settings for a loopback registry means TLS.
  const scheme = isLoopback(host) && config.configs?.[host]?.tls === undefined ? 'http' : 'https'
  return { baseUrl: `${scheme}://${host}/v2`, host, repository: ref.repository }
}

function mirrorEndpoint(text: string, ref: Reference, rewrite: Record<string, string>): Endpoint {
  let url: URL
  try {
    url = new URL(text.includes('://') ? text : `${isLoopback(text) ? 'http' : 'https'}://${text}`)
  } catch (error) {
    throw new CodedError('CRI_INVALID', `registries.yaml: mirror endpoint ${JSON.stringify(text)} of ${ref.host} is not a URL`, { cause: error })
  }
  const path = url.pathname.replace(/\/+$/, '')
  let { repository } = ref
  for (const [pattern, replacement] of Object.entries(rewrite)) {
    const next = repository.replace(new RegExp(pattern), inJavaScript(replacement))
    if (next === repository) continue
    repository = next
    break
  }
  return { baseUrl: `${url.protocol}//${url.host}${path || '/v2'}`, host: url.host, repository, mirrorOf: ref.host }
}

/** k3s's replacements are Go's: `${1}` and `$1`, where JavaScript knows only the latter. */
function inJavaScript(replacement: string): string {
  return replacement.replaceAll(/\$\{(\d+)\}/g, '$$$1')
}
