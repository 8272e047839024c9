/** The legacy Endpoints object of each Service, after upstream's pkg/controller/endpoint. Pure. */
import { type CoreV1EndpointPort, type EndpointAddress, type EndpointSubset, type Endpoints, type Pod, type Service, type Stored } from '#api/types/index.ts'
import { isPodReady } from '#api/types/index.ts'
import { nothing, type DecideContext, type Decision } from '#base/reconcile/action.ts'
import { jsonEqual } from '../json-equal.ts'
import { HEADLESS_LABEL, addressesOf, hostnameIn, isBackend, isHeadless, isManagedService, portsOf, targetRefOf } from '../service-backends.ts'

export interface EndpointsView {
  service: Stored<Service> | undefined
  /** Selected by the Service. */
  pods: readonly Stored<Pod>[]
  endpoints: Stored<Endpoints> | undefined
}

export type EndpointsAction =
  | { kind: 'create'; endpoints: Endpoints }
  | { kind: 'update'; endpoints: Stored<Endpoints> }
  | { kind: 'delete'; name: string; uid: string }

/** Upstream: more addresses are cut off, and the annotation says so. */
export const ADDRESSES_MAX = 1_000
const OVER_CAPACITY = 'endpoints.kubernetes.io/over-capacity'
const MANAGED_BY_LABEL = 'endpoints.kubernetes.io/managed-by'
const MANAGED_BY = 'endpoint-controller'

export function decideEndpoints({ service, pods, endpoints }: EndpointsView, _ctx: DecideContext): Decision<EndpointsAction> {
  if (!service) {
    // Only what this controller made: Endpoints without a Service may be someone's own (leader election of old).
    if (endpoints?.metadata.labels?.[MANAGED_BY_LABEL] !== MANAGED_BY) return nothing('no such Service')
    return { actions: [{ kind: 'delete', name: endpoints.metadata.name, uid: endpoints.metadata.uid }], because: 'its Service is gone' }
  }
  if (!isManagedService(service) || service.metadata.deletionTimestamp !== undefined) return nothing('managed by someone else')
  const { subsets, cut } = capped(repacked(pods.flatMap((p) => singleSubset(service, p))))
  const labels = wantedLabels(service)
  const annotations = { ...endpoints?.metadata.annotations }
  if (cut) annotations[OVER_CAPACITY] = 'truncated'
  else delete annotations[OVER_CAPACITY]
  const fields = { ...(subsets.length > 0 && { subsets }) }
  if (!endpoints) {
    const metadata = {
      name: service.metadata.name, labels, ...(service.metadata.namespace !== undefined && { namespace: service.metadata.namespace }),
      ...(Object.keys(annotations).length > 0 && { annotations }),
    }
    return { actions: [{ kind: 'create', endpoints: { apiVersion: 'v1', kind: 'Endpoints', metadata, ...fields } }], because: `${pods.length} pods selected` }
  }
  const same = jsonEqual(endpoints.subsets ?? [], subsets) && jsonEqual(endpoints.metadata.labels ?? {}, labels) && jsonEqual(endpoints.metadata.annotations ?? {}, annotations)
  if (same) return nothing('right')
  const { subsets: _, ...rest } = endpoints
  return { actions: [{ kind: 'update', endpoints: { ...rest, metadata: { ...endpoints.metadata, labels, annotations }, ...fields } }], because: 'changed' }
}

function wantedLabels(service: Stored<Service>): Record<string, string> {
  const { [HEADLESS_LABEL]: _, ...copied } = service.metadata.labels ?? {}
  return { ...copied, ...(isHeadless(service) && { [HEADLESS_LABEL]: '' }), [MANAGED_BY_LABEL]: MANAGED_BY }
}

interface Entry { ports: CoreV1EndpointPort[]; address: EndpointAddress; ready: boolean }

/** A pod behind a Service with ports counts once per port, as upstream packs them. */
function singleSubset(service: Stored<Service>, pod: Stored<Pod>): Entry[] {
  const tolerant = service.spec?.publishNotReadyAddresses === true
  if (!isBackend(pod, { terminating: tolerant })) return []
  const family = service.spec?.ipFamilies?.[0] ?? (service.spec?.clusterIP?.includes(':') ? 'IPv6' : 'IPv4')
  const ip = addressesOf(pod).find((a) => (a.includes(':') ? 'IPv6' : 'IPv4') === family)
  if (ip === undefined) return []
  const hostname = hostnameIn(service, pod)
  const address: EndpointAddress = {
    ip, targetRef: targetRefOf(pod),
    ...(pod.spec?.nodeName !== undefined && { nodeName: pod.spec.nodeName }), ...(hostname !== undefined && { hostname }),
  }
  const ready = tolerant || isPodReady(pod)
  const ports = portsOf(service, pod).map((p): CoreV1EndpointPort => ({
    ...(p.name !== '' && { name: p.name }), port: p.port, protocol: p.protocol, ...(p.appProtocol !== undefined && { appProtocol: p.appProtocol }),
  }))
  if ((service.spec?.ports ?? []).length === 0) return isHeadless(service) ? [{ ports: [], address, ready }] : []
  return ports.map((port) => ({ ports: [port], address, ready }))
}

/** As upstream's RepackSubsets: addresses with the same set of ports stand together, in canonical order. */
function repacked(entries: readonly Entry[]): EndpointSubset[] {
  const byAddress = new Map<string, { address: EndpointAddress; ready: boolean; ports: CoreV1EndpointPort[] }>()
  for (const { address, ready, ports } of entries) {
    const id = JSON.stringify([address.ip, address.targetRef?.uid])
    const known = byAddress.get(id)
    if (known) known.ports.push(...ports)
    else byAddress.set(id, { address, ready, ports: [...ports] })
  }
  const subsets = new Map<string, { ports: CoreV1EndpointPort[]; ready: EndpointAddress[]; notReady: EndpointAddress[] }>()
  for (const { address, ready, ports } of byAddress.values()) {
    const sorted = ports.toSorted((a, b) => compare(portText(a), portText(b)))
    const id = JSON.stringify(sorted)
    let subset = subsets.get(id)
    if (!subset) subsets.set(id, subset = { ports: sorted, ready: [], notReady: [] })
    subset[ready ? 'ready' : 'notReady'].push(address)
  }
  const byIp = (a: EndpointAddress, b: EndpointAddress) => compare(`${a.ip} ${a.targetRef?.uid ?? ''}`, `${b.ip} ${b.targetRef?.uid ?? ''}`)
  return [...subsets].sort(([a], [b]) => compare(a, b)).map(([, s]) => ({
    ...(s.ready.length > 0 && { addresses: s.ready.sort(byIp) }),
    ...(s.notReady.length > 0 && { notReadyAddresses: s.notReady.sort(byIp) }),
    ...(s.ports.length > 0 && { ports: s.ports }),
  }))
}

/** Ready addresses are kept before others. */
function capped(subsets: EndpointSubset[]): { subsets: EndpointSubset[]; cut: boolean } {
  const total = subsets.reduce((n, s) => n + (s.addresses?.length ?? 0) + (s.notReadyAddresses?.length ?? 0), 0)
  if (total <= ADDRESSES_MAX) return { subsets, cut: false }
  let room = ADDRESSES_MAX
  const take = (list: EndpointAddress[] | undefined) => {
    const kept = list?.slice(0, room) ?? []
    room -= kept.length
    return kept
  }
  const ready = subsets.map((s) => take(s.addresses))
  const cut = subsets.map((s, i) => {
    const addresses = ready[i] ?? []
    const notReadyAddresses = take(s.notReadyAddresses)
    return { ...(addresses.length > 0 && { addresses }), ...(notReadyAddresses.length > 0 && { notReadyAddresses }), ...(s.ports && { ports: s.ports }) }
  })
  return { subsets: cut.filter((s) => s.addresses || s.notReadyAddresses), cut: true }
}

const portText = (p: CoreV1EndpointPort): string => `${p.name ?? ''} ${p.protocol ?? ''} ${String(p.port).padStart(5, '0')}`
const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)
