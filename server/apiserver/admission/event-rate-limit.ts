/** EventRateLimit: events of the server, of a namespace, a user, or a source and object, no faster than the configuration lets them. */
import type { CoreV1Event } from '#api/types/index.ts'
import type { Clock } from '#base/clock.ts'
import type { AdmissionPlugin, AdmissionRequest, Refusal } from '../admission.ts'

export type EventLimitType = 'Server' | 'Namespace' | 'User' | 'SourceAndObject'

export interface EventLimit {
  type: EventLimitType
  /** Events a second, and how many may come at once. */
  qps: number
  burst: number
  /** Keys remembered; the one longest unused is forgotten. */
  cacheSize?: number
}

const TYPES: readonly EventLimitType[] = ['Server', 'Namespace', 'User', 'SourceAndObject']
const CACHE_SIZE = 4096

export function parseEventLimits(input: unknown): { ok: true; limits: EventLimit[] } | { ok: false; message: string } {
  const limits = (input as { limits?: unknown } | null)?.limits
  if (!Array.isArray(limits) || limits.length === 0) return { ok: false, message: 'limits: Invalid value: []: must not be empty' }
  for (const [i, limit] of (limits as Partial<EventLimit>[]).entries()) {
    if (!TYPES.includes(limit.type as EventLimitType)) return { ok: false, message: `limits[${i}].type: Unsupported value: ${JSON.stringify(limit.type ?? '')}: supported values: ${TYPES.map((t) => `"${t}"`).join(', ')}` }
    if (!((limit.qps ?? 0) > 0)) return { ok: false, message: `limits[${i}].qps: Invalid value: ${limit.qps ?? 0}: must be positive` }
    if (!((limit.burst ?? 0) > 0)) return { ok: false, message: `limits[${i}].burst: Invalid value: ${limit.burst ?? 0}: must be positive` }
  }
  return { ok: true, limits: limits as EventLimit[] }
}

export function eventRateLimit(limits: readonly EventLimit[], clock: Clock): AdmissionPlugin {
  const enforced = limits.map((limit) => ({ limit, take: bucketsOf(limit, clock) }))
  return {
    name: 'EventRateLimit',
    validate(request) {
      const isEvent = request.ref.resource === 'events' && (request.ref.group === '' || request.ref.group === 'events.k8s.io')
      if (!isEvent || request.dryRun || request.subresource !== '' || (request.operation !== 'CREATE' && request.operation !== 'UPDATE')) return Promise.resolve(undefined)
      // Each limit counts the event, also when another refuses it.
      const over = enforced.filter(({ limit, take }) => !take(keyOf(limit.type, request))).map(({ limit }): Refusal => ({ code: 429, reason: 'TooManyRequests', message: `limit reached on type ${limit.type} for key ${keyOf(limit.type, request)}` }))
      return Promise.resolve(over[0])
    },
  }
}

function keyOf(type: EventLimitType, { namespace, user, object }: AdmissionRequest): string {
  const { source, involvedObject } = object as CoreV1Event
  switch (type) {
    case 'Server': return ''
    case 'Namespace': return namespace
    case 'User': return user.name
    case 'SourceAndObject': return [source?.component, source?.host, involvedObject?.kind, involvedObject?.namespace, involvedObject?.name, involvedObject?.uid, involvedObject?.apiVersion].map((part) => part ?? '').join('')
  }
}

/** Token buckets by key, the newest used last. */
function bucketsOf({ qps, burst, cacheSize = CACHE_SIZE }: EventLimit, clock: Clock): (key: string) => boolean {
  const buckets = new Map<string, { tokens: number; atMs: number }>()
  return (key) => {
    const nowMs = clock.monotonicMs()
    const { tokens, atMs } = buckets.get(key) ?? { tokens: burst, atMs: nowMs }
    const available = Math.min(burst, tokens + ((nowMs - atMs) / 1000) * qps)
    const isIn = available >= 1
    buckets.delete(key)
    buckets.set(key, { tokens: isIn ? available - 1 : available, atMs: nowMs })
    const [oldest] = buckets.keys()
    if (buckets.size > cacheSize && oldest !== undefined) buckets.delete(oldest)
    return isIn
  }
}
