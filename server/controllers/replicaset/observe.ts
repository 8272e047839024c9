/** What the ReplicaSet controller looks at: informers only. */
import type { Informer } from '#api/client/client.ts'
import { isPodActive, type Pod, type ReplicaSet, type ResourceRef } from '#api/types/index.ts'
import { BY_CONTROLLER, controllerOf, orphansOf } from '../ownership.ts'
import type { RecentWrites } from '../recent-writes.ts'
import type { ReplicaSetView } from './decide.ts'

export interface ReplicaSetSources {
  /** Undefined: ReplicaSets. */
  ref?: ResourceRef
  replicaSets: Pick<Informer<ReplicaSet>, 'get' | 'byIndex'>
  pods: Informer<Pod>
  recent: RecentWrites<Pod>
  failures: ReadonlyMap<string, NonNullable<ReplicaSetView['failure']>>
}

export function observeReplicaSet(key: string, sources: ReplicaSetSources): ReplicaSetView | undefined {
  const replicaSet = sources.replicaSets.get(key)
  if (!replicaSet) return undefined
  const { uid, namespace = '' } = replicaSet.metadata
  const seen = [...sources.pods.byIndex(BY_CONTROLLER, uid), ...sources.pods.byIndex(BY_CONTROLLER, orphansOf(namespace))]
  const { objects, untilMs } = sources.recent.merge(key, seen)
  return { ...(sources.ref && { ref: sources.ref }), replicaSet, pods: objects, relatedPodsByNode: relatedPodsByNode(replicaSet, sources), failure: sources.failures.get(key), unseenUntilMs: untilMs }
}

function relatedPodsByNode(replicaSet: ReplicaSet, sources: ReplicaSetSources): Map<string, number> {
  const owner = controllerOf(replicaSet)
  const siblings = owner ? sources.replicaSets.byIndex(BY_CONTROLLER, owner.uid) : []
  const uids = new Set([replicaSet.metadata?.uid ?? '', ...siblings.map((s) => s.metadata.uid)])
  const counts = new Map<string, number>()
  for (const uid of uids) {
    for (const pod of sources.pods.byIndex(BY_CONTROLLER, uid)) {
      const node = pod.spec?.nodeName
      if (node && isPodActive(pod)) counts.set(node, (counts.get(node) ?? 0) + 1)
    }
  }
  return counts
}
