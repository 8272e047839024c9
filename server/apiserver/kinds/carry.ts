/** What an update of the main resource keeps from what is stored. */
import type { KubeObject, ObjectMeta } from '#api/types/index.ts'
import { cloneJson } from '../storage/clone.ts'

type WithStatus = KubeObject & { status?: unknown }

/** Status belongs to the status subresource. */
export function keepStatus(object: WithStatus, old: WithStatus): void {
  if (old.status === undefined) delete object.status
  else object.status = cloneJson(old.status)
}

/** What upstream's ResetObjectMetaForStatus puts back, for `statusKeepsMetadata`. */
export const RESET_FOR_STATUS: readonly (keyof ObjectMeta)[] = ['deletionTimestamp', 'selfLink', 'labels', 'annotations', 'finalizers', 'ownerReferences']

type WithSpec = KubeObject & { spec?: unknown }

/** For `/status` of kinds whose status writers may change metadata too (nodes, pods). */
export function keepSpec(object: WithSpec, old: WithSpec): void {
  if (old.spec === undefined) delete object.spec
  else object.spec = cloneJson(old.spec)
}
