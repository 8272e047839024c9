/** Claims: volumes that are bound must be usable on the node, those that wait for their consumer must be to be had there. */
import { FITS, type FilterRule } from '../rule.ts'
import { boundProblem, podVolumes, volumesOn } from '../volumes/pod-volumes.ts'

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
      if (bound !== undefined) return [{ reason: bound, unresolvable: true }]
      const waiting = volumesOn(info.node, wanted, lookup)
      return typeof waiting === 'string' ? [{ reason: waiting, unresolvable: true }] : FITS
    }
  },
}
