/** Volumes that are bound to a claim outlive their deletion until they are free (finalizer kubernetes.io/pv-protection). */
import { PERSISTENT_VOLUMES, type PersistentVolume } from '#api/types/index.ts'
import type { ControllerFactory } from '../controller.ts'
import { protectionLoop } from '../protection-finalizer.ts'

export const pvProtectionController: ControllerFactory = (deps) => {
  const volumes = deps.informers.of<PersistentVolume>(PERSISTENT_VOLUMES)
  const loop = protectionLoop({
    name: 'persistentvolume-protection-controller', ref: PERSISTENT_VOLUMES, finalizer: 'kubernetes.io/pv-protection',
    get: (name) => volumes.get(name),
    isUsed: (volume) => (volume as PersistentVolume).status?.phase === 'Bound',
  }, deps)
  volumes.onChange((_, after) => { if (after) loop.queue.add(after.metadata.name) })
  return { name: 'persistentvolume-protection-controller', run: (signal) => loop.run(signal) }
}
