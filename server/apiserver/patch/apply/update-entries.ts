/** managedFields as stored, after an ordinary write: entries that it does not touch are not read, and what its own manager had is added to, not made anew. */
import type { ManagedFieldsEntry } from '#api/types/index.ts'
import { hasAny, toFieldsV1, withMembers, type FieldSet, type FieldsV1 } from './field-set.ts'
import { compareEntries, disown, entryOf, formatManagedFields, ownerId, parseManagedFields, UPDATE_MANAGERS_MAX, type Owner } from './managed-fields.ts'

/** More may have to be merged into one. */
export const canUpdateEntries = (entries: readonly ManagedFieldsEntry[]): boolean => entries.length < UPDATE_MANAGERS_MAX

/** `entries`: as they were stored, one of each owner. `self`: who takes `taken`; undefined where that is nothing. */
export function updateEntries(entries: readonly ManagedFieldsEntry[], taken: FieldSet, removed: FieldSet, self: Owner | undefined): ManagedFieldsEntry[] {
  const selfId = self && ownerId(self)
  const updated: ManagedFieldsEntry[] = []
  let isKnown = false
  for (const entry of entries) {
    const fields = (entry.fieldsV1 ?? {}) as FieldsV1
    const isSelf = self !== undefined && ownerId(ownerOf(entry)) === selfId
    if (isSelf) isKnown = true
    const isTouched = hasAny(fields, removed) || (!isSelf && hasAny(fields, taken))
    if (isTouched) {
      const owners = parseManagedFields([entry]) ?? new Map<string, Owner>()
      disown(owners, taken, removed)
      const [left] = formatManagedFields(owners)
      if (isSelf) updated.push(entryOf(self, left ? withMembers(left.fieldsV1 as FieldsV1, taken) : toFieldsV1(taken)))
      else if (left) updated.push(left)
    } else updated.push(isSelf ? entryOf(self, withMembers(fields, taken)) : entry)
  }
  if (self && !isKnown) updated.push(...formatManagedFields(new Map([['', self]])))
  return updated.sort(compareEntries)
}

function ownerOf({ manager = '', operation, apiVersion = '', subresource = '' }: ManagedFieldsEntry): Pick<Owner, 'manager' | 'operation' | 'apiVersion' | 'subresource'> {
  return { manager, operation: operation as Owner['operation'], apiVersion, subresource }
}
