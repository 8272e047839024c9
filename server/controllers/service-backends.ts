/** What EndpointSlices and Endpoints have in common: which pods stand behind a Service, and on which ports. Pure. */
import { isPodTerminal, matchesSet, type KubeObject, type Pod, type Service, type ServicePort, type Stored } from '#api/types/index.ts'

export const HEADLESS_LABEL = 'service.kubernetes.io/headless'
export const LAST_CHANGE_TRIGGER = 'endpoints.kubernetes.io/last-change-trigger-time'

export interface BackendPort { name: string; protocol: string; port: number; appProtocol?: string }

/** Services without a selector are managed by someone else; ExternalName ones have no backends. */
export function isManagedService(service: Service): boolean {
  return service.spec?.selector !== undefined && Object.keys(service.spec.selector).length > 0 && service.spec.type !== 'ExternalName'
}

export function isHeadless(service: Service): boolean {
  return service.spec?.clusterIP === 'None'
}

export function selects(service: Service, pod: Pod): boolean {
  return isManagedService(service) && matchesSet(service.spec?.selector, pod.metadata?.labels)
}

/** Has an address and is not finished. Terminating pods count for slices, not for Endpoints. */
export function isBackend(pod: Pod, options: { terminating: boolean }): boolean {
  if (isPodTerminal(pod) || addressesOf(pod).length === 0) return false
  return options.terminating || pod.metadata?.deletionTimestamp === undefined
}

export function addressesOf(pod: Pod): string[] {
  const all = pod.status?.podIPs?.map((p) => p.ip) ?? []
  return all.length > 0 ? all : pod.status?.podIP ? [pod.status.podIP] : []
}

/** The Service's ports as this pod has them; a named target port the pod does not have is left out. */
export function portsOf(service: Service, pod: Pod): BackendPort[] {
  return (service.spec?.ports ?? []).flatMap((p) => {
    const port = targetPort(p, pod)
    if (port === undefined) return []
    return [{ name: p.name ?? '', protocol: p.protocol ?? 'TCP', port, ...(p.appProtocol !== undefined && { appProtocol: p.appProtocol }) }]
  })
}

function targetPort(port: ServicePort, pod: Pod): number | undefined {
  const target = port.targetPort ?? port.port
  if (typeof target === 'number') return target === 0 ? port.port : target
  const sidecars = (pod.spec?.initContainers ?? []).filter((c) => c.restartPolicy === 'Always')
  for (const container of [...(pod.spec?.containers ?? []), ...sidecars]) {
    for (const p of container.ports ?? []) if (p.name === target && (p.protocol ?? 'TCP') === (port.protocol ?? 'TCP')) return p.containerPort
  }
  return undefined
}

/** The pod's own name in DNS: only under the headless Service it names. */
export function hostnameIn(service: Stored<Service>, pod: Stored<Pod>): string | undefined {
  const { hostname, subdomain } = pod.spec ?? {}
  return hostname && subdomain === service.metadata.name && pod.metadata.namespace === service.metadata.namespace ? hostname : undefined
}

export function targetRefOf(pod: Stored<Pod>) {
  return { kind: 'Pod', name: pod.metadata.name, uid: pod.metadata.uid, ...(pod.metadata.namespace !== undefined && { namespace: pod.metadata.namespace }) }
}

/** Does this change of a pod matter to its Services? Most status writes do not. */
export function backendChanged(before: Pod, after: Pod): boolean {
  const key = (p: Pod) => JSON.stringify([
    addressesOf(p), p.spec?.nodeName, p.metadata?.deletionTimestamp === undefined, isPodTerminal(p), p.status?.conditions?.find((c) => c.type === 'Ready')?.status,
    p.metadata?.labels, p.spec?.hostname, p.spec?.subdomain,
  ])
  return key(before) !== key(after)
}

/** Wakes the Services that select a changed pod, in its old and its new shape. */
export function servicesOf(pod: KubeObject, services: readonly Stored<Service>[]): Stored<Service>[] {
  return services.filter((s) => selects(s, pod))
}
