/** metadata.managedFields on every write: who set which field. */
import type { ObjectMeta } from '#api/types/index.ts'
import { equalJson } from '../storage/equal.ts'
import type { Call } from './call.ts'
import type { WriteOptions } from './options.ts'
import type { Full } from './stored.ts'

type ManagedFields = ObjectMeta['managedFields']

/** Writes managedFields into `object` for a create (old undefined) or an update. */
export function ownFields(_call: Call, old: Full | undefined, object: Full, _options: WriteOptions): void {
  if (old?.metadata.managedFields) object.metadata.managedFields = old.metadata.managedFields
}

/** Equal but for when: such a write changes nothing. */
export function sameButTimes(a: ManagedFields, b: ManagedFields): boolean {
  const bare = (fields: ManagedFields): unknown => (fields ?? []).map((f) => ({ ...f, time: undefined }))
  return equalJson(bare(a), bare(b))
}
