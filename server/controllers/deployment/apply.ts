/** The effects of Deployment decisions. */
import type { Client } from '#api/client/client.ts'
import { isReason } from '#api/client/client.ts'
import type { EventRecorder } from '#api/client/event-recorder.ts'
import { DEPLOYMENTS, REPLICA_SETS, type Deployment, type ReplicaSet, type Stored } from '#api/types/index.ts'
import type { Clock } from '#base/clock.ts'
import { asError } from '#base/errors.ts'
import type { Effects } from '#base/reconcile/action.ts'
import { isNamespaceTerminating, unlessGone } from '../controller.ts'
import { adoptPatch, controllerOf, controllerReference, releasePatch } from '../ownership.ts'
import type { DeploymentAction, DeploymentView } from './decide.ts'
import { sameTemplate } from './new-replica-set.ts'
import { REVISION, replicasOf } from './sizes.ts'
import { hasDeadline, withCondition } from './status.ts'

export interface DeploymentApplyDeps { client: Client; recorder: EventRecorder; clock: Clock }

export function deploymentEffects(view: DeploymentView, { client, recorder, clock }: DeploymentApplyDeps): Effects<DeploymentAction> {
  const strategic = 'application/strategic-merge-patch+json'
  const namespace = view.deployment.metadata.namespace ?? ''
  // Our own writes within the pass raise its version; the decision still holds for what they left.
  let current: Stored<Deployment> = view.deployment

  const writeStatus = async (status: NonNullable<Deployment['status']>, signal: AbortSignal) => {
    current = await client.update<Deployment>(DEPLOYMENTS, { ...current, status }, { subresource: 'status', signal })
  }
  /** The name is taken: by ourselves (an earlier pass that did not see it through) or by another template with the same hash. */
  const onNameTaken = async (wanted: ReplicaSet, signal: AbortSignal) => {
    const taken = await client.get<ReplicaSet>(REPLICA_SETS, wanted.metadata?.name ?? '', namespace, signal)
    if (controllerOf(taken)?.uid === current.metadata.uid && sameTemplate(taken.spec?.template, current.spec?.template)) return
    await writeStatus({ ...current.status, collisionCount: (current.status?.collisionCount ?? 0) + 1 }, signal)
    throw new Error(`the name ${taken.metadata.name} belongs to another template; will use another hash`)
  }

  return {
    async warnSelectingAll() {
      recorder.event(current, 'Warning', 'SelectingAll', 'This deployment is selecting all pods. A non-empty selector is required.')
    },
    async adoptReplicaSet({ name, uid }, signal) {
      await unlessGone(client.patch(REPLICA_SETS, name, namespace, strategic, adoptPatch(controllerReference(DEPLOYMENTS, current), uid), { signal }))
    },
    async releaseReplicaSet({ name, uid }, signal) {
      await unlessGone(client.patch(REPLICA_SETS, name, namespace, strategic, releasePatch(current.metadata.uid, uid), { signal }))
    },
    async createReplicaSet({ replicaSet }, signal) {
      const name = replicaSet.metadata?.name ?? ''
      try {
        await client.create<ReplicaSet>(REPLICA_SETS, replicaSet, { signal })
      } catch (thrown) {
        if (isReason(thrown, 'AlreadyExists')) return onNameTaken(replicaSet, signal)
        if (!isNamespaceTerminating(thrown)) {
          const message = `Failed to create new replica set "${name}": ${asError(thrown).message}`
          recorder.event(current, 'Warning', 'ReplicaSetCreateError', message)
          if (hasDeadline(current)) {
            const conditions = withCondition(current.status?.conditions ?? [], { type: 'Progressing', status: 'False', reason: 'ReplicaSetCreateError', message }, clock.nowMs())
            await writeStatus({ ...current.status, conditions }, signal)
          }
        }
        throw thrown
      }
      if (replicasOf(replicaSet) > 0) recorder.event(current, 'Normal', 'ScalingReplicaSet', `Scaled up replica set ${name} from 0 to ${replicasOf(replicaSet)}`)
    },
    async updateReplicaSet({ replicaSet, replicas, annotations, minReadySeconds }, signal) {
      const before = replicasOf(replicaSet)
      const { minReadySeconds: _, ...spec } = replicaSet.spec ?? { selector: {} }
      await client.update<ReplicaSet>(REPLICA_SETS, {
        ...replicaSet, metadata: { ...replicaSet.metadata, annotations },
        spec: { ...spec, replicas, ...(minReadySeconds > 0 && { minReadySeconds }) },
      }, { signal })
      if (replicas !== before) {
        recorder.event(current, 'Normal', 'ScalingReplicaSet', `Scaled ${replicas > before ? 'up' : 'down'} replica set ${replicaSet.metadata.name} from ${before} to ${replicas}`)
      }
    },
    async deleteReplicaSet({ replicaSet }, signal) {
      const { uid, resourceVersion, name } = replicaSet.metadata
      await unlessGone(client.delete(REPLICA_SETS, name, namespace, { preconditions: { uid, resourceVersion }, propagationPolicy: 'Background', signal }))
    },
    async writeRevision({ revision }, signal) {
      const patch = { metadata: { resourceVersion: current.metadata.resourceVersion, annotations: { [REVISION]: revision } } }
      // By way of the status, as upstream: annotations changed otherwise count as a new generation.
      current = await client.patch<Deployment>(DEPLOYMENTS, current.metadata.name, namespace, 'application/merge-patch+json', patch, { subresource: 'status', signal })
    },
    async writeStatus({ status }, signal) {
      await writeStatus(status, signal)
    },
  }
}
