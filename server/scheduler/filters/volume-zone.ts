/** VolumeZone: volumes that say by labels where they are, as those of clouds did before they had node affinity. */
import { FITS, type FilterRule, type Unfit } from '../rule.ts'
import { podVolumes } from '../volumes/pod-volumes.ts'

/** Each with the name it has today. */
const ZONE_LABELS: Readonly<Record<string, string>> = {
  'topology.kubernetes.io/zone': 'topology.kubernetes.io/zone', 'topology.kubernetes.io/region': 'topology.kubernetes.io/region',
  'failure-domain.beta.kubernetes.io/zone': 'topology.kubernetes.io/zone', 'failure-domain.beta.kubernetes.io/region': 'topology.kubernetes.io/region',
}
const ELSEWHERE: readonly Unfit[] = [{ reason: 'node(s) had no available volume zone', unresolvable: true }]

export const volumeZone: FilterRule = {
  name: 'VolumeZone',
  prepare: ({ pod }, snapshot) => {
    const wanted = snapshot.volumes && podVolumes(pod, snapshot.volumes)
    if (!wanted || 'problem' in wanted) return undefined
    const zones = wanted.bound.flatMap((volume) => Object.entries(volume?.metadata.labels ?? {}).filter(([key]) => Object.hasOwn(ZONE_LABELS, key)).map(([key, value]) => ({ key, values: value.split('__') })))
    if (zones.length === 0) return undefined
    return ({ node }) => {
      const labels = node.metadata.labels ?? {}
      // A node that says nothing of zones is in all of them.
      if (!Object.keys(ZONE_LABELS).some((key) => labels[key] !== undefined)) return FITS
      return zones.every(({ key, values }) => values.includes(labels[key] ?? labels[ZONE_LABELS[key] ?? ''] ?? '')) ? FITS : ELSEWHERE
    }
  },
}
