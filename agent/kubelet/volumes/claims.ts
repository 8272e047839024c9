/** From a pod's claim to the PersistentVolume that stands for it, with upstream's checks and words (desired_state_of_world_populator). */
import { PERSISTENT_VOLUME_CLAIMS, PERSISTENT_VOLUMES, type Node, type PersistentVolume, type PersistentVolumeClaim, type Pod, type Stored, type Volume } from '#api/types/index.ts'
import { matchesNodeSelector } from '#api/types/node-selector.ts'
import { CodedError } from '#base/errors.ts'
import type { ObjectSource } from '../objects.ts'

export interface Claimed { pv: Stored<PersistentVolume>; claim: Stored<PersistentVolumeClaim>; readonly: boolean }

/** Undefined: the volume claims nothing. */
export const claimName = (pod: Stored<Pod>, volume: Volume): string | undefined => volume.persistentVolumeClaim?.claimName ?? (volume.ephemeral && `${pod.metadata.name}-${volume.name}`)

const refuse = (message: string): never => { throw new CodedError('VOLUME_CLAIM', message) }

export async function resolveClaim(pod: Stored<Pod>, volume: Volume, name: string, deps: { objects: ObjectSource; node: () => Stored<Node> | undefined }): Promise<Claimed> {
  const { uid, namespace = '' } = pod.metadata
  const about = `error processing PVC ${namespace}/${name}:`
  const claim = await deps.objects.read<PersistentVolumeClaim>(PERSISTENT_VOLUME_CLAIMS, uid, namespace, name)
  if (!claim) return refuse(`${about} failed to fetch PVC from API server: persistentvolumeclaims "${name}" not found`)
  if (claim.metadata?.deletionTimestamp !== undefined && !isMounted(pod)) refuse(`${about} PVC is being deleted`)
  if (volume.ephemeral && !claim.metadata?.ownerReferences?.some((o) => o.controller && o.uid === uid)) refuse(`${about} PVC ${namespace}/${name} was not created for pod ${namespace}/${pod.metadata.name} (pod is not owner)`)
  const pvName = claim.spec?.volumeName ?? ''
  if (claim.status?.phase !== 'Bound' || pvName === '') refuse(`${about} PVC is not bound`)
  const pv = await deps.objects.read<PersistentVolume>(PERSISTENT_VOLUMES, uid, '', pvName)
  if (!pv) return refuse(`${about} failed to fetch PV ${pvName} from API server: persistentvolumes "${pvName}" not found`)
  if (pv.spec?.claimRef?.uid !== claim.metadata?.uid) refuse(`${about} PV ${pvName} spec.claimRef.uid "${pv.spec?.claimRef?.uid ?? ''}" does not equal pvc.UID "${claim.metadata?.uid ?? ''}"`)
  const mode = pv.spec?.volumeMode ?? 'Filesystem'
  if (mode !== 'Filesystem' && isNamed(pod, volume, 'volumeMounts')) refuse(`volume ${volume.name} has volumeMode ${mode}, but is specified in volumeMounts`)
  if (mode !== 'Block' && isNamed(pod, volume, 'volumeDevices')) refuse(`volume ${volume.name} has volumeMode ${mode}, but is specified in volumeDevices`)
  const node = deps.node()
  const required = pv.spec?.nodeAffinity?.required
  if (required && node && !matchesNodeSelector(required, node)) refuse(`MountVolume.NodeAffinity check failed for volume "${pvName}" : no matching NodeSelectorTerms`)
  return { pv: pv as Stored<PersistentVolume>, claim: claim as Stored<PersistentVolumeClaim>, readonly: volume.persistentVolumeClaim?.readOnly ?? false }
}

/** A claim that goes while its pod runs stays until the pod is gone (PVC protection). */
const isMounted = (pod: Stored<Pod>): boolean => (pod.status?.containerStatuses ?? []).some((c) => c.state?.running !== undefined || c.state?.terminated !== undefined)

/** Whether a container of the pod has it there. */
export function isNamed({ spec }: Pod, { name }: Volume, where: 'volumeMounts' | 'volumeDevices'): boolean {
  return [...(spec?.initContainers ?? []), ...(spec?.containers ?? []), ...(spec?.ephemeralContainers ?? [])].some((c) => c[where]?.some((each) => each.name === name))
}
