/**
 * Extended resources that a class of devices has (KEP-5004, DRAExtendedResource): on a node that does not count them itself, a pod gets a claim of its
 * own for them, made by the scheduler. Which request meets which container's, in upstream's order and names. Pure.
 */
import type { Container, ContainerExtendedResourceRequest, DeviceClass, DeviceRequest, Pod, ResourceV1ResourceClaim, Stored } from '#api/types/index.ts'
import { parseQuantity } from '#api/types/quantity.ts'
import type { NodeInfo, PodInfo } from '../node-info.ts'
import type { Claim, DeviceLookup } from './device-lookup.ts'

export const EXTENDED_RESOURCE_CLAIM = 'resource.kubernetes.io/extended-resource-claim'
/** Any class has devices of this name. */
const IMPLICIT = 'deviceclass.resource.kubernetes.io/'
const UNIT = 1_000_000_000n

/** Of a pod: which of what it asks for a class has; nodes may have it, too. */
export interface ExtendedResources {
  readonly classes: ReadonlyMap<string, Stored<DeviceClass>>
  /** Made for it by an earlier try, and not known to be right for another. */
  readonly leftover: Claim | undefined
}

/** To be made for it if it goes to one node. */
export interface ExtendedClaim { readonly spec: NonNullable<ResourceV1ResourceClaim['spec']>; readonly mappings: readonly ContainerExtendedResourceRequest[] }

/** Of several the one made last, as while one follows another. */
export function classFor(resource: string, lookup: Pick<DeviceLookup, 'deviceClass' | 'deviceClasses'>): Stored<DeviceClass> | undefined {
  if (resource.startsWith(IMPLICIT)) return lookup.deviceClass(resource.slice(IMPLICIT.length))
  if (!resource.includes('/')) return undefined
  const madeMs = ({ metadata }: Stored<DeviceClass>): number => Date.parse(metadata.creationTimestamp ?? '')
  const named = lookup.deviceClasses().filter(({ spec }) => spec.extendedResourceName === resource)
  return named.toSorted((a, b) => madeMs(b) - madeMs(a) || (a.metadata.name < b.metadata.name ? -1 : 1))[0]
}

export function extendedResources({ pod, requests }: Pick<PodInfo, 'pod' | 'requests'>, lookup: DeviceLookup): ExtendedResources | undefined {
  const classes = new Map(Object.entries(requests.scalars).flatMap(([name, amount]) => {
    const found = amount > 0 ? classFor(name, lookup) : undefined
    return found ? [[name, found] as const] : []
  }))
  if (classes.size === 0) return undefined
  const isLeft = ({ metadata }: Claim): boolean => metadata.annotations?.[EXTENDED_RESOURCE_CLAIM] === 'true' && (metadata.ownerReferences ?? []).some((o) => o.controller === true && o.uid === pod.metadata.uid)
  return { classes, leftover: lookup.claims().find(isLeft) }
}

/** Undefined: the node has all of it. */
export function extendedClaim(pod: Stored<Pod>, { allocatable }: Pick<NodeInfo, 'allocatable'>, { classes }: ExtendedResources): ExtendedClaim | undefined {
  const wanted = [...classes].filter(([name]) => (allocatable.scalars[name] ?? 0) === 0).toSorted(([a], [b]) => (a < b ? -1 : 1))
  if (wanted.length === 0) return undefined
  const made = wanted.map(([name, { metadata }]) => requestsFor(pod, name, metadata.name))
  const requests = made.flatMap((m) => m.requests).toSorted((a, b) => (a.name < b.name ? -1 : 1))
  return { spec: { devices: { requests } }, mappings: made.flatMap((m) => m.mappings) }
}

/** As it is looked at before it is made. */
export function claimToMake(pod: Stored<Pod>, spec: ExtendedClaim['spec'], uid: string): Claim {
  const { name, namespace, uid: podUid } = pod.metadata
  return {
    apiVersion: 'resource.k8s.io/v1', kind: 'ResourceClaim', spec,
    metadata: {
      name: '<extended-resources>', generateName: `${name}-extended-resources-`, ...(namespace !== undefined && { namespace }), uid, resourceVersion: '', creationTimestamp: '', annotations: { [EXTENDED_RESOURCE_CLAIM]: 'true' },
      ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', name, uid: podUid, controller: true }],
    },
  }
}

interface Asked { readonly request: Counted | undefined; readonly mappings: ContainerExtendedResourceRequest[] }
interface Counted { readonly name: string; readonly count: number }

/**
 * Containers that run beside each other each have devices of their own. One that ends before the next begins uses those of containers that come
 * after it, and what is still wanting is asked for once, by the one that wants most.
 */
function requestsFor({ spec }: Stored<Pod>, resource: string, className: string): { requests: DeviceRequest[]; mappings: ContainerExtendedResourceRequest[] } {
  const initial = spec?.initContainers ?? []
  const all = [...initial, ...(spec?.containers ?? [])].map((container, at) => ({ container, at, ends: at < initial.length && container.restartPolicy !== 'Always' }))
  const lasting = all.map(({ container, at, ends }) => (ends ? undefined : ask(container, at, resource, [])))
  const passing = all.flatMap(({ container, at, ends }) => (ends ? [ask(container, at, resource, lasting.slice(at).map((l) => l?.request))] : []))
  const own = passing.flatMap(({ request }) => request ?? [])
  const most = own.reduce<Counted | undefined>((best, request) => (best && best.count >= request.count ? best : request), undefined)
  const names = new Set(own.map(({ name }) => name))
  const requests = [...(most ? [most] : []), ...lasting.flatMap((l) => l?.request ?? [])]
  return {
    requests: requests.map(({ name, count }) => ({ name, exactly: { deviceClassName: className, allocationMode: 'ExactCount', count } })),
    mappings: [...lasting.flatMap((l) => l?.mappings ?? []), ...passing.flatMap((p) => p.mappings).map((m) => (most && names.has(m.requestName) ? { ...m, requestName: most.name } : m))],
  }
}

/** `reusable`: what containers have that run only after it. */
function ask({ name: containerName, resources }: Container, at: number, resourceName: string, reusable: readonly (Counted | undefined)[]): Asked {
  const asked = parseQuantity(resources?.requests?.[resourceName] ?? '0').nano
  const mappings: ContainerExtendedResourceRequest[] = []
  if (asked === 0n || asked % UNIT !== 0n) return { request: undefined, mappings }
  let wanting = Number(asked / UNIT)
  for (const request of reusable) {
    if (!request) continue
    mappings.push({ containerName, resourceName, requestName: request.name })
    wanting -= request.count
    if (wanting <= 0) return { request: undefined, mappings }
  }
  const name = `container-${at}-request-${Object.keys(resources?.requests ?? {}).sort().indexOf(resourceName)}`
  mappings.push({ containerName, resourceName, requestName: name })
  return { request: { name, count: wanting }, mappings }
}
