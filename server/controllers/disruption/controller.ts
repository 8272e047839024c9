/** Wires the disruption controller: budgets are looked at when they, their pods or the scale of their owners change. */
import { DEPLOYMENTS, keyOf, POD_DISRUPTION_BUDGETS, PODS, REPLICA_SETS, REPLICATION_CONTROLLERS, STATEFUL_SETS, isPodReady, type Deployment, type KubeObject, type Pod, type PodDisruptionBudget, type ReplicaSet, type ReplicationController, type StatefulSet, type Stored } from '#api/types/index.ts'
import { createLoop } from '#base/reconcile/loop.ts'
import { isOrdinary, recorderFor, type ControllerFactory } from '../controller.ts'
import { decideDisruption, type DisruptionAction, type DisruptionView } from './decide.ts'
import { budgetsOf, observeDisruption, type DisruptionSources } from './observe.ts'

export const disruptionController: ControllerFactory = (deps) => {
  const { client, informers } = deps
  const sources: DisruptionSources = {
    budgets: informers.of<PodDisruptionBudget>(POD_DISRUPTION_BUDGETS),
    pods: informers.of<Pod>(PODS),
    replicaSets: informers.of<ReplicaSet>(REPLICA_SETS),
    deployments: informers.of<Deployment>(DEPLOYMENTS),
    statefulSets: informers.of<StatefulSet>(STATEFUL_SETS),
    replicationControllers: informers.of<ReplicationController>(REPLICATION_CONTROLLERS),
  }
  const events = recorderFor('controllermanager', deps)

  const loop = createLoop<DisruptionView, DisruptionAction>({
    name: 'disruption-controller',
    observe: (key) => observeDisruption(key, sources),
    decide: decideDisruption,
    effects: ({ budget }) => ({
      // resourceVersion is the guard: an eviction granted meanwhile is a conflict, and is counted in the next pass.
      async writeStatus({ status }, signal) {
        await client.update<PodDisruptionBudget>(POD_DISRUPTION_BUDGETS, { ...budget, status }, { subresource: 'status', signal })
      },
      tell({ reason, message }) {
        events.event(budget, reason === 'NoPods' ? 'Normal' : 'Warning', reason, message)
        return Promise.resolve()
      },
    }),
    isOrdinary,
  }, deps)

  const look = (budget: Stored<PodDisruptionBudget>) => loop.queue.add(keyOf(budget))
  sources.budgets.onChange((_, after) => { if (after) look(after) })
  sources.pods.onChange((before, after) => {
    if (before && after && podFacts(before) === podFacts(after)) return
    for (const pod of [before, after]) for (const budget of pod ? budgetsOf(pod, sources.budgets) : []) look(budget)
  })
  const onScale = (before: Stored<Scaled> | undefined, after: Stored<Scaled> | undefined) => {
    if (before?.spec?.replicas === after?.spec?.replicas) return
    for (const budget of sources.budgets.inNamespace((after ?? before)?.metadata.namespace ?? '')) look(budget)
  }
  sources.replicaSets.onChange(onScale)
  sources.deployments.onChange(onScale)
  sources.statefulSets.onChange(onScale)
  sources.replicationControllers.onChange(onScale)
  return { name: 'disruption-controller', run: (signal) => loop.run(signal) }
}

type Scaled = KubeObject & { spec?: { replicas?: number } }

/** Most changes of a pod's status make no difference to a budget. */
function podFacts(pod: Stored<Pod>): string {
  return JSON.stringify([pod.metadata.labels, pod.metadata.deletionTimestamp, isPodReady(pod), pod.status?.phase])
}
