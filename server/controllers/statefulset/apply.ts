/** The effects of StatefulSet decisions; events are worded as upstream's StatefulPodControl has them. */
import { isReason, type Client, type Informer } from '#api/client/client.ts'
import type { EventRecorder } from '#api/client/event-recorder.ts'
import { PERSISTENT_VOLUME_CLAIMS, PODS, STATEFUL_SETS, type PersistentVolumeClaim, type Pod, type StatefulSet } from '#api/types/index.ts'
import { asError } from '#base/errors.ts'
import type { Effects } from '#base/reconcile/action.ts'
import { isNamespaceTerminating, unlessGone } from '../controller.ts'
import { createPodControl } from '../pod-control.ts'
import type { RecentWrites } from '../recent-writes.ts'
import { revisionEffects } from '../revision-effects.ts'
import type { StatefulSetAction, StatefulSetView } from './decide.ts'

export interface StatefulSetApplyDeps { client: Client; recorder: EventRecorder; recent: RecentWrites<Pod>; claims: Informer<PersistentVolumeClaim> }

const STRATEGIC = 'application/strategic-merge-patch+json'

export function statefulSetEffects({ set }: StatefulSetView, key: string, deps: StatefulSetApplyDeps): Effects<StatefulSetAction> {
  const { client, recorder, recent, claims } = deps
  const { name, namespace = '' } = set.metadata
  const control = createPodControl(deps, { ref: STATEFUL_SETS, owner: set, key })
  const told = async <T>(verb: 'create' | 'delete' | 'update', what: string, isClaim: boolean, work: Promise<T>): Promise<T> => {
    const title = `${verb.slice(0, 1).toUpperCase()}${verb.slice(1)}`
    try {
      const done = await work
      recorder.event(set, 'Normal', `Successful${title}`, `${verb} ${what} in StatefulSet ${name} ${isClaim ? 'success' : 'successful'}`)
      return done
    } catch (error) {
      if (!isNamespaceTerminating(error) && !isReason(error, 'AlreadyExists')) recorder.event(set, 'Warning', `Failed${title}`, `${verb} ${what} in StatefulSet ${name} failed error: ${asError(error).message}`)
      throw error
    }
  }
  const createClaims = async (wanted: readonly PersistentVolumeClaim[], podName: string, signal: AbortSignal) => {
    for (const claim of wanted) {
      const claimName = claim.metadata?.name ?? ''
      const found = claims.get(`${namespace}/${claimName}`)
      if (found?.metadata.deletionTimestamp !== undefined) throw new Error(`pvc ${claimName} is being deleted`)
      if (found) continue
      try {
        await told('create', `Claim ${claimName} Pod ${podName}`, true, client.create(PERSISTENT_VOLUME_CLAIMS, claim, { signal }))
      } catch (error) {
        if (!isReason(error, 'AlreadyExists')) throw error
      }
    }
  }
  const createOne = async (pod: Pod, wanted: readonly PersistentVolumeClaim[], signal: AbortSignal) => {
    const podName = pod.metadata?.name ?? ''
    await createClaims(wanted, podName, signal)
    recent.created(key, await told('create', `Pod ${podName}`, false, client.create<Pod>(PODS, pod, { signal })))
  }
  const countCollision = async (signal: AbortSignal) => {
    await client.update<StatefulSet>(STATEFUL_SETS, { ...set, status: { replicas: 0, ...set.status, collisionCount: (set.status?.collisionCount ?? 0) + 1 } }, { subresource: 'status', signal })
  }

  return {
    ...revisionEffects(client, namespace, countCollision),
    countCollision: (_, signal) => countCollision(signal),
    adoptPod: (pod, signal) => control.adopt(pod, signal),
    releasePod: (pod, signal) => control.release(pod, signal),
    tell({ type, reason, message }) {
      recorder.event(set, type, reason, message)
      return Promise.resolve()
    },
    async createPods({ pods }, signal) {
      const failed = (await Promise.allSettled(pods.map(({ pod, claims: wanted }) => createOne(pod, wanted, signal)))).find((r) => r.status === 'rejected')
      if (failed) throw failed.reason
    },
    createClaims: ({ pod, claims: wanted }, signal) => createClaims(wanted, pod.metadata.name, signal),
    async deletePods({ pods }, signal) {
      for (const pod of pods) {
        await unlessGone(told('delete', `Pod ${pod.metadata.name}`, false, client.delete(PODS, pod.metadata.name, namespace, { preconditions: { uid: pod.metadata.uid }, signal })))
        recent.deleted(key, pod)
      }
    },
    async labelPod({ name: pod, uid, labels }, signal) {
      await unlessGone(told('update', `Pod ${pod}`, false, client.patch(PODS, pod, namespace, STRATEGIC, { metadata: { uid, labels } }, { signal })))
    },
    async ownClaim({ claim, owners }, signal) {
      await unlessGone(client.update<PersistentVolumeClaim>(PERSISTENT_VOLUME_CLAIMS, { ...claim, metadata: { ...claim.metadata, ownerReferences: owners } }, { signal }))
    },
    async writeStatus({ status }, signal) {
      await client.update<StatefulSet>(STATEFUL_SETS, { ...set, status }, { subresource: 'status', signal })
    },
  }
}
