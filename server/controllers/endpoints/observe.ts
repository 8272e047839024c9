/** What the Endpoints controller looks at: informers only. */
import type { Informer } from '#api/client/client.ts'
import { splitKey, type Endpoints, type Pod, type Service } from '#api/types/index.ts'
import { selects } from '../service-backends.ts'
import type { EndpointsView } from './decide.ts'

export function observeEndpoints(key: string, sources: { services: Informer<Service>; pods: Informer<Pod>; endpoints: Informer<Endpoints> }): EndpointsView {
  const service = sources.services.get(key)
  const pods = service ? sources.pods.inNamespace(splitKey(key).namespace).filter((p) => selects(service, p)) : []
  return { service, pods, endpoints: sources.endpoints.get(key) }
}
