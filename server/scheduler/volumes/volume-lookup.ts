/** What scheduling knows of volumes. */
import type { CSIDriver, CSINode, CSIStorageCapacity, PersistentVolume, PersistentVolumeClaim, StorageClass, Stored, VolumeAttachment } from '#api/types/index.ts'

/** The cluster's volumes at one moment; a volume that was promised a moment ago already refers to its claim. */
export interface VolumeLookup {
  claim(namespace: string, name: string): Stored<PersistentVolumeClaim> | undefined
  volume(name: string): Stored<PersistentVolume> | undefined
  volumes(): readonly Stored<PersistentVolume>[]
  storageClass(name: string): Stored<StorageClass> | undefined
  csiDriver(name: string): Stored<CSIDriver> | undefined
  csiNode(nodeName: string): Stored<CSINode> | undefined
  /** Of all drivers that tell. */
  capacities(): readonly Stored<CSIStorageCapacity>[]
  attachments(): readonly Stored<VolumeAttachment>[]
}
