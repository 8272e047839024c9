/** `EncryptionConfiguration` of apiserver.config.k8s.io/v1, read and checked as kube-apiserver does. Pure. */
import type { NamedKey } from './transformer.ts'
import { SECRETBOX_KEY_BYTES } from './transformer.ts'

export interface EncryptionConfig { resources: readonly ResourceConfig[] }

export interface ResourceConfig {
  /** `secrets`, `deployments.apps`, `*.apps`, `*.` (the core group), `*.*`. */
  resources: readonly string[]
  providers: readonly ProviderConfig[]
}

export type ProviderConfig =
  | { kind: 'identity' }
  | { kind: 'aesgcm' | 'aescbc' | 'secretbox'; keys: readonly NamedKey[] }
  | { kind: 'kms'; name: string; endpoint: string; timeoutMs: number }

export type ParsedConfig = { ok: true; config: EncryptionConfig } | { ok: false; message: string }

const PROVIDERS = ['aesgcm', 'aescbc', 'secretbox', 'identity', 'kms'] as const
const AES_KEY_BYTES = [16, 24, 32]
const KMS_TIMEOUT_MS = 3_000

/** `value`: what the file says, from YAML or JSON. The message names the field. */
export function parseEncryptionConfig(value: unknown): ParsedConfig {
  try {
    return { ok: true, config: parseAll(value) }
  } catch (error) {
    if (error instanceof Wrong) return { ok: false, message: error.message }
    throw error
  }
}

/** What is wrong with the file; never leaves this module. */
class Wrong extends Error {}

function parseAll(value: unknown): EncryptionConfig {
  const { apiVersion, kind, resources } = mapping(value, '')
  if (kind !== 'EncryptionConfiguration' || (apiVersion !== 'apiserver.config.k8s.io/v1' && apiVersion !== 'v1')) throw new Wrong('it is no EncryptionConfiguration of apiserver.config.k8s.io/v1')
  const list = array(resources, 'resources', 'at least one resource configuration must be specified').map((item, i) => parseResource(item, `resources[${i}]`))
  const names = list.flatMap((r) => r.providers).flatMap((p) => (p.kind === 'kms' ? [p.name] : []))
  const twice = names.find((name, i) => names.indexOf(name) !== i)
  if (twice !== undefined) throw new Wrong(`resources: invalid KMS provider name ${twice}, must be unique`)
  return { resources: list }
}

function parseResource(value: unknown, at: string): ResourceConfig {
  const { resources, providers } = mapping(value, at)
  const names = array(resources, `${at}.resources`, 'must specify at least one resource').map((r, i) => parseResourceName(r, `${at}.resources[${i}]`))
  const masked = names.find((name, i) => names.indexOf(name) !== i || names.some((other) => other !== name && covers(other, name)))
  if (masked !== undefined) throw new Wrong(`${at}.resources: ${names.indexOf(masked) !== names.lastIndexOf(masked) ? 'the same resource cannot be specified multiple times' : "using overlapping resources such as 'secrets' and '*.' in the same resource list is not allowed as they will be masked"}`)
  return { resources: names, providers: array(providers, `${at}.providers`, 'at least one provider must be specified').map((p, i) => parseProvider(p, `${at}.providers[${i}]`)) }
}

function parseResourceName(value: unknown, at: string): string {
  const wrong = (why: string): Wrong => new Wrong(`${at}: Invalid value: ${JSON.stringify(value)}: ${why}`)
  if (typeof value !== 'string' || value === '') throw wrong('resource name is empty')
  if (value === '*') throw wrong("use '*.' to encrypt all the resources from core API group or *.* to encrypt all resources")
  if (value.startsWith('*.') ? value.slice(2).includes('*') && value !== '*.*' : value.includes('*')) throw wrong('encrypting the same resource across groups is not supported')
  if (value !== value.toLowerCase()) throw wrong('resource name should not contain capital letters')
  if (value.endsWith('.events.k8s.io')) throw wrong("'*.events.k8s.io' objects are stored using the 'events' API group in etcd. Use 'events' instead in the config file")
  if (value.endsWith('.extensions')) throw wrong("'extensions' group has been removed and cannot be used for encryption")
  return value
}

/** Whether all that `name` means is meant by the wildcard, too. */
function covers(wildcard: string, name: string): boolean {
  if (wildcard === '*.*') return true
  if (!wildcard.startsWith('*.') || name.startsWith('*.')) return false
  const dot = name.indexOf('.')
  return wildcard.slice(2) === (dot < 0 ? '' : name.slice(dot + 1))
}

function parseProvider(value: unknown, at: string): ProviderConfig {
  const fields = mapping(value, at)
  const given = Object.keys(fields)
  const kind = PROVIDERS.find((p) => p === given[0])
  if (given.length > 1) throw new Wrong(`${at}: more than one provider specified in a single element, should split into different list elements`)
  if (kind === undefined) throw new Wrong(`${at}: must be one of ${PROVIDERS.join(', ')}`)
  if (kind === 'identity') return { kind }
  const body = mapping(fields[kind], `${at}.${kind}`)
  if (kind === 'kms') return parseKms(body, `${at}.kms`)
  const keys = array(body['keys'], `${at}.${kind}.keys`, 'at least one key must be specified').map((k, i) => parseKey(k, kind, `${at}.${kind}.keys[${i}]`))
  if (new Set(keys.map((k) => k.name)).size !== keys.length) throw new Wrong(`${at}.${kind}.keys: key names must be unique`)
  return { kind, keys }
}

function parseKey(value: unknown, kind: 'aesgcm' | 'aescbc' | 'secretbox', at: string): NamedKey {
  const { name, secret } = mapping(value, at)
  if (typeof name !== 'string' || name === '') throw new Wrong(`${at}.name: key must have a name`)
  if (name.includes(':')) throw new Wrong(`${at}.name: ${JSON.stringify(name)} contains a colon`)
  if (typeof secret !== 'string' || secret === '') throw new Wrong(`${at}.secret: secret must not be empty`)
  // Never the secret itself in a message.
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(secret) || secret.length % 4 !== 0) throw new Wrong(`${at}.secret: secret must be base64 encoded`)
  const bytes = Buffer.from(secret, 'base64')
  const sizes = kind === 'secretbox' ? [SECRETBOX_KEY_BYTES] : AES_KEY_BYTES
  if (!sizes.includes(bytes.length)) throw new Wrong(`${at}.secret: secret is not of the expected length, got ${bytes.length}, expected one of ${JSON.stringify(sizes)} bytes`)
  return { name, secret: bytes }
}

function parseKms(body: Record<string, unknown>, at: string): ProviderConfig {
  const { name, endpoint, timeout, apiVersion } = body
  if (apiVersion !== 'v2') throw new Wrong(`${at}.apiVersion: only KMS v2 is served: set apiVersion: v2`)
  if (typeof name !== 'string' || name === '') throw new Wrong(`${at}.name: name is a required field`)
  if (name.includes(':')) throw new Wrong(`${at}.name: invalid KMS provider name ${name}, must not contain ':'`)
  if (typeof endpoint !== 'string' || !/^unix:\/\/\/./.test(endpoint)) throw new Wrong(`${at}.endpoint: must be a Unix socket such as unix:///run/kms.sock`)
  if (timeout !== undefined && (typeof timeout !== 'string' || !/^\d+(?:\.\d+)?(?:ms|s|m)$/.test(timeout) || Number.parseFloat(timeout) === 0)) throw new Wrong(`${at}.timeout: timeout should be a positive duration such as 3s`)
  return { kind: 'kms', name, endpoint: endpoint.slice('unix://'.length), timeoutMs: typeof timeout === 'string' ? milliseconds(timeout) : KMS_TIMEOUT_MS }
}

const milliseconds = (text: string): number => Number.parseFloat(text) * (text.endsWith('ms') ? 1 : text.endsWith('m') ? 60_000 : 1_000)

function mapping(value: unknown, at: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Wrong(`${at === '' ? 'it' : at} must be a mapping`)
  return value as Record<string, unknown>
}

function array(value: unknown, at: string, need: string): unknown[] {
  if (!Array.isArray(value) || value.length === 0) throw new Wrong(`${at}: ${need}`)
  return value as unknown[]
}
