/**
 * How existing slices become the wanted ones with few writes, after upstream's staging/endpointslice/reconciler: endpoints
 * stay where they are, changed slices are filled up first, then one more slice if it fits whole, else new ones. Pure.
 */
import { SERVICES, type DiscoveryV1EndpointPort as EndpointPort, type Endpoint, type EndpointSlice, type Node, type Pod, type Service, type Stored } from '#api/types/index.ts'
import { nothing, type DecideContext, type Decision } from '#base/reconcile/action.ts'
import { jsonEqual } from '../json-equal.ts'
import { controllerReference } from '../ownership.ts'
import { HEADLESS_LABEL, LAST_CHANGE_TRIGGER, isHeadless, isManagedService, type BackendPort } from '../service-backends.ts'
import { parseTime } from '../time.ts'
import { addressTypesOf, desiredGroups, type EndpointGroup } from './desired.ts'

export interface EndpointSliceView {
  service: Stored<Service> | undefined
  /** Selected by the Service. */
  pods: readonly Stored<Pod>[]
  nodes: ReadonlyMap<string, Stored<Node>>
  /** Of this Service, managed by this controller. */
  slices: readonly Stored<EndpointSlice>[]
}

export type EndpointSliceAction =
  | { kind: 'createSlice'; slice: EndpointSlice }
  | { kind: 'updateSlice'; slice: Stored<EndpointSlice> }
  | { kind: 'deleteSlice'; name: string; uid: string }

/** Upstream's --max-endpoints-per-slice. */
export const ENDPOINTS_PER_SLICE_MAX = 100
export const SERVICE_NAME_LABEL = 'kubernetes.io/service-name'
export const MANAGED_BY_LABEL = 'endpointslice.kubernetes.io/managed-by'
export const MANAGED_BY = 'endpointslice-controller.k8s.io'

export function decideEndpointSlices(view: EndpointSliceView, _ctx: DecideContext): Decision<EndpointSliceAction> {
  const { service, slices } = view
  // Slices of a Service that is going or gone fall to the garbage collector by their owner reference.
  if (!service || service.metadata.deletionTimestamp !== undefined) return nothing('no such Service')
  if (!isManagedService(service)) return nothing('managed by someone else')
  const groups = desiredGroups(service, view.pods, view.nodes)
  const types = addressTypesOf(service, view.pods)
  // A family without endpoints keeps one empty slice: "nothing" is told apart from "not looked at yet".
  for (const addressType of types) if (!groups.some((g) => g.addressType === addressType)) groups.push({ addressType, ports: [], endpoints: [] })

  const left = new Set(slices.filter((s) => s.metadata.deletionTimestamp === undefined))
  const trigger = triggerTime(service, view.pods, slices)
  const actions: EndpointSliceAction[] = []
  for (const group of groups) {
    const ports = slicePorts(group.ports)
    const own = [...left].filter((s) => s.addressType === group.addressType && jsonEqual(portsKey(s.ports), portsKey(ports)))
    for (const s of own) left.delete(s)
    actions.push(...fit(service, group, ports, own, trigger))
  }
  // Slices nobody wants any more can take the place of new ones: an update is cheaper than a delete and a create.
  const surplus = [...left]
  const merged = actions.map((action): EndpointSliceAction => {
    const free = action.kind === 'createSlice' ? surplus.findIndex((s) => s.addressType === action.slice.addressType) : -1
    if (action.kind !== 'createSlice' || free < 0) return action
    const [old] = surplus.splice(free, 1)
    if (!old) return action
    const { generateName: _, ...metadata } = action.slice.metadata ?? {}
    return { kind: 'updateSlice', slice: { ...old, ...action.slice, metadata: { ...old.metadata, ...metadata } } as Stored<EndpointSlice> }
  })
  const deletions = surplus.map((s) => ({ kind: 'deleteSlice' as const, name: s.metadata.name, uid: s.metadata.uid }))
  return { actions: [...merged, ...deletions], because: `${groups.reduce((n, g) => n + g.endpoints.length, 0)} endpoints` }
}

/** One group of endpoints into its slices. */
function fit(service: Stored<Service>, group: EndpointGroup, ports: EndpointPort[], own: readonly Stored<EndpointSlice>[], trigger: string | undefined): EndpointSliceAction[] {
  const wanted = new Map(group.endpoints.map((e) => [endpointId(e), e]))
  const kept = own.map((slice) => {
    const before = slice.endpoints ?? []
    const endpoints: Endpoint[] = []
    for (const e of before) {
      const now = wanted.get(endpointId(e))
      if (!now) continue
      wanted.delete(endpointId(e))
      endpoints.push(now)
    }
    return { slice, endpoints, changed: !jsonEqual(before, endpoints) || !hasMetadata(service, slice) }
  })
  let rest = [...wanted.values()]
  const fillUp = (into: { endpoints: Endpoint[]; changed: boolean }) => {
    const room = ENDPOINTS_PER_SLICE_MAX - into.endpoints.length
    if (room <= 0 || rest.length === 0) return
    into.endpoints.push(...rest.slice(0, room))
    rest = rest.slice(room)
    into.changed = true
  }
  // Slices that are written anyway come first, the fullest among them first.
  for (const k of kept.filter((k) => k.changed && k.endpoints.length > 0).sort((a, b) => b.endpoints.length - a.endpoints.length)) fillUp(k)
  if (rest.length > 0) {
    const roomy = kept.filter((k) => k.endpoints.length + rest.length <= ENDPOINTS_PER_SLICE_MAX).sort((a, b) => b.endpoints.length - a.endpoints.length)[0]
    if (roomy) fillUp(roomy)
  }
  const actions: EndpointSliceAction[] = []
  let remaining = kept.length
  for (const { slice, endpoints, changed } of kept) {
    // The last one stays, empty, as the placeholder.
    if (endpoints.length === 0 && (remaining > 1 || rest.length > 0)) {
      remaining--
      actions.push({ kind: 'deleteSlice', name: slice.metadata.name, uid: slice.metadata.uid })
    } else if (changed) {
      const metadata = { ...slice.metadata, ...sliceMetadata(service, trigger, slice) }
      actions.push({ kind: 'updateSlice', slice: { ...slice, endpoints, metadata } })
    }
  }
  const fresh = (endpoints: Endpoint[]): EndpointSliceAction => ({
    kind: 'createSlice',
    slice: {
      apiVersion: 'discovery.k8s.io/v1', kind: 'EndpointSlice', addressType: group.addressType, ports, endpoints,
      metadata: { generateName: generateNameOf(service), ...(service.metadata.namespace !== undefined && { namespace: service.metadata.namespace }), ...sliceMetadata(service, trigger, undefined) },
    },
  })
  for (let from = 0; from < rest.length; from += ENDPOINTS_PER_SLICE_MAX) actions.push(fresh(rest.slice(from, from + ENDPOINTS_PER_SLICE_MAX)))
  if (group.endpoints.length === 0 && kept.length === 0) actions.push(fresh([]))
  return actions
}

/** The pod an endpoint stands for, with its addresses: upstream's hash of address and target. */
function endpointId(e: Endpoint): string {
  return `${e.targetRef?.uid ?? ''} ${[...e.addresses].sort().join(',')}`
}

function slicePorts(ports: readonly BackendPort[]): EndpointPort[] {
  return ports.map((p) => ({ name: p.name, protocol: p.protocol, port: p.port, ...(p.appProtocol !== undefined && { appProtocol: p.appProtocol }) }))
}

function portsKey(ports: readonly EndpointPort[] | undefined | null): unknown {
  return (ports ?? []).map((p) => JSON.stringify([p.name ?? '', p.protocol ?? 'TCP', p.port, p.appProtocol ?? null])).sort()
}

function wantedLabels(service: Stored<Service>): Record<string, string> {
  const own = new Set([SERVICE_NAME_LABEL, MANAGED_BY_LABEL, HEADLESS_LABEL])
  const copied = Object.entries(service.metadata.labels ?? {}).filter(([k]) => !own.has(k))
  return {
    ...Object.fromEntries(copied), ...(isHeadless(service) && { [HEADLESS_LABEL]: '' }),
    [SERVICE_NAME_LABEL]: service.metadata.name, [MANAGED_BY_LABEL]: MANAGED_BY,
  }
}

function sliceMetadata(service: Stored<Service>, trigger: string | undefined, slice: Stored<EndpointSlice> | undefined) {
  const annotations = { ...slice?.metadata.annotations, ...(trigger !== undefined && { [LAST_CHANGE_TRIGGER]: trigger }) }
  return {
    labels: wantedLabels(service), ownerReferences: [controllerReference(SERVICES, service)],
    ...(Object.keys(annotations).length > 0 && { annotations }),
  }
}

function hasMetadata(service: Stored<Service>, slice: Stored<EndpointSlice>): boolean {
  return jsonEqual(slice.metadata.labels, wantedLabels(service)) && slice.metadata.ownerReferences?.some((o) => o.uid === service.metadata.uid) === true
}

/** Names end in what the server appends; the base must leave room for it. */
function generateNameOf(service: Stored<Service>): string {
  return `${service.metadata.name.slice(0, 57)}-`
}

/** When the newest change that is not yet told was made (kube-proxy measures programming latency by it). */
function triggerTime(service: Stored<Service>, pods: readonly Stored<Pod>[], slices: readonly Stored<EndpointSlice>[]): string | undefined {
  const told = Math.max(0, ...slices.map((s) => parseTime(s.metadata.annotations?.[LAST_CHANGE_TRIGGER]) ?? 0))
  const changes = [service.metadata.creationTimestamp, ...pods.map((p) => p.status?.conditions?.find((c) => c.type === 'Ready')?.lastTransitionTime)]
  const times = changes.filter((t): t is string => t !== undefined && (parseTime(t) ?? 0) > told)
  return times.sort((a, b) => (parseTime(a) ?? 0) - (parseTime(b) ?? 0))[0]
}
