/**
 * The typed client that controllers, scheduler, agent and verbs share. Errors are ApiErrors with upstream's reason;
 * `rest.ts` implements it over any Transport, `informer.ts` builds cached views on it.
 */
import type { KubeObject, ResourceRef, Stored } from '../types/index.ts'

export type PatchType = 'application/json-patch+json' | 'application/merge-patch+json' | 'application/strategic-merge-patch+json' | 'application/apply-patch+yaml'

export interface ListParams {
  /** Undefined or '': all namespaces. */
  namespace?: string
  labelSelector?: string
  fieldSelector?: string
  limit?: number
  continue?: string
  resourceVersion?: string
  resourceVersionMatch?: string
  /** Asks for PartialObjectMetadata: only apiVersion, kind and metadata of each object come back. */
  metadataOnly?: boolean
}

export interface WatchParams extends ListParams {
  timeoutSeconds?: number
  allowWatchBookmarks?: boolean
  sendInitialEvents?: boolean
  /** Objects come without managedFields: those take long to parse. */
  withoutManagedFields?: boolean
}

export interface ListResult<T extends KubeObject> {
  items: Stored<T>[]
  metadata: { resourceVersion: string; continue?: string; remainingItemCount?: number }
}

export type WatchEvent<T extends KubeObject> =
  | { type: 'ADDED' | 'MODIFIED' | 'DELETED'; object: Stored<T> }
  | { type: 'BOOKMARK'; object: { metadata: { resourceVersion: string; annotations?: Record<string, string> } } }
  | { type: 'ERROR'; object: { code?: number; reason?: string; message?: string } }

export interface WriteOptions { dryRun?: boolean; fieldManager?: string; force?: boolean; subresource?: string; signal?: AbortSignal }
export interface DeleteOptions {
  gracePeriodSeconds?: number
  propagationPolicy?: 'Background' | 'Foreground' | 'Orphan'
  preconditions?: { uid?: string; resourceVersion?: string }
  signal?: AbortSignal
}

/** A refusal by the API server. `reason` is upstream's (NotFound, AlreadyExists, Conflict, Invalid, Forbidden, Expired, ...). */
export class ApiError extends Error {
  readonly code: number
  readonly reason: string
  readonly details: unknown
  constructor(status: { code?: number; reason?: string; message?: string; details?: unknown }) {
    super(status.message ?? `the API server answered ${status.code ?? 'with an error'}`)
    this.name = 'ApiError'
    this.code = status.code ?? 500
    this.reason = status.reason ?? ''
    this.details = status.details
  }
}

export function isReason(error: unknown, ...reasons: string[]): error is ApiError {
  return error instanceof ApiError && reasons.includes(error.reason)
}

export interface Client {
  get<T extends KubeObject>(ref: ResourceRef, name: string, namespace?: string, signal?: AbortSignal): Promise<Stored<T>>
  list<T extends KubeObject>(ref: ResourceRef, params?: ListParams, signal?: AbortSignal): Promise<ListResult<T>>
  /** Ends when the server ends it or the signal aborts. */
  watch<T extends KubeObject>(ref: ResourceRef, params: WatchParams, signal: AbortSignal): AsyncIterable<WatchEvent<T>>
  /** The namespace is the object's own. `options.subresource`: e.g. `binding`, `eviction`, `token` (needs metadata.name). */
  create<T extends KubeObject>(ref: ResourceRef, object: T, options?: WriteOptions): Promise<Stored<T>>
  update<T extends KubeObject>(ref: ResourceRef, object: T, options?: WriteOptions): Promise<Stored<T>>
  patch<T extends KubeObject>(ref: ResourceRef, name: string, namespace: string | undefined, type: PatchType, patch: unknown, options?: WriteOptions): Promise<Stored<T>>
  delete(ref: ResourceRef, name: string, namespace?: string, options?: DeleteOptions): Promise<void>
  /** Anything else: `/version`, non-resource paths. Body and answer are JSON. */
  raw(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<unknown>
}

/** A cached, watched view of one resource. Objects are shared: never changed by who reads them. */
export interface Informer<T extends KubeObject> {
  /** Resolves after the first complete list: the server's, or what was kept of an earlier one while the server is away. */
  readonly synced: Promise<void>
  /** Resolves after the first complete list of the server. */
  readonly fresh: Promise<void>
  hasSynced(): boolean
  /** By `namespace/name`, or name when cluster-scoped. */
  get(key: string): Stored<T> | undefined
  list(): Stored<T>[]
  inNamespace(namespace: string): Stored<T>[]
  /** Objects for which the index function named at construction yields `value`. */
  byIndex(index: string, value: string): Stored<T>[]
  /**
   * Called synchronously after the cache changed: (old, new); one is undefined for additions and deletions. What is there
   * already is told as additions before this returns: a listener may come after the informer has synced. Returns the unsubscribe.
   */
  onChange(listener: (before: Stored<T> | undefined, after: Stored<T> | undefined) => void): () => void
  /** Called after each complete list of the server was taken over, with its version: what is not there now was not there then, whether its end was ever told or not. Returns the unsubscribe. */
  onListed(listener: (resourceVersion: string) => void): () => void
}

export interface InformerOptions<T extends KubeObject> {
  namespace?: string
  labelSelector?: string
  fieldSelector?: string
  /** Only metadata is fetched and cached. */
  metadataOnly?: boolean
  indexes?: Record<string, (object: Stored<T>) => string[]>
  /** Drops what the reader does not need before it is cached (managedFields at least): memory. */
  transform?: (object: Stored<T>) => Stored<T>
}

/** One informer per (resource, options) in a process; all start with `start` and stop with its signal. */
export interface Informers {
  of<T extends KubeObject>(ref: ResourceRef, options?: InformerOptions<T>): Informer<T>
  /** Lists and watches for ever, with backoff, relisting on 410. Resolves when all informers known now have synced. */
  start(signal: AbortSignal): Promise<void>
}
