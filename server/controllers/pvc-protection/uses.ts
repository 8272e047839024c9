/** Which claims a pod uses (upstream pvc-protection). Pure. */
import type { Pod, Stored } from '#api/types/index.ts'

/** `namespace/name` of each. A pod without a node uses none: no kubelet will start it with a claim that is going. */
export function claimsUsed(pod: Stored<Pod>): string[] {
  const { spec, metadata } = pod
  if (!spec?.nodeName) return []
  const isShutDown = metadata.deletionTimestamp !== undefined && metadata.deletionGracePeriodSeconds === 0
  return (spec.volumes ?? []).flatMap((volume) => {
    const name = volume.persistentVolumeClaim?.claimName ?? (volume.ephemeral && !isShutDown ? `${metadata.name}-${volume.name}` : undefined)
    return name === undefined ? [] : [`${metadata.namespace ?? ''}/${name}`]
  })
}
