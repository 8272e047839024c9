/** What env variables and downward API volumes may read of their pod. */
import type { ObjectFieldSelector, ResourceFieldSelector } from '#api/types/index.ts'
import { checkQualifiedName } from '#api/types/index.ts'
import { type FieldError, invalid, required } from '../field-error.ts'
import { oneOf } from './check.ts'

/** Field paths that an env variable's fieldRef may name. */
export const ENV_FIELDS = ['metadata.name', 'metadata.namespace', 'metadata.uid', 'spec.nodeName', 'spec.serviceAccountName', 'status.hostIP', 'status.hostIPs', 'status.podIP', 'status.podIPs']
/** The same for files of a downward API volume. */
export const VOLUME_FIELDS = ['metadata.annotations', 'metadata.labels', 'metadata.name', 'metadata.namespace', 'metadata.uid']

/** `fields` are the plain paths allowed; labels and annotations may also be asked for by key. */
export function validateFieldRef(at: string, ref: ObjectFieldSelector, fields: readonly string[]): FieldError[] {
  if (!ref.apiVersion) return [required(`${at}.apiVersion`)]
  if (!ref.fieldPath) return [required(`${at}.fieldPath`)]
  const keyed = /^metadata\.(labels|annotations)\['(.*)'\]$/.exec(ref.fieldPath)
  if (keyed) {
    const key = keyed[2] ?? ''
    return checkQualifiedName(keyed[1] === 'annotations' ? key.toLowerCase() : key).map((m) => invalid(at, ref.fieldPath, m))
  }
  if (fields.includes(ref.fieldPath)) return []
  if ([...ENV_FIELDS, ...VOLUME_FIELDS].includes(ref.fieldPath)) return oneOf(`${at}.fieldPath`, ref.fieldPath, fields)
  return [invalid(`${at}.fieldPath`, ref.fieldPath, `error converting fieldPath: field label not supported: ${ref.fieldPath}`)]
}

const RESOURCE_FIELDS = ['limits.cpu', 'limits.ephemeral-storage', 'limits.memory', 'requests.cpu', 'requests.ephemeral-storage', 'requests.memory']

export function validateResourceFieldRef(at: string, ref: ResourceFieldSelector, volume = false): FieldError[] {
  if (volume && !ref.containerName) return [required(`${at}.containerName`)]
  if (!ref.resource) return [required(`${at}.resource`)]
  if (!/^(limits|requests)\.hugepages-/.test(ref.resource) && !RESOURCE_FIELDS.includes(ref.resource)) return oneOf(`${at}.resource`, ref.resource, RESOURCE_FIELDS)
  const divisors = ref.resource.endsWith('.cpu') ? ['1m', '1'] : ['1', '1k', '1M', '1G', '1T', '1P', '1E', '1Ki', '1Mi', '1Gi', '1Ti', '1Pi', '1Ei']
  return ref.divisor === undefined || ref.divisor === '0' || divisors.includes(ref.divisor) ? [] : [invalid(`${at}.divisor`, ref.resource, 'only divisor\'s values '.concat(divisors.join(', '), ' are supported'))]
}
