/** The claims of a pod that is to be placed: which have devices already, which are to get some, and why it has to wait. Pure. */
import type { DeviceRequest, Pod, Stored } from '#api/types/index.ts'
import type { PodInfo } from '../node-info.ts'
import type { Claim, DeviceLookup } from './device-lookup.ts'
import { extendedResources, type ExtendedResources } from './extended-resources.ts'

/** Upstream's ResourceClaimReservedForMaxSize. */
const CONSUMERS_MAX = 256

/** What it asks for beside; nodes without it need a claim that is made for it. */
interface WithExtended { readonly extended: ExtendedResources | undefined }

/** `problem`: upstream's words. */
export type PodClaims = (WithExtended & { allocated: readonly Claim[]; waiting: readonly Claim[] }) | { problem: string }

/** Those that its spec names or that were made for it: as long as one is not there it is not even tried (upstream's PreEnqueue). */
export function claimsOf(pod: Stored<Pod>, lookup: Pick<DeviceLookup, 'claim'>): { claims: readonly Claim[] } | { problem: string } {
  const names = namesOf(pod)
  if ('problem' in names) return names
  const claims: Claim[] = []
  for (const { name, isOwn } of names.names) {
    const claim = lookup.claim(pod.metadata.namespace ?? '', name)
    if (!claim) return { problem: `resourceclaim.resource.k8s.io "${name}" not found` }
    if (claim.metadata.deletionTimestamp !== undefined) return { problem: `resourceclaim "${name}" is being deleted` }
    if (isOwn && claim.metadata.ownerReferences?.find((o) => o.controller)?.uid !== pod.metadata.uid) return { problem: `ResourceClaim ${claim.metadata.namespace ?? ''}/${name} was not created for Pod ${pod.metadata.namespace ?? ''}/${pod.metadata.name} (Pod is not owner)` }
    claims.push(claim)
  }
  return { claims }
}

/** Undefined: it has none. */
export function podClaims(info: Pick<PodInfo, 'pod' | 'requests'>, lookup: DeviceLookup): PodClaims | undefined {
  const { pod } = info
  const extended = extendedResources(info, lookup)
  if (!extended && (pod.spec?.resourceClaims ?? []).length === 0) return undefined
  const known = claimsOf(pod, lookup)
  if ('problem' in known) return known
  const found = known.claims
  const isAllocated = ({ status }: Claim): boolean => status?.allocation !== undefined
  if (found.some(({ status }) => status?.allocation && (status.reservedFor ?? []).length >= CONSUMERS_MAX && !status.reservedFor?.some((r) => r.uid === pod.metadata.uid))) return { problem: 'resourceclaim in use' }
  const waiting = found.filter((claim) => !isAllocated(claim))
  for (const claim of waiting) {
    if (lookup.pending().has(claim.metadata.uid)) return { problem: `resource claim ${claim.metadata.namespace ?? ''}/${claim.metadata.name} is in the process of being allocated` }
    for (const request of claim.spec.devices?.requests ?? []) {
      const missing = missingClass(request, lookup)
      if (missing !== undefined) return { problem: missing }
    }
  }
  return { allocated: found.filter(isAllocated), waiting, extended }
}

function missingClass(request: DeviceRequest, lookup: DeviceLookup): string | undefined {
  const asked = request.exactly ? [{ name: request.name, deviceClassName: request.exactly.deviceClassName }] : (request.firstAvailable ?? []).map((sub) => ({ name: `${request.name}/${sub.name}`, deviceClassName: sub.deviceClassName }))
  const missing = asked.find(({ deviceClassName }) => !lookup.deviceClass(deviceClassName))
  return missing && `request ${missing.name}: device class ${missing.deviceClassName} does not exist`
}

function namesOf(pod: Stored<Pod>): { names: { name: string; isOwn: boolean }[] } | { problem: string } {
  const names: { name: string; isOwn: boolean }[] = []
  for (const { name, resourceClaimName, resourceClaimTemplateName } of pod.spec?.resourceClaims ?? []) {
    const made = pod.status?.resourceClaimStatuses?.find((s) => s.name === name)
    if (resourceClaimName !== undefined) names.push({ name: resourceClaimName, isOwn: false })
    else if (resourceClaimTemplateName !== undefined && !made) return { problem: `pod "${pod.metadata.namespace ?? ''}/${pod.metadata.name}": ResourceClaim not created yet` }
    // Said to need none, where it has no name.
    else if (made?.resourceClaimName !== undefined) names.push({ name: made.resourceClaimName, isOwn: true })
  }
  return { names: names.filter(({ name }, i) => names.findIndex((n) => n.name === name) === i) }
}
