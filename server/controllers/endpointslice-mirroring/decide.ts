/** Endpoints that somebody keeps by hand, as EndpointSlices: kube-proxies read nothing else (upstream's endpointslicemirroring). Pure. */
import { ENDPOINTS, type DiscoveryV1EndpointPort as SlicePort, type Endpoint, type EndpointAddress, type EndpointSlice, type EndpointSubset, type Endpoints, type Service, type Stored } from '#api/types/index.ts'
import { nothing, type Decision } from '#base/reconcile/action.ts'
import { jsonEqual } from '../json-equal.ts'
import { controllerReference } from '../ownership.ts'
import { LAST_CHANGE_TRIGGER } from '../service-backends.ts'

export interface MirrorView { endpoints: Stored<Endpoints> | undefined; service: Stored<Service> | undefined; /** Of this Service, made here. */ slices: readonly Stored<EndpointSlice>[] }

export type MirrorAction =
  | { kind: 'createSlice'; slice: EndpointSlice }
  | { kind: 'updateSlice'; slice: Stored<EndpointSlice> }
  | { kind: 'deleteSlice'; name: string; uid: string }
  | { kind: 'skipped'; count: number }

export const MANAGED_BY = 'endpointslicemirroring-controller.k8s.io'
export const MANAGED_BY_LABEL = 'endpointslice.kubernetes.io/managed-by'
export const SERVICE_NAME_LABEL = 'kubernetes.io/service-name'
const SKIP = 'endpointslice.kubernetes.io/skip-mirror'
const LEADER = 'control-plane.alpha.kubernetes.io/leader'
const NOT_COPIED: ReadonlySet<string> = new Set([LAST_CHANGE_TRIGGER, 'kubectl.kubernetes.io/last-applied-configuration', 'endpoints.kubernetes.io/over-capacity'])
/** Upstream's --mirroring-max-endpoints-per-subset. */
const SUBSET_MAX = 1_000

export function isMirrored(endpoints: Stored<Endpoints>): boolean {
  const { labels, annotations, deletionTimestamp } = endpoints.metadata
  return deletionTimestamp === undefined && labels?.[SKIP] !== 'true' && annotations?.[LEADER] === undefined
}

export function decideMirror({ endpoints, service, slices }: MirrorView): Decision<MirrorAction> {
  const old = slices.filter((s) => s.metadata.deletionTimestamp === undefined)
  const remove = (from: readonly Stored<EndpointSlice>[]): MirrorAction[] => from.map((s) => ({ kind: 'deleteSlice', name: s.metadata.name, uid: s.metadata.uid }))
  // A Service with a selector has slices of its own.
  const isWanted = endpoints && isMirrored(endpoints) && service && service.metadata.deletionTimestamp === undefined && Object.keys(service.spec?.selector ?? {}).length === 0
  if (!isWanted) return old.length === 0 ? nothing('nothing to mirror') : { actions: remove(old), because: 'not mirrored any more' }
  const { wanted, skipped } = slicesOf(endpoints)
  const left = [...old]
  const actions: MirrorAction[] = []
  for (const slice of wanted) {
    const at = left.findIndex((s) => s.addressType === slice.addressType && jsonEqual(s.ports ?? [], slice.ports ?? []))
    const [same] = at < 0 ? [] : left.splice(at, 1)
    if (!same) actions.push({ kind: 'createSlice', slice })
    else if (!jsonEqual(same.endpoints, slice.endpoints) || !jsonEqual(same.metadata.labels, slice.metadata?.labels) || !jsonEqual(same.metadata.annotations ?? {}, slice.metadata?.annotations ?? {})) {
      actions.push({ kind: 'updateSlice', slice: { ...same, endpoints: slice.endpoints ?? [], metadata: { ...same.metadata, labels: slice.metadata?.labels ?? {}, annotations: slice.metadata?.annotations ?? {} } } })
    }
  }
  return { actions: [...actions, ...remove(left), ...(skipped > 0 ? [{ kind: 'skipped' as const, count: skipped }] : [])], because: `${wanted.length} slices` }
}

/** One for each subset and family; one without endpoints where there is nothing. */
function slicesOf(endpoints: Stored<Endpoints>): { wanted: EndpointSlice[]; skipped: number } {
  const groups = new Map<string, { addressType: 'IPv4' | 'IPv6'; ports: SlicePort[]; endpoints: Endpoint[] }>()
  let skipped = 0
  for (const subset of endpoints.subsets ?? []) {
    const ports = (subset.ports ?? []).map(({ name = '', port, protocol = 'TCP', appProtocol }): SlicePort => ({ name, port, protocol, ...(appProtocol !== undefined && { appProtocol }) }))
    for (const { address, ready } of bounded(subset)) {
      const addressType = address.ip.includes(':') ? 'IPv6' : 'IPv4'
      const id = JSON.stringify([addressType, ports])
      let group = groups.get(id)
      if (!group) groups.set(id, (group = { addressType, ports, endpoints: [] }))
      if (!group.endpoints.some((e) => e.addresses[0] === address.ip)) group.endpoints.push(endpointOf(address, ready))
    }
    skipped += Math.max(0, (subset.addresses ?? []).length + (subset.notReadyAddresses ?? []).length - SUBSET_MAX)
  }
  const { name, namespace, labels, annotations } = endpoints.metadata
  const kept = Object.fromEntries(Object.entries(annotations ?? {}).filter(([key]) => !NOT_COPIED.has(key)))
  const wanted = [...groups.values()].map((group): EndpointSlice => ({
    apiVersion: 'discovery.k8s.io/v1', kind: 'EndpointSlice', ...group,
    metadata: {
      generateName: `${name.slice(0, 57)}-`, ...(namespace !== undefined && { namespace }), labels: { ...labels, [SERVICE_NAME_LABEL]: name, [MANAGED_BY_LABEL]: MANAGED_BY },
      ...(Object.keys(kept).length > 0 && { annotations: kept }), ownerReferences: [controllerReference(ENDPOINTS, endpoints)],
    },
  }))
  return { wanted, skipped }
}

/** Those that are ready before those that are not. */
const bounded = ({ addresses = [], notReadyAddresses = [] }: EndpointSubset): { address: EndpointAddress; ready: boolean }[] =>
  [...addresses.map((address) => ({ address, ready: true })), ...notReadyAddresses.map((address) => ({ address, ready: false }))].slice(0, SUBSET_MAX)

function endpointOf({ ip, hostname, nodeName, targetRef }: EndpointAddress, ready: boolean): Endpoint {
  return { addresses: [ip], conditions: { ready }, ...(hostname !== undefined && { hostname }), ...(nodeName !== undefined && { nodeName }), ...(targetRef && { targetRef }) }
}
