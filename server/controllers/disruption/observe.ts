/** The pods of a budget and the scale of what owns them, from informers. */
import type { Informer } from '#api/client/client.ts'
import { compileLabelSelector, isPodTerminal, splitKey, type Deployment, type KubeObject, type Pod, type PodDisruptionBudget, type ReplicaSet, type ReplicationController, type StatefulSet, type Stored } from '#api/types/index.ts'
import { controllerOf } from '../ownership.ts'
import type { DisruptionView } from './decide.ts'

export interface DisruptionSources {
  budgets: Informer<PodDisruptionBudget>
  pods: Informer<Pod>
  replicaSets: Informer<ReplicaSet>
  deployments: Informer<Deployment>
  statefulSets: Informer<StatefulSet>
  replicationControllers: Informer<ReplicationController>
}

export function observeDisruption(key: string, sources: DisruptionSources): DisruptionView | undefined {
  const budget = sources.budgets.get(key)
  if (!budget) return undefined
  const { namespace } = splitKey(key)
  const selector = compileLabelSelector(budget.spec?.selector)
  const pods = sources.pods.inNamespace(namespace).filter((p) => !isPodTerminal(p) && selector.matches(p.metadata.labels))
  return { budget, pods, scale: scaleOf(pods, namespace, sources) }
}

export function budgetsOf(pod: Stored<Pod>, budgets: Informer<PodDisruptionBudget>): Stored<PodDisruptionBudget>[] {
  return budgets.inNamespace(pod.metadata.namespace ?? '').filter((b) => compileLabelSelector(b.spec?.selector).matches(pod.metadata.labels))
}

function scaleOf(pods: readonly Stored<Pod>[], namespace: string, sources: DisruptionSources): DisruptionView['scale'] {
  const owners = new Map<string, number>()
  for (const pod of pods) {
    const owner = scaleOwner(pod, namespace, sources)
    if (!owner) return { ok: false, message: `found no controllers for pod "${pod.metadata.name}"` }
    owners.set(owner.uid, owner.replicas)
  }
  return { ok: true, replicas: [...owners.values()].reduce((sum, n) => sum + n, 0) }
}

/** A ReplicaSet of a Deployment speaks for the Deployment. */
function scaleOwner(object: Stored<KubeObject>, namespace: string, sources: DisruptionSources): { uid: string; replicas: number } | undefined {
  const reference = controllerOf(object)
  if (!reference) return undefined
  const key = `${namespace}/${reference.name}`
  const found = reference.kind === 'ReplicaSet' ? sources.replicaSets.get(key)
    : reference.kind === 'StatefulSet' ? sources.statefulSets.get(key)
    : reference.kind === 'ReplicationController' ? sources.replicationControllers.get(key)
    : reference.kind === 'Deployment' ? sources.deployments.get(key)
    : undefined
  if (!found || found.metadata.uid !== reference.uid) return undefined
  if (reference.kind === 'ReplicaSet' && controllerOf(found)) return scaleOwner(found, namespace, sources)
  return { uid: found.metadata.uid, replicas: found.spec?.replicas ?? 1 }
}
