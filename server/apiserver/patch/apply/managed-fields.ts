/**
 * metadata.managedFields as data and back: who owns which fields, since when. Identity of an entry is upstream's:
 * manager, operation, subresource, and for updates the API version.
 */
import type { ManagedFieldsEntry } from '#api/types/index.ts'
import { difference, intersection, isEmptySet, parseFieldsV1, recursiveDifference, emptySet, insertPath, toFieldsV1, union, type FieldSet, type FieldsV1 } from './field-set.ts'

export interface Owner {
  manager: string
  operation: 'Apply' | 'Update'
  apiVersion: string
  subresource: string
  /** RFC 3339; '' when unknown. */
  time: string
  set: FieldSet
}

/** By `ownerId`. */
export type Owners = Map<string, Owner>

/** Updates from more managers than this are merged, oldest first, into `ancient-changes`. */
export const UPDATE_MANAGERS_MAX = 10
const ANCIENT = 'ancient-changes'

export function ownerId(owner: Pick<Owner, 'manager' | 'operation' | 'apiVersion' | 'subresource'>): string {
  return JSON.stringify([owner.manager, owner.operation, owner.operation === 'Apply' ? '' : owner.apiVersion, owner.subresource])
}

/** Undefined when some entry is malformed: upstream then falls back to the live object's. Of entries of one owner the last one counts. */
export function parseManagedFields(entries: readonly ManagedFieldsEntry[] | undefined): Owners | undefined {
  const parsed = readManagedFields(entries)
  return typeof parsed === 'string' ? undefined : parsed
}

/** What is wrong with the entries, in upstream's words; undefined: nothing. */
export function managedFieldsProblem(entries: readonly ManagedFieldsEntry[] | undefined): string | undefined {
  const parsed = readManagedFields(entries)
  return typeof parsed === 'string' ? parsed : undefined
}

function readManagedFields(entries: readonly ManagedFieldsEntry[] | undefined): Owners | string {
  const owners: Owners = new Map()
  for (const [i, entry] of (entries ?? []).entries()) {
    const { manager = '', operation, apiVersion = '', subresource = '', time = '', fieldsType = '' } = entry
    if (operation !== 'Apply' && operation !== 'Update') return 'operation must be `Apply` or `Update`'
    if (apiVersion === '') return 'apiVersion must not be empty'
    if (fieldsType === '') return `missing fieldsType in managed fields entry ${i}`
    if (fieldsType !== 'FieldsV1') return `invalid fieldsType ${JSON.stringify(fieldsType)} in managed fields entry ${i}`
    const set = parseFieldsV1(entry.fieldsV1 ?? {})
    if (!set) return `error decoding versioned set of managed fields entry ${i}`
    const owner: Owner = { manager, operation, apiVersion, subresource, time, set }
    owners.set(ownerId(owner), owner)
  }
  return owners
}

/** Takes fields away from all owners. Changes `owners`. */
export function disown(owners: Owners, taken: FieldSet, removed: FieldSet, except?: string): void {
  for (const [id, owner] of owners) {
    if (id === except) continue
    const lost = intersection(owner.set, taken)
    const set = difference(isEmptySet(lost) ? owner.set : difference(owner.set, lost), removed)
    if (isEmptySet(set)) owners.delete(id)
    else owners.set(id, { ...owner, set })
  }
}

/** An empty list, or a single empty entry, asks for managedFields to be dropped altogether. */
export function asksForReset(entries: readonly ManagedFieldsEntry[] | undefined): boolean {
  return entries?.length === 0 || (entries?.length === 1 && Object.keys(entries[0] ?? {}).length === 0)
}

/** Entries that own nothing are left out; order as upstream's. */
export function formatManagedFields(owners: Owners): ManagedFieldsEntry[] {
  return [...owners.values()].filter((owner) => !isEmptySet(owner.set)).map((owner) => entryOf(owner, toFieldsV1(owner.set))).sort(compareEntries)
}

export function entryOf({ manager, operation, apiVersion, time, subresource }: Omit<Owner, 'set'>, fieldsV1: FieldsV1): ManagedFieldsEntry {
  return { apiVersion, fieldsType: 'FieldsV1', fieldsV1, manager, operation, ...(subresource !== '' && { subresource }), ...(time !== '' && { time }) }
}

export function compareEntries(a: ManagedFieldsEntry, b: ManagedFieldsEntry): number {
  return compare(a.operation, b.operation) || compare(a.time, b.time) || compare(a.manager, b.manager) || compare(a.apiVersion, b.apiVersion) || compare(a.subresource, b.subresource)
}

const compare = (a = '', b = ''): number => (a < b ? -1 : a > b ? 1 : 0)

/** Changes `owners`. */
export function capUpdateManagers(owners: Owners): void {
  if (owners.size <= UPDATE_MANAGERS_MAX) return
  const updaters = [...owners].filter(([, owner]) => owner.operation === 'Update').toSorted(([idA, a], [idB, b]) => compare(a.time, b.time) || compare(idA, idB))
  let count = updaters.length
  const firstOfVersion = new Map<string, string>()
  for (const [id, owner] of updaters) {
    if (count <= UPDATE_MANAGERS_MAX) return
    const first = firstOfVersion.get(owner.apiVersion)
    if (first === undefined) {
      firstOfVersion.set(owner.apiVersion, id)
      continue
    }
    const bucket: Owner = { manager: ANCIENT, operation: 'Update', apiVersion: owner.apiVersion, subresource: '', time: owner.time, set: owner.set }
    const bucketId = ownerId(bucket)
    const held = owners.get(bucketId) ?? owners.get(first)
    if (!owners.has(bucketId)) owners.delete(first)
    owners.delete(id)
    owners.set(bucketId, held ? { ...bucket, set: union(owner.set, held.set) } : bucket)
    count--
  }
}

/** What nobody owns, of an object and of its metadata. */
export const UNOWNED_NAMES: ReadonlySet<string> = new Set(['apiVersion', 'kind'])
export const UNOWNED_METADATA: ReadonlySet<string> = new Set(['name', 'namespace', 'creationTimestamp', 'selfLink', 'uid', 'clusterName', 'generation', 'managedFields', 'resourceVersion'])

const UNOWNED: FieldSet = (() => {
  const set = emptySet()
  for (const name of UNOWNED_NAMES) insertPath(set, [`f:${name}`])
  for (const name of UNOWNED_METADATA) insertPath(set, ['f:metadata', `f:${name}`])
  return set
})()
const STATUS: FieldSet = (() => { const set = emptySet(); insertPath(set, ['f:status']); return set })()
const SPEC: FieldSet = (() => { const set = emptySet(); insertPath(set, ['f:spec']); return set })()
const METADATA: FieldSet = (() => { const set = emptySet(); insertPath(set, ['f:metadata']); return set })()
/** Of what is called `a.b`. */
export function fieldSetOf(...paths: readonly string[]): FieldSet {
  const set = emptySet()
  for (const path of paths) insertPath(set, path.split('.').map((name) => `f:${name}`))
  return set
}

/** What is written to: see TrackUpdate. */
export interface Endpoint { subresource: string; hasStatus: boolean; statusKeepsMetadata: boolean; /** What a write here leaves as it is. */ reset?: FieldSet | undefined; /** Nobody's, wherever it is written. */ specIsOwnerless?: boolean }

/** Drops what nobody owns, and what this endpoint does not write although the object sent has it. */
export function ownable(set: FieldSet, endpoint: Endpoint): FieldSet {
  const sent = endpoint.specIsOwnerless ? recursiveDifference(set, SPEC) : set
  const owned = recursiveDifference(endpoint.reset ? recursiveDifference(sent, endpoint.reset) : sent, UNOWNED)
  // `metadata` itself is no field of anybody's.
  const metadata = owned.children.get('f:metadata')
  const fields = metadata?.own ? { own: owned.own, children: new Map(owned.children).set('f:metadata', { own: false, children: metadata.children }) } : owned
  if (!endpoint.hasStatus) return fields
  if (endpoint.subresource === '') return recursiveDifference(fields, STATUS)
  if (endpoint.subresource !== 'status') return fields
  const written = recursiveDifference(fields, SPEC)
  return endpoint.statusKeepsMetadata ? recursiveDifference(written, METADATA) : written
}
