/**
 * Equality as the API means it (`apiequality.Semantic.DeepEqual`): an absent list, map or plain value is the same as an
 * empty one, quantities are compared as they are stored (canonical). Fields that are pointers upstream keep the difference
 * between absent and zero.
 */

/** Optional scalars whose zero differs from "not set". */
const POINTERS: ReadonlySet<string> = new Set([
  'activeDeadlineSeconds', 'allowPrivilegeEscalation', 'allocateLoadBalancerNodePorts', 'automountServiceAccountToken', 'backoffLimit', 'completions', 'defaultMode', 'enableServiceLinks', 'expirationSeconds', 'fsGroup', 'hostUsers',
  'immutable', 'manualSelector', 'mode', 'optional', 'parallelism', 'priority', 'privileged', 'progressDeadlineSeconds', 'readOnlyRootFilesystem', 'replicas', 'revisionHistoryLimit', 'runAsGroup', 'runAsNonRoot', 'runAsUser',
  'setHostnameAsFQDN', 'shareProcessNamespace', 'started', 'suspend', 'terminationGracePeriodSeconds', 'timeoutSeconds', 'tolerationSeconds', 'ttlSecondsAfterFinished', 'value',
])

/** Maps of anybody's keys: one with an empty value is there. */
const MAPS: ReadonlySet<string> = new Set(['annotations', 'binaryData', 'data', 'labels', 'matchLabels', 'nodeSelector', 'parameters', 'volumeAttributes'])

export function semanticEqual(a: unknown, b: unknown, key = ''): boolean {
  if (a === b) return true
  if (Array.isArray(a) && Array.isArray(b)) return sameItems(a, b)
  if (isObject(a) && isObject(b)) return !(MAPS.has(key) && !sameKeys(a, b)) && sameMembers(a, b)
  return isEmpty(a, key) && isEmpty(b, key)
}

function sameItems(a: readonly unknown[], b: readonly unknown[]): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (!semanticEqual(a[i], b[i])) return false
  return true
}

function sameMembers(a: Json, b: Json): boolean {
  for (const k in a) if (!semanticEqual(a[k], b[k], k)) return false
  for (const k in b) if (!Object.hasOwn(a, k) && !semanticEqual(undefined, b[k], k)) return false
  return true
}

type Json = Record<string, unknown>

/** The paths at which two objects differ, for messages; at most `max` of them. */
export function differingPaths(a: unknown, b: unknown, max: number, path = ''): string[] {
  if (semanticEqual(a, b, path.split('.').at(-1))) return []
  if (Array.isArray(a) && Array.isArray(b) && a.length === b.length) return a.flatMap((item, i) => differingPaths(item, b[i], max, `${path}[${i}]`)).slice(0, max)
  if (isObject(a) && isObject(b)) {
    const keys = [...new Set([...Object.keys(a), ...Object.keys(b)])].sort()
    return keys.flatMap((k) => differingPaths(a[k], b[k], max, path === '' ? k : `${path}.${k}`)).slice(0, max)
  }
  return [path]
}

const sameKeys = (a: object, b: object): boolean => Object.keys(a).length === Object.keys(b).length && Object.keys(a).every((key) => Object.hasOwn(b, key))

function isEmpty(value: unknown, key: string): boolean {
  if (value === undefined || value === null) return true
  if (Array.isArray(value)) return value.length === 0
  if (typeof value === 'object') return Object.keys(value).length === 0
  return (value === false || value === '' || value === 0) && !POINTERS.has(key)
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
