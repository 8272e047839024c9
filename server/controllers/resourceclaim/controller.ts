/** Wires the resource claim controller: one queue for pods, one for claims. */
import { isReason } from '#api/client/client.ts'
import { PODS, RESOURCE_CLAIMS, keyOf, type Pod, type ResourceClaimTemplate, type ResourceRef, type ResourceV1ResourceClaim, type Stored } from '#api/types/index.ts'
import { asError } from '#base/errors.ts'
import type { Effects } from '#base/reconcile/action.ts'
import { createLoop } from '#base/reconcile/loop.ts'
import { isNamespaceTerminating, isOrdinary, recorderFor, unlessGone, type ControllerFactory } from '../controller.ts'
import { BY_CONTROLLER, byController, controllerOf } from '../ownership.ts'
import { createRecentWrites } from '../recent-writes.ts'
import { claimFrom, decideClaim, decidePodClaims, type ClaimAction, type ClaimView, type PodView } from './decide.ts'

const TEMPLATES: ResourceRef = { group: 'resource.k8s.io', version: 'v1', resource: 'resourceclaimtemplates', kind: 'ResourceClaimTemplate', namespaced: true }

export const resourceClaimController: ControllerFactory = (deps) => {
  const { client, informers, clock } = deps
  const pods = informers.of<Pod>(PODS)
  const claims = informers.of<ResourceV1ResourceClaim>(RESOURCE_CLAIMS, { indexes: { [BY_CONTROLLER]: byController } })
  const recent = createRecentWrites<ResourceV1ResourceClaim>(claims, clock)
  const recorder = recorderFor('resource_claim', deps)

  const effects = (pod: Stored<Pod> | undefined, key: string): Effects<ClaimAction> => ({
    async createClaim({ podClaim }, signal) {
      if (!pod) return
      try {
        const template = await client.get<ResourceClaimTemplate>(TEMPLATES, podClaim.resourceClaimTemplateName ?? '', pod.metadata.namespace, signal)
        recent.created(key, await client.create<ResourceV1ResourceClaim>(RESOURCE_CLAIMS, claimFrom(pod, podClaim, template), { signal }))
        podLoop.queue.add(key)
      } catch (error) {
        if (isNamespaceTerminating(error)) return
        const because = isReason(error, 'NotFound') ? `resource claim template "${podClaim.resourceClaimTemplateName}": ${asError(error).message}` : asError(error).message
        recorder.event(pod, 'Warning', 'FailedResourceClaimCreation', `PodResourceClaim ${podClaim.name}: ${because}`)
        throw error
      }
    },
    async writePodStatus({ statuses }, signal) {
      if (pod) await unlessGone(client.patch(PODS, pod.metadata.name, pod.metadata.namespace, 'application/strategic-merge-patch+json', { metadata: { uid: pod.metadata.uid }, status: { resourceClaimStatuses: statuses } }, { subresource: 'status', signal }))
    },
    async writeClaimStatus({ claim, status }, signal) {
      await unlessGone(client.update<ResourceV1ResourceClaim>(RESOURCE_CLAIMS, { ...claim, status }, { subresource: 'status', signal }))
    },
    async unprotectClaim({ claim, finalizers }, signal) {
      await unlessGone(client.update<ResourceV1ResourceClaim>(RESOURCE_CLAIMS, { ...claim, metadata: { ...claim.metadata, finalizers } }, { signal }))
    },
    async deleteClaim({ claim }, signal) {
      await unlessGone(client.delete(RESOURCE_CLAIMS, claim.metadata.name, claim.metadata.namespace, { preconditions: { uid: claim.metadata.uid }, signal }))
    },
  })

  const podLoop = createLoop<PodView, ClaimAction>({
    name: 'resourceclaim-controller',
    queue: 'resource_claim',
    observe(key) {
      const pod = pods.get(key)
      if (!pod) return undefined
      const own = recent.merge(key, claims.byIndex(BY_CONTROLLER, pod.metadata.uid)).objects
      return { pod, claims: own, claimOf: (name) => own.find((c) => c.metadata.name === name) ?? claims.get(`${pod.metadata.namespace ?? ''}/${name}`) }
    },
    decide: decidePodClaims,
    effects: ({ pod }, key) => effects(pod, key),
    isOrdinary,
  }, deps)
  const claimLoop = createLoop<ClaimView, ClaimAction>({
    name: 'resourceclaim-controller',
    queue: 'resource_claim_unused',
    observe(key) {
      const claim = claims.get(key)
      return claim && { claim, podOf: (name) => pods.get(`${claim.metadata.namespace ?? ''}/${name}`) }
    },
    decide: decideClaim,
    effects: (_, key) => effects(undefined, key),
    isOrdinary,
  }, deps)

  /** With the one that the scheduler made for its extended resources. */
  const namesOf = ({ spec, status }: Stored<Pod>): string[] => [...(spec?.resourceClaims ?? []), ...(status?.resourceClaimStatuses ?? []), ...(status?.extendedResourceClaimStatus ? [status.extendedResourceClaimStatus] : [])].flatMap((c) => c.resourceClaimName ?? [])
  pods.onChange((before, after) => {
    const pod = after ?? before
    if (!pod || ((pod.spec?.resourceClaims ?? []).length === 0 && !pod.status?.extendedResourceClaimStatus)) return
    if (after) podLoop.queue.add(keyOf(after))
    for (const name of namesOf(pod)) claimLoop.queue.add(`${pod.metadata.namespace ?? ''}/${name}`)
  })
  claims.onChange((before, after) => {
    if (after) claimLoop.queue.add(keyOf(after))
    const claim = after ?? before
    const owner = claim && controllerOf(claim)
    if (owner?.kind === 'Pod') podLoop.queue.add(`${claim?.metadata.namespace ?? ''}/${owner.name}`)
  })

  return {
    name: 'resourceclaim-controller',
    async run(signal) {
      await Promise.all([podLoop.run(signal), claimLoop.run(signal)])
      recorder.close()
    },
  }
}
