/** Wires the ReplicaSet controller: which changes wake which key. */
import { PODS, REPLICA_SETS, keyOf, type Pod, type ReplicaSet, type ResourceRef, type Stored } from '#api/types/index.ts'
import type { Informer } from '#api/client/client.ts'
import { createLoop } from '#base/reconcile/loop.ts'
import { isOrdinary, recorderFor, type Controller, type ControllerDeps, type ControllerFactory } from '../controller.ts'
import { BY_CONTROLLER, byController, controllerOf } from '../ownership.ts'
import { createRecentWrites } from '../recent-writes.ts'
import { replicaSetEffects } from './apply.ts'
import { decideReplicaSet, selectorOf, type ReplicaSetAction, type ReplicaSetView } from './decide.ts'
import { observeReplicaSet } from './observe.ts'

/** Keys worked on side by side: enough to share the store's group commits. */
const WORKERS = 5

export const replicaSetController: ControllerFactory = (deps) =>
  workReplicaSets(deps, { name: 'replicaset-controller', component: 'replicaset-controller', kind: 'ReplicaSet', replicaSets: deps.informers.of<ReplicaSet>(REPLICA_SETS, { indexes: { [BY_CONTROLLER]: byController } }) })

export interface Worked {
  name: string
  /** In events. */
  component: string
  kind: string
  /** Undefined: ReplicaSets. */
  ref?: ResourceRef
  replicaSets: Pick<Informer<ReplicaSet>, 'get' | 'byIndex' | 'inNamespace' | 'onChange'>
}

export function workReplicaSets(deps: ControllerDeps, { name, component, kind, ref, replicaSets }: Worked): Controller {
  const { client, informers, clock } = deps
  const pods = informers.of<Pod>(PODS, { indexes: { [BY_CONTROLLER]: byController } })
  const recent = createRecentWrites<Pod>(pods, clock)
  const failures = new Map<string, NonNullable<ReplicaSetView['failure']>>()
  const recorder = recorderFor(component, deps)

  const loop = createLoop<ReplicaSetView, ReplicaSetAction>({
    name,
    observe: (key) => observeReplicaSet(key, { ...(ref && { ref }), replicaSets, pods, recent, failures }),
    decide: decideReplicaSet,
    effects: (view, key) => replicaSetEffects(view, key, { client, recorder, recent, failures }),
    isOrdinary,
  }, { ...deps, workers: WORKERS })

  const wakeOwner = (pod: Stored<Pod>) => {
    const owner = controllerOf(pod)
    if (owner) {
      if (owner.kind === kind) loop.queue.add(`${pod.metadata.namespace ?? ''}/${owner.name}`)
      return
    }
    // An orphan concerns whoever selects it.
    for (const rs of replicaSets.inNamespace(pod.metadata.namespace ?? '')) if (selectorOf(rs).matches(pod.metadata.labels)) loop.queue.add(keyOf(rs))
  }
  replicaSets.onChange((before, after) => {
    const changed = after ?? before
    if (!changed) return
    if (!after) failures.delete(keyOf(changed))
    loop.queue.add(keyOf(changed))
  })
  pods.onChange((before, after) => {
    if (after) wakeOwner(after)
    if (before && controllerOf(before)?.uid !== (after && controllerOf(after)?.uid)) wakeOwner(before)
  })

  return {
    name,
    async run(signal) {
      await loop.run(signal)
      recorder.close()
    },
  }
}
