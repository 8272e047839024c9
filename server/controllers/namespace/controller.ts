/** Wires the namespace controller. A dying namespace is woken by its pods' departure, and by time for the rest. */
import { NAMESPACES, PODS, type Namespace, type Pod } from '#api/types/index.ts'
import { createLoop } from '#base/reconcile/loop.ts'
import { isOrdinary, type ControllerFactory } from '../controller.ts'
import { byController, BY_CONTROLLER } from '../ownership.ts'
import { namespaceEffects } from './apply.ts'
import { decideNamespace, type NamespaceAction, type NamespaceView } from './decide.ts'
import { observeNamespace } from './observe.ts'

export const namespaceController: ControllerFactory = (deps) => {
  const { client, informers } = deps
  const namespaces = informers.of<Namespace>(NAMESPACES)
  const pods = informers.of<Pod>(PODS, { indexes: { [BY_CONTROLLER]: byController } })
  const attempts = new Map<string, number>()

  const loop = createLoop<NamespaceView, NamespaceAction>({
    name: 'namespace-controller',
    observe: (name, signal) => observeNamespace(name, namespaces, client, attempts.get(name) ?? 0, signal),
    decide: decideNamespace,
    effects: (view) => namespaceEffects(view, client),
    onPass(name, { decision, applied }) {
      // Progress resets the waiting; a pass that found nothing new to do lengthens it.
      if (applied > 0 || decision?.wakeAtMs === undefined) attempts.delete(name)
      else attempts.set(name, (attempts.get(name) ?? 0) + 1)
    },
    isOrdinary,
  }, { ...deps, workers: 2 })

  namespaces.onChange((before, after) => {
    if (after?.metadata.deletionTimestamp !== undefined) loop.queue.add(after.metadata.name)
    else if (before && !after) attempts.delete(before.metadata.name)
  })
  pods.onChange((before, after) => {
    if (after || !before) return
    const namespace = namespaces.get(before.metadata.namespace ?? '')
    if (namespace?.metadata.deletionTimestamp !== undefined) loop.queue.add(namespace.metadata.name)
  })
  return { name: 'namespace-controller', run: (signal) => loop.run(signal) }
}
