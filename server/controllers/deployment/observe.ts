/** What the Deployment controller looks at: informers only. */
import type { Informer } from '#api/client/client.ts'
import type { Deployment, Pod, ReplicaSet } from '#api/types/index.ts'
import { BY_CONTROLLER, orphansOf } from '../ownership.ts'
import type { DeploymentView } from './decide.ts'
import { isRolling } from './sizes.ts'

export interface DeploymentSources { deployments: Informer<Deployment>; replicaSets: Informer<ReplicaSet>; pods: Informer<Pod> }

export function observeDeployment(key: string, { deployments, replicaSets, pods }: DeploymentSources): DeploymentView | undefined {
  const deployment = deployments.get(key)
  if (!deployment) return undefined
  const owned = replicaSets.byIndex(BY_CONTROLLER, deployment.metadata.uid)
  const orphans = replicaSets.byIndex(BY_CONTROLLER, orphansOf(deployment.metadata.namespace ?? ''))
  const podsByReplicaSet = new Map<string, Pod[]>()
  if (!isRolling(deployment)) for (const { metadata } of owned) podsByReplicaSet.set(metadata.uid, pods.byIndex(BY_CONTROLLER, metadata.uid))
  return { deployment, replicaSets: [...owned, ...orphans], podsByReplicaSet }
}
