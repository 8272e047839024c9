/** When a pod must go because of NoExecute taints of devices that its claims have (upstream's device-taint-eviction-controller, KEP-5055). Pure. */
import type { DeviceRequestAllocationResult, DeviceTaint, DeviceToleration, Pod, ResourceV1ResourceClaim, Stored } from '#api/types/index.ts'
import { nothing, type DecideContext, type Decision } from '#base/reconcile/action.ts'
import { parseTime } from '../time.ts'

export interface DeviceTaintView {
  pod: Stored<Pod>
  /** That are kept for it. */
  claims: readonly Stored<ResourceV1ResourceClaim>[]
  /** Of a device, those that send pods away. */
  taintsOf: (device: Pick<DeviceRequestAllocationResult, 'driver' | 'pool' | 'device'>) => readonly DeviceTaint[]
  /** It was to go later; that it stays is announced. */
  isWaiting: boolean
}

export type DeviceTaintAction = { kind: 'cancel' } | { kind: 'wait' } | { kind: 'evict'; pod: Stored<Pod> }

export function decideDeviceTaintEviction({ pod, claims, taintsOf, isWaiting }: DeviceTaintView, { nowMs }: DecideContext): Decision<DeviceTaintAction> {
  if (pod.metadata.deletionTimestamp !== undefined) return nothing('on its way out')
  const times = pod.spec?.nodeName ? claims.flatMap(({ status }) => (status?.allocation?.devices?.results ?? []).flatMap((result) => taintsOf(result).flatMap((taint) => leaveMs(taint, result.tolerations ?? []) ?? []))) : []
  const atMs = times.length === 0 ? undefined : Math.min(...times)
  if (atMs === undefined) return isWaiting ? { actions: [{ kind: 'cancel' }], because: 'the taints are gone or tolerated' } : nothing('may stay')
  if (nowMs >= atMs) return { actions: [{ kind: 'evict', pod }], because: 'a device of its claims is tainted' }
  return { actions: isWaiting ? [] : [{ kind: 'wait' }], because: 'tolerated for a while', wakeAtMs: atMs }
}

/** Undefined: for ever tolerated. Of several tolerations that end the one that ends first counts. */
function leaveMs(taint: DeviceTaint, tolerations: readonly DeviceToleration[]): number | undefined {
  const fitting = tolerations.filter((toleration) => tolerates(toleration, taint))
  if (fitting.some((t) => t.tolerationSeconds === undefined)) return undefined
  const seconds = fitting.map((t) => Math.max(0, t.tolerationSeconds ?? 0))
  return (parseTime(taint.timeAdded) ?? 0) + (seconds.length === 0 ? 0 : Math.min(...seconds) * 1000)
}

/** Only one that names the effect keeps a pod from being sent away. */
function tolerates({ effect, key, operator = 'Equal', value = '' }: DeviceToleration, taint: DeviceTaint): boolean {
  return effect === 'NoExecute' && (!key || key === taint.key) && (operator === 'Exists' || (operator === 'Equal' && value === (taint.value ?? '')))
}
