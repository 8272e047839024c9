/** Whether a write says nothing but that its writer is alive. */
import type { KubeObject } from '#api/types/index.ts'
import { equalJson } from '../storage/equal.ts'

/** `bare`: the object without the times that do not count. When a manager wrote last does not either. */
export function isSameBut<T extends KubeObject>(old: T | undefined, object: T, bare: (object: T) => object): boolean {
  if (!old) return false
  const rest = (o: T): object => ({ ...bare(o), metadata: { ...o.metadata, resourceVersion: undefined, managedFields: o.metadata?.managedFields?.map((m) => ({ ...m, time: undefined })) } })
  return equalJson(rest(old), rest(object))
}
