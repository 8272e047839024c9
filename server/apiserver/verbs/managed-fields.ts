/** metadata.managedFields on every write: who set which field. */
import { apiVersionOf, type ObjectMeta } from '#api/types/index.ts'
import { trackUpdate } from '../patch/apply/track-update.ts'
import { isObject } from '../patch/result.ts'
import { equalJson } from '../storage/equal.ts'
import { typesOf, type Call } from './call.ts'
import type { WriteOptions } from './options.ts'
import type { Full } from './stored.ts'

type ManagedFields = ObjectMeta['managedFields']

/**
 * Writes managedFields into `object` for a create (old undefined) or an update: what differs from `old` is the
 * manager's from now on. After defaults, before mutating admission, as upstream's.
 */
export function ownFields(call: Call, old: Full | undefined, object: Full, options: WriteOptions): void {
  const { row, info, parts } = call
  trackUpdate({
    live: old, next: object, manager: options.fieldManager, subresource: info.subresource, apiVersion: apiVersionOf(row.ref),
    nowMs: parts.clock.nowMs(), schema: typesOf(row), model: row.model, hasStatus: row.subresources.includes('status'), statusKeepsMetadata: row.strategy.statusKeepsMetadata !== undefined, reset: row.strategy.resetThrough?.[info.subresource],
    specIsOwnerless: row.strategy.specIsOwnerless ?? false, scalesToNothing: row.scale !== undefined && info.subresource === 'scale' && readPath(object, row.scale.specPath) === 0,
  })
}

/** `.spec.replicas` */
function readPath(object: unknown, path: string): unknown {
  return path.split('.').filter((step) => step !== '').reduce((at, step) => (isObject(at) ? at[step] : undefined), object)
}

/** Equal but for when: such a write changes nothing. */
export function sameButTimes(a: ManagedFields, b: ManagedFields): boolean {
  const bare = (fields: ManagedFields): unknown => (fields ?? []).map((f) => ({ ...f, time: undefined }))
  return equalJson(bare(a), bare(b))
}
