/** Which volumes of a pod count against what a CSI driver can attach to one node (upstream's nodevolumelimits plugin). Pure. */
import type { Pod, Stored, VolumeAttachment } from '#api/types/index.ts'
import { classOfClaim } from '#api/types/volume-match.ts'
import type { VolumeLookup } from './volume-lookup.ts'

/** By volume: its driver. */
export type AttachableVolumes = Map<string, string>

const named = (driver: string, handle: string): string => `${driver}/${handle}`

/** Claims that have no volume yet count for the driver that will make it. Claims that are not there count for nobody. */
export function attachableVolumes({ metadata, spec }: Stored<Pod>, lookup: VolumeLookup): AttachableVolumes {
  const found: AttachableVolumes = new Map()
  const namespace = metadata.namespace ?? ''
  for (const volume of spec?.volumes ?? []) {
    const name = volume.persistentVolumeClaim?.claimName ?? (volume.ephemeral && `${metadata.name}-${volume.name}`)
    const claim = name === undefined ? undefined : lookup.claim(namespace, name)
    if (!claim) continue
    if (volume.ephemeral && !claim.metadata.ownerReferences?.some((o) => o.controller && o.uid === metadata.uid)) continue
    const csi = claim.spec?.volumeName ? lookup.volume(claim.spec.volumeName)?.spec?.csi : undefined
    if (csi) {
      found.set(named(csi.driver, csi.volumeHandle), csi.driver)
    } else if (!claim.spec?.volumeName) {
      const provisioner = lookup.storageClass(classOfClaim(claim))?.provisioner
      // No driver has such a handle: it stands for the claim.
      if (provisioner !== undefined) found.set(named(provisioner, `\0${namespace}/${claim.metadata.name}`), provisioner)
    }
  }
  return found
}

/** What the cluster has attached, by node: also for pods that have just gone. */
export function attachedByNode(attachments: readonly Stored<VolumeAttachment>[], lookup: VolumeLookup): Map<string, AttachableVolumes> {
  const byNode = new Map<string, AttachableVolumes>()
  for (const { spec } of attachments) {
    const csi = spec.source.persistentVolumeName === undefined ? spec.source.inlineVolumeSpec?.csi : lookup.volume(spec.source.persistentVolumeName)?.spec?.csi
    if (!csi) continue
    const there = byNode.get(spec.nodeName) ?? new Map<string, string>()
    byNode.set(spec.nodeName, there.set(named(csi.driver, csi.volumeHandle), csi.driver))
  }
  return byNode
}
