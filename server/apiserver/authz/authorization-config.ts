/** AuthorizationConfiguration (`--authorization-config`, KEP-3221): which authorizers are asked, in which order. Checked in upstream's words; pure. */
import { duplicate, invalid, notSupported, required, tooMany, type FieldError } from '../field-error.ts'

export type AuthorizerType = 'Node' | 'RBAC' | 'AlwaysAllow' | 'AlwaysDeny'

export interface WebhookAuthorizer {
  type: 'Webhook'
  name: string
  kubeConfigFile: string
  timeoutMs: number
  authorizedMs: number
  unauthorizedMs: number
  version: 'v1' | 'v1beta1'
  /** failurePolicy Deny. */
  failsClosed: boolean
  /** CEL, in order; all must hold for it to be asked. */
  matchConditions: readonly string[]
}

export type ConfiguredAuthorizer = { type: AuthorizerType; name: string } | WebhookAuthorizer

export type ParsedAuthorizationConfig = { ok: true; authorizers: readonly ConfiguredAuthorizer[] } | { ok: false; message: string }

const TYPES = ['AlwaysAllow', 'AlwaysDeny', 'Node', 'RBAC', 'Webhook']
const VERSIONS = ['v1', 'v1beta1', 'v1alpha1']
const CONDITIONS_MAX = 64
const NAME = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/
const NAME_CHARS_MAX = 253
const NAME_RULE = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"

type Fields = Record<string, unknown>

const KNOWN: Readonly<Record<string, readonly string[]>> = {
  '': ['apiVersion', 'kind', 'authorizers'], authorizer: ['type', 'name', 'webhook'],
  webhook: ['authorizedTTL', 'cacheAuthorizedRequests', 'unauthorizedTTL', 'cacheUnauthorizedRequests', 'timeout', 'subjectAccessReviewVersion', 'matchConditionSubjectAccessReviewVersion', 'failurePolicy', 'connectionInfo', 'matchConditions'],
}

/** `compile` says what is wrong with a match condition. */
export function parseAuthorizationConfig(file: Fields, compile: (expression: string) => string | undefined): ParsedAuthorizationConfig {
  const [group, version] = String(file['apiVersion']).split('/')
  if (file['kind'] !== 'AuthorizationConfiguration' || group !== 'apiserver.config.k8s.io' || !VERSIONS.includes(version ?? '')) {
    return { ok: false, message: `expected AuthorizationConfiguration of apiserver.config.k8s.io/v1, got ${JSON.stringify(file['kind'] ?? '')} of ${JSON.stringify(file['apiVersion'] ?? '')}` }
  }
  const given = Array.isArray(file['authorizers']) ? file['authorizers'].map(record) : []
  const unknown = unknownOf(file, '') ?? given.flatMap((a, i) => [unknownOf(a, 'authorizer', `authorizers[${i}].`), unknownOf(record(a['webhook']), 'webhook', `authorizers[${i}].webhook.`)]).find((u) => u !== undefined)
  if (unknown !== undefined) return { ok: false, message: `strict decoding error: unknown field ${JSON.stringify(unknown)}` }
  const errors: FieldError[] = []
  if (given.length === 0) errors.push(required('authorizers', 'at least one authorization mode must be defined'))
  const seen = { types: new Set<string>(), names: new Set<string>() }
  const authorizers = given.flatMap((entry, i) => {
    const one = parseAuthorizer(entry, `authorizers[${i}]`, seen, compile, errors)
    return one ? [one] : []
  })
  if (errors.length === 0) return { ok: true, authorizers }
  const texts = errors.map((e) => `${e.field}: ${e.message}`)
  return { ok: false, message: texts.length === 1 ? (texts[0] ?? '') : `[${texts.join(', ')}]` }
}

function parseAuthorizer(entry: Fields, at: string, seen: { types: Set<string>; names: Set<string> }, compile: (expression: string) => string | undefined, errors: FieldError[]): ConfiguredAuthorizer | undefined {
  const [type, name] = [text(entry['type']), text(entry['name'])]
  const wrong = type === '' ? required(`${at}.type`) : !TYPES.includes(type) ? notSupported(`${at}.type`, type, TYPES) : seen.types.has(type) && type !== 'Webhook' ? duplicate(`${at}.type`, type) : undefined
  if (wrong) {
    errors.push(wrong)
    return undefined
  }
  seen.types.add(type)
  if (name === '') errors.push(required(`${at}.name`))
  else if (seen.names.has(name)) errors.push(duplicate(`${at}.name`, name))
  else if (!NAME.test(name) || name.length > NAME_CHARS_MAX) errors.push(invalid(`${at}.name`, name, `authorizer name is invalid: ${NAME_RULE}`))
  seen.names.add(name)
  if (type !== 'Webhook') {
    if (entry['webhook'] !== undefined) errors.push(invalid(`${at}.webhook`, 'non-null', 'may only be specified when type=Webhook'))
    return { type: type as AuthorizerType, name }
  }
  if (entry['webhook'] === undefined) {
    errors.push(required(`${at}.webhook`, 'required when type=Webhook'))
    return undefined
  }
  return parseWebhook(record(entry['webhook']), name, at, compile, errors)
}

/** Upstream's paths leave `webhook` out. */
function parseWebhook(given: Fields, name: string, at: string, compile: (expression: string) => string | undefined, errors: FieldError[]): WebhookAuthorizer {
  const duration = (field: string, otherwise: string): number => {
    const shown = text(given[field]) || otherwise
    const ms = parseDurationMs(shown)
    if (shown === '' || ms === 0) errors.push(required(`${at}.${field}`))
    else if (ms === undefined) errors.push(invalid(`${at}.${field}`, shown, 'it is no duration such as 30s'))
    else if (field === 'timeout' ? ms < 0 || ms > 30_000 : ms < 0) errors.push(invalid(`${at}.${field}`, shown, field === 'timeout' ? 'must be > 0s and <= 30s' : 'must be > 0s'))
    return ms ?? 0
  }
  const oneOf = (field: string, allowed: readonly string[], detail = ''): string => {
    const value = text(given[field])
    if (value === '') errors.push(required(`${at}.${field}`, detail))
    else if (!allowed.includes(value)) errors.push(notSupported(`${at}.${field}`, value, allowed))
    return value
  }
  const [timeoutMs, authorizedMs, unauthorizedMs] = [duration('timeout', ''), duration('authorizedTTL', '5m'), duration('unauthorizedTTL', '30s')]
  const version = oneOf('subjectAccessReviewVersion', ['v1', 'v1beta1'])
  const conditions = Array.isArray(given['matchConditions']) ? given['matchConditions'].map((c) => text(record(c)['expression'])) : []
  if (conditions.length > 0 || given['matchConditionSubjectAccessReviewVersion'] !== undefined) oneOf('matchConditionSubjectAccessReviewVersion', ['v1'], 'required if match conditions are specified')
  const failurePolicy = oneOf('failurePolicy', ['NoOpinion', 'Deny'])
  const connection = record(given['connectionInfo'])
  const kubeConfigFile = text(connection['kubeConfigFile'])
  const kind = text(connection['type'])
  if (kind === '') errors.push(required(`${at}.connectionInfo.type`))
  // Upstream's InClusterConfig is for a server in a pod.
  else if (kind !== 'KubeConfigFile') errors.push(notSupported(`${at}.connectionInfo.type`, kind, ['KubeConfigFile']))
  else if (kubeConfigFile === '') errors.push(required(`${at}.connectionInfo.kubeConfigFile`))
  else if (!kubeConfigFile.startsWith('/')) errors.push(invalid(`${at}.connectionInfo.kubeConfigFile`, kubeConfigFile, 'must be an absolute path'))
  checkConditions(conditions, `${at}.matchConditions`, compile, errors)
  return {
    type: 'Webhook', name, kubeConfigFile, timeoutMs, version: version === 'v1' ? 'v1' : 'v1beta1', failsClosed: failurePolicy === 'Deny', matchConditions: conditions,
    authorizedMs: given['cacheAuthorizedRequests'] === false ? 0 : authorizedMs, unauthorizedMs: given['cacheUnauthorizedRequests'] === false ? 0 : unauthorizedMs,
  }
}

function checkConditions(conditions: readonly string[], at: string, compile: (expression: string) => string | undefined, errors: FieldError[]): void {
  if (conditions.length > CONDITIONS_MAX) return void errors.push(tooMany(at, conditions.length, CONDITIONS_MAX))
  conditions.forEach((expression, i) => {
    const field = `${at}[${i}].expression`
    if (expression.trim() === '') return void errors.push(required(field))
    if (conditions.indexOf(expression) < i) return void errors.push(duplicate(field, expression))
    const problem = compile(expression)
    if (problem !== undefined) errors.push(invalid(field, expression, problem))
  })
}

const UNIT_MS: Readonly<Record<string, number>> = { ns: 1e-6, us: 1e-3, µs: 1e-3, ms: 1, s: 1_000, m: 60_000, h: 3_600_000 }

/** Go's durations: `1m30s`, `500ms`, `-5s`, `0`. */
export function parseDurationMs(shown: string): number | undefined {
  if (shown === '0') return 0
  const match = /^([-+]?)((?:\d+(?:\.\d*)?(?:ns|us|\u00b5s|ms|s|m|h))+)$/.exec(shown)
  if (!match) return undefined
  const ms = [...(match[2] ?? '').matchAll(/(\d+(?:\.\d*)?)(ns|us|\u00b5s|ms|s|m|h)/g)].reduce((sum, [, n, unit]) => sum + Number(n) * (UNIT_MS[unit ?? ''] ?? 0), 0)
  return match[1] === '-' ? -ms : ms
}

function unknownOf(value: Fields, shape: string, before = ''): string | undefined {
  const field = Object.keys(value).find((name) => !KNOWN[shape]?.includes(name))
  return field === undefined ? undefined : before + field
}

const record = (value: unknown): Fields => (typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : {})
const text = (value: unknown): string => (typeof value === 'string' ? value : '')
