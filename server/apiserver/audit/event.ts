/** Audit events as audit.k8s.io/v1 has them. */
import type { UserInfo } from '#api/types/index.ts'
import type { AuditLevel, AuditStage } from './policy.ts'

export interface AuditUser { username?: string; uid?: string; groups?: string[]; extra?: Record<string, string[]> }

export interface AuditEvent {
  kind: 'Event'
  apiVersion: 'audit.k8s.io/v1'
  level: AuditLevel
  auditID: string
  stage: AuditStage
  requestURI: string
  verb: string
  user: AuditUser
  impersonatedUser?: AuditUser
  authenticationMetadata?: { impersonationConstraint: string }
  sourceIPs?: string[]
  userAgent?: string
  objectRef?: { resource?: string; namespace?: string; name?: string; uid?: string; apiGroup?: string; apiVersion?: string; resourceVersion?: string; subresource?: string }
  responseStatus?: Record<string, unknown>
  requestObject?: unknown
  responseObject?: unknown
  requestReceivedTimestamp: string
  stageTimestamp: string
  annotations?: Record<string, string>
}

export function auditUser({ name, uid, groups, extra }: UserInfo): AuditUser {
  return { ...(name !== '' && { username: name }), ...(uid !== undefined && uid !== '' && { uid }), ...(groups.length > 0 && { groups: [...groups] }), ...(extra && { extra: Object.fromEntries(Object.entries(extra).map(([k, v]) => [k, [...v]])) }) }
}

/** metav1.MicroTime. */
export const microTime = (ms: number): string => `${new Date(ms).toISOString().slice(0, -1)}000Z`

/** One line, in the order of Go's struct. */
export function jsonLine(event: AuditEvent): string {
  const { kind, apiVersion, level, auditID, stage, requestURI, verb, user, impersonatedUser, authenticationMetadata, sourceIPs, userAgent, objectRef, responseStatus, requestObject, responseObject, requestReceivedTimestamp, stageTimestamp, annotations } = event
  return `${JSON.stringify({ kind, apiVersion, level, auditID, stage, requestURI, verb, user, impersonatedUser, authenticationMetadata, sourceIPs, userAgent, objectRef, responseStatus, requestObject, responseObject, requestReceivedTimestamp, stageTimestamp, annotations })}\n`
}

/** `--audit-log-format legacy`. */
export function legacyLine(event: AuditEvent): string {
  const quoted = (values: readonly string[] | undefined): string => (values ?? []).map((v) => JSON.stringify(v)).join(',')
  const { user, impersonatedUser, objectRef, responseStatus } = event
  const code = responseStatus?.['code']
  return `${event.stageTimestamp} AUDIT: id=${JSON.stringify(event.auditID)} stage=${JSON.stringify(event.stage)} ip=${JSON.stringify(event.sourceIPs?.[0] ?? '<unknown>')} method=${JSON.stringify(event.verb)} user=${JSON.stringify(user.username ?? '<none>')} groups=${user.groups ? quoted(user.groups) : '"<none>"'} as=${JSON.stringify(impersonatedUser?.username ?? '<self>')} asgroups=${impersonatedUser?.groups ? quoted(impersonatedUser.groups) : '"<lookup>"'} user-agent=${JSON.stringify(event.userAgent ?? '')} namespace=${JSON.stringify(objectRef?.namespace ?? '<none>')} uri=${JSON.stringify(event.requestURI)} response="${typeof code === 'number' && code !== 0 ? code : '<deferred>'}"\n`
}
