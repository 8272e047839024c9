/** Claims that pods use outlive their deletion until the last of those pods is gone (finalizer kubernetes.io/pvc-protection). */
import { keyOf, PERSISTENT_VOLUME_CLAIMS, PODS, type KubeObject, type PersistentVolumeClaim, type Pod, type Stored } from '#api/types/index.ts'
import type { ControllerFactory } from '../controller.ts'
import { protectionLoop } from '../protection-finalizer.ts'
import { claimsUsed } from './uses.ts'

const BY_CLAIM = 'pvc-protection/claim'

export const pvcProtectionController: ControllerFactory = (deps) => {
  const { client, informers } = deps
  const claims = informers.of<PersistentVolumeClaim>(PERSISTENT_VOLUME_CLAIMS)
  const pods = informers.of<Pod>(PODS, { indexes: { [BY_CLAIM]: claimsUsed } })
  const uses = (pod: Stored<Pod>, claim: Stored<KubeObject>): boolean => claimsUsed(pod).includes(keyOf(claim))
  const loop = protectionLoop({
    name: 'persistentvolumeclaim-protection-controller', ref: PERSISTENT_VOLUME_CLAIMS, finalizer: 'kubernetes.io/pvc-protection',
    get: (key) => claims.get(key),
    isUsed: (claim) => pods.byIndex(BY_CLAIM, keyOf(claim)).length > 0,
    isStillUsed: async (claim, signal) => (await client.list<Pod>(PODS, { namespace: claim.metadata.namespace ?? '' }, signal)).items.some((pod) => uses(pod, claim)),
  }, deps)
  claims.onChange((_, after) => { if (after) loop.queue.add(keyOf(after)) })
  pods.onChange((before, after) => {
    if (!before) return
    const still = new Set(after ? claimsUsed(after) : [])
    for (const key of claimsUsed(before)) if (!still.has(key)) loop.queue.add(key)
  })
  return { name: 'persistentvolumeclaim-protection-controller', run: (signal) => loop.run(signal) }
}
