/** Device claims of pods: made from templates, kept for who uses them, given back (upstream's pkg/controller/resourceclaim). Pure. */
import { PODS, isPodTerminal, type Pod, type PodResourceClaim, type PodResourceClaimStatus, type ResourceClaimConsumerReference, type ResourceClaimStatus, type ResourceV1ResourceClaim, type Stored } from '#api/types/index.ts'
import { nothing, type Decision } from '#base/reconcile/action.ts'
import { jsonEqual } from '../json-equal.ts'
import { controllerReference } from '../ownership.ts'

export type Claim = Stored<ResourceV1ResourceClaim>

export const POD_CLAIM_NAME = 'resource.kubernetes.io/pod-claim-name'
const DELETE_PROTECTION = 'resource.kubernetes.io/delete-protection'

export interface PodView { pod: Stored<Pod>; /** Owned by it. */ claims: readonly Claim[]; claimOf: (name: string) => Claim | undefined }
export interface ClaimView { claim: Claim; podOf: (name: string) => Stored<Pod> | undefined }

export type ClaimAction =
  /** From the template it names. */
  | { kind: 'createClaim'; podClaim: PodResourceClaim }
  | { kind: 'writePodStatus'; statuses: PodResourceClaimStatus[] }
  | { kind: 'writeClaimStatus'; claim: Claim; status: ResourceClaimStatus }
  | { kind: 'unprotectClaim'; claim: Claim; finalizers: string[] }
  | { kind: 'deleteClaim'; claim: Claim }

const isDone = (pod: Stored<Pod>): boolean => isPodTerminal(pod) || (pod.metadata.deletionTimestamp !== undefined && !pod.spec?.nodeName)

export function decidePodClaims({ pod, claims, claimOf }: PodView): Decision<ClaimAction> {
  if (pod.metadata.deletionTimestamp !== undefined || isPodTerminal(pod)) return nothing('it needs none any more')
  const actions: ClaimAction[] = []
  const statuses: PodResourceClaimStatus[] = []
  for (const podClaim of pod.spec?.resourceClaims ?? []) {
    if (podClaim.resourceClaimTemplateName === undefined) continue
    const said = pod.status?.resourceClaimStatuses?.find((s) => s.name === podClaim.name)
    // Said to need none, or to have one that is there.
    if (said && (said.resourceClaimName === undefined || claimOf(said.resourceClaimName))) {
      statuses.push(said)
      continue
    }
    const found = claims.find((c) => c.metadata.annotations?.[POD_CLAIM_NAME] === podClaim.name && c.metadata.deletionTimestamp === undefined)
    if (found) statuses.push({ name: podClaim.name, resourceClaimName: found.metadata.name })
    else actions.push({ kind: 'createClaim', podClaim })
  }
  if (!jsonEqual(statuses, pod.status?.resourceClaimStatuses ?? []) && statuses.length > 0) actions.push({ kind: 'writePodStatus', statuses })
  // Placed by who knows nothing of claims: those that are allocated are kept for it.
  for (const { name, resourceClaimName } of pod.spec?.nodeName ? (pod.spec.resourceClaims ?? []) : []) {
    const claim = claimOf(resourceClaimName ?? statuses.find((s) => s.name === name)?.resourceClaimName ?? '')
    if (!claim?.status?.allocation || claim.metadata.deletionTimestamp !== undefined || claim.status.reservedFor?.some((r) => r.uid === pod.metadata.uid)) continue
    const consumer: ResourceClaimConsumerReference = { resource: 'pods', name: pod.metadata.name, uid: pod.metadata.uid }
    actions.push({ kind: 'writeClaimStatus', claim, status: { ...claim.status, reservedFor: [...(claim.status.reservedFor ?? []), consumer] } })
  }
  return { actions, because: actions.map((a) => a.kind).join(', ') || 'it has all' }
}

export function decideClaim({ claim, podOf }: ClaimView): Decision<ClaimAction> {
  const before = claim.status?.reservedFor ?? []
  // Who else it may be kept for, only they know.
  const reservedFor = before.filter(({ apiGroup = '', resource, name, uid }) => {
    if (apiGroup !== '' || resource !== 'pods') return true
    const pod = podOf(name)
    return pod?.metadata.uid === uid && !isDone(pod)
  })
  const { allocation, reservedFor: _, ...rest } = claim.status ?? {}
  const isProtected = claim.metadata.finalizers?.includes(DELETE_PROTECTION) ?? false
  const isUnused = reservedFor.length === 0
  const gives = isUnused && isProtected && (before.length > 0 || claim.metadata.deletionTimestamp !== undefined)
  const actions: ClaimAction[] = []
  if (reservedFor.length < before.length || (gives && allocation)) {
    actions.push({ kind: 'writeClaimStatus', claim, status: { ...rest, ...(allocation && !gives && { allocation }), ...(!isUnused && { reservedFor }) } })
  } else if (isUnused && isProtected && !allocation) actions.push({ kind: 'unprotectClaim', claim, finalizers: (claim.metadata.finalizers ?? []).filter((f) => f !== DELETE_PROTECTION) })
  const owner = claim.metadata.ownerReferences?.find((o) => o.controller === true && o.kind === 'Pod')
  const pod = owner && podOf(owner.name)
  if (isUnused && owner && pod?.metadata.uid === owner.uid && isDone(pod) && claim.metadata.deletionTimestamp === undefined) actions.push({ kind: 'deleteClaim', claim })
  return { actions, because: actions.map((a) => a.kind).join(', ') || (isUnused ? 'unused' : 'used') }
}

/** A claim as its template has it. */
export function claimFrom(pod: Stored<Pod>, podClaim: PodResourceClaim, template: { spec: { metadata?: { labels?: Record<string, string>; annotations?: Record<string, string> }; spec: ResourceV1ResourceClaim['spec'] } }): ResourceV1ResourceClaim {
  const { metadata, spec } = template.spec
  return {
    apiVersion: 'resource.k8s.io/v1', kind: 'ResourceClaim', spec,
    metadata: {
      generateName: `${pod.metadata.name}-${podClaim.name}-`, ...(pod.metadata.namespace !== undefined && { namespace: pod.metadata.namespace }), ...(metadata?.labels && { labels: metadata.labels }),
      annotations: { ...metadata?.annotations, [POD_CLAIM_NAME]: podClaim.name }, ownerReferences: [controllerReference(PODS, pod)],
    },
  }
}
