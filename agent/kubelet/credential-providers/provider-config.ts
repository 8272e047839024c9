/** The kubelet's CredentialProviderConfig (kubelet.config.k8s.io/v1): which program tells credentials for which images. Pure. */
import { UsageError } from '#base/errors.ts'
import { durationMs } from '../eviction/thresholds.ts'
import type { CredentialProvider } from './settings.ts'

const KINDS = ['v1', 'v1beta1', 'v1alpha1'].map((v) => `kubelet.config.k8s.io/${v}`)
const REQUESTS = ['v1', 'v1beta1', 'v1alpha1'].map((v) => `credentialprovider.kubelet.k8s.io/${v}`)

/** `file` as parsed YAML. Throws UsageError in upstream's words. */
export function parseProviderConfig(file: unknown): CredentialProvider[] {
  const { kind, apiVersion, providers } = asObject(file, 'the file')
  if (kind !== 'CredentialProviderConfig') throw new UsageError(`failed to decode ${JSON.stringify(kind ?? '')} (wrong Kind), it must be CredentialProviderConfig`)
  if (!KINDS.includes(String(apiVersion))) throw new UsageError(`apiVersion ${JSON.stringify(apiVersion ?? '')} is none of ${KINDS.join(', ')}`)
  if (!Array.isArray(providers) || providers.length === 0) throw new UsageError('providers: Required value: at least 1 item in plugins is required')
  const parsed = providers.map(parseProvider)
  const twice = parsed.find(({ name }, i) => parsed.findIndex((p) => p.name === name) !== i)
  if (twice) throw new UsageError(`providers.name: Duplicate value: ${JSON.stringify(twice.name)}`)
  return parsed
}

function parseProvider(item: unknown): CredentialProvider {
  const { name, matchImages, defaultCacheDuration, apiVersion, args = [], env = [], tokenAttributes } = asObject(item, 'providers')
  if (typeof name !== 'string' || name === '') throw new UsageError('providers.name: Required value')
  const wrong = name.includes('/') ? "cannot contain '/'" : name.includes(' ') ? 'cannot contain spaces' : name === '.' || name === '..' ? `cannot be '${name}'` : undefined
  if (wrong !== undefined) throw new UsageError(`providers.name: Invalid value: ${JSON.stringify(name)}: provider name ${wrong}`)
  if (tokenAttributes !== undefined) throw new UsageError(`providers.tokenAttributes: provider ${name} wants tokens of service accounts, which is not there yet: take a provider that uses credentials of the node`)
  if (!isTexts(matchImages) || matchImages.length === 0) throw new UsageError('providers.matchImages: Required value: at least 1 item in matchImages is required')
  if (typeof defaultCacheDuration !== 'string') throw new UsageError('providers.defaultCacheDuration: Required value')
  if (!REQUESTS.includes(String(apiVersion))) throw new UsageError(`providers.apiVersion: Unsupported value: ${JSON.stringify(apiVersion ?? '')}: supported values: ${REQUESTS.map((v) => JSON.stringify(v)).join(', ')}`)
  if (!isTexts(args)) throw new UsageError('providers.args: it must be a list of texts')
  if (!Array.isArray(env)) throw new UsageError('providers.env: it must be a list of names and values')
  return {
    name, matchImages, apiVersion: String(apiVersion), args, defaultCacheMs: ms(defaultCacheDuration),
    env: Object.fromEntries(env.map(variable)),
  }
}

function variable(item: unknown): [string, string] {
  const { name, value = '' } = asObject(item, 'providers.env')
  if (typeof name !== 'string' || typeof value !== 'string') throw new UsageError('providers.env: name and value must be texts')
  return [name, value]
}

/** Go's durations; 0 without a unit as well. */
export const ms = (duration: string): number => (/^0+$/.test(duration) ? 0 : durationMs(duration))

function asObject(value: unknown, what: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new UsageError(`${what}: it must be a mapping`)
  return value as Record<string, unknown>
}

const isTexts = (value: unknown): value is string[] => Array.isArray(value) && value.every((v) => typeof v === 'string')
