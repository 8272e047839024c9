/** Whether a CSI driver has room for a claim where the node can reach it, as far as the driver tells (KEP-1472). Pure. */
import { compileLabelSelector } from '#api/types/labels.ts'
import { quantityValue } from '#api/types/quantity.ts'
import type { Node, StorageClass, Stored } from '#api/types/index.ts'
import type { Claim } from '#api/types/volume-match.ts'
import type { VolumeLookup } from './volume-lookup.ts'

export function hasEnoughCapacity(claim: Claim, { metadata, provisioner }: Stored<StorageClass>, node: Stored<Node>, lookup: VolumeLookup): boolean {
  const size = claim.spec?.resources?.requests?.['storage']
  // Only drivers that have asked for it are asked.
  if (size === undefined || !lookup.csiDriver(provisioner)?.spec.storageCapacity) return true
  return lookup.capacities().some((capacity) => {
    const most = capacity.maximumVolumeSize ?? capacity.capacity
    if (capacity.storageClassName !== metadata.name || most === undefined || quantityValue(most) < quantityValue(size)) return false
    return capacity.nodeTopology !== undefined && compileLabelSelector(capacity.nodeTopology).matches(node.metadata.labels)
  })
}
