/** Wires the StatefulSet controller: which changes wake which key. */
import { CONTROLLER_REVISIONS, PERSISTENT_VOLUME_CLAIMS, PODS, STATEFUL_SETS, keyOf, type ControllerRevision, type KubeObject, type PersistentVolumeClaim, type Pod, type StatefulSet, type Stored } from '#api/types/index.ts'
import { createLoop } from '#base/reconcile/loop.ts'
import { isOrdinary, recorderFor, type ControllerFactory } from '../controller.ts'
import { BY_CONTROLLER, byController, controllerOf, orphansOf } from '../ownership.ts'
import { createRecentWrites } from '../recent-writes.ts'
import { statefulSetEffects } from './apply.ts'
import { decideStatefulSet, selectorOf, type StatefulSetAction, type StatefulSetView } from './decide.ts'

const WORKERS = 5

export const statefulSetController: ControllerFactory = (deps) => {
  const { client, informers, clock } = deps
  const indexes = { [BY_CONTROLLER]: byController }
  const sets = informers.of<StatefulSet>(STATEFUL_SETS)
  const pods = informers.of<Pod>(PODS, { indexes })
  const revisions = informers.of<ControllerRevision>(CONTROLLER_REVISIONS, { indexes })
  const claims = informers.of<PersistentVolumeClaim>(PERSISTENT_VOLUME_CLAIMS)
  const recent = createRecentWrites<Pod>(pods, clock)
  const recorder = recorderFor('statefulset-controller', deps)

  const loop = createLoop<StatefulSetView, StatefulSetAction>({
    name: 'statefulset-controller',
    observe(key) {
      const set = sets.get(key)
      if (!set) return undefined
      const { uid, namespace = '' } = set.metadata
      const { objects, untilMs } = recent.merge(key, [...pods.byIndex(BY_CONTROLLER, uid), ...pods.byIndex(BY_CONTROLLER, orphansOf(namespace))])
      return { set, pods: objects, revisions: revisions.byIndex(BY_CONTROLLER, uid), claimOf: (name) => claims.get(`${namespace}/${name}`), unseenUntilMs: untilMs }
    },
    decide: decideStatefulSet,
    effects: (view, key) => statefulSetEffects(view, key, { client, recorder, recent, claims }),
    isOrdinary,
  }, { ...deps, workers: WORKERS })

  const wakeOwner = (object: Stored<KubeObject>, mayAdopt: boolean) => {
    const { namespace = '', labels } = object.metadata
    const owner = controllerOf(object)
    if (owner?.kind === 'StatefulSet') loop.queue.add(`${namespace}/${owner.name}`)
    else if (!owner && mayAdopt) for (const set of sets.inNamespace(namespace)) if (selectorOf(set).matches(labels)) loop.queue.add(keyOf(set))
  }
  sets.onChange((before, after) => {
    const changed = after ?? before
    if (changed) loop.queue.add(keyOf(changed))
  })
  pods.onChange((before, after) => {
    if (after) wakeOwner(after, true)
    if (before && controllerOf(before)?.uid !== (after && controllerOf(after)?.uid)) wakeOwner(before, true)
  })
  revisions.onChange((before, after) => {
    const changed = after ?? before
    if (changed) wakeOwner(changed, false)
  })

  return {
    name: 'statefulset-controller',
    async run(signal) {
      await loop.run(signal)
      recorder.close()
    },
  }
}
