/** matchPolicy Equivalent: other groups and versions in which the same stored object is served, and the object in their form. */
import type { KubeObject } from '#api/types/index.ts'
import type { KindRow } from '../kind.ts'
import type { Rows } from '../rows.ts'
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

/** A promise because versions of custom resources may be converted by a webhook. */
export async function convertBetween(from: KindRow, to: KindRow, object: KubeObject): Promise<KubeObject> {
  const { storedAs } = from
  const stored = (storedAs ? { metadata: object.metadata, ...storedAs.toStored(object) } : object) as Full
  const shown = to.storedAs ? { metadata: stored.metadata, ...to.storedAs.fromStored(stored) } : stored
  return { ...shown, ...namesOf(to) }
}
