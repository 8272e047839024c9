/** Wires the device taint eviction controller: pods are looked at when devices of their claims are tainted, when they get such, and when their time is up. */
import { PODS, RESOURCE_CLAIMS, RESOURCE_SLICES, keyOf, type Pod, type PodResourceClaim, type ResourceSlice, type ResourceV1ResourceClaim, type Stored } from '#api/types/index.ts'
import { createLoop } from '#base/reconcile/loop.ts'
import { isOrdinary, recorderFor, unlessGone, type ControllerFactory } from '../controller.ts'
import { withDisruptionTarget } from '../disruption-target.ts'
import { jsonEqual } from '../json-equal.ts'
import { controllerOf } from '../ownership.ts'
import { decideDeviceTaintEviction, type DeviceTaintAction, type DeviceTaintView } from './decide.ts'
import { TaintedDevices } from './tainted-devices.ts'

type Claim = Stored<ResourceV1ResourceClaim>

const WORKERS = 4

export const deviceTaintEvictionController: ControllerFactory = (deps) => {
  const { client, informers, clock } = deps
  const pods = informers.of<Pod>(PODS)
  const claims = informers.of<ResourceV1ResourceClaim>(RESOURCE_CLAIMS)
  const slices = informers.of<ResourceSlice>(RESOURCE_SLICES)
  const recorder = recorderFor('device-taint-eviction', deps)
  const tainted = new TaintedDevices()
  /** Pods that are to go later, by key. */
  const waiting = new Set<string>()

  /** What it was promised by name is its own only if it was made for it. */
  const claimOf = (pod: Stored<Pod>, { name, resourceClaimName }: PodResourceClaim): Claim | undefined => {
    const made = pod.status?.resourceClaimStatuses?.find((s) => s.name === name)?.resourceClaimName
    const claim = claims.get(`${pod.metadata.namespace ?? ''}/${resourceClaimName ?? made ?? ''}`)
    if (!claim?.status?.allocation || !claim.status.reservedFor?.some((r) => r.uid === pod.metadata.uid)) return undefined
    return resourceClaimName !== undefined || controllerOf(claim)?.uid === pod.metadata.uid ? claim : undefined
  }

  const loop = createLoop<DeviceTaintView, DeviceTaintAction>({
    name: 'device-taint-eviction-controller',
    observe(key) {
      const pod = pods.get(key)
      if (!pod) waiting.delete(key)
      return pod && { pod, claims: (pod.spec?.resourceClaims ?? []).flatMap((c) => claimOf(pod, c) ?? []), taintsOf: ({ driver, pool, device }) => tainted.of(driver, pool, device), isWaiting: waiting.has(key) }
    },
    decide: decideDeviceTaintEviction,
    effects: ({ pod }, key) => ({
      wait() {
        waiting.add(key)
        return Promise.resolve()
      },
      cancel() {
        waiting.delete(key)
        recorder.event(pod, 'Normal', 'DeviceTaintManagerEviction', 'Cancelling deletion')
        return Promise.resolve()
      },
      async evict(_, signal) {
        const { name, namespace, uid } = pod.metadata
        const status = withDisruptionTarget(pod, 'DeletionByDeviceTaintManager', 'Device Taint manager: deleting due to NoExecute taint', clock.nowMs())
        if (status) await unlessGone(client.update<Pod>(PODS, { ...pod, status }, { subresource: 'status', signal }))
        recorder.event(pod, 'Normal', 'DeviceTaintManagerEviction', 'Marking for deletion')
        await unlessGone(client.delete(PODS, name, namespace, { preconditions: { uid }, signal }))
        waiting.delete(key)
      },
    }),
    isOrdinary,
  }, { ...deps, workers: WORKERS })

  const addUsers = ({ metadata, status }: Claim): void => {
    for (const { apiGroup = '', resource, name } of status?.reservedFor ?? []) if (apiGroup === '' && resource === 'pods') loop.queue.add(`${metadata.namespace ?? ''}/${name}`)
  }
  const isTainted = (claim: Claim | undefined): boolean => (claim?.status?.allocation?.devices?.results ?? []).some((r) => tainted.of(r.driver, r.pool, r.device).length > 0)

  slices.onChange((before, after) => {
    for (const { driver, pool } of tainted.change(before, after)) {
      for (const claim of claims.list()) if (claim.status?.allocation?.devices?.results?.some((r) => r.driver === driver && r.pool === pool)) addUsers(claim)
    }
  })
  claims.onChange((before, after) => {
    for (const claim of [before, after]) if (claim && isTainted(claim)) addUsers(claim)
  })
  pods.onChange((before, after) => {
    const pod = after ?? before
    if ((pod?.spec?.resourceClaims ?? []).length === 0) return
    const isSame = before && after && before.spec?.nodeName === after.spec?.nodeName && jsonEqual(before.status?.resourceClaimStatuses, after.status?.resourceClaimStatuses)
    if (pod && !isSame) loop.queue.add(keyOf(pod))
  })
  return {
    name: 'device-taint-eviction-controller',
    async run(signal) {
      await loop.run(signal)
      recorder.close()
    },
  }
}
