/**
 * Who set the replicas, seen through /scale: the object's managedFields as those of its Scale, and what an apply of the
 * Scale makes of them back in the object (upstream's ScaleHandler). Pure.
 */
import type { ManagedFieldsEntry } from '#api/types/index.ts'
import { difference, emptySet, hasPath, insertPath, isEmptySet, union, type FieldSet } from './field-set.ts'
import { formatManagedFields, ownerId, parseManagedFields, type Owner, type Owners } from './managed-fields.ts'

const SCALE_VERSION = 'autoscaling/v1'
const REPLICAS = ['f:spec', 'f:replicas']

type Entries = readonly ManagedFieldsEntry[] | undefined

/** `specPath` as a row has it: `.spec.replicas`. */
export const fieldPath = (specPath: string): string[] => specPath.split('.').filter((step) => step !== '').map((step) => `f:${step}`)

export function fieldsOfScale(entries: Entries, specPath: string): ManagedFieldsEntry[] {
  const owners: Owners = new Map()
  for (const owner of parseManagedFields(entries)?.values() ?? []) {
    if (!hasPath(owner.set, fieldPath(specPath))) continue
    const shown: Owner = { ...owner, apiVersion: SCALE_VERSION, set: setOf(REPLICAS) }
    owners.set(ownerId(shown), shown)
  }
  return formatManagedFields(owners)
}

/** `entries`: the object's before; `scale`: its Scale's after. */
export function fieldsOfScaled(entries: Entries, scale: Entries, specPath: string, apiVersion: string): ManagedFieldsEntry[] {
  const path = fieldPath(specPath)
  const holders = new Map<string, Owner>()
  for (const owner of parseManagedFields(scale)?.values() ?? []) if (hasPath(owner.set, REPLICAS)) holders.set(personOf(owner), owner)
  const owners: Owners = new Map()
  const put = (owner: Owner): void => {
    const id = ownerId(owner)
    const known = owners.get(id)
    if (!isEmptySet(owner.set)) owners.set(id, known ? { ...owner, set: union(known.set, owner.set) } : owner)
  }
  for (const owner of parseManagedFields(entries)?.values() ?? []) {
    const held = hasPath(owner.set, path)
    // Who has the replicas still keeps the entry as it is; who has lost them keeps the rest.
    if (held && !holders.delete(personOf(owner))) put({ ...owner, set: difference(owner.set, setOf(path)) })
    else put(owner)
  }
  for (const owner of holders.values()) put({ ...owner, apiVersion, set: setOf(path) })
  return formatManagedFields(owners)
}

/** One and the same in both, whatever the version. */
const personOf = ({ manager, operation, subresource }: Owner): string => JSON.stringify([manager, operation, subresource])

function setOf(path: readonly string[]): FieldSet {
  const set = emptySet()
  insertPath(set, path)
  return set
}
