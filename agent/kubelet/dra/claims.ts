/** Which claims a pod has, whether it may use them, and what of them is a container's: upstream's rules and words. Pure. */
import { quantityValue } from '#api/types/quantity.ts'
import type { Container, Pod, ResourceStatus, ResourceV1ResourceClaim, Stored } from '#api/types/index.ts'
import type { Claim, ClaimDevice } from './state.ts'

/** `isOwn`: made for this pod from a template. */
export interface NamedClaim { readonly name: string; readonly isOwn: boolean }

const LABEL = 'spec.resourceClaim'

/** Of one entry in the pod's spec; undefined: none was needed. */
function claimName(pod: Stored<Pod>, entry: { name: string; resourceClaimName?: string; resourceClaimTemplateName?: string }): { ok: true; claim: NamedClaim | undefined } | { ok: false; message: string } {
  const of = `pod "${pod.metadata.namespace ?? ''}/${pod.metadata.name}"`
  if (entry.resourceClaimName !== undefined) return { ok: true, claim: { name: entry.resourceClaimName, isOwn: false } }
  if (entry.resourceClaimTemplateName === undefined) return { ok: false, message: `${of}, ${LABEL} "${entry.name}": none of the supported fields are set` }
  const made = pod.status?.resourceClaimStatuses?.find((s) => s.name === entry.name)
  if (!made) return { ok: false, message: `${of}: ResourceClaim not created yet` }
  return { ok: true, claim: made.resourceClaimName === undefined ? undefined : { name: made.resourceClaimName, isOwn: true } }
}

/** All of them, each once; the one that was made for its extended resources, too. */
export function claimsOfPod(pod: Stored<Pod>): { ok: true; claims: NamedClaim[] } | { ok: false; message: string } {
  const claims = new Map<string, NamedClaim>()
  for (const entry of pod.spec?.resourceClaims ?? []) {
    const found = claimName(pod, entry)
    if (!found.ok) return found
    if (found.claim) claims.set(found.claim.name, found.claim)
  }
  const extended = pod.status?.extendedResourceClaimStatus?.resourceClaimName
  if (extended !== undefined) claims.set(extended, { name: extended, isOwn: false })
  return { ok: true, claims: [...claims.values()] }
}

/** Why it cannot be prepared for this pod; undefined: it can. */
export function claimRefusal(pod: Stored<Pod>, claim: Stored<ResourceV1ResourceClaim>, { isOwn }: NamedClaim): string | undefined {
  const { namespace = '', name, uid } = pod.metadata
  const { name: claimed, uid: claimUid, ownerReferences } = claim.metadata
  if (isOwn && ownerReferences?.find((o) => o.controller)?.uid !== uid) return `ResourceClaim ${claim.metadata.namespace ?? ''}/${claimed} was not created for Pod ${namespace}/${name} (Pod is not owner)`
  if (!claim.status?.reservedFor?.some((r) => r.uid === uid)) return `pod ${name} (${uid}) is not allowed to use ResourceClaim ${claimed} (${claimUid})`
  return claim.status.allocation ? undefined : `ResourceClaim ${claimed}: not allocated`
}

/** That were allocated devices of the claim. */
export const driversOf = (claim: ResourceV1ResourceClaim): string[] => [...new Set((claim.status?.allocation?.devices?.results ?? []).map(({ driver }) => driver))]

/** By claim, which of its requests a container names; '': all. */
export function requestsOf(pod: Stored<Pod>, container: Container): ReadonlyMap<string, readonly string[]> {
  const requests = new Map<string, string[]>()
  const add = (claim: string, request: string) => requests.set(claim, [...(requests.get(claim) ?? []), request])
  for (const { name, request = '' } of container.resources?.claims ?? []) {
    const entry = pod.spec?.resourceClaims?.find((c) => c.name === name)
    const found = entry && claimName(pod, entry)
    if (found?.ok && found.claim) add(found.claim.name, request)
  }
  const extended = pod.status?.extendedResourceClaimStatus
  for (const { containerName, resourceName, requestName } of extended?.requestMappings ?? []) {
    if (containerName === container.name && quantityValue(container.resources?.requests?.[resourceName] ?? '0') > 0) add(extended?.resourceClaimName ?? '', requestName)
  }
  return requests
}

/** Of a subrequest, the request that it belongs to: drivers are told of those alone. */
const baseRequest = (request: string): string => request.split('/')[0] ?? ''

/** A device without names of requests belongs to all of them. */
const isFor = ({ requests }: ClaimDevice, request: string): boolean => request === '' || requests.length === 0 || requests.includes(request) || requests.includes(baseRequest(request))

/** Qualified names, each once. */
export function cdiDevicesOf({ drivers }: Claim, requests: readonly string[]): string[] {
  const devices = Object.values(drivers).flat().filter((device) => requests.some((request) => isFor(device, request)))
  return [...new Set(devices.flatMap(({ cdi }) => cdi))]
}

export interface ClaimedResource { readonly claimName: string; readonly claimNamespace: string; readonly claimResources: readonly { cdiDevices: readonly { name: string }[]; driverName: string; poolName: string; deviceName: string; shareId: string }[] }

/** As monitors of devices are told (pod-resources/). */
export function claimedResource({ namespace, name, drivers }: Claim): ClaimedResource {
  const claimResources = Object.entries(drivers).flatMap(([driverName, devices]) => devices.map(({ cdi, pool, device, share }) => ({ cdiDevices: cdi.map((id) => ({ name: id })), driverName, poolName: pool, deviceName: device, shareId: share })))
  return { claimName: name, claimNamespace: namespace, claimResources }
}

export interface DeviceHealth { readonly health: string; readonly message: string }

/** How the devices of its claims are, for a container's status (KEP-4680). */
export function claimStatuses(pod: Stored<Pod>, container: Container, claimOf: (name: string) => Claim | undefined, healthOf: (driver: string, pool: string, device: string) => DeviceHealth): ResourceStatus[] {
  const statuses: ResourceStatus[] = []
  for (const { name, request = '' } of container.resources?.claims ?? []) {
    const entry = pod.spec?.resourceClaims?.find((c) => c.name === name)
    const found = entry && claimName(pod, entry)
    const claim = found?.ok && found.claim ? claimOf(found.claim.name) : undefined
    if (!claim) continue
    const resources = new Map<string, { resourceID: string; health: string; message?: string }>()
    for (const [driver, devices] of Object.entries(claim.drivers)) {
      for (const device of devices.filter((d) => isFor(d, request))) {
        const { health, message } = healthOf(driver, device.pool, device.device)
        const resourceID = device.cdi[0] ?? `${driver}/${device.pool}/${device.device}`
        // Several may be one to the runtime.
        if (!resources.has(resourceID)) resources.set(resourceID, { resourceID, health, ...(message !== '' && { message }) })
      }
    }
    if (resources.size > 0) statuses.push({ name: `claim:${name}${request === '' ? '' : `/${request}`}`, resources: [...resources.values()] })
  }
  return statuses.toSorted((a, b) => (a.name < b.name ? -1 : 1))
}
