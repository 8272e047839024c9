/**
 * The one way an object that exists is changed: update, patch, apply, status, scale and other subresources give
 * `next`, the rest is here: carry over, defaults, admission, prepare, managedFields, validation, no-op, deletion once the
 * last finalizer is gone, and the compare-and-swap with its retries.
 */
import type { ApiResponse } from '#api/client/transport.ts'
import type { KubeObject } from '#api/types/index.ts'
import type { KeyValue } from '#server/store/store.ts'
import type { KindRow, Reservation } from '../kind.ts'
import { invalid as invalidField, type FieldError } from '../field-error.ts'
import { badRequest, conflict, invalid, notFound, type StatusError } from '../http/status.ts'
import { cloneJson } from '../storage/clone.ts'
import { equalJson } from '../storage/equal.ts'
import { storageKey, upstreamKey } from '../storage/keys.ts'
import { carryMeta, specChanged } from '../storage/object-meta.ts'
import { admit, type Admission } from './admit.ts'
import { contextOf, scopeOf, type Call } from './call.ts'
import { ownFields, sameButTimes } from './managed-fields.ts'
import { admissionOptions, type WriteOptions } from './options.ts'
import { dropRepeatedOwners } from './owner-references.ts'
import { reserve } from './reserve.ts'
import { decodeHeld, put, readStored, remove, storedResponse, valueOf, type Full, type Written } from './stored.ts'
import { assertUpdatable, refuseAny } from './validity.ts'

export interface Change {
  /** The object as wanted, from what is there: `old` is not to be changed, and shares nothing with what is returned; of `copy`, which makes a fresh one, both may be. */
  next(old: Full, copy: () => Full): Full | Promise<Full>
  /**
   * Which rules hold. `raw`: the caller has admitted, prepared and validated by itself; `spec`: those of `rules`.
   */
  part: 'main' | 'status' | 'spec' | 'raw'
  /** A subresource's own strategy: who asked for a field owns it, though `prepare` may put it back, as upstream. */
  rules?: Rules
  /** `apply`: managedFields are already in what `next` returns. */
  fields: 'update' | 'apply'
  options: WriteOptions
  /** Run again on a conflict when the caller named no resourceVersion. */
  attempts: number
  /** What admission sees in the object's place, where a subresource has a form of its own (Scale). `take` carries what mutators made of it back. */
  admitAs?: { kind: NonNullable<Admission['as']>; of(object: Full): KubeObject; take(form: KubeObject, object: Full): void }
}

/** Writers without a resourceVersion that meet at one object: each gets its turn, as in upstream's storage. One of them goes on with each attempt, so there are never as many. */
export const UNCONDITIONAL_ATTEMPTS = 1_000

export interface Rules {
  /** Takes back what may not be changed this way. */
  prepare(object: Full, old: Full): void
  validate(object: Full, old: Full): FieldError[]
}

/** Not the object itself: nobody should hold it while it is being written (see `settle`), and few want it then. */
export interface Changed { value: Buffer; revision: number; deleted: boolean }

/** A fresh copy, as it is now. */
export const changedObject = (call: Call, { value, revision }: Changed): Full => decodeHeld(call.row, { value, modRevision: revision })

export async function change(call: Call, wanted: Change): Promise<ApiResponse> {
  const done = await changeObject(call, wanted)
  return storedResponse(call.row, done.value, done.revision)
}

export async function changeObject(call: Call, wanted: Change): Promise<Changed> {
  const { row, info, parts } = call
  const key = storageKey(scopeOf(row), info.namespace, info.name)
  let kv = await readStored(parts, row, key)
  for (let attempt = 1; ; attempt++) {
    if (!kv) throw notFound(row.ref, info.name)
    const tried: Tried = await tryChange(call, wanted, key, kv)
    if (tried.ok) return tried.changed
    if (tried.pinned || attempt >= wanted.attempts || call.signal.aborted) throw conflict(row.ref, info.name)
    kv = tried.current ?? (await readStored(parts, row, key))
  }
}

type Tried = { ok: true; changed: Changed } | { ok: false; pinned: boolean; current: KeyValue | undefined }

async function tryChange(call: Call, wanted: Change, key: string, kv: KeyValue): Promise<Tried> {
  const { row, info } = call
  const old = decodeHeld(row, kv)
  const object = await wanted.next(old, () => cloneJson(old))
  const pinned = assertSameObject(call, object, old, wanted)
  carryMeta(object.metadata, old.metadata)
  object.metadata.resourceVersion = old.metadata.resourceVersion ?? ''
  row.strategy.defaults?.(object)
  if (wanted.part === 'status') keepStatusMetadata(row, object, old)
  if (call.verb === 'update') dropRepeatedOwners(call, object.metadata, false)
  if (wanted.fields === 'update') ownFields(call, old, object, wanted.options)
  const admission = { operation: 'UPDATE', name: info.name, options: admissionOptions(call, 'UpdateOptions'), dryRun: wanted.options.dryRun } as const
  const { admitAs } = wanted
  const objects = () => (admitAs ? { object: admitAs.of(object), old: admitAs.of(old), as: admitAs.kind } : { object, old })
  if (wanted.part !== 'raw') {
    const seen = objects()
    await admit(call, 'mutate', { ...admission, ...seen })
    admitAs?.take(seen.object, object)
  }
  dropRepeatedOwners(call, object.metadata, true)
  delete object.metadata.selfLink
  prepare(call, object, old, wanted)
  if (wanted.part === 'main' || wanted.part === 'status') assertUpdatable(call, object, old, wanted.part)
  else refuseAny(call, object, wanted.rules?.validate(object, old))
  if (wanted.part === 'main') for (const text of row.strategy.warnings?.(object, old) ?? []) call.warn(text)
  if (wanted.part !== 'raw') await admit(call, 'validate', { ...admission, ...objects() })
  if (isDone(object, old) && (row.strategy.mayRemove?.(object) ?? true)) {
    const gone = await remove(call, kv, object, wanted.options.dryRun)
    // Who writes is told what was written, though that ended it.
    return gone.ok ? { ok: true, changed: { value: valueOf(row, object), revision: gone.revision, deleted: true } } : { ok: false, pinned, current: gone.current }
  }
  if (!kv.stale && isUnchanged(object, old)) return { ok: true, changed: { value: kv.value, revision: kv.modRevision, deleted: false } }
  const reservation = wanted.part === 'main' ? reserve(call, object, old, wanted.options.dryRun) : undefined
  let writing: Promise<Written>
  try {
    writing = put(call, key, object, kv, wanted.options.dryRun, reservation?.also)
  } catch (error) {
    reservation?.rollback()
    throw error
  }
  return settle(row, writing, pinned, reservation)
}

/** Waits for the disk, with many others: what each holds meanwhile is what the garbage collector moves about, so it holds no object. */
async function settle(row: KindRow, writing: Promise<Written>, pinned: boolean, reservation: Reservation | undefined): Promise<Tried> {
  try {
    const written = await writing
    if (!written.ok && written.lost !== undefined) row.allocator?.lost?.(written.lost)
    if (!written.ok) return { ok: false, pinned, current: written.current }
    reservation?.commit()
    return { ok: true, changed: { value: written.value, revision: written.revision, deleted: false } }
  } finally {
    reservation?.rollback()
  }
}

/** A write that means another object than is there. */
export const anotherObject = (call: Call, uid: string): StatusError => preconditionFailed(call, 'UID', uid, '')

/** `root`: of the keys, where upstream's storage finds out and not its registry. */
export function preconditionFailed({ row, info }: Call, of: 'UID' | 'ResourceVersion', wanted: string, stored: string, root = ''): StatusError {
  const key = root + upstreamKey(row.ref, row.custom !== undefined, info.namespace, info.name)
  return conflict(row.ref, info.name, `StorageError: invalid object, Code: 4, Key: ${key}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: ${of} in precondition: ${wanted}, ${of} in object meta: ${stored}`)
}

/** Whether the caller pinned a resourceVersion. Throws when the object is not the one stored. */
function assertSameObject(call: Call, object: Full, old: Full, { part }: Change): boolean {
  const { row, info } = call
  const meta = object.metadata
  // A patch says what is to become of what is there, which the rules of metadata are about where the part has them; a PUT says which one it means.
  if (call.verb === 'patch' && part === 'status' && row.strategy.statusKeepsMetadata === true) meta.uid = old.metadata.uid ?? ''
  if (call.verb === 'patch' && (part === 'spec' || part === 'raw') && meta.uid && meta.uid !== old.metadata.uid) throw invalid(row.ref, info.name, [invalidField('metadata.uid', meta.uid, 'field is immutable')])
  if (call.verb !== 'patch' && meta.uid && meta.uid !== old.metadata.uid) throw preconditionFailed(call, 'UID', meta.uid, old.metadata.uid ?? '', '/registry')
  const given = meta.resourceVersion ?? ''
  if (given === '' || given === '0') return false
  if (!/^\d{1,16}$/.test(given)) throw badRequest(`metadata.resourceVersion: Invalid value: ${JSON.stringify(given)}: strconv.ParseUint: parsing ${JSON.stringify(given)}: invalid syntax`)
  if (given !== old.metadata.resourceVersion) throw conflict(row.ref, info.name)
  return true
}

function prepare(call: Call, object: Full, old: Full, { part, rules }: Change): void {
  const { row } = call
  const { strategy } = row
  rules?.prepare(object, old)
  if (part === 'status') {
    keepStatusMetadata(row, object, old)
    if (strategy.prepareStatusUpdate) strategy.prepareStatusUpdate(object, old, contextOf(call))
    else keepAllButStatus(object, old)
  } else if (part === 'main') {
    strategy.prepareUpdate?.(object, old, contextOf(call))
  }
  if (strategy.generation === false || part === 'status' || part === 'raw') return
  const changed = strategy.generation ? strategy.generation(object, old) : specChanged(object, old)
  if (changed) object.metadata.generation = (old.metadata.generation ?? 0) + 1
}

/** `/status` changes status, and metadata unless the kind keeps it. */
function keepAllButStatus(object: Full, old: Full): void {
  const fields = object as unknown as Record<string, unknown>
  const { status, metadata } = fields
  for (const key of Object.keys(fields)) delete fields[key]
  Object.assign(fields, old, { metadata })
  if (status === undefined) delete fields['status']
  else fields['status'] = status
}

function keepStatusMetadata({ strategy: { statusKeepsMetadata } }: KindRow, object: Full, old: Full): void {
  if (statusKeepsMetadata === undefined) return
  if (statusKeepsMetadata === true) return keepMetadata(object, old)
  const [meta, before] = [object.metadata as Record<string, unknown>, old.metadata as Record<string, unknown>]
  for (const field of statusKeepsMetadata) {
    if (before[field] === undefined) delete meta[field]
    else meta[field] = before[field]
  }
}

/** All of metadata but managedFields, which tell of the status. */
export function keepMetadata(object: Full, old: Full): void {
  const { managedFields } = object.metadata
  object.metadata = { ...old.metadata }
  if (managedFields) object.metadata.managedFields = managedFields
  else delete object.metadata.managedFields
}

/** Deletion was asked for, its grace is over and nobody holds it any more. */
function isDone(object: Full, old: Full): boolean {
  const { deletionTimestamp, deletionGracePeriodSeconds } = old.metadata
  return deletionTimestamp !== undefined && (deletionGracePeriodSeconds ?? 0) === 0 && (object.metadata.finalizers ?? []).length === 0
}

function isUnchanged(object: Full, old: Full): boolean {
  const bare = (o: Full): unknown => ({ ...o, metadata: { ...o.metadata, managedFields: undefined, resourceVersion: undefined } })
  return equalJson(bare(object), bare(old)) && sameButTimes(object.metadata.managedFields, old.metadata.managedFields)
}
