/** Wires the garbage collector: which change makes which object worth a look. */
import type { KubeObject } from '#api/types/index.ts'
import { apiVersionOf } from '#api/types/index.ts'
import { createLoop } from '#base/reconcile/loop.ts'
import { isOrdinary, recorderFor, type ControllerFactory } from '../controller.ts'
import { garbageEffects } from './apply.ts'
import { decideGarbage, type GarbageAction, type GarbageView } from './decide.ts'
import { createGraph, FOREGROUND, ORPHAN, type GraphNode } from './graph.ts'
import { createKinds } from './kinds.ts'
import { createAbsentOwners, kindKey, observeGarbage, type GarbageSources } from './observe.ts'

/** Upstream runs 20; a board gains nothing from more than share one group commit. */
const WORKERS = 8

export const garbageCollector: ControllerFactory = (deps) => {
  const { client } = deps
  const graph = createGraph()
  const absent = createAbsentOwners()
  const recorder = recorderFor('garbage-collector-controller', deps)
  const phase = { ready: false }

  const awaits = (node: GraphNode) => node.deleting && (node.finalizers.includes(FOREGROUND) || node.finalizers.includes(ORPHAN))
  /** Owners not seen, going, or none: only those make an object worth a look. */
  const suspicious = (node: GraphNode) => !node.deleting && node.owners.some((o) => graph.get(o.uid)?.deleting !== false)

  const onChange = (before: GraphNode | undefined, after: GraphNode | undefined) => {
    if (after) graph.put(after)
    else if (before) graph.remove(before.uid)
    if (!phase.ready) return
    if (after && (suspicious(after) || awaits(after))) loop.queue.add(after.uid)
    if (after && awaits(after) && !(before && awaits(before))) for (const d of graph.dependentsOf(after.uid)) loop.queue.add(d.uid)
    if (!after && before) for (const d of graph.dependentsOf(before.uid)) loop.queue.add(d.uid)
    // An owner that waits looks again when a dependent goes or lets go.
    for (const { uid } of before?.owners ?? []) {
      const owner = graph.get(uid)
      if (owner && awaits(owner)) loop.queue.add(uid)
    }
  }
  const kinds = createKinds(deps, onChange)
  const sources: GarbageSources = {
    graph, client, absent, complete: () => kinds.complete(),
    resourceOf: (reference) => kinds.resourceOf(kindKey(reference)),
    onInvalid(item, reference) {
      const about: KubeObject = { apiVersion: apiVersionOf(item.ref), kind: item.ref.kind, metadata: { name: item.name, uid: item.uid } }
      recorder.event(about, 'Warning', 'OwnerRefInvalidNamespace', `ownerRef [${reference.apiVersion}/${reference.kind}, namespace: , name: ${reference.name}, uid: ${reference.uid}] does not exist in namespace ""`)
    },
  }

  const loop = createLoop<GarbageView, GarbageAction>({
    name: 'garbage-collector-controller',
    observe: (uid, signal) => observeGarbage(uid, sources, signal),
    decide: decideGarbage,
    effects: () => garbageEffects(client),
    isOrdinary,
  }, { ...deps, workers: WORKERS })

  const scan = () => { for (const node of graph.all()) if (suspicious(node) || awaits(node)) loop.queue.add(node.uid) }
  // A kind that has just become known may be an owner of what was given the benefit of the doubt.
  kinds.onKinds(() => { if (phase.ready) scan() })

  return {
    name: 'garbage-collector-controller',
    async run(signal) {
      await kinds.run(signal)
      phase.ready = true
      scan()
      await loop.run(signal)
      recorder.close()
    },
  }
}
