/** Claims: volumes that are bound must be usable on the node, those that wait for their consumer must be to be had there. */
import { FITS, type FilterRule, type Unfit } from '../rule.ts'
import { boundProblem, podVolumes, volumesOn } from '../volumes/pod-volumes.ts'

const EXCLUSIVE: readonly Unfit[] = [{ reason: 'node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode' }]

export const volumeBinding: FilterRule = {
  name: 'VolumeBinding',
  prepare: ({ pod }, snapshot) => {
    const lookup = snapshot.volumes
    if (!lookup) return undefined
    const wanted = podVolumes(pod, lookup)
    if (!wanted) return undefined
    if ('problem' in wanted) {
      const unfit = [{ reason: wanted.problem, unresolvable: true, ofPod: true }]
      return () => unfit
    }
    return (info) => {
      const bound = boundProblem(info.node, wanted)
      if (bound) return [{ reason: bound.reason, unresolvable: true }]
      const waiting = volumesOn(info.node, wanted, lookup)
      return typeof waiting === 'string' ? [{ reason: waiting, unresolvable: true }] : FITS
    }
  },
}

/** VolumeRestrictions: a ReadWriteOncePod claim is one pod's. That pod may be pushed aside by a more important one. */
export const volumeRestrictions: FilterRule = {
  name: 'VolumeRestrictions',
  prepare: ({ pod, key }, snapshot) => {
    if (!snapshot.volumes) return undefined
    const wanted = podVolumes(pod, snapshot.volumes)
    if (!wanted || 'problem' in wanted || wanted.exclusive.length === 0) return undefined
    const names = new Set(wanted.exclusive.map((claim) => claim.metadata.name))
    const namespace = pod.metadata.namespace
    const isTaken = snapshot.nodes.some((node) => node.pods.some((other) => other.key !== key && other.pod.metadata.namespace === namespace && other.pod.spec?.volumes?.some((v) => names.has(v.persistentVolumeClaim?.claimName ?? ''))))
    return isTaken ? () => EXCLUSIVE : undefined
  },
}
