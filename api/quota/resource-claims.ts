/**
 * What device claims use: themselves, devices by their class, as many as they may get, and what of the class's extended resource their pod was not
 * charged for already (upstream's evaluator of resource claims).
 */
import type { DeviceClass, DeviceSubRequest, Pod, ResourceV1ResourceClaim as ResourceClaim } from '../types/generated/models.ts'
import type { Evaluator } from './evaluator.ts'
import { isExtendedQuota, podEvaluator, REQUESTS } from './pods.ts'
import { subtractToZero, withoutZeros, type ResourceList } from './resource-list.ts'

const COUNT = 'count/resourceclaims.resource.k8s.io'
export const DEVICES_BY_CLASS = '.deviceclass.resource.k8s.io/devices'
/** Each class of devices is a resource, too. */
const IMPLICIT = 'deviceclass.resource.kubernetes.io/'
/** On claims that the scheduler made for what a pod asks of extended resources. */
const EXTENDED_RESOURCE_CLAIM = 'resource.kubernetes.io/extended-resource-claim'
/** The most that one claim can be given, and so what `All` may mean. */
const RESULTS_MAX = 32

/** What a claim is measured by beside itself. */
export interface ClaimSurroundings {
  readonly classes: readonly DeviceClass[]
  pod(namespace: string, name: string): Pod | undefined
  claims(namespace: string): readonly ResourceClaim[]
}

export const NO_SURROUNDINGS: ClaimSurroundings = { classes: [], pod: () => undefined, claims: () => [] }

export function resourceClaimEvaluator(around: ClaimSurroundings): Evaluator {
  const isOfClass = (resource: string): boolean => around.classes.some(({ metadata, spec }) => spec.extendedResourceName === resource || `${IMPLICIT}${metadata?.name ?? ''}` === resource)
  return {
    handles: ({ operation, subresource }) => subresource === '' && (operation === 'CREATE' || operation === 'UPDATE'),
    matchingResources: (names) => names.filter((name) => name === COUNT || name.endsWith(DEVICES_BY_CLASS) || (isExtendedQuota(name) && isOfClass(name.slice(REQUESTS.length)))),
    usage(object, nowMs) {
      const claim = object as ResourceClaim
      const devices = devicesByClass(claim)
      const extended: Record<string, string> = {}
      for (const [deviceClass, n] of devices) {
        extended[`${REQUESTS}${IMPLICIT}${deviceClass}`] = String(n)
        const resource = around.classes.find(({ metadata }) => metadata?.name === deviceClass)?.spec.extendedResourceName
        if (resource !== undefined) extended[`${REQUESTS}${resource}`] = String(n)
      }
      const pod = podChargedFor(claim, around)
      const charged: ResourceList = pod ? podEvaluator.usage(pod, nowMs) : {}
      const isAsked = Object.fromEntries(Object.entries(charged).filter(([name]) => extended[name] !== undefined))
      return { [COUNT]: '1', ...Object.fromEntries([...devices].map(([deviceClass, n]) => [`${deviceClass}${DEVICES_BY_CLASS}`, String(n)])), ...withoutZeros(subtractToZero(extended, isAsked)) }
    },
  }
}

function devicesByClass({ spec }: ResourceClaim): ReadonlyMap<string, number> {
  const used = new Map<string, number>()
  const devices = ({ allocationMode, count }: Partial<Pick<DeviceSubRequest, 'allocationMode' | 'count'>>): number => (allocationMode === 'All' ? RESULTS_MAX : (count ?? 1))
  const add = (deviceClass: string, n: number): void => { used.set(deviceClass, (used.get(deviceClass) ?? 0) + n) }
  for (const { exactly, firstAvailable } of spec?.devices?.requests ?? []) {
    if (exactly) add(exactly.deviceClassName, devices(exactly))
    // Of alternatives the most of each class.
    const most = new Map<string, number>()
    for (const sub of firstAvailable ?? []) most.set(sub.deviceClassName, Math.max(most.get(sub.deviceClassName) ?? 0, devices(sub)))
    for (const [deviceClass, n] of most) add(deviceClass, n)
  }
  return used
}

/** The pod that owns a claim made for its extended resources. */
export function podOf({ metadata }: ResourceClaim): { name: string; uid: string } | undefined {
  if (metadata?.annotations?.[EXTENDED_RESOURCE_CLAIM] !== 'true') return undefined
  const owner = metadata.ownerReferences?.find((o) => o.controller === true)
  return owner?.kind === 'Pod' && owner.apiVersion === 'v1' ? owner : undefined
}

/** Only for one claim of a pod: the one that it names, or the first that was made. */
function podChargedFor(claim: ResourceClaim, around: ClaimSurroundings): Pod | undefined {
  const { name = '', namespace = '' } = claim.metadata ?? {}
  const owner = podOf(claim)
  const pod = owner && around.pod(namespace, owner.name)
  if (!pod || pod.metadata?.uid !== owner.uid) return undefined
  const named = pod.status?.extendedResourceClaimStatus?.resourceClaimName
  if (named !== undefined) return named === name ? pod : undefined
  const madeMs = ({ metadata }: ResourceClaim): number => Date.parse(metadata?.creationTimestamp ?? '')
  const isEarlier = (other: ResourceClaim): boolean => madeMs(other) < madeMs(claim) || (madeMs(other) === madeMs(claim) && (other.metadata?.name ?? '') < name)
  return around.claims(namespace).some((other) => podOf(other)?.uid === owner.uid && isEarlier(other)) ? undefined : pod
}
