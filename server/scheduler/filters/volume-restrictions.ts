/** VolumeRestrictions: a ReadWriteOncePod claim is one pod's, and some disks can be in one place at a time. That pod may be pushed aside by a more important one. */
import type { Volume } from '#api/types/index.ts'
import { FITS, type FilterRule, type Unfit } from '../rule.ts'
import { podVolumes } from '../volumes/pod-volumes.ts'

const EXCLUSIVE: readonly Unfit[] = [{ reason: 'node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode' }]
const CONFLICT: readonly Unfit[] = [{ reason: 'node(s) had no available disk' }]

export const volumeRestrictions: FilterRule = {
  name: 'VolumeRestrictions',
  prepare: ({ pod, key }, snapshot) => {
    const disks = (pod.spec?.volumes ?? []).filter((v) => v.gcePersistentDisk ?? v.awsElasticBlockStore ?? v.iscsi ?? v.rbd)
    const wanted = snapshot.volumes && podVolumes(pod, snapshot.volumes)
    const names = new Set(wanted && !('problem' in wanted) ? wanted.exclusive.map((claim) => claim.metadata.name) : [])
    const namespace = pod.metadata.namespace
    const isTaken = names.size > 0 && snapshot.nodes.some((node) => node.pods.some((other) => other.key !== key && other.pod.metadata.namespace === namespace && other.pod.spec?.volumes?.some((v) => names.has(v.persistentVolumeClaim?.claimName ?? (v.ephemeral ? `${other.pod.metadata.name}-${v.name}` : '')))))
    if (isTaken) return () => EXCLUSIVE
    if (disks.length === 0) return undefined
    return (info) => (info.pods.some((other) => other.pod.spec?.volumes?.some((theirs) => disks.some((disk) => conflicts(disk, theirs)))) ? CONFLICT : FITS)
  },
}

/** The same disk, and not only read by both. */
function conflicts(a: Volume, b: Volume): boolean {
  const unlessRead = (x: { readOnly?: boolean }, y: { readOnly?: boolean }) => !(x.readOnly && y.readOnly)
  if (a.gcePersistentDisk && b.gcePersistentDisk) return a.gcePersistentDisk.pdName === b.gcePersistentDisk.pdName && unlessRead(a.gcePersistentDisk, b.gcePersistentDisk)
  if (a.awsElasticBlockStore && b.awsElasticBlockStore) return a.awsElasticBlockStore.volumeID === b.awsElasticBlockStore.volumeID
  if (a.iscsi && b.iscsi) return a.iscsi.iqn === b.iscsi.iqn && unlessRead(a.iscsi, b.iscsi)
  const [x, y] = [a.rbd, b.rbd]
  return x !== undefined && y !== undefined && x.monitors.some((each) => y.monitors.includes(each)) && (x.pool ?? 'rbd') === (y.pool ?? 'rbd') && x.image === y.image && unlessRead(x, y)
}
