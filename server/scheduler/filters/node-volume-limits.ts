/** NodeVolumeLimits: a CSI driver attaches only so many volumes to a node (CSINode's allocatable), and some want no pods where they are not. */
import { FITS, type FilterRule, type Unfit } from '../rule.ts'
import { attachableVolumes, attachedByNode } from '../volumes/attachable.ts'

const EXCEEDED: readonly Unfit[] = [{ reason: 'node(s) exceed max volume count' }]

export const nodeVolumeLimits: FilterRule = {
  name: 'NodeVolumeLimits',
  prepare: ({ pod }, snapshot) => {
    const lookup = snapshot.volumes
    if (!lookup) return undefined
    const wanted = attachableVolumes(pod, lookup)
    if (wanted.size === 0) return undefined
    const attached = attachedByNode(lookup.attachments(), lookup)
    const required = [...new Set(wanted.values())].filter((driver) => lookup.csiDriver(driver)?.spec.preventPodSchedulingIfMissing)
    return (info) => {
      const here = lookup.csiNode(info.name)?.spec.drivers ?? []
      const missing = required.find((driver) => !here.some((d) => d.name === driver))
      if (missing !== undefined) return [{ reason: `${missing} CSI driver is not installed on the node` }]
      const limits = here.flatMap(({ name, allocatable }) => (allocatable?.count === undefined ? [] : [{ name, count: allocatable.count }]))
      if (limits.length === 0) return FITS
      const used = new Map(attached.get(info.name))
      for (const other of info.pods) for (const [volume, driver] of attachableVolumes(other.pod, lookup)) used.set(volume, driver)
      const isFull = limits.some(({ name, count }) => {
        const added = [...wanted].filter(([volume, driver]) => driver === name && !used.has(volume)).length
        return added > 0 && added + [...used.values()].filter((driver) => driver === name).length > count
      })
      return isFull ? EXCEEDED : FITS
    }
  },
}
