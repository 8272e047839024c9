/** The effects of ReplicaSet decisions. */
import type { Client } from '#api/client/client.ts'
import { isReason } from '#api/client/client.ts'
import type { EventRecorder } from '#api/client/event-recorder.ts'
import { PODS, REPLICA_SETS, type KubeObject, type Pod, type ReplicaSetStatus, type Stored } from '#api/types/index.ts'
import { asError } from '#base/errors.ts'
import type { Effects } from '#base/reconcile/action.ts'
import { isNamespaceTerminating, unlessGone } from '../controller.ts'
import { adoptPatch, controllerReference, releasePatch } from '../ownership.ts'
import type { RecentWrites } from '../recent-writes.ts'
import type { ReplicaSetAction, ReplicaSetView } from './decide.ts'

export interface ReplicaSetApplyDeps {
  client: Client
  recorder: EventRecorder
  recent: RecentWrites<Pod>
  failures: Map<string, NonNullable<ReplicaSetView['failure']>>
}

/** A ReplicationController's selector is a plain map. */
function statusUpdateOf({ replicaSet, ref }: ReplicaSetView, status: ReplicaSetStatus): Stored<KubeObject> {
  if (!ref) return { ...replicaSet, status } as Stored<KubeObject>
  const { spec, metadata } = replicaSet
  return { apiVersion: 'v1', kind: ref.kind, metadata, spec: { ...spec, selector: spec?.selector.matchLabels }, status } as Stored<KubeObject>
}

/** Creates run side by side in batches that double while all goes well, so that a refusal costs one request, not 500. */
const SLOW_START = 1

export function replicaSetEffects(view: ReplicaSetView, key: string, deps: ReplicaSetApplyDeps): Effects<ReplicaSetAction> {
  const { client, recorder, recent, failures } = deps
  const { replicaSet, ref = REPLICA_SETS } = view
  const namespace = replicaSet.metadata.namespace ?? ''
  const strategic = 'application/strategic-merge-patch+json'

  const createOne = async (pod: Pod, signal: AbortSignal) => {
    try {
      const created = await client.create<Pod>(PODS, pod, { signal })
      recent.created(key, created)
      recorder.event(replicaSet, 'Normal', 'SuccessfulCreate', `Created pod: ${created.metadata.name}`)
    } catch (error) {
      if (isNamespaceTerminating(error)) throw error
      recorder.event(replicaSet, 'Warning', 'FailedCreate', `Error creating: ${asError(error).message}`)
      failures.set(key, { reason: 'FailedCreate', message: asError(error).message })
      throw error
    }
  }

  return {
    async adoptPod({ name, uid }, signal) {
      await unlessGone(client.patch(PODS, name, namespace, strategic, adoptPatch(controllerReference(ref, replicaSet), uid), { signal }))
    },
    async releasePod({ name, uid }, signal) {
      await unlessGone(client.patch(PODS, name, namespace, strategic, releasePatch(replicaSet.metadata.uid, uid), { signal }))
    },
    async writeStatus({ status }, signal) {
      await client.update(ref, statusUpdateOf(view, status), { subresource: 'status', signal })
    },
    async createPods({ pods }, signal) {
      for (let from = 0, batch = SLOW_START; from < pods.length; from += batch, batch *= 2) {
        signal.throwIfAborted()
        const results = await Promise.allSettled(pods.slice(from, from + batch).map((p) => createOne(p, signal)))
        const failed = results.find((r) => r.status === 'rejected')
        if (failed) throw failed.reason
      }
      failures.delete(key)
    },
    async deletePods({ pods }, signal) {
      const results = await Promise.allSettled(pods.map(async (pod) => {
        try {
          await client.delete(PODS, pod.metadata.name, namespace, { preconditions: { uid: pod.metadata.uid }, signal })
        } catch (error) {
          if (isReason(error, 'NotFound')) return
          recorder.event(replicaSet, 'Warning', 'FailedDelete', `Error deleting: ${asError(error).message}`)
          failures.set(key, { reason: 'FailedDelete', message: asError(error).message })
          throw error
        }
        recent.deleted(key, pod)
        recorder.event(replicaSet, 'Normal', 'SuccessfulDelete', `Deleted pod: ${pod.metadata.name}`)
      }))
      const failed = results.find((r) => r.status === 'rejected')
      if (failed) throw failed.reason
      failures.delete(key)
    },
  }
}
