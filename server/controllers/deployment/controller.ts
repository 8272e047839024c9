/** Wires the Deployment controller: which changes wake which key. */
import { DEPLOYMENTS, PODS, REPLICA_SETS, compileLabelSelector, keyOf, type Deployment, type Pod, type ReplicaSet, type Stored } from '#api/types/index.ts'
import { createLoop } from '#base/reconcile/loop.ts'
import { isOrdinary, recorderFor, type ControllerFactory } from '../controller.ts'
import { BY_CONTROLLER, byController, controllerOf } from '../ownership.ts'
import { deploymentEffects } from './apply.ts'
import { decideDeployment, type DeploymentAction, type DeploymentView } from './decide.ts'
import { observeDeployment } from './observe.ts'
import { isRolling } from './sizes.ts'

const WORKERS = 5

export const deploymentController: ControllerFactory = (deps) => {
  const { client, informers, clock } = deps
  const deployments = informers.of<Deployment>(DEPLOYMENTS)
  const replicaSets = informers.of<ReplicaSet>(REPLICA_SETS, { indexes: { [BY_CONTROLLER]: byController } })
  const pods = informers.of<Pod>(PODS, { indexes: { [BY_CONTROLLER]: byController } })
  const recorder = recorderFor('deployment-controller', deps)

  const loop = createLoop<DeploymentView, DeploymentAction>({
    name: 'deployment-controller',
    observe: (key) => observeDeployment(key, { deployments, replicaSets, pods }),
    decide: decideDeployment,
    effects: (view) => deploymentEffects(view, { client, recorder, clock }),
    isOrdinary,
  }, { ...deps, workers: WORKERS })

  const wakeOwner = (rs: Stored<ReplicaSet>) => {
    const owner = controllerOf(rs)
    const namespace = rs.metadata.namespace ?? ''
    if (owner) {
      if (owner.kind === 'Deployment') loop.queue.add(`${namespace}/${owner.name}`)
      return
    }
    for (const d of deployments.inNamespace(namespace)) {
      const matcher = compileLabelSelector(d.spec?.selector)
      if (matcher.requirements.length > 0 && matcher.matches(rs.metadata.labels)) loop.queue.add(keyOf(d))
    }
  }
  deployments.onChange((before, after) => {
    const changed = after ?? before
    if (changed) loop.queue.add(keyOf(changed))
  })
  replicaSets.onChange((before, after) => {
    if (after) wakeOwner(after)
    if (before && (!after || controllerOf(before)?.uid !== controllerOf(after)?.uid)) wakeOwner(before)
  })
  // Recreate waits for the last old pod to be gone; nothing else here depends on pods.
  pods.onChange((before, after) => {
    const owner = before && (!after || after.status?.phase !== before.status?.phase) ? controllerOf(before) : undefined
    if (owner?.kind !== 'ReplicaSet') return
    const deployment = deployments.get(`${before?.metadata.namespace ?? ''}/${controllerOf(replicaSets.get(`${before?.metadata.namespace ?? ''}/${owner.name}`) ?? {})?.name ?? ''}`)
    if (deployment && !isRolling(deployment)) loop.queue.add(keyOf(deployment))
  })

  return {
    name: 'deployment-controller',
    async run(signal) {
      await loop.run(signal)
      recorder.close()
    },
  }
}
