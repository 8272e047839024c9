/** Reading and writing one object of a row: the only place where verbs meet the store. */
import type { ApiResponse } from '#api/client/transport.ts'
import { apiVersionOf, type KubeObject, type ObjectMeta } from '#api/types/index.ts'
import { CodedError } from '#base/errors.ts'
import type { Durability, KeyValue, Op, Revision } from '#server/store/store.ts'
import { insufficientStorage, internal, notFound, outcomeUnknown, StatusError, unavailable, unexplained } from '../http/status.ts'
import { JSON_TYPE, jsonResponse } from '../http/response.ts'
import { decodeStored, encodeFree, encodeStored, objectStart, spliceObject } from '../storage/bytes.ts'
import { storageKey } from '../storage/keys.ts'
import type { KindRow, Reservation, StoredForm } from '../kind.ts'
import type { Entry } from '../watch/kind-cache.ts'
import { namesOf, scopeOf, type Call, type Parts } from './call.ts'

/** An object that came from the store or is about to go there. */
export type Full = KubeObject & { metadata: ObjectMeta }

export interface Held {
  kv: KeyValue
  /** A fresh copy, the caller's to change. */
  object: Full
}

export async function readKey(parts: Parts, row: KindRow, namespace: string, name: string): Promise<KeyValue | undefined> {
  return readStored(parts, row, storageKey(scopeOf(row), namespace, name))
}

/** The value in the row's form. */
export async function readStored(parts: Parts, row: KindRow, key: string): Promise<KeyValue | undefined> {
  return inForm(row, await parts.store.get(key))
}

async function inForm(row: KindRow, kv: KeyValue | undefined): Promise<KeyValue | undefined> {
  if (!row.custom || !kv) return kv
  const { form } = row.custom
  const [value = kv.value] = await form.read([kv.value])
  const stale = kv.stale === true || form.isOutdated(kv.value)
  return value === kv.value && !stale ? kv : { ...kv, value, ...(stale && { stale }) }
}

/** Throws 404. */
export async function readHeld(call: Call): Promise<Held> {
  const kv = await readKey(call.parts, call.row, call.info.namespace, call.info.name)
  if (!kv) throw notFound(call.row.ref, call.info.name)
  return { kv, object: decodeHeld(call.row, kv) }
}

export function decodeHeld(row: KindRow, kv: Pick<KeyValue, 'value' | 'modRevision'>): Full {
  return viewed(row, decodeStored(kv.value, storedNames(row), kv.modRevision))
}

/** Kind and apiVersion of what is stored for the row. */
export const storedNames = (row: KindRow): { kind: string; apiVersion: string } => (row.storedAs ? { kind: row.storedAs.ref.kind, apiVersion: apiVersionOf(row.storedAs.ref) } : namesOf(row))

/** A stored object as the row shows it. */
export function viewed(row: KindRow, stored: Full): Full {
  return row.storedAs ? { metadata: stored.metadata, ...row.storedAs.fromStored(stored), ...namesOf(row) } : stored
}

/** An entry of the watch cache as the row shows it; a fresh copy. */
export const shown = (row: KindRow, entry: Entry): Full => viewed(row, decodeStored(entry.value, storedNames(row), entry.revision))

export type Written =
  | { ok: true; revision: Revision; value: Buffer }
  /** Someone else was faster; `current` is what is there now. */
  | { ok: false; current: KeyValue | undefined; /** Another key stood in the way, one of `also`. */ lost?: string }

/** As `storedResponse` takes it. */
export function valueOf({ storedAs, model, custom }: KindRow, object: Full): Buffer {
  return custom ? encodeFree(object) : storedAs ? encodeStored({ metadata: object.metadata, ...storedAs.toStored(object) }, storedAs.model) : encodeStored(object, model)
}

/** What one request may carry: many patches could make an object of any size. */
const OBJECT_BYTES_MAX = 3 * 1024 * 1024

/** Puts `object`, asserting what is there (undefined: nothing). A dry run looks, but does not write. What is returned holds the object no longer. */
export function put(call: Call, key: string, object: Full, over: KeyValue | undefined, dryRun: boolean, also?: Reservation['also']): Promise<Written> {
  const value = valueOf(call.row, object)
  if (value.length > OBJECT_BYTES_MAX) throw unexplained(`etcdserver: request is too large: ${call.row.ref.kind} ${object.metadata.name ?? ''} would have ${value.length} bytes, the limit is ${OBJECT_BYTES_MAX}`)
  if (dryRun) return putDry(call, key, value, over)
  return putValue(call, key, value, over, call.row.durability?.(object, () => over && decodeHeld(call.row, over)), also)
}

async function putDry(call: Call, key: string, value: Buffer, over: KeyValue | undefined): Promise<Written> {
  const current = await readStored(call.parts, call.row, key)
  if (current?.modRevision !== over?.modRevision) return { ok: false, current }
  // There and back again, as if it were written: a conversion webhook that fails does so now.
  const { custom } = call.row
  return { ok: true, revision: over?.modRevision ?? 0, value: custom ? await readBack(custom.form, await custom.form.write(value), value) : value }
}

async function putValue(call: Call, key: string, value: Buffer, over: KeyValue | undefined, durability: Durability | undefined, also: Reservation['also']): Promise<Written> {
  const { custom } = call.row
  const stored = custom ? await custom.form.write(value) : value
  const result = await commit(call, key, { kind: 'put', key, value: stored }, over?.modRevision ?? 0, durability, also)
  if (!result.ok) return result
  return { ok: true, revision: result.revision, value: custom ? await readBack(custom.form, stored, value) : value }
}

/** Another version's own defaults show in the answer, too: it is what a read would be. */
async function readBack(form: StoredForm, stored: Buffer, value: Buffer): Promise<Buffer> {
  const [shown = value] = await form.read([stored])
  return shown
}

/** Removes what `over` is. */
export async function remove(call: Call, over: KeyValue, object: Full, dryRun: boolean): Promise<{ ok: true; revision: Revision } | { ok: false; current: KeyValue | undefined }> {
  if (dryRun) return { ok: true, revision: over.modRevision }
  const { allocator } = call.row
  const held = allocator && decodeHeld(call.row, over)
  const also = held && { compare: [], ops: allocator.alsoRemoved?.(held) ?? [] }
  const gone = await commit(call, over.key, { kind: 'delete', key: over.key }, over.modRevision, call.row.durability?.(object, nothing), also)
  if (gone.ok && held) allocator.release(held)
  return gone
}

async function commit(call: Call, key: string, op: Op, modRevision: Revision, durability: Durability = 'synced', also?: Reservation['also']): Promise<{ ok: true; revision: Revision } | { ok: false; current: KeyValue | undefined; lost?: string }> {
  const result = await call.parts.store.txn({ compare: [{ key, modRevision }, ...(also?.compare ?? [])], ops: [op, ...(also?.ops ?? [])], ...(durability !== 'synced' && { durability }) })
  if (!result.ok && result.key !== key) return { ok: false, current: undefined, lost: result.key }
  return result.ok ? { ok: true, revision: result.revision } : { ok: false, current: await inForm(call.row, result.current) }
}

const nothing = (): undefined => undefined

/** The answer to a single-object request, spliced from stored bytes. */
export function storedResponse(row: KindRow, value: Buffer, revision: Revision, status = 200): ApiResponse {
  if (row.storedAs) {
    const stored = decodeStored(value, storedNames(row), revision)
    // What was not written has none.
    if (revision === 0) Reflect.deleteProperty(stored.metadata, 'resourceVersion')
    return jsonResponse(viewed(row, stored), status)
  }
  return { status, headers: { 'content-type': JSON_TYPE }, body: spliceObject(objectStart(namesOf(row)), value, revision) }
}

/** The same from the watch cache. The row is no view. */
export function entryResponse(row: KindRow, entry: Entry): ApiResponse {
  return { status: 200, headers: { 'content-type': JSON_TYPE }, body: spliceObject(objectStart(namesOf(row)), entry.value, entry.revision) }
}

/** A store's failure as clients are to see it; undefined: not a store's failure. */
export function storeFailure(error: unknown): StatusError | undefined {
  if (!(error instanceof CodedError)) return undefined
  switch (error.code) {
    case 'STORE_READ_ONLY': return insufficientStorage(error.message)
    // No time is named: clients would try again by themselves what may have happened.
    case 'STORE_UNAVAILABLE': return unavailable(error.message)
    case 'STORE_UNKNOWN': return outcomeUnknown(error.message)
    case 'STORE_CLOSED': return unavailable(error.message, 1)
    case 'STORE_CORRUPT': case 'UNTRANSFORMABLE': case 'KMS_UNAVAILABLE': return internal(error.message)
    default: return undefined
  }
}
