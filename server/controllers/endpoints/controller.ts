/** Wires the Endpoints controller: which changes wake which Service. */
import { ENDPOINTS, PODS, SERVICES, keyOf, splitKey, type Endpoints, type Pod, type Service, type Stored } from '#api/types/index.ts'
import { createLoop } from '#base/reconcile/loop.ts'
import { isOrdinary, type ControllerFactory } from '../controller.ts'
import { backendChanged, servicesOf } from '../service-backends.ts'
import { endpointsEffects } from './apply.ts'
import { decideEndpoints, type EndpointsAction, type EndpointsView } from './decide.ts'
import { observeEndpoints } from './observe.ts'

const WORKERS = 2
/** Hardly anybody reads these any more: they may be a little later than the slices, in fewer writes. */
const BATCH_MS = 100

export const endpointsController: ControllerFactory = (deps) => {
  const { client, informers } = deps
  const services = informers.of<Service>(SERVICES)
  const pods = informers.of<Pod>(PODS)
  const endpoints = informers.of<Endpoints>(ENDPOINTS)

  const loop = createLoop<EndpointsView, EndpointsAction>({
    name: 'endpoint-controller',
    observe: (key) => observeEndpoints(key, { services, pods, endpoints }),
    decide: decideEndpoints,
    effects: (_, key) => endpointsEffects(splitKey(key).namespace, client),
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
  endpoints.onChange((before, after) => {
    const changed = after ?? before
    if (changed) loop.queue.add(keyOf(changed))
  })
  return { name: 'endpoint-controller', run: (signal) => loop.run(signal) }
}
