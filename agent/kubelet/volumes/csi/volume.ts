/** A CSI volume of a pod, whether it comes from a PersistentVolume or stands in the pod itself. Pure. */
import { createHash } from 'node:crypto'
import type { CSIDriver, PersistentVolume, Pod, SecretReference, Stored, Volume } from '#api/types/index.ts'
import { CAPABILITY, type VolumeCapability } from './calls.ts'

export interface CsiVolume {
  driver: string
  handle: string
  /** Of its directory in the pod: the PersistentVolume's name, or the volume's. */
  specName: string
  /** It lives and dies with the pod. */
  isEphemeral: boolean
  /** A device, not a directory. */
  isBlock: boolean
  fsType: string
  mountOptions: readonly string[]
  accessModes: readonly string[]
  readonly: boolean
  attributes: Readonly<Record<string, string>>
  stageSecret: SecretReference | undefined
  publishSecret: SecretReference | undefined
  expandSecret: SecretReference | undefined
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')

export function persistentCsiVolume(pv: Stored<PersistentVolume>, readonly: boolean): CsiVolume {
  const csi = pv.spec?.csi
  return {
    driver: csi?.driver ?? '', handle: csi?.volumeHandle ?? '', specName: pv.metadata.name, isEphemeral: false, isBlock: pv.spec?.volumeMode === 'Block', fsType: csi?.fsType ?? '',
    mountOptions: pv.spec?.mountOptions ?? [], accessModes: pv.spec?.accessModes ?? [], readonly: readonly || (csi?.readOnly ?? false), attributes: csi?.volumeAttributes ?? {},
    stageSecret: csi?.nodeStageSecretRef, publishSecret: csi?.nodePublishSecretRef, expandSecret: csi?.nodeExpandSecretRef,
  }
}

/** The handle is upstream's: nobody else may guess or share it. */
export function inlineCsiVolume(pod: Stored<Pod>, { name, csi }: Volume): CsiVolume {
  return {
    driver: csi?.driver ?? '', handle: `csi-${sha256(`${pod.metadata.uid}${name}`)}`, specName: name, isEphemeral: true, isBlock: false, fsType: csi?.fsType ?? '', mountOptions: [], accessModes: ['ReadWriteOnce'],
    readonly: csi?.readOnly ?? false, attributes: csi?.volumeAttributes ?? {}, stageSecret: undefined, expandSecret: undefined,
    publishSecret: csi?.nodePublishSecretRef && { name: csi.nodePublishSecretRef.name ?? '', namespace: pod.metadata.namespace ?? '' },
  }
}

/** Of the VolumeAttachment that the attach controller makes. */
export const attachmentName = ({ handle, driver }: CsiVolume, nodeName: string): string => `csi-${sha256(`${handle}${driver}${nodeName}`)}`

/** As in Node.status.volumesInUse. */
export const uniqueName = ({ driver, handle }: { driver: string; handle: string }): string => `kubernetes.io/csi/${driver}^${handle}`

/** Directory of what is staged once for all pods of the node. */
export const stagingName = (handle: string): string => sha256(handle)

/** VolumeCapability.AccessMode.Mode; drivers that know single-node modes are asked for those. */
function accessMode(modes: readonly string[], knowsSingleNode: boolean): number {
  switch (modes[0] ?? 'ReadWriteOnce') {
    case 'ReadOnlyMany': return 3
    case 'ReadWriteMany': return 5
    case 'ReadWriteOncePod': return knowsSingleNode ? 6 : 1
    default: return knowsSingleNode ? 7 : 1
  }
}

export function capabilityOf(volume: CsiVolume, capabilities: ReadonlySet<number>, fsGroup: number | undefined): VolumeCapability {
  const mode = { mode: accessMode(volume.accessModes, capabilities.has(CAPABILITY.singleNodeMultiWriter)) }
  if (volume.isBlock) return { block: {}, accessMode: mode }
  return {
    mount: { fsType: volume.fsType, mountFlags: volume.mountOptions, ...(fsGroup !== undefined && capabilities.has(CAPABILITY.volumeMountGroup) && { volumeMountGroup: String(fsGroup) }) },
    accessMode: mode,
  }
}

/** CSIDriver.spec.fsGroupPolicy: whether files are given to the pod's group by us. */
export function wantsOwnership(volume: CsiVolume, driver: CSIDriver | undefined): boolean {
  if (volume.readonly || volume.isBlock) return false
  switch (driver?.spec.fsGroupPolicy ?? 'ReadWriteOnceWithFSType') {
    case 'None': return false
    case 'File': return true
    default: return volume.fsType !== '' && (volume.accessModes.includes('ReadWriteOnce') || volume.accessModes.includes('ReadWriteOncePod'))
  }
}

/** CSIDriver.spec.podInfoOnMount. */
export function podInfo(volume: CsiVolume, pod: Stored<Pod>): Record<string, string> {
  return {
    'csi.storage.k8s.io/pod.name': pod.metadata.name, 'csi.storage.k8s.io/pod.namespace': pod.metadata.namespace ?? '', 'csi.storage.k8s.io/pod.uid': pod.metadata.uid,
    'csi.storage.k8s.io/serviceAccount.name': pod.spec?.serviceAccountName ?? '', 'csi.storage.k8s.io/ephemeral': String(volume.isEphemeral),
  }
}

/** Why the driver cannot be used for this volume, as upstream's mounter says it. */
export function lifecycleProblem(volume: CsiVolume, driver: CSIDriver | undefined): string | undefined {
  const modes = driver?.spec.volumeLifecycleModes ?? ['Persistent']
  const wanted = volume.isEphemeral ? 'Ephemeral' : 'Persistent'
  if (modes.includes(wanted)) return undefined
  const why = driver ? `only supports [${modes.map((mode) => JSON.stringify(mode)).join(' ')}]` : 'no CSIDriver object'
  return `kubernetes.io/csi: mounter.SetupAt failed to check volume lifecycle mode: volume mode "${wanted}" not supported by driver ${volume.driver} (${why})`
}
