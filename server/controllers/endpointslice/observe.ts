/** What the EndpointSlice controller looks at: informers only. */
import type { Informer } from '#api/client/client.ts'
import { splitKey, type EndpointSlice, type Node, type Pod, type Service, type Stored } from '#api/types/index.ts'
import { selects } from '../service-backends.ts'
import { MANAGED_BY, MANAGED_BY_LABEL, SERVICE_NAME_LABEL, type EndpointSliceView } from './decide.ts'

export interface EndpointSliceSources { services: Informer<Service>; pods: Informer<Pod>; nodes: Informer<Node>; slices: Informer<EndpointSlice> }

export const BY_SERVICE = 'service'

/** Slices of a Service that this controller manages. */
export function byService(slice: EndpointSlice): string[] {
  const { labels, namespace } = slice.metadata ?? {}
  return labels?.[MANAGED_BY_LABEL] === MANAGED_BY ? [`${namespace ?? ''}/${labels[SERVICE_NAME_LABEL] ?? ''}`] : []
}

export function observeEndpointSlices(key: string, { services, pods, nodes, slices }: EndpointSliceSources): EndpointSliceView {
  const service = services.get(key)
  const selected = service ? pods.inNamespace(splitKey(key).namespace).filter((p) => selects(service, p)) : []
  const used = new Map<string, Stored<Node>>()
  for (const pod of selected) {
    const node = nodes.get(pod.spec?.nodeName ?? '')
    if (node) used.set(node.metadata.name, node)
  }
  return { service, pods: selected, nodes: used, slices: slices.byIndex(BY_SERVICE, key) }
}
