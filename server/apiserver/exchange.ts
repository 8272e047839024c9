/** A request on its way, and what is gathered for its answer. */
import type { ApiRequest } from '#api/client/transport.ts'
import type { UserInfo } from '#api/types/index.ts'
import { uuid, type Random } from '#base/random.ts'
import type { AuditTrail } from './audit/trail.ts'
import { splitTarget, type Query } from './http/query.ts'
import type { ResourceInfo } from './http/request-info.ts'
import { Warnings } from './http/warnings.ts'
import type { Peer } from './middleware/authenticate.ts'
import type { Selectors } from './middleware/authorize.ts'
import { verbOf } from './request-verb.ts'
import type { ProxiedOnly, VerbName } from './verbs/call.ts'
import { nameSelected } from './watch/selection.ts'

export type PeerRequest = ApiRequest & { peer: Peer }

/** What is gathered on the way of a request and goes with the answer, whatever it is. */
export interface Exchange {
  auditId: string
  receivedMs: number
  /** Monotonic: what takes longer answers nobody. Undefined: it may take as long as it takes. */
  dueMs: number | undefined
  warnings: Warnings
  answerHeaders: Record<string, string>
  /** From authentication on, where the audit policy wants it. */
  trail: AuditTrail | undefined
}

/** A request after authentication. */
export interface Caller { request: PeerRequest; user: UserInfo; exchange: Exchange }

/** What a resource request asks for, as it is classified and authorized. */
export interface Asked { verb: VerbName | ProxiedOnly; /** `name` is also the one that the field selector of a list or a watch names. */ info: ResourceInfo; query: Query; rawQuery: string; selectors: Selectors }

/** Longer ones from clients are cut. */
const AUDIT_ID_LENGTH_MAX = 64

/** `receivedMs`: only audit events tell it. */
export function beginExchange({ headers }: PeerRequest, random: Random, receivedMs: number): Exchange {
  const given = headers['audit-id']
  return { auditId: given ? given.slice(0, AUDIT_ID_LENGTH_MAX) : uuid(random), receivedMs, dueMs: undefined, warnings: new Warnings(), answerHeaders: {}, trail: undefined }
}

export function askedFor(request: PeerRequest, info: ResourceInfo): Asked {
  const { query, rawQuery } = splitTarget(request.path)
  const verb = verbOf(request.method, info, query.flag('watch'))
  const isMany = verb === 'list' || verb === 'watch' || verb === 'deletecollection'
  const fieldSelector = isMany ? query.text('fieldSelector') : ''
  // Not of a deletecollection, as upstream: a role for one name does not allow it.
  const isNamed = info.name === '' && fieldSelector !== '' && verb !== 'deletecollection'
  return { verb, info: isNamed ? selectedBy(fieldSelector, info) : info, query, rawQuery, selectors: isMany ? { fieldSelector, labelSelector: query.text('labelSelector') } : {} }
}

/** A list or watch of one name is about that object: roles and audit policies name it. */
export const selectedBy = (fieldSelector: string, info: ResourceInfo): ResourceInfo => ({ ...info, name: nameSelected(fieldSelector), isSelected: true })
