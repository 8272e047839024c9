/** The kubelet's CredentialProviderConfig (kubelet.config.k8s.io/v1): which program tells credentials for which images. Pure. */
import { UsageError } from '#base/errors.ts'
import { durationMs } from '../eviction/thresholds.ts'
import type { CredentialProvider, TokenAttributes } from './settings.ts'

const KINDS = ['v1', 'v1beta1', 'v1alpha1'].map((v) => `kubelet.config.k8s.io/${v}`)
const REQUESTS = ['v1', 'v1beta1', 'v1alpha1'].map((v) => `credentialprovider.kubelet.k8s.io/${v}`)
const QUALIFIED_NAME = /^(?:(?=.{1,253}\/)[a-z0-9](?:[a-z0-9-]*[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]*[a-z0-9])?)*\/)?[a-z0-9](?:[a-z0-9._-]{0,61}[a-z0-9])?$/

/** Each file as parsed YAML, in the order of their names; together they are one configuration. Throws UsageError in upstream's words. */
export function parseProviderConfig(...files: unknown[]): CredentialProvider[] {
  const providers = files.flatMap(providersOf)
  if (providers.length === 0) throw new UsageError('providers: Required value: at least 1 item in plugins is required')
  const twice = providers.find(({ name }, i) => providers.findIndex((p) => p.name === name) !== i)
  if (twice) throw new UsageError(`duplicate provider name ${JSON.stringify(twice.name)} found in configuration file(s)`)
  return providers
}

function providersOf(file: unknown): CredentialProvider[] {
  const { kind, apiVersion, providers = [] } = asObject(file, 'the file')
  if (kind !== 'CredentialProviderConfig') throw new UsageError(`failed to decode ${JSON.stringify(kind ?? '')} (wrong Kind), it must be CredentialProviderConfig`)
  if (!KINDS.includes(String(apiVersion))) throw new UsageError(`apiVersion ${JSON.stringify(apiVersion ?? '')} is none of ${KINDS.join(', ')}`)
  refuseUnknown(file, '', ['kind', 'apiVersion', 'providers'])
  if (!Array.isArray(providers)) throw new UsageError('providers: it must be a list')
  return providers.map((item, i) => {
    refuseUnknown(item, `providers[${i}].`, ['name', 'matchImages', 'defaultCacheDuration', 'apiVersion', 'args', 'env', 'tokenAttributes'])
    return parseProvider(item)
  })
}

/** A slip of the pen must not go unseen: who may pull what hangs on it. */
function refuseUnknown(item: unknown, at: string, known: readonly string[]): void {
  const unknown = Object.keys(asObject(item, at.replace(/\.$/, '') || 'the file')).filter((key) => !known.includes(key))
  if (unknown.length > 0) throw new UsageError(`strict decoding error: ${unknown.map((key) => `unknown field ${JSON.stringify(at + key)}`).join(', ')}`)
}

function parseProvider(item: unknown): CredentialProvider {
  const { name, matchImages, defaultCacheDuration, apiVersion, args = [], env = [], tokenAttributes } = asObject(item, 'providers')
  if (typeof name !== 'string' || name === '') throw new UsageError('providers.name: Required value')
  const wrong = name.includes('/') ? "cannot contain '/'" : name.includes(' ') ? 'cannot contain spaces' : name === '.' || name === '..' ? `cannot be '${name}'` : undefined
  if (wrong !== undefined) throw new UsageError(`providers.name: Invalid value: ${JSON.stringify(name)}: provider name ${wrong}`)
  if (!isTexts(matchImages) || matchImages.length === 0) throw new UsageError('providers.matchImages: Required value: at least 1 item in matchImages is required')
  for (const image of matchImages) if (!URL.canParse(`https://${image.replaceAll('*', 'x')}`)) throw new UsageError(`providers.matchImages: Invalid value: ${JSON.stringify(image)}: match image is invalid`)
  if (typeof defaultCacheDuration !== 'string') throw new UsageError('providers.defaultCacheDuration: Required value')
  if (defaultCacheDuration.startsWith('-')) throw new UsageError(`providers.defaultCacheDuration: Invalid value: ${JSON.stringify(defaultCacheDuration)}: must be greater than or equal to 0`)
  if (!REQUESTS.includes(String(apiVersion))) throw new UsageError(`providers.apiVersion: Unsupported value: ${JSON.stringify(apiVersion ?? '')}: supported values: ${REQUESTS.map((v) => JSON.stringify(v)).join(', ')}`)
  if (!isTexts(args)) throw new UsageError('providers.args: it must be a list of texts')
  if (!Array.isArray(env)) throw new UsageError('providers.env: it must be a list of names and values')
  return {
    name, matchImages, apiVersion: String(apiVersion), args, defaultCacheMs: ms(defaultCacheDuration),
    env: Object.fromEntries(env.map(variable)),
    ...(tokenAttributes !== undefined && tokenAttributes !== null && { token: parseTokenAttributes(tokenAttributes, String(apiVersion)) }),
  }
}

function parseTokenAttributes(item: unknown, apiVersion: string): TokenAttributes {
  const at = 'providers.tokenAttributes'
  refuseUnknown(item, `${at}.`, ['serviceAccountTokenAudience', 'cacheType', 'requireServiceAccount', 'requiredServiceAccountAnnotationKeys', 'optionalServiceAccountAnnotationKeys'])
  const { serviceAccountTokenAudience: audience, cacheType, requireServiceAccount, requiredServiceAccountAnnotationKeys, optionalServiceAccountAnnotationKeys } = asObject(item, at)
  if (typeof audience !== 'string' || audience === '') throw new UsageError(`${at}.serviceAccountTokenAudience: Required value`)
  if (typeof requireServiceAccount !== 'boolean') throw new UsageError(`${at}.requireServiceAccount: Required value`)
  if (apiVersion !== REQUESTS[0]) throw new UsageError(`${at}: Forbidden: tokenAttributes is only supported for ${REQUESTS[0]} API version`)
  const requiredAnnotations = annotationKeys(requiredServiceAccountAnnotationKeys, `${at}.requiredServiceAccountAnnotationKeys`)
  const optionalAnnotations = annotationKeys(optionalServiceAccountAnnotationKeys, `${at}.optionalServiceAccountAnnotationKeys`)
  if (!requireServiceAccount && requiredAnnotations.length > 0) throw new UsageError(`${at}.requiredServiceAccountAnnotationKeys: Forbidden: requireServiceAccount cannot be false when requiredServiceAccountAnnotationKeys is set`)
  const both = requiredAnnotations.filter((key) => optionalAnnotations.includes(key))
  if (both.length > 0) throw new UsageError(`${at}: Invalid value: ${JSON.stringify(both)}: annotation keys cannot be both required and optional`)
  if (cacheType === undefined || cacheType === '') throw new UsageError(`${at}.cacheType: Required value: cacheType is required to be set when tokenAttributes is specified. Supported values are: ServiceAccount, Token`)
  if (cacheType !== 'ServiceAccount' && cacheType !== 'Token') throw new UsageError(`${at}.cacheType: Unsupported value: ${JSON.stringify(cacheType)}: supported values: "ServiceAccount", "Token"`)
  return { audience, cacheType, requireServiceAccount, requiredAnnotations, optionalAnnotations }
}

function annotationKeys(value: unknown, at: string): string[] {
  const keys = value ?? []
  if (!isTexts(keys)) throw new UsageError(`${at}: it must be a list of texts`)
  for (const [i, key] of keys.entries()) {
    if (!QUALIFIED_NAME.test(key.toLowerCase())) throw new UsageError(`${at}: Invalid value: ${JSON.stringify(key)}: name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character, after an optional DNS subdomain and '/'`)
    if (keys.indexOf(key) !== i) throw new UsageError(`${at}: Duplicate value: ${JSON.stringify(key)}`)
  }
  return keys
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
