/**
 * Field ownership for ordinary writes (create, update, patch): what the write added or changed is the writer's from
 * now on, and nobody else's. Runs after decoding and defaulting, before mutating admission, as upstream's does.
 */
import type { SchemaSet } from '#api/schema/schema.ts'
import type { KubeObject, ObjectMeta } from '#api/types/index.ts'
import { zeroOf } from '../../decode/zero-value.ts'
import { timestamp } from '../../storage/object-meta.ts'
import type { Json } from '../result.ts'
import { compareObjects, equalJson } from './compare.ts'
import { createdFields } from './created-fields.ts'
import { emptySet, isEmptySet, union, type FieldSet } from './field-set.ts'
import { asksForReset, capUpdateManagers, disown, entryOf, formatManagedFields, ownable, ownerId, parseManagedFields, type Owner, type Owners } from './managed-fields.ts'
import { canUpdateEntries, updateEntries } from './update-entries.ts'

export interface TrackUpdate {
  /** What is stored; undefined on creation. Not changed. */
  live?: KubeObject | undefined
  /** The object about to be stored; its metadata.managedFields is set. */
  next: KubeObject
  /** `fieldManager`, or the user agent up to its first slash: see `managerName`. */
  manager: string
  /** `''` for the object itself; `status`, `scale`, ... */
  subresource: string
  apiVersion: string
  nowMs: number
  schema: SchemaSet
  model: string
  /** The kind has /status: then the main endpoint owns no status, and /status no spec. Default true. */
  hasStatus?: boolean
  /** /status writes no metadata. Default false. */
  statusKeepsMetadata?: boolean
  /** What a write to this subresource leaves as it is. Default: nothing. */
  reset?: FieldSet | undefined
  specIsOwnerless?: boolean
  /** A Scale of no replicas says nothing of them: they are nobody's then. Default false. */
  scalesToNothing?: boolean
}

export function trackUpdate(write: TrackUpdate): void {
  const { live, next } = write
  const meta = (next.metadata ??= {})
  const given = write.subresource === '' ? meta.managedFields : undefined
  const kept = live?.metadata?.managedFields
  // In a custom resource, an empty list says nothing.
  if (live && asksForReset(given) && !(given?.length === 0 && write.schema.model(write.model)?.isCustom)) return setManagedFields(meta, undefined)

  // An object whose managedFields were dropped stays untracked until somebody applies.
  const owners = (given && given.length > 0 && given !== kept && !equalJson(given, kept) ? parseManagedFields(given) : undefined)
  if (live && !kept?.length && !owners?.size) return setManagedFields(meta, undefined)

  // Nobody owns these themselves: as they were, they are not looked into.
  setManagedFields(meta, kept)
  if (!live && !owners && isOrdinary(write)) {
    const fields = createdFields(next as Json, { schema: write.schema, model: write.model, hasStatus: write.hasStatus ?? true })
    return setManagedFields(meta, fields && [entryOf({ ...writerOf(write), time: timestamp(write.nowMs) }, fields)])
  }
  const changes = compareObjects((live ?? zeroOf({ kind: 'ref', model: write.model }, write.schema)) as Json, next as Json, write.model, write.schema)
  const endpoint = { subresource: write.subresource, hasStatus: write.hasStatus ?? true, statusKeepsMetadata: write.statusKeepsMetadata ?? false, reset: write.reset, specIsOwnerless: write.specIsOwnerless ?? false }
  const changed = ownable(union(changes.added, changes.modified), endpoint)
  const taken = write.scalesToNothing ? emptySet() : changed
  const removed = write.scalesToNothing ? changed : ownable(changes.removed, endpoint)
  if (!owners && isEmptySet(taken) && isEmptySet(removed)) return setManagedFields(meta, kept)

  // What came by way of a Scale has no time, as in upstream, and so comes first.
  const self: Owner | undefined = isEmptySet(taken) ? undefined : { ...writerOf(write), time: write.subresource === 'scale' ? '' : timestamp(write.nowMs), set: taken }
  if (!owners && kept && canUpdateEntries(kept)) return setManagedFields(meta, updateEntries(kept, taken, removed, self))
  const all = owners ?? parseManagedFields(kept) ?? new Map<string, Owner>()
  disown(all, taken, removed)
  if (self) addUpdate(all, self)
  capUpdateManagers(all)
  setManagedFields(meta, formatManagedFields(all))
}

const writerOf = ({ manager, apiVersion, subresource }: TrackUpdate): Omit<Owner, 'set' | 'time'> => ({ manager, operation: 'Update', apiVersion, subresource })

/** The object is written as a whole, of fields that are owned each by itself, and all of it but the status is its writer's. */
function isOrdinary({ schema, model, subresource, reset, specIsOwnerless, scalesToNothing }: TrackUpdate): boolean {
  return subresource === '' && !reset && specIsOwnerless !== true && scalesToNothing !== true && schema.model(model)?.structType === 'granular'
}

/** A manager that wrote before keeps what it had and gets the time of this write. */
function addUpdate(owners: Owners, owner: Owner): void {
  const id = ownerId(owner)
  const before = owners.get(id)
  owners.set(id, before ? { ...owner, set: union(owner.set, before.set) } : owner)
}

function setManagedFields(meta: ObjectMeta, entries: ObjectMeta['managedFields']): void {
  if (entries && entries.length > 0) meta.managedFields = entries
  else delete meta.managedFields
}

/** What upstream calls a writer that gave no fieldManager: its user agent up to the first slash, at most 128 characters. */
export function managerName(fieldManager: string | undefined, userAgent: string | undefined): string {
  if (fieldManager) return fieldManager
  const name = (userAgent ?? '').split('/', 1)[0] ?? ''
  return Array.from(name.matchAll(/[\p{L}\p{M}\p{N}\p{P}\p{S} ]/gu), (m) => m[0]).slice(0, 128).join('') || 'unknown'
}

