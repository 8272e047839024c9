/** What the three protection controllers share: an object that is used keeps its finalizer, one that is going and used by nobody loses it. */
import type { KubeObject, ResourceRef, Stored } from '#api/types/index.ts'
import { createLoop, type Loop } from '#base/reconcile/loop.ts'
import { nothing, type Decision } from '#base/reconcile/action.ts'
import { isOrdinary, type ControllerDeps } from './controller.ts'

export interface ProtectionView { object: Stored<KubeObject>; finalizer: string; isUsed: boolean }
export type ProtectionAction = { kind: 'add' } | { kind: 'remove' }

export function decideProtection({ object, finalizer, isUsed }: ProtectionView): Decision<ProtectionAction> {
  const { deletionTimestamp, finalizers } = object.metadata
  const has = finalizers?.includes(finalizer) ?? false
  // Made before there was protection, or by who took it off.
  if (deletionTimestamp === undefined) return has ? nothing('protected') : { actions: [{ kind: 'add' }], because: 'not protected yet' }
  if (!has) return nothing('not protected any more')
  return isUsed ? nothing('going, but still used') : { actions: [{ kind: 'remove' }], because: 'going, and used by nobody' }
}

export interface Protection {
  name: string
  ref: ResourceRef
  finalizer: string
  get: (key: string) => Stored<KubeObject> | undefined
  isUsed: (object: Stored<KubeObject>) => boolean
  /** Asks the API once more, as caches may lag: false gives the object up. Absent: the cache is enough. */
  isStillUsed?: (object: Stored<KubeObject>, signal: AbortSignal) => Promise<boolean>
}

export function protectionLoop({ name, ref, finalizer, get, isUsed, isStillUsed }: Protection, deps: ControllerDeps): Loop {
  const { client } = deps
  const write = async (object: Stored<KubeObject>, finalizers: string[], signal: AbortSignal) => {
    await client.update(ref, { ...object, metadata: { ...object.metadata, finalizers } }, { signal })
  }
  return createLoop<ProtectionView, ProtectionAction>({
    name,
    observe(key) {
      const object = get(key)
      return object && { object, finalizer, isUsed: object.metadata.deletionTimestamp !== undefined && isUsed(object) }
    },
    decide: decideProtection,
    effects: ({ object }) => ({
      add: (_, signal) => write(object, [...(object.metadata.finalizers ?? []), finalizer], signal),
      async remove(_, signal) {
        if (await isStillUsed?.(object, signal)) return
        await write(object, (object.metadata.finalizers ?? []).filter((f) => f !== finalizer), signal)
      },
    }),
    isOrdinary,
  }, deps)
}
