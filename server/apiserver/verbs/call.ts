/** One authorized request for a resource, as verbs and subresources get it, and what they share. */
import type { ApiResponse } from '#api/client/transport.ts'
import { builtinSchema, type SchemaSet } from '#api/schema/index.ts'
import type { Client } from '#api/client/client.ts'
import type { KubeObject, UserInfo } from '#api/types/index.ts'
import { apiVersionOf } from '#api/types/index.ts'
import type { Clock } from '#base/clock.ts'
import type { Log } from '#base/log.ts'
import type { Random } from '#base/random.ts'
import type { Store } from '#server/store/store.ts'
import type { AdmissionPlugin, AuditAnnotationLevel } from '../admission.ts'
import type { Authorizer } from '../auth.ts'
import type { Query } from '../http/query.ts'
import type { ResourceInfo } from '../http/request-info.ts'
import type { KindContext, KindRow } from '../kind.ts'
import type { ApiMetrics } from '../metrics/api-metrics.ts'
import type { Rows } from '../rows.ts'
import type { KeyScope } from '../storage/keys.ts'
import type { WebhookClient } from '../webhook-client/index.ts'
import type { KindCaches, KindCache } from '../watch/kind-cache.ts'
import { selectableFields } from '../watch/selection.ts'
import type { ListAges } from './list-ages.ts'

export interface Parts {
  store: Store
  caches: KindCaches
  listAges: ListAges
  clock: Clock
  random: Random
  log: Log
  rows: Rows
  admission: readonly AdmissionPlugin[]
  authorizer: Authorizer
  /** The API as `system:apiserver`, for admission. */
  client: Client
  /** For admission, conversion and whoever else asks out. */
  webhooks: WebhookClient
  metrics: ApiMetrics
  /** --min-request-timeout; default 30 min. */
  minWatchTimeoutMs?: number
}

export interface Call {
  parts: Parts
  row: KindRow
  info: ResourceInfo
  /** As authorized. */
  verb: VerbName | ProxiedOnly
  method: string
  query: Query
  /** As sent, with its question mark; '' when there is none. */
  rawQuery: string
  headers: Readonly<Record<string, string>>
  body: Buffer | undefined
  user: UserInfo
  signal: AbortSignal
  /** Monotonic; undefined: no limit. */
  dueMs?: number | undefined
  /** Sent as a `Warning` header; repeats are dropped. */
  warn(text: string): void
  /** For the audit event; the first value of a key stays. */
  annotate(key: string, value: string, level?: AuditAnnotationLevel): void
  /** Given the object that the client sent, before anything changes it. Absent: nobody keeps it. */
  noteObject?(object: KubeObject): void
}

/** OPTIONS has no verb, and a meaning only to what stands behind a proxy: whoever may do all may ask. */
export type ProxiedOnly = ''

export type VerbName = 'create' | 'delete' | 'deletecollection' | 'get' | 'list' | 'patch' | 'update' | 'watch'

export type Verb = (call: Call) => Promise<ApiResponse>

/** Kind and apiVersion as the requested version of the row names them. */
export const namesOf = (row: KindRow): { kind: string; apiVersion: string } => ({ kind: row.ref.kind, apiVersion: apiVersionOf(row.ref) })

export function contextOf(call: Call): KindContext {
  return { nowMs: call.parts.clock.nowMs(), random: call.parts.random, user: call.user }
}

/** The types a row's objects are made of. */
export const typesOf = (row: KindRow): SchemaSet => row.custom?.types ?? builtinSchema

/** Where the row's objects are kept. A view keeps none of its own. */
export const scopeOf = (row: KindRow): KeyScope => row.storedAs?.ref ?? row.ref

export async function cacheOf(parts: Parts, row: KindRow): Promise<KindCache> {
  const scope = scopeOf(row)
  const form = row.custom?.form
  const ready = parts.caches.ready(scope, form)
  if (ready) {
    if (!ready.isCurrent) await ready.caughtUp()
    return ready
  }
  const stored = row.storedAs ? (parts.rows.find(row.storedAs.ref.group, row.storedAs.ref.version, row.storedAs.ref.resource) ?? row) : row
  const fields = selectableFields(stored)
  return parts.caches.of({ scope, form, fieldsOf: fields && ((value) => fields(JSON.parse(value.toString()) as KubeObject)) })
}
