/** Wires the EndpointSlice controller: which changes wake which Service. */
import { ENDPOINT_SLICES, NODES, PODS, SERVICES, keyOf, splitKey, type EndpointSlice, type Node, type Pod, type Service, type Stored } from '#api/types/index.ts'
import { createLoop } from '#base/reconcile/loop.ts'
import { isOrdinary, type ControllerFactory } from '../controller.ts'
import { createRecentWrites } from '../recent-writes.ts'
import { backendChanged, servicesOf } from '../service-backends.ts'
import { endpointSliceEffects } from './apply.ts'
import { decideEndpointSlices, type EndpointSliceAction, type EndpointSliceView } from './decide.ts'
import { BY_SERVICE, byService, observeEndpointSlices } from './observe.ts'

const WORKERS = 3
/** Pods of a rollout become ready in bursts: one write for those within this time. */
const BATCH_MS = 20

export const endpointSliceController: ControllerFactory = (deps) => {
  const { client, informers, clock } = deps
  const services = informers.of<Service>(SERVICES)
  const pods = informers.of<Pod>(PODS)
  const nodes = informers.of<Node>(NODES)
  const slices = informers.of<EndpointSlice>(ENDPOINT_SLICES, { indexes: { [BY_SERVICE]: byService } })
  const recent = createRecentWrites<EndpointSlice>(slices, clock)
  const unseen = new Map<string, number>()

  const loop = createLoop<EndpointSliceView, EndpointSliceAction>({
    name: 'endpointslice-controller',
    observe(key) {
      const view = observeEndpointSlices(key, { services, pods, nodes, slices })
      const { objects, untilMs } = recent.merge(key, view.slices)
      if (untilMs === undefined) unseen.delete(key)
      else unseen.set(key, untilMs)
      return { ...view, slices: objects }
    },
    decide: decideEndpointSlices,
    effects: (_, key) => endpointSliceEffects(key, splitKey(key).namespace, client, recent),
    onPass(key, { error }) {
      const untilMs = unseen.get(key)
      if (!error && untilMs !== undefined) loop.queue.addAfter(key, Math.max(1, untilMs - clock.nowMs()))
    },
    isOrdinary,
  }, { ...deps, workers: WORKERS })

  const wakeServicesOf = (pod: Stored<Pod>) => {
    for (const service of servicesOf(pod, services.inNamespace(pod.metadata.namespace ?? ''))) loop.queue.addAfter(keyOf(service), BATCH_MS)
  }
  services.onChange((before, after) => {
    const changed = after ?? before
    if (changed) loop.queue.add(keyOf(changed))
  })
  pods.onChange((before, after) => {
    if (before && after && !backendChanged(before, after)) return
    if (before) wakeServicesOf(before)
    if (after) wakeServicesOf(after)
  })
  slices.onChange((before, after) => {
    for (const slice of [before, after]) if (slice) for (const key of byService(slice)) loop.queue.add(key)
  })
  nodes.onChange((before, after) => {
    const zone = (n: Node | undefined) => n?.metadata?.labels?.['topology.kubernetes.io/zone']
    if (before && after && zone(before) === zone(after)) return
    const name = (after ?? before)?.metadata.name
    for (const pod of pods.list()) if (pod.spec?.nodeName === name) wakeServicesOf(pod)
  })
  return { name: 'endpointslice-controller', run: (signal) => loop.run(signal) }
}
