/** Wires the pod garbage collector: told by changes of pods and nodes, never polling. */
import { NODES, PODS, isPodTerminal, keyOf, type Node, type Pod } from '#api/types/index.ts'
import { createLoop } from '#base/reconcile/loop.ts'
import { isOrdinary, type ControllerFactory } from '../controller.ts'
import { podGcEffects } from './apply.ts'
import { decidePodGc, type PodGcAction, type PodGcView } from './decide.ts'
import { FINISHED, finished, observePodGc, surplusPods } from './observe.ts'

const BY_NODE = 'node'
/** Upstream's --terminated-pod-gc-threshold. */
const TERMINATED_MAX = 12_500

export const podGcController: ControllerFactory = (deps) => {
  const { client, informers, clock, config } = deps
  const pods = informers.of<Pod>(PODS, { indexes: { [FINISHED]: finished, [BY_NODE]: (p) => (p.spec?.nodeName ? [p.spec.nodeName] : []) } })
  const nodes = informers.of<Node>(NODES)
  const missing = new Map<string, number>()
  const terminatedMax = config.terminatedPodsMax ?? TERMINATED_MAX

  const loop = createLoop<PodGcView, PodGcAction>({
    name: 'pod-garbage-collector',
    observe: (key) => observePodGc(key, { pods, nodes, missing, terminatedMax }, clock.nowMs()),
    decide: decidePodGc,
    effects: (view) => podGcEffects(view, client, clock),
    isOrdinary,
  }, deps)

  pods.onChange((before, after) => {
    if (!after) return
    const nodeName = after.spec?.nodeName
    const dying = after.metadata.deletionTimestamp !== undefined
    if (dying || (nodeName && before?.spec?.nodeName !== nodeName && nodes.hasSynced() && !nodes.get(nodeName))) loop.queue.add(keyOf(after))
    const newlyFinished = isPodTerminal(after) && !(before && isPodTerminal(before))
    if (newlyFinished && pods.byIndex(FINISHED, 'yes').length > terminatedMax && terminatedMax > 0) for (const p of surplusPods(pods, terminatedMax)) loop.queue.add(keyOf(p))
  })
  nodes.onChange((before, after) => {
    const name = (after ?? before)?.metadata.name ?? ''
    if (after) missing.delete(name)
    else missing.set(name, clock.nowMs())
    const taints = (n: Node | undefined) => n?.spec?.taints?.length ?? 0
    if (!after || taints(before) !== taints(after)) for (const p of pods.byIndex(BY_NODE, name)) loop.queue.add(keyOf(p))
  })
  return {
    name: 'pod-garbage-collector',
    async run(signal) {
      // Both informers are complete only now: pods whose node was gone before we started.
      for (const p of pods.list()) if (p.metadata.deletionTimestamp !== undefined || (p.spec?.nodeName && !nodes.get(p.spec.nodeName))) loop.queue.add(keyOf(p))
      await loop.run(signal)
    },
  }
}
