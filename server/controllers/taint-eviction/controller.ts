/** Wires the taint eviction controller: pods of a node are looked at when its NoExecute taints change, and when their time is up. */
import { NODES, PODS, keyOf, type Node, type Pod } from '#api/types/index.ts'
import { createLoop } from '#base/reconcile/loop.ts'
import { isOrdinary, recorderFor, type ControllerFactory } from '../controller.ts'
import { jsonEqual } from '../json-equal.ts'
import { taintEvictionEffects } from './apply.ts'
import { decideTaintEviction, type TaintEvictionAction, type TaintEvictionView } from './decide.ts'
import { observeTainted, type Tainted } from './observe.ts'

const BY_NODE = 'node'
const WORKERS = 4

export const taintEvictionController: ControllerFactory = (deps) => {
  const { client, informers, clock } = deps
  const nodes = informers.of<Node>(NODES)
  const pods = informers.of<Pod>(PODS, { indexes: { [BY_NODE]: (p) => (p.spec?.nodeName ? [p.spec.nodeName] : []) } })
  const tainted = new Map<string, Tainted>()
  const recorder = recorderFor('taint-eviction-controller', deps)

  const loop = createLoop<TaintEvictionView, TaintEvictionAction>({
    name: 'taint-eviction-controller',
    observe: (key) => observeTainted(key, { pods, nodes, tainted }, clock.nowMs()),
    decide: decideTaintEviction,
    effects: (view, key) => taintEvictionEffects(view, key, { client, recorder, clock, tainted }),
    isOrdinary,
  }, { ...deps, workers: WORKERS })

  const noExecute = (n: Node | undefined) => (n?.spec?.taints ?? []).filter((t) => t.effect === 'NoExecute')
  nodes.onChange((before, after) => {
    if (jsonEqual(noExecute(before), noExecute(after))) return
    const name = (after ?? before)?.metadata.name ?? ''
    for (const pod of pods.byIndex(BY_NODE, name)) loop.queue.add(keyOf(pod))
  })
  pods.onChange((before, after) => {
    if (!after) {
      if (before && tainted.has(keyOf(before))) loop.queue.add(keyOf(before))
      return
    }
    const moved = before?.spec?.nodeName !== after.spec?.nodeName || !jsonEqual(before?.spec?.tolerations, after.spec?.tolerations)
    if (moved && noExecute(nodes.get(after.spec?.nodeName ?? '')).length > 0) loop.queue.add(keyOf(after))
  })
  return {
    name: 'taint-eviction-controller',
    async run(signal) {
      await loop.run(signal)
      recorder.close()
    },
  }
}
