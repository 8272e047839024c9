/** The effects of ReplicaSet decisions. */
import { REPLICA_SETS, type KubeObject, type ReplicaSetStatus, type Stored } from '#api/types/index.ts'
import type { Effects } from '#base/reconcile/action.ts'
import { createPodControl, type PodControlDeps } from '../pod-control.ts'
import type { ReplicaSetAction, ReplicaSetView } from './decide.ts'

export interface ReplicaSetApplyDeps extends PodControlDeps { failures: Map<string, NonNullable<ReplicaSetView['failure']>> }

export function replicaSetEffects(view: ReplicaSetView, key: string, deps: ReplicaSetApplyDeps): Effects<ReplicaSetAction> {
  const { replicaSet, ref = REPLICA_SETS } = view
  const { client, failures } = deps
  const control = createPodControl(deps, { ref, owner: replicaSet, key, noteFailure: (failure) => { if (failure) failures.set(key, failure); else failures.delete(key) } })
  return {
    adoptPod: (pod, signal) => control.adopt(pod, signal),
    releasePod: (pod, signal) => control.release(pod, signal),
    async writeStatus({ status }, signal) {
      await client.update(ref, statusUpdateOf(view, status), { subresource: 'status', signal })
    },
    createPods: ({ pods }, signal) => control.create(pods, signal),
    deletePods: ({ pods }, signal) => control.delete(pods, signal),
  }
}

/** A ReplicationController's selector is a plain map. */
function statusUpdateOf({ replicaSet, ref }: ReplicaSetView, status: ReplicaSetStatus): Stored<KubeObject> {
  if (!ref) return { ...replicaSet, status } as Stored<KubeObject>
  const { spec, metadata } = replicaSet
  return { apiVersion: 'v1', kind: ref.kind, metadata, spec: { ...spec, selector: spec?.selector.matchLabels }, status } as Stored<KubeObject>
}
