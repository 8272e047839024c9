/** What env variables and downward API volumes may read of their pod. */
import type { ObjectFieldSelector, ResourceFieldSelector } from '#api/types/index.ts'
import { checkQualifiedName } from '#api/types/index.ts'
import { type FieldError, invalid, required } from '../field-error.ts'
import { oneOf } from './check.ts'

/** Field paths that an env variable's fieldRef may name. */
export const ENV_FIELDS = ['metadata.name', 'metadata.namespace', 'metadata.uid', 'spec.nodeName', 'spec.serviceAccountName', 'status.hostIP', 'status.hostIPs', 'status.podIP', 'status.podIPs']
/** The same for files of a downward API volume. */
export const VOLUME_FIELDS = ['metadata.annotations', 'metadata.labels', 'metadata.name', 'metadata.namespace', 'metadata.uid']

const SUBSCRIPTABLE = ['metadata.annotations', 'metadata.labels']
/** Paths that mean something of a pod, if not here. */
const KNOWN_FIELDS: ReadonlySet<string> = new Set([...ENV_FIELDS, ...VOLUME_FIELDS, 'spec.restartPolicy', 'spec.schedulerName', 'status.phase'])

/** `fields` are the plain paths allowed; labels and annotations may also be asked for by key. */
export function validateFieldRef(at: string, ref: ObjectFieldSelector, fields: readonly string[]): FieldError[] {
  if (!ref.apiVersion) return [required(`${at}.apiVersion`)]
  if (!ref.fieldPath) return [required(`${at}.fieldPath`)]
  if (ref.apiVersion !== 'v1') return [invalid(`${at}.fieldPath`, ref.fieldPath, `error converting fieldPath: unsupported pod version: ${ref.apiVersion}`)]
  const [, path = ref.fieldPath, key] = /^([^[]*)\['(.*)'\]$/.exec(ref.fieldPath) ?? []
  if (key !== undefined && !SUBSCRIPTABLE.includes(path)) return [invalid(`${at}.fieldPath`, ref.fieldPath, `error converting fieldPath: field label does not support subscript: ${ref.fieldPath}`)]
  if (key !== undefined) return checkQualifiedName(path === 'metadata.annotations' ? key.toLowerCase() : key).map((m) => invalid(at, key, m))
  if (fields.includes(path)) return []
  if (KNOWN_FIELDS.has(path)) return oneOf(`${at}.fieldPath`, path, fields)
  return [invalid(`${at}.fieldPath`, ref.fieldPath, `error converting fieldPath: field label not supported: ${ref.fieldPath}`)]
}

const RESOURCE_FIELDS = ['limits.cpu', 'limits.ephemeral-storage', 'limits.memory', 'requests.cpu', 'requests.ephemeral-storage', 'requests.memory']

const BINARY_DIVISORS = ['1', '1k', '1M', '1G', '1T', '1P', '1E', '1Ki', '1Mi', '1Gi', '1Ti', '1Pi', '1Ei']
/** What a resource may be divided by, and what upstream calls it. */
const DIVISORS = [[/^(limits|requests)\.cpu$/, ['1m', '1'], '1m and 1', 'cpu'], [/^(limits|requests)\.memory$/, BINARY_DIVISORS, BINARY_DIVISORS.join(', '), 'memory'], [/^(limits|requests)\.ephemeral-storage$/, BINARY_DIVISORS, BINARY_DIVISORS.join(', '), 'local ephemeral storage'], [/^(limits|requests)\.hugepages-/, BINARY_DIVISORS, BINARY_DIVISORS.join(', '), 'hugepages']] as const

export function validateResourceFieldRef(at: string, ref: ResourceFieldSelector, volume = false): FieldError[] {
  const out: FieldError[] = []
  const resource = ref.resource ?? ''
  if (volume && !ref.containerName) out.push(required(`${at}.containerName`))
  else if (resource === '') out.push(required(`${at}.resource`))
  else if (!/^(limits|requests)\.hugepages-/.test(resource)) out.push(...oneOf(`${at}.resource`, resource, RESOURCE_FIELDS))
  const [, allowed = [], words = '', name = ''] = DIVISORS.find(([pattern]) => pattern.test(resource)) ?? []
  const { divisor = '0' } = ref
  if (divisor !== '0' && name !== '' && !allowed.some((d) => d === divisor)) out.push(invalid(`${at}.divisor`, resource, `only divisor's values ${words} are supported with the ${name} resource`))
  return out
}
