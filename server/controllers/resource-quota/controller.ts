/** Wires the resource quota controller: quotas are counted anew when they change, and when something they count goes or needs less. */
import { countedBy, evaluatorOf, type ClaimSurroundings } from '#api/quota/index.ts'
import { exceeding } from '#api/quota/resource-list.ts'
import { DEVICE_CLASSES, keyOf, PERSISTENT_VOLUME_CLAIMS, PODS, RESOURCE_CLAIMS, RESOURCE_QUOTAS, SERVICES, type DeviceClass, type KubeObject, type PersistentVolumeClaim, type Pod, type ResourceQuota, type ResourceRef, type ResourceV1ResourceClaim, type Service, type Stored } from '#api/types/index.ts'
import type { Informer } from '#api/client/client.ts'
import { createLoop } from '#base/reconcile/loop.ts'
import { isOrdinary, type ControllerFactory } from '../controller.ts'
import { createCountedKinds } from './counted-kinds.ts'
import { decideResourceQuota, type Measured, type ResourceQuotaAction, type ResourceQuotaView } from './decide.ts'

/** What happens together is counted once. */
const GATHER_MS = 50
/** What was charged for a write that then failed is given back this soon. */
const RECOUNT_MS = 30_000
/** Of these it matters what they say, not only that they are there. */
const FULL = [PODS, SERVICES, PERSISTENT_VOLUME_CLAIMS, RESOURCE_CLAIMS]

export const resourceQuotaController: ControllerFactory = (deps) => {
  const { client, informers, clock } = deps
  const quotas = informers.of<ResourceQuota>(RESOURCE_QUOTAS)
  const pods = informers.of<Pod>(PODS)
  const claims = informers.of<ResourceV1ResourceClaim>(RESOURCE_CLAIMS)
  const classes = informers.of<DeviceClass>(DEVICE_CLASSES)
  const around: ClaimSurroundings = {
    get classes() { return classes.list() },
    pod: (namespace, name) => pods.get(`${namespace}/${name}`),
    claims: (namespace) => claims.inNamespace(namespace),
  }
  const full: { ref: ResourceRef; informer: Informer<KubeObject> }[] = [
    { ref: PODS, informer: pods },
    { ref: SERVICES, informer: informers.of<Service>(SERVICES) },
    { ref: PERSISTENT_VOLUME_CLAIMS, informer: informers.of<PersistentVolumeClaim>(PERSISTENT_VOLUME_CLAIMS) },
    { ref: RESOURCE_CLAIMS, informer: claims },
  ]
  /** By quota key. */
  const charged = new Map<string, number>()
  const held = new Map<string, number>()

  /** Looks at the namespace's quotas that count this resource. */
  const replenish = (group: string, resource: string, namespace: string) => {
    for (const quota of quotas.inNamespace(namespace)) {
      if (evaluatorOf(group, resource, around).matchingResources(Object.keys(quota.spec?.hard ?? {})).length > 0) loop.queue.addAfter(keyOf(quota), GATHER_MS)
    }
  }
  const counted = createCountedKinds(deps, (group, resource) => {
    for (const quota of quotas.list()) if (countedResources(quota).some((r) => r.group === group && r.resource === resource)) loop.queue.add(keyOf(quota))
  }, (group, resource, object) => replenish(group, resource, object.metadata.namespace ?? ''))

  const loop = createLoop<ResourceQuotaView, ResourceQuotaAction>({
    name: 'resourcequota-controller',
    observe(key) {
      const quota = quotas.get(key)
      if (!quota) return undefined
      const namespace = quota.metadata.namespace ?? ''
      const hard = Object.keys(quota.spec?.hard ?? {})
      const measured: Measured[] = []
      for (const { ref, informer } of full) {
        const evaluator = evaluatorOf(ref.group, ref.resource, around)
        if (evaluator.matchingResources(hard).length > 0) measured.push({ evaluator, objects: informer.inNamespace(namespace) })
      }
      let isPartial = false
      for (const { group, resource } of countedResources(quota)) {
        const informer = group === '' && resource === 'resourcequotas' ? quotas : counted.informer(group, resource)
        if (informer) measured.push({ evaluator: evaluatorOf(group, resource), objects: informer.inNamespace(namespace) })
        else isPartial = true
      }
      return { quota, measured, chargedMs: charged.get(key), heldMs: held.get(key), isPartial }
    },
    decide: decideResourceQuota,
    effects: ({ quota }) => ({
      // resourceVersion is the guard: what admission charged meanwhile is a conflict, and is counted in the next pass.
      async writeStatus({ status }, signal) {
        await client.update<ResourceQuota>(RESOURCE_QUOTAS, { ...quota, status }, { subresource: 'status', signal })
      },
    }),
    onPass(key, { decision }) {
      if (decision?.because === 'something was charged just now') held.set(key, held.get(key) ?? clock.nowMs())
      else held.delete(key)
    },
    isOrdinary,
  }, { ...deps, workers: 2 })

  quotas.onChange((before, after) => {
    const key = keyOf(after ?? (before as Stored<ResourceQuota>))
    if (!after) {
      charged.delete(key)
      held.delete(key)
    }
    if (before && after && exceeding(after.status?.used ?? {}, before.status?.used ?? {}).length > 0) {
      charged.set(key, clock.nowMs())
      loop.queue.addAfter(key, RECOUNT_MS)
    }
    const isSameSpec = JSON.stringify(before?.spec) === JSON.stringify(after?.spec)
    if (after && !isSameSpec) loop.queue.add(key)
    if (!isSameSpec) counted.keepOnly(new Set(quotas.list().flatMap(countedResources).map((r) => `${r.group}/${r.resource}`)))
    if (!before || !after) replenish('', 'resourcequotas', (after ?? before)?.metadata.namespace ?? '')
  })
  for (const { ref, informer } of full) {
    const evaluator = evaluatorOf(ref.group, ref.resource, around)
    informer.onChange((before, after) => {
      if (!before || (after && !evaluator.isReplenishing?.(before, after))) return
      replenish(ref.group, ref.resource, before.metadata.namespace ?? '')
    })
  }
  return {
    name: 'resourcequota-controller',
    run(signal) {
      counted.run(signal)
      return loop.run(signal)
    },
  }
}

/** Resources that the quota counts and that are not held in full here. */
function countedResources(quota: ResourceQuota): { group: string; resource: string }[] {
  const found = Object.keys(quota.spec?.hard ?? {}).flatMap((name) => countedBy(name) ?? [])
  return found.filter(({ group, resource }, i) => {
    const isHeld = FULL.some((ref) => ref.group === group && ref.resource === resource)
    return !isHeld && found.findIndex((r) => r.group === group && r.resource === resource) === i
  })
}
