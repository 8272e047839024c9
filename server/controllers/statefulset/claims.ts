/** Who owns the claims of a StatefulSet's pods, by its persistentVolumeClaimRetentionPolicy (KEP-1847). Pure. */
import { apiVersionOf, PODS, STATEFUL_SETS, type OwnerReference, type PersistentVolumeClaim, type Pod, type StatefulSet, type Stored } from '#api/types/index.ts'
import { controllerReference } from '../ownership.ts'

export type Claim = Stored<PersistentVolumeClaim>

/** Undefined: they are as they should be. `isSurplus`: its pod is beyond the set's size. */
export function nextOwners(set: Stored<StatefulSet>, pod: Stored<Pod>, claim: Claim, isSurplus: boolean): OwnerReference[] | undefined {
  const { whenDeleted = 'Retain', whenScaled = 'Retain' } = set.spec?.persistentVolumeClaimRetentionPolicy ?? {}
  const old = claim.metadata.ownerReferences ?? []
  // Somebody else looks after it.
  if (old.some((o) => o.controller === true && o.uid !== set.metadata.uid && o.uid !== pod.metadata.uid && o.kind !== 'StatefulSet' && o.kind !== 'Pod')) return undefined
  const byPod = whenScaled === 'Delete' && isSurplus
  const bySet = whenDeleted === 'Delete' && !byPod
  const others = old.filter((o) => o.uid !== set.metadata.uid && o.uid !== pod.metadata.uid)
  const wanted = [
    ...others, ...(bySet ? [controllerReference(STATEFUL_SETS, set)] : []),
    ...(byPod ? [{ apiVersion: apiVersionOf(PODS), kind: 'Pod', name: pod.metadata.name, uid: pod.metadata.uid, controller: true, blockOwnerDeletion: true }] : []),
  ]
  const key = (owners: readonly OwnerReference[]): string => owners.map((o) => o.uid).toSorted().join()
  return key(wanted) === key(old) ? undefined : wanted
}
