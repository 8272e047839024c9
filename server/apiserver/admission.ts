/**
 * Contract of admission plugins (`admission/<plugin>.ts`, webhooks, policies): mutating ones run before validation,
 * validating ones after. A plugin refuses with a Refusal, which is worded as upstream's `NewForbidden`; one that passes on
 * somebody else's words (a webhook's Status) throws a StatusError, which the client gets as it is.
 */
import type { KubeObject, ResourceRef, UserInfo } from '#api/types/index.ts'
import type { Client } from '#api/client/client.ts'
import type { Authorizer } from './auth.ts'
import type { Metric } from '#base/metrics.ts'
import type { Rows } from './rows.ts'

export interface GroupVersionKind { group: string; version: string; kind: string }

export interface AdmissionRequest {
  operation: 'CREATE' | 'UPDATE' | 'DELETE' | 'CONNECT'
  /** As authorized: what the operation was asked for by. */
  verb: string
  /** The resource as asked for. */
  ref: ResourceRef
  /** What `object` and `old` are: the resource's own kind, or what its subresource speaks (Scale, Eviction, PodExecOptions, ...). */
  kind: GroupVersionKind
  subresource: string
  namespace: string
  /** '' while a name is still to be generated: mutating plugins see the object before that. */
  name: string
  /** The new object, to be changed in place by mutate (CONNECT: the connection's options); undefined for DELETE. */
  object: KubeObject | undefined
  /** What is stored; undefined for CREATE and CONNECT. Never changed. */
  old: KubeObject | undefined
  /** CreateOptions, UpdateOptions or DeleteOptions of meta.k8s.io/v1, by what is done rather than by verb (a patch is UPDATE or CREATE); undefined for CONNECT. */
  options: KubeObject | undefined
  user: UserInfo
  dryRun: boolean
  /** Of this request's mutating phase; the same value in both rounds. */
  reinvocation: Reinvocation
}

/**
 * Mutating plugins run once more when one of the webhooks or policies changed the object (upstream's reinvocation). Plugins of
 * ours simply run again; webhooks and policies look here whether they are to.
 */
export interface Reinvocation {
  /** This is the second round. */
  readonly isSecond: boolean
  /** Asks for a second round. In the second it does nothing. */
  request(): void
  /** What a plugin keeps from the first round to the second, by plugin name. */
  readonly memory: Map<string, unknown>
}

/** A refusal: `reason` Forbidden unless the plugin says otherwise. */
export interface Refusal {
  code: number
  reason: string
  message: string
  /** For details.causes of the Status, e.g. NamespaceTerminating. */
  causes?: { reason: string; message?: string; field?: string }[]
  /** What details and the message speak of, when it is not the request's own object (a missing namespace). */
  about?: { group: string; resource: string; name: string }
}

export interface AdmissionPlugin {
  /** Upstream's name, e.g. `NamespaceLifecycle`. Its place in the order follows from it (`admission/order.ts`). */
  name: string
  /** Printed with /metrics. */
  metrics?: readonly Metric[]
  /** No promise: it has nothing to say. Every write asks every plugin, so those that only look at some requests better answer the others so. */
  mutate?(request: AdmissionRequest, api: AdmissionApi): Promise<Refusal | undefined> | undefined
  validate?(request: AdmissionRequest, api: AdmissionApi): Promise<Refusal | undefined> | undefined
}

/** What plugins may ask and tell about one request. */
export interface AdmissionApi {
  /** The in-process client as the API server itself (`system:apiserver`). Gets read the store. */
  client: Client
  authorizer: Authorizer
  rows: Rows
  /** Aborted when the caller is gone. */
  signal: AbortSignal
  /** Monotonic: nobody waits for the answer any longer. */
  dueMs?: number | undefined
  /** A `Warning: 299` for the client. */
  warn(text: string): void
  /** An annotation of the audit event, from `level` on. The first value of a key stays. */
  annotate(key: string, value: string, level?: AuditAnnotationLevel): void
  /**
   * Makes `request.object` what `value` says: read as the request's kind (unknown fields dropped) and defaulted, in place.
   * `changed`: it was different before.
   */
  replace(value: unknown): { ok: true; changed: boolean } | { ok: false; message: string }
}

export type AuditAnnotationLevel = 'Metadata' | 'Request'
