/** Volume attributes classes that claims or volumes name outlive their deletion until nobody does (finalizer kubernetes.io/vac-protection). */
import { PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES, type PersistentVolume, type PersistentVolumeClaim, type ResourceRef, type Stored, type VolumeAttributesClass } from '#api/types/index.ts'
import type { ControllerFactory } from '../controller.ts'
import { protectionLoop } from '../protection-finalizer.ts'

const VOLUME_ATTRIBUTES_CLASSES: ResourceRef = { group: 'storage.k8s.io', version: 'v1', resource: 'volumeattributesclasses', kind: 'VolumeAttributesClass', namespaced: false }
const BY_CLASS = 'vac-protection/class'

const named = (...names: (string | undefined)[]): string[] => [...new Set(names.flatMap((name) => (name ? [name] : [])))]
const classesOfClaim = ({ spec, status }: Stored<PersistentVolumeClaim>): string[] => named(spec?.volumeAttributesClassName, status?.currentVolumeAttributesClassName, status?.modifyVolumeStatus?.targetVolumeAttributesClassName)
const classesOfVolume = ({ spec }: Stored<PersistentVolume>): string[] => named(spec?.volumeAttributesClassName)

export const vacProtectionController: ControllerFactory = (deps) => {
  const { informers } = deps
  const classes = informers.of<VolumeAttributesClass>(VOLUME_ATTRIBUTES_CLASSES)
  const claims = informers.of<PersistentVolumeClaim>(PERSISTENT_VOLUME_CLAIMS, { indexes: { [BY_CLASS]: classesOfClaim } })
  const volumes = informers.of<PersistentVolume>(PERSISTENT_VOLUMES, { indexes: { [BY_CLASS]: classesOfVolume } })
  const loop = protectionLoop({
    name: 'volumeattributesclass-protection-controller', ref: VOLUME_ATTRIBUTES_CLASSES, finalizer: 'kubernetes.io/vac-protection',
    get: (name) => classes.get(name),
    isUsed: ({ metadata }) => claims.byIndex(BY_CLASS, metadata.name).length > 0 || volumes.byIndex(BY_CLASS, metadata.name).length > 0,
  }, deps)
  classes.onChange((_, after) => { if (after) loop.queue.add(after.metadata.name) })
  claims.onChange((before) => { for (const name of before ? classesOfClaim(before) : []) loop.queue.add(name) })
  volumes.onChange((before) => { for (const name of before ? classesOfVolume(before) : []) loop.queue.add(name) })
  return { name: 'volumeattributesclass-protection-controller', run: (signal) => loop.run(signal) }
}
