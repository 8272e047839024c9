/** What is being noted of one request, from its arrival to the end of its answer. Only requests that the policy wants have one. */
import { isBodyStream, type ApiResponse } from '#api/client/transport.ts'
import type { UserInfo } from '#api/types/index.ts'
import type { AuditAnnotationLevel } from '../admission.ts'
import type { Verdict } from '../auth.ts'
import { endNoted } from '../http/stream-end.ts'
import { bodyValue } from './body-value.ts'
import { auditUser, microTime, type AuditEvent } from './event.ts'
import { atLeast, type AuditDecision, type AuditStage } from './policy.ts'

export interface AuditTrail {
  /** `constraint`: the verb that allowed it (KEP-5284). */
  impersonated(user: UserInfo, constraint?: string): void
  readonly authorized: (verdict: Verdict) => void
  /** The first value of a key stays. */
  annotate(key: string, value: string, level: AuditAnnotationLevel): void
  /** What the client sent, once it is read: names the object where the URL does not. */
  readonly requestObject: (object: { metadata?: { name?: string; namespace?: string; uid?: string; resourceVersion?: string } }) => void
  /** Something unexpected happened; no answer of the handler's own follows. */
  panic(message: string): void
  /** The answer as it goes out; a stream's end is noted when it comes. `signal`: the caller is gone. */
  answered(response: ApiResponse, signal: AbortSignal): ApiResponse
  /** The connection was given to somebody else (exec, port-forward): begun, and later ended. */
  upgraded(): { ended(): void }
}

export interface TrailOptions {
  decision: AuditDecision
  event: Omit<AuditEvent, 'stage' | 'stageTimestamp'>
  body: { bytes: Buffer | undefined; contentType: string | undefined }
  nowMs: () => number
  write: (event: AuditEvent) => void
}

export function createTrail({ decision, event: begun, body, nowMs, write }: TrailOptions): AuditTrail {
  const event: AuditEvent = { ...begun, stage: 'RequestReceived', stageTimestamp: '' }
  const { level, omitStages, omitManagedFields } = decision
  const annotations = new Map<string, string>()
  const state = { isRequestRead: false, isAllowed: false }

  const emit = (stage: AuditStage): void => {
    if (omitStages.has(stage)) return
    write({ ...event, stage, stageTimestamp: microTime(nowMs()), ...(annotations.size > 0 && { annotations: Object.fromEntries([...annotations].sort(([a], [b]) => (a < b ? -1 : 1))) }) })
  }
  /** What no verb has read by then (patches, options) is kept as it was sent. Of who may not ask nothing is read. */
  const readRequest = (): void => {
    if (state.isRequestRead || !state.isAllowed || !atLeast(level, 'Request') || !body.bytes) return
    state.isRequestRead = true
    event.requestObject = without(bodyValue(body.bytes, body.contentType), omitManagedFields)
  }
  const readResponse = ({ status, body: bytes, headers }: ApiResponse): void => {
    const isWhole = !isBodyStream(bytes)
    const wantsObject = atLeast(level, 'RequestResponse')
    const value = isWhole && (wantsObject || status >= 300 || isStatus(bytes)) ? bodyValue(Buffer.isBuffer(bytes) ? bytes : Buffer.concat(bytes as readonly Buffer[]), headers['content-type']) : undefined
    event.responseStatus = { metadata: {}, ...statusFields(value), code: status }
    if (wantsObject && value !== undefined) event.responseObject = without(value, omitManagedFields)
  }
  const annotate = (key: string, value: string): void => {
    if (!annotations.has(key)) annotations.set(key, value)
  }
  emit('RequestReceived')

  return {
    impersonated(user, constraint) {
      event.impersonatedUser = auditUser(user)
      if (constraint !== undefined) event.authenticationMetadata = { impersonationConstraint: constraint }
    },
    authorized({ allowed, reason }) {
      state.isAllowed = allowed
      annotate('authorization.k8s.io/decision', allowed ? 'allow' : 'forbid')
      annotate('authorization.k8s.io/reason', reason)
    },
    annotate(key, value, from) {
      if (from === 'Metadata' || atLeast(level, 'Request')) annotate(key, value)
    },
    requestObject(object) {
      const { name, namespace, uid, resourceVersion } = object.metadata ?? {}
      const ref = event.objectRef
      if (ref) {
        if (ref.name === undefined && name) ref.name = name
        if (ref.namespace === undefined && namespace) ref.namespace = namespace
        if (ref.uid === undefined && uid) ref.uid = uid
        if (ref.resourceVersion === undefined && resourceVersion) ref.resourceVersion = resourceVersion
      }
      if (!atLeast(level, 'Request') || state.isRequestRead) return
      state.isRequestRead = true
      // As it is now: what follows changes it.
      event.requestObject = without(JSON.parse(JSON.stringify(object)), omitManagedFields)
    },
    panic(message) {
      readRequest()
      event.responseStatus = { metadata: {}, status: 'Failure', message: `APIServer panic'd: ${message}`, reason: 'InternalError', code: 500 }
      emit('Panic')
    },
    answered(response, signal) {
      readRequest()
      readResponse(response)
      if (!isBodyStream(response.body)) {
        emit('ResponseComplete')
        return response
      }
      emit('ResponseStarted')
      return { ...response, body: endNoted(response.body, signal, () => emit('ResponseComplete')) }
    },
    upgraded() {
      event.responseStatus = { metadata: {}, code: 101 }
      emit('ResponseStarted')
      return { ended: once(() => emit('ResponseComplete')) }
    },
  }
}

function once(fn: () => void): () => void {
  const state = { done: false }
  return () => {
    if (state.done) return
    state.done = true
    fn()
  }
}

/** Deletions end with one, too. All of ours begin so. */
const STATUS_START = Buffer.from('{"kind":"Status"')
function isStatus(body: Buffer | readonly Buffer[]): boolean {
  const first = Buffer.isBuffer(body) ? body : body[0]
  return first?.subarray(0, STATUS_START.length).equals(STATUS_START) ?? false
}

/** Of a Status, what is bounded. */
function statusFields(value: unknown): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || (value as { kind?: unknown }).kind !== 'Status') return {}
  const { status, message, reason, details } = value as Record<string, unknown>
  return { ...(status !== undefined && { status }), ...(message !== undefined && { message }), ...(reason !== undefined && { reason }), ...(details !== undefined && { details }) }
}

/** The value is the caller's own and may be changed. */
function without(value: unknown, omitManagedFields: boolean): unknown {
  if (!omitManagedFields || typeof value !== 'object' || value === null) return value
  const { metadata, items } = value as { metadata?: { managedFields?: unknown }; items?: unknown }
  if (typeof metadata === 'object' && metadata !== null) delete metadata.managedFields
  if (Array.isArray(items)) for (const item of items) without(item, true)
  return value
}
