/** From a pod's claim to the PersistentVolume that stands for it, with upstream's checks and words (desired_state_of_world_populator). */
import { PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES, type Node, type PersistentVolume, type PersistentVolumeClaim, type Pod, type Stored, type Volume } from '#api/types/index.ts'
import { matchesNodeSelector } from '#api/types/node-selector.ts'
import { CodedError } from '#base/errors.ts'
import type { ObjectSource } from '../objects.ts'
import { VolumeStepError } from './volume-error.ts'

export interface Claimed { pv: Stored<PersistentVolume>; claim: Stored<PersistentVolumeClaim>; readonly: boolean }

/** Undefined: the volume claims nothing. */
export const claimName = (pod: Stored<Pod>, volume: Volume): string | undefined => volume.persistentVolumeClaim?.claimName ?? (volume.ephemeral && `${pod.metadata.name}-${volume.name}`)

const refuse = (message: string): never => { throw new CodedError('VOLUME_CLAIM', message) }

export async function resolveClaim(pod: Stored<Pod>, volume: Volume, name: string, deps: { objects: ObjectSource; node: () => Stored<Node> | undefined }): Promise<Claimed> {
  const { uid, namespace = '' } = pod.metadata
  const about = `error processing PVC ${namespace}/${name}:`
  const claim = await deps.objects.read<PersistentVolumeClaim>(PERSISTENT_VOLUME_CLAIMS, uid, namespace, name)
  if (!claim) return refuse(`${about} failed to fetch PVC from API server: persistentvolumeclaims "${name}" not found`)
  // Protected, it stays until its pods are gone.
  if (claim.metadata?.deletionTimestamp !== undefined && !claim.metadata.finalizers?.includes('kubernetes.io/pvc-protection')) refuse(`${about} PVC is being deleted`)
  const pvName = claim.spec?.volumeName ?? ''
  if (claim.status?.phase !== 'Bound') refuse(`${about} PVC is not bound`)
  if (pvName === '') refuse(`${about} PVC has empty pvc.Spec.VolumeName`)
  if (volume.ephemeral && !claim.metadata?.ownerReferences?.some((o) => o.controller && o.uid === uid)) refuse(`PVC ${namespace}/${name} was not created for pod ${namespace}/${pod.metadata.name} (pod is not owner)`)
  const pv = await deps.objects.read<PersistentVolume>(PERSISTENT_VOLUMES, uid, '', pvName)
  if (!pv) return refuse(`${about} failed to fetch PV ${pvName} from API server: persistentvolumes "${pvName}" not found`)
  const found = `found PV object ${pvName} but`
  if (!pv.spec?.claimRef) return refuse(`${about} ${found} it has a nil pv.Spec.ClaimRef indicating it is not yet bound to the claim`)
  if (pv.spec.claimRef.uid !== claim.metadata?.uid) refuse(`${about} ${found} its pv.Spec.ClaimRef.UID ${pv.spec.claimRef.uid ?? ''} does not point to claim.UID ${claim.metadata?.uid ?? ''}`)
  const mode = pv.spec?.volumeMode ?? 'Filesystem'
  if (mode !== 'Filesystem' && isNamed(pod, volume, 'volumeMounts')) refuse(`volume ${volume.name} has volumeMode ${mode}, but is specified in volumeMounts`)
  if (mode !== 'Block' && isNamed(pod, volume, 'volumeDevices')) refuse(`volume ${volume.name} has volumeMode ${mode}, but is specified in volumeDevices`)
  const node = deps.node()
  const required = pv.spec?.nodeAffinity?.required
  if (required && node && !matchesNodeSelector(required, node)) throw new VolumeStepError('NodeAffinity check', pvName, new CodedError('VOLUME_AFFINITY', 'no matching NodeSelectorTerms'))
  return { pv: pv as Stored<PersistentVolume>, claim: claim as Stored<PersistentVolumeClaim>, readonly: volume.persistentVolumeClaim?.readOnly ?? false }
}

/** Whether a container of the pod has it there. */
export function isNamed({ spec }: Pod, { name }: Volume, where: 'volumeMounts' | 'volumeDevices'): boolean {
  return [...(spec?.initContainers ?? []), ...(spec?.containers ?? []), ...(spec?.ephemeralContainers ?? [])].some((c) => c[where]?.some((each) => each.name === name))
}
