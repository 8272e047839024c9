/** matchPolicy Equivalent: other groups and versions in which the same stored object is served, and the object in their form. */
import type { KubeObject } from '#api/types/index.ts'
import type { KindRow, StoredForm } from '../kind.ts'
import type { Rows } from '../rows.ts'
import { decodeStored, encodeFree } from '../storage/bytes.ts'
import { namesOf, scopeOf } from '../verbs/call.ts'
import type { Full } from '../verbs/stored.ts'

/** Without the row itself. */
export function equivalentRows(rows: Rows, row: KindRow, subresource: string): KindRow[] {
  const { group, resource } = scopeOf(row)
  return rows.all.filter((other) => {
    const scope = scopeOf(other)
    return other !== row && scope.group === group && scope.resource === resource && (subresource === '' || other.subresources.includes(subresource))
  })
}

/** Versions of a custom resource may be converted by a webhook: rejects when that fails. */
export async function convertBetween(from: KindRow, to: KindRow, object: KubeObject): Promise<KubeObject> {
  if (from.custom && to.custom) return convertCustom(from.custom.form, to.custom.form, to, object as Full)
  const { storedAs } = from
  const stored = (storedAs ? { metadata: object.metadata, ...storedAs.toStored(object) } : object) as Full
  const shown = to.storedAs ? { metadata: stored.metadata, ...to.storedAs.fromStored(stored) } : stored
  return { ...shown, ...namesOf(to) }
}

/** By way of what would be stored. The resourceVersion, which is not, stays. */
async function convertCustom(from: StoredForm, to: StoredForm, row: KindRow, object: Full): Promise<KubeObject> {
  const stored = await from.write(encodeFree(object))
  const [value = stored] = await to.read([stored])
  const { resourceVersion } = object.metadata
  const { metadata: { resourceVersion: _none, ...metadata }, ...rest } = decodeStored(value, namesOf(row), 0)
  return { ...rest, metadata: { ...metadata, ...(resourceVersion !== undefined && { resourceVersion }) } }
}
