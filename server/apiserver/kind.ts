/**
 * What the generic verbs need to know of one kind. A kind is one row in `registry.ts` and one file in `kinds/` with
 * its KindStrategy; everything here is pure: time, randomness and lookups come in through the context.
 */
import type { KubeObject, ObjectMeta, ResourceRef, UserInfo } from '#api/types/index.ts'
import type { SchemaSet } from '#api/schema/schema.ts'
import type { Random } from '#base/random.ts'
import type { Conformed } from './decode/conform.ts'
import type { Compare, Durability, Op } from '#server/store/store.ts'
import type { FieldError } from './field-error.ts'
import type { FieldSet } from './patch/apply/field-set.ts'

export interface KindContext {
  nowMs: number
  random: Random
  user: UserInfo
}

/** A column of `kubectl get`; upstream's names, formats and priorities (0: always, 1: only -o wide). */
export interface Column<T> {
  name: string
  type: 'string' | 'integer' | 'number' | 'boolean' | 'date'
  format?: string
  description: string
  priority: number
  /** The cell. `nowMs` for ages. */
  value: (object: T, nowMs: number) => unknown
}

/** Of meta.k8s.io/v1 TableRowCondition. */
export interface RowCondition { type: 'Completed'; status: 'True'; reason: string; message: string }

/** Every hook may be absent. Hooks named prepare and defaults change `object` in place: it is theirs; `old` is never changed. */
export interface KindStrategy<T extends KubeObject> {
  /** Fills in upstream's defaults; also run on what is read from an update or a patch. Must be idempotent. */
  defaults?(object: T): void
  /** Resets status and whatever clients may not set at creation. metadata (uid, timestamps, generation 1) is done before. */
  prepareCreate?(object: T, ctx: KindContext): void
  /** Carries over what an update of the main resource may not change (status). */
  prepareUpdate?(object: T, old: T, ctx: KindContext): void
  /** For `/status`: carries over everything but status and metadata (and what else upstream lets it change). Default: all but those two from old. */
  prepareStatusUpdate?(object: T, old: T, ctx: KindContext): void
  /** What `/status` leaves as it is in metadata: `true` all of it, else these fields, and what is sent of others is held to their rules. Without it labels, annotations, finalizers and owners may be written there. */
  statusKeepsMetadata?: true | readonly (keyof ObjectMeta)[]
  /** What a write to a subresource leaves as it is although the object sent has it: by subresource. Who sends it owns it no more than `spec` in `/status`. */
  resetThrough?: Readonly<Partial<Record<string, FieldSet>>>
  /** Nobody owns the spec: it is the server's from the moment it is there (CertificateSigningRequest). */
  specIsOwnerless?: true
  /** True when a change between old and object must raise metadata.generation. Default: any change outside metadata and status; false: the kind has no generation. */
  generation?: false | ((object: T, old: T) => boolean)
  /** Metadata is checked too: registry.ts adds `kinds/object-meta.ts` to every strategy's validate, validateUpdate and validateStatusUpdate. */
  validate?(object: T, ctx: KindContext): FieldError[]
  validateUpdate?(object: T, old: T, ctx: KindContext): FieldError[]
  validateStatusUpdate?(object: T, old: T, ctx: KindContext): FieldError[]
  /** Warnings for the client (`Warning: 299`), e.g. deprecated fields. `old`: what an update changes. */
  warnings?(object: T, old?: T): string[]
  /** Warnings of a creation that only what was sent can tell: asked before `prepareCreate`. */
  warningsAsSent?(object: T): string[]
  /** A PUT names the resourceVersion it is meant for (upstream: no AllowUnconditionalUpdate). */
  requiresRevision?: boolean
  /** Without the leading Name column and the trailing Age, which the default has: undefined means just those two. All columns when given. */
  columns?: readonly Column<T>[]
  /** What a table says of the whole row: that a pod has finished. */
  rowConditions?(object: T): readonly RowCondition[] | undefined
  /** Fields usable in fieldSelector besides metadata.name and metadata.namespace. */
  selectableFields?: Readonly<Record<string, (object: T) => string>>
  /** False: of metadata, only the name (PodCertificateRequest). */
  selectsNamespace?: false
  /** Seconds to wait between deletionTimestamp and removal; undefined or 0: at once. Pods: as upstream's strategy. */
  graceSecondsOnDelete?(object: T, requested: number | undefined): number
  /** Who names no propagation policy keeps the dependents (core/v1 ReplicationControllers, batch/v1 Jobs, for compatibility); `warning`: what that one is told. */
  orphansByDefault?: { warning?: string }
  /** Nothing depends on it (Events): no propagation policy holds it. */
  hasNoDependents?: true
  /** What the object says of itself from the moment it is marked for deletion (a namespace: phase Terminating). Changed in place. */
  prepareDelete?(object: T): void
  /** Finalizers that deletion itself adds are generic; kinds with their own (Namespace: spec.finalizers) say whether one may be removed now. */
  mayRemove?(object: T): boolean
  /** `metadata.name` rule. Default: dns1123 subdomain. */
  nameRule?: 'dns-label' | 'dns-subdomain' | 'path-segment' | 'dns-1035-label' | 'config-key' | 'ip-address'
  /** `metadata.generateName` need only fit into a path: what is made of it is held to the rule. Default: it is held to the same one. */
  generateNameRule?: 'path-segment'
  /** Where names of finalizers without a slash are any qualified names, not only the standard ones: everywhere, or in `/status`. */
  finalizers?: 'plain' | 'plain in status'
}

/**
 * Gives out what only one object may have (cluster IPs, node ports). All of it is synchronous and in process; the truth
 * is in the stored objects, from which it is rebuilt at start. The verbs call `allocate` after validation, directly
 * before the write (create; update of the main resource), and exactly one of commit and rollback when the write's outcome
 * is known; `release` once an object is gone from the store. For a dry run: `allocate`, then `rollback`.
 */
export interface Allocator<T extends KubeObject = KubeObject> {
  /** Fills what is missing into `object`, in place, and reserves it; errors make a 422 and reserve nothing. `old` undefined: create. */
  allocate(object: T, old: T | undefined, ctx: KindContext): { ok: true; reservation: Reservation } | { ok: false; errors: FieldError[] }
  release(object: T): void
  /** What goes with an object that is removed, in the same transaction. */
  alsoRemoved?(object: T): readonly Op[]
  /** Another server has what the key (one that `also` compared) stands for. */
  lost?(key: string): void
}

export interface Reservation {
  /** The write was made: what the old object had and the new one has not is free. */
  commit(): void
  /** The write was not made: what was reserved for it is free. */
  rollback(): void
  /** Written with the object, in the same transaction. */
  also?: { compare: readonly Compare[]; ops: readonly Op[] }
}

/**
 * A row that is another view of a stored kind (events.k8s.io/v1 of core/v1 events): objects are kept under the other
 * row's keys and in its form. Reading: `fromStored`, then the row's columns and fields; writing: the row's own strategy
 * (defaults, prepare, validate) on the view, then `toStored`.
 */
export interface StoredView {
  /** The row whose objects these are. */
  ref: ResourceRef
  model: string
  toStored(view: KubeObject): KubeObject
  fromStored(stored: KubeObject): KubeObject
}

/**
 * How a row's objects are kept where that is not as the row shows them: a version of a custom resource. Values on the row's side are
 * canonical JSON as every row has it; what the store holds is this form's own affair.
 */
export interface StoredForm {
  /** Forms of equal ids read a value alike: a watch cache is kept for each. */
  id: string
  /** Stored values as the row shows them; one that needs no change is returned itself. Fails where a conversion fails. */
  read(values: readonly Buffer[]): readonly Buffer[] | Promise<readonly Buffer[]>
  /** It is kept in another version than values are stored in now: a write that changes nothing stores it anew. */
  isOutdated(stored: Buffer): boolean
  /** What to store for a value of the row's. */
  write(value: Buffer): Buffer | Promise<Buffer>
}

/** OpenAPI definitions of a kind and its list, given references to what they are made of. */
export interface PublishedDefinitions {
  object(metadata: Record<string, unknown>): Record<string, unknown>
  list(metadata: Record<string, unknown>, item: Record<string, unknown>): Record<string, unknown>
}

/** What a custom resource's row has in place of a model in api/schema. */
export interface CustomKind {
  /** Changes with everything that clients can see of the kind. */
  readonly id: string
  readonly form: StoredForm
  /** Undefined: that version is not served. */
  readonly storageVersion: string | undefined
  /** The kind's own types over the built-in ones. */
  readonly types: SchemaSet
  /** Reads metadata, takes out and tells what the schema does not know. In place. `applied`: a configuration of server-side apply. */
  readonly conform: (value: unknown, applied?: boolean) => Conformed
  definition(dialect: 'v2' | 'v3'): PublishedDefinitions
  /** The definition is being deleted: nothing new may be created. */
  readonly isTerminating: boolean
}

/** One row of the table of kinds. */
export interface KindRow {
  ref: ResourceRef
  /** Name in api/schema, e.g. `Pod`; of a custom resource, that of its OpenAPI definition. */
  model: string
  custom?: CustomKind
  /** Default: the kind with `List` after it. */
  listKind?: string
  /** Sent as a `Warning` with every answer (deprecated versions). */
  warning?: string
  singular: string
  shortNames: readonly string[]
  categories: readonly string[]
  /** Served verbs; default all of create delete deletecollection get list patch update watch. */
  verbs?: readonly string[]
  /** `status` and `scale` are generic; others (log, exec, binding, eviction, token, ...) are handlers named in app wiring. */
  subresources: readonly string[]
  /** Field paths for `/scale`, where served. */
  scale?: { specPath: string; statusPath: string; selectorPath: string }
  strategy: KindStrategy<KubeObject>
  /** Default `synced`; see Store.Txn.durability. Decided per write; `old`: what it replaces, undefined where nothing is replaced. */
  durability?: (object: KubeObject, old: () => KubeObject | undefined) => Durability
  /** Seconds an object lives (events: 3600). */
  ttlSeconds?: number
  /** Set by `withAllocators` for kinds that need one. */
  allocator?: Allocator
  storedAs?: StoredView
}

export const listKindOf = (row: KindRow): string => row.listKind ?? `${row.ref.kind}List`
