/**
 * Server-side apply (KEP-555), as structured-merge-diff merges and upstream's field manager owns. Pure: the verb decodes,
 * defaults, admits and stores what comes out, and checks resourceVersion and names before.
 */
import type { FieldType, SchemaSet } from '#api/schema/schema.ts'
import type { KubeObject } from '#api/types/index.ts'
import { conformObject, type Conformed } from '../../decode/conform.ts'
import { zeroOf } from '../../decode/zero-value.ts'
import { cloneJson } from '../../storage/clone.ts'
import { timestamp } from '../../storage/object-meta.ts'
import { isObject, PatchError, type Json } from '../result.ts'
import { withAtomicNulls } from './atomic-nulls.ts'
import { compareObjects, equalJson } from './compare.ts'
import { conflictStatus, type Conflict, type ConflictCause } from './conflicts.ts'
import { difference, emptySet, intersection, isEmptySet, union, type FieldSet } from './field-set.ts'
import { disown, formatManagedFields, ownable, ownerId, parseManagedFields, type Owner, type Owners, type Endpoint } from './managed-fields.ts'
import { mergeTyped } from './merge-typed.ts'
import { extractItems, removeItems, withNamedFields } from './remove-items.ts'
import { toFieldSet } from './to-field-set.ts'
import { assertTyped } from './validate-typed.ts'

export interface ApplyRequest {
  /** What is stored, as clients see it; undefined: the object is created. Not changed. */
  live?: KubeObject | undefined
  /** The parsed body. Not changed. */
  config: unknown
  manager: string
  force: boolean
  subresource: string
  apiVersion: string
  nowMs: number
  schema: SchemaSet
  model: string
  /** See TrackUpdate. Default true. */
  hasStatus?: boolean
  /** See TrackUpdate. Default false. */
  statusKeepsMetadata?: boolean
  /** What a write to this subresource leaves as it is. Default: nothing. */
  reset?: FieldSet | undefined
  specIsOwnerless?: boolean
  /** In place of the walk along the model: custom resources, which keep empty maps and lists. */
  conform?: ((value: unknown) => Conformed) | undefined
}

export type Applied =
  /** `changed` false: nothing differs from live, managedFields included. The object is still to be defaulted and validated, and shares nothing with live and config that may be changed. */
  | { ok: true; object: KubeObject; changed: boolean }
  | { ok: false; code: 400; reason: 'BadRequest'; message: string }
  | { ok: false; code: 409; reason: 'Conflict'; message: string; causes: ConflictCause[] }

/** Owner of everything in an object that had no managedFields when it was first applied. */
const BEFORE_FIRST_APPLY = 'before-first-apply'
const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration'
/** Sum of annotations that upstream's validation allows. */
const ANNOTATIONS_BYTES_MAX = 256 * 1024

export function apply(request: ApplyRequest): Applied {
  try {
    return decideApply(request)
  } catch (error) {
    if (error instanceof PatchError) return badRequest(`failed to create typed patch object (${describe(request)}): ${error.message}`)
    throw error
  }
}

const badRequest = (message: string): Applied => ({ ok: false, code: 400, reason: 'BadRequest', message })

function decideApply(request: ApplyRequest): Applied {
  const { live, schema, model, subresource } = request
  const config = cloneJson(request.config) as KubeObject & Json
  if (config.metadata?.managedFields) return badRequest('metadata.managedFields must be nil')
  // Before what is nobody's is left out.
  assertTyped(config, model, schema)
  if (request.conform) {
    const conformed = request.conform(config)
    if (!conformed.ok) throw new PatchError(400, conformed.message)
    const unknown = conformed.problems[0]
    if (unknown) throw new PatchError(400, `.${unknown.path}: field not declared in schema`)
  }
  const endpoint = { subresource, hasStatus: request.hasStatus ?? true, statusKeepsMetadata: request.statusKeepsMetadata ?? false, reset: request.reset, specIsOwnerless: request.specIsOwnerless ?? false }
  const owners = ownersBefore(request, endpoint)
  const configured = toFieldSet(config, model, schema)
  const self: Owner = { manager: request.manager, operation: 'Apply', apiVersion: request.apiVersion, subresource, time: '', set: ownable(configured, endpoint) }
  const selfId = ownerId(self)
  const last = owners.get(selfId)

  const { metadata: liveMeta, ...liveRest } = (live ?? zeroObject(model, schema)) as KubeObject & Json
  const { managedFields: _, ...bareMeta } = liveMeta ?? {}
  const stored: Json = { ...liveRest, metadata: bareMeta }
  const base = withAtomicNulls(stored, model, schema)
  // Identity (name, namespace) is owned by nobody in the end, but must not be pruned now.
  const withSelf: Owners = new Map(owners).set(selfId, { ...self, set: union(self.set, configured) })
  const merged = prune(mergeTyped(base, config, model, schema), withSelf, last?.set, request)
  withSelf.set(selfId, self)

  const changes = compareObjects(base, merged, model, schema)
  const taken = ownable(union(changes.added, changes.modified), endpoint)
  const removed = ownable(changes.removed, endpoint)
  const conflicts = findConflicts(owners, selfId, taken)
  if (conflicts.length > 0 && !request.force) {
    const disallowed = withoutLastApplied(conflicts, request)
    if (disallowed.length > 0) return { ok: false, code: 409, reason: 'Conflict', ...conflictStatus(disallowed) }
  }
  disown(withSelf, taken, removed, selfId)
  // Who changes nothing gets no new time, and the first time none at all.
  const isSame = live !== undefined && equalJson(base, merged)
  if (withSelf.has(selfId)) withSelf.set(selfId, { ...self, time: isSame ? (last?.time ?? '') : timestamp(request.nowMs) })
  const typed = typedObject(merged, request)
  if (!typed.ok) return badRequest(`failed to convert new object (${describe(request)}) to proper version: ${request.conform ? '' : `unable to convert unstructured object to ${kindText(request)}: `}${typed.message}`)
  const { object } = typed
  syncLastApplied(object, config, request.manager)
  const managedFields = formatManagedFields(withSelf)
  return { ok: true, object: withManagedFields(object, managedFields), changed: !live || !equalJson(stored, object) || !equalJson(managedFields, live.metadata?.managedFields ?? []) }
}

const zeroObject = (model: string, schema: SchemaSet): Json => zeroOf({ kind: 'ref', model }, schema) as Json

/** What is merged as its type holds it: without empties and zeros that say nothing, with canonical texts. Custom resources have no other form. */
function typedObject(merged: Json, { conform, schema, model }: ApplyRequest): { ok: true; object: Json } | { ok: false; message: string } {
  // It shares parts with what is stored and with the configuration.
  const object = cloneJson(merged)
  if (conform) return { ok: true, object }
  const conformed = conformObject(object, { schema, model, words: 'converter' })
  return conformed.ok ? { ok: true, object } : conformed
}

function withManagedFields(object: Json, managedFields: NonNullable<KubeObject['metadata']>['managedFields']): KubeObject {
  const typed = object as KubeObject
  return { ...typed, metadata: { ...typed.metadata, ...(managedFields && managedFields.length > 0 && { managedFields }) } }
}

function ownersBefore(request: ApplyRequest, endpoint: Endpoint): Owners {
  const { live, schema, model } = request
  const owners = parseManagedFields(live?.metadata?.managedFields) ?? new Map<string, Owner>()
  if (!live || owners.size > 0) return owners
  const all = compareObjects(zeroObject(model, schema), (request.conform ? live : withoutEmptyLists(live)) as Json, model, schema)
  const owner: Owner = { manager: BEFORE_FIRST_APPLY, operation: 'Update', apiVersion: request.apiVersion, subresource: endpoint.subresource, time: timestamp(request.nowMs), set: ownable(union(all.added, all.modified), endpoint) }
  return isEmptySet(owner.set) ? owners : new Map([[ownerId(owner), owner]])
}

/** As a built-in kind is stored: a list without items is none. */
function withoutEmptyLists(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutEmptyLists)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).filter(([, v]) => !(Array.isArray(v) && v.length === 0)).map(([key, v]) => [key, withoutEmptyLists(v)]))
}

/** Removes what the applier owned and no longer applies, and nobody else owns. */
function prune(merged: Json, owners: Owners, last: FieldSet | undefined, { schema, model }: ApplyRequest): Json {
  if (!last) return merged
  const everyone = [...owners.values()].reduce((all, owner) => union(all, owner.set), emptySet())
  if (isEmptySet(difference(last, everyone))) return merged
  const type: FieldType = { kind: 'ref', model }
  const named = (set: FieldSet) => withNamedFields(set, type, schema)
  const fieldsOf = (object: Json) => named(toFieldSet(object, model, schema, true))
  const mergedFields = fieldsOf(merged)
  let pruned = removeItems(merged, named(last), model, schema)
  // Back comes what somebody still owns ...
  pruned = removeItems(merged, difference(mergedFields, union(fieldsOf(pruned), named(everyone))), model, schema)
  // ... and what went along without having been the applier's.
  return removeItems(merged, intersection(difference(mergedFields, fieldsOf(pruned)), named(last)), model, schema)
}

function findConflicts(owners: Owners, selfId: string, taken: FieldSet): Conflict[] {
  const conflicts: Conflict[] = []
  for (const [id, owner] of owners) {
    if (id === selfId) continue
    const fields = intersection(owner.set, taken)
    if (!isEmptySet(fields)) conflicts.push({ owner, fields })
  }
  return conflicts
}

/**
 * `kubectl apply --server-side` on an object it has been applying client-side: fields in the last-applied annotation are
 * kubectl's own, whoever the entry says.
 */
function withoutLastApplied(conflicts: Conflict[], request: ApplyRequest): Conflict[] {
  const { live, manager } = request
  const annotation = live?.metadata?.annotations?.[LAST_APPLIED]
  if (manager !== 'kubectl' || annotation === undefined) return conflicts
  const own = lastAppliedFields(annotation, request)
  if (!own) return conflicts
  return conflicts.map(({ owner, fields }) => ({ owner, fields: difference(fields, own) })).filter(({ fields }) => !isEmptySet(fields))
}

/** Those fields of the annotation that are still as it says. Undefined for one that is broken, or of another version. */
function lastAppliedFields(annotation: string, { live, apiVersion, model, schema }: ApplyRequest): FieldSet | undefined {
  let value: unknown
  try {
    value = JSON.parse(annotation)
    if (!isObject(value) || value['apiVersion'] !== apiVersion) return undefined
    assertTyped(value, model, schema)
  } catch {
    // A broken annotation allows nothing.
    return undefined
  }
  const changes = compareObjects(value, live as Json, model, schema)
  return [changes.modified, changes.added, changes.removed].reduce(difference, toFieldSet(value, model, schema, true))
}

/** So that going back to client-side apply works: kubectl's annotation follows what kubectl applies. Changes `object`. */
function syncLastApplied(object: Json, config: KubeObject, manager: string): void {
  const metadata = object['metadata'] as KubeObject['metadata']
  if (manager !== 'kubectl' || metadata?.annotations?.[LAST_APPLIED] === undefined) return
  const { annotations: given, ...meta } = config.metadata ?? {}
  const { [LAST_APPLIED]: _old, ...annotations } = given ?? {}
  const text = `${JSON.stringify(sorted({ ...config, metadata: { ...meta, ...(given && { annotations }) } }))}\n`
  const others = Object.entries(metadata.annotations).reduce((sum, [key, value]) => sum + (key === LAST_APPLIED ? 0 : key.length + value.length), 0)
  const { [LAST_APPLIED]: _dropped, ...rest } = metadata.annotations
  object['metadata'] = { ...metadata, annotations: others + text.length > ANNOTATIONS_BYTES_MAX ? rest : { ...metadata.annotations, [LAST_APPLIED]: text } }
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([key, item]) => [key, sorted(item)]))
}

function describe(request: ApplyRequest): string {
  const meta = (request.config as KubeObject | undefined)?.metadata
  return `${meta?.namespace ?? ''}/${meta?.name ?? ''}; ${kindText(request)}`
}

/** As Go prints it. */
function kindText({ apiVersion, model, schema }: ApplyRequest): string {
  return `${apiVersion.includes('/') ? '' : '/'}${apiVersion}, Kind=${schema.model(model)?.groupVersionKinds[0]?.kind ?? model}`
}

export interface Extract { object: KubeObject; manager: string; subresource?: string; schema: SchemaSet; model: string }

/** What `manager` applies of the object, with its identity: the start of a read-modify-apply. Undefined: it applies nothing. */
export function extractApplied({ object, manager, subresource = '', schema, model }: Extract): KubeObject | undefined {
  const owner = parseManagedFields(object.metadata?.managedFields)?.get(ownerId({ manager, operation: 'Apply', apiVersion: '', subresource }))
  if (!owner) return undefined
  const extracted = extractItems(object as Json, owner.set, model, schema) as KubeObject
  const { name, namespace } = object.metadata ?? {}
  return {
    ...(object.apiVersion !== undefined && { apiVersion: object.apiVersion }),
    ...(object.kind !== undefined && { kind: object.kind }),
    ...extracted,
    metadata: { ...extracted.metadata, ...(name !== undefined && { name }), ...(namespace !== undefined && { namespace }) },
  }
}
