/**
 * Decides for each request whether it is noted and how fully, and hands events to the backends. Exists only where there is a
 * policy; without one, requests do not know of it.
 */
import type { ApiRequest } from '#api/client/transport.ts'
import type { UserInfo } from '#api/types/index.ts'
import type { Clock } from '#base/clock.ts'
import { Metric } from '#base/metrics.ts'
import { namespaceOf, type ResourceInfo } from '../http/request-info.ts'
import type { Peer } from '../middleware/authenticate.ts'
import { auditUser, microTime, type AuditEvent } from './event.ts'
import { decideAudit, type AuditPolicy } from './policy.ts'
import { createTrail, type AuditTrail } from './trail.ts'

export interface AuditBackend {
  /** Never waits. False: there is no room, the event is lost. */
  write(event: AuditEvent): boolean
  /** Gets out what is waiting. */
  close(): Promise<void>
}

export interface AuditorOptions { policy: AuditPolicy; backends: readonly AuditBackend[]; clock: Clock }

export interface Noted {
  request: ApiRequest & { peer: Peer }
  auditId: string
  receivedMs: number
  user: UserInfo
  verb: string
  info: ResourceInfo | undefined
  path: string
}

export interface Auditor {
  /** Undefined: the policy does not want it. */
  begin(noted: Noted): AuditTrail | undefined
  /** Credentials that were wrong: one event, of stage ResponseStarted. */
  authenticationFailed(noted: Omit<Noted, 'user'>): void
  metrics(): readonly Metric[]
  close(): Promise<void>
}

const NOBODY: UserInfo = { name: '', groups: [] }

export function createAuditor({ policy, backends, clock }: AuditorOptions): Auditor {
  const events = new Metric('apiserver_audit_event_total', 'counter', 'Counter of audit events generated and sent to the audit backend.')
  const errors = new Metric('apiserver_audit_error_total', 'counter', 'Counter of audit events that failed to be audited properly. Plugin identifies the plugin affected by the error.')
  const levels = new Metric('apiserver_audit_level_total', 'counter', 'Counter of policy levels for audit events (1 per request).')
  const rejected = new Metric('apiserver_audit_requests_rejected_total', 'counter', 'Counter of apiserver requests rejected due to an error in audit logging backend.')
  const write = (event: AuditEvent): void => {
    events.add('')
    for (const backend of backends) if (!backend.write(event)) errors.add('plugin="buffered"')
  }
  const started = ({ request, auditId, receivedMs, user, verb, info }: Noted): Omit<AuditEvent, 'stage' | 'stageTimestamp' | 'level'> => {
    const ips = sourceIps(request)
    const agent = request.headers['user-agent']
    return {
      kind: 'Event', apiVersion: 'audit.k8s.io/v1', auditID: auditId, requestURI: request.path, verb, user: auditUser(user),
      ...(ips.length > 0 && { sourceIPs: ips }), ...(agent !== undefined && { userAgent: agent.slice(0, AGENT_LENGTH_MAX) }),
      ...(info && { objectRef: objectRefOf(info) }), requestReceivedTimestamp: microTime(receivedMs),
    }
  }
  const decide = ({ user, verb, info, path }: Noted) => {
    const decision = decideAudit(policy, { user, verb, path, ...(info && { resource: resourceOf(info) }) })
    levels.add(`level="${decision.level}"`)
    return decision
  }
  return {
    begin(noted) {
      const decision = decide(noted)
      if (decision.level === 'None') return undefined
      const { headers, body } = noted.request
      return createTrail({ decision, event: { ...started(noted), level: decision.level }, body: { bytes: body, contentType: headers['content-type'] }, nowMs: () => clock.nowMs(), write })
    },
    authenticationFailed(unknown) {
      const noted = { ...unknown, user: NOBODY }
      const decision = decide(noted)
      if (decision.level === 'None' || decision.omitStages.has('ResponseStarted')) return
      write({ ...started(noted), level: decision.level, stage: 'ResponseStarted', responseStatus: { metadata: {}, status: 'Failure', message: 'Unauthorized', reason: 'Unauthorized', code: 401 }, stageTimestamp: microTime(clock.nowMs()) })
    },
    metrics: () => [events, errors, levels, rejected],
    async close() { await Promise.all(backends.map((b) => b.close())) },
  }
}

/** Longer ones say nothing more. Upstream's limit. */
const AGENT_LENGTH_MAX = 1024

function resourceOf(info: ResourceInfo) {
  const { group, resource, subresource, name } = info
  return { group, resource, subresource, namespace: namespaceOf(info), name }
}

function objectRefOf(info: ResourceInfo): NonNullable<AuditEvent['objectRef']> {
  const { group, version, resource, subresource, name } = info
  const namespace = namespaceOf(info)
  return { resource, ...(namespace !== '' && { namespace }), ...(name !== '' && { name }), ...(group !== '' && { apiGroup: group }), apiVersion: version, ...(subresource !== '' && { subresource }) }
}

const IP = /^[0-9a-fA-F.:]{2,45}$/

/** As upstream: what proxies say, then who is at the other end. A part of this process is at home. */
function sourceIps({ headers, peer }: Noted['request']): string[] {
  const forwarded = (headers['x-forwarded-for'] ?? '').split(',').map((p) => p.trim()).filter((p) => IP.test(p))
  const real = headers['x-real-ip']?.trim() ?? ''
  const remote = 'user' in peer ? '::1' : peer.remoteAddress.replace(/^::ffff:(?=\d+\.)/, '')
  return [...new Set([...forwarded, ...(IP.test(real) ? [real] : []), ...(remote === '' ? [] : [remote])])]
}
