/** Which nodes are lost, and what is done about it: conditions, taints, pods marked not ready. Pure. */
import { podCondition, type Node, type NodeCondition, type Pod, type Stored, type Taint } from '#api/types/index.ts'
import { nothing, type DecideContext, type Decision } from '#base/reconcile/action.ts'
import { jsonEqual } from '../json-equal.ts'
import { earlier, formatTime } from '../time.ts'

export interface NodeLifecycleView {
  node: Stored<Node>
  /** When a heartbeat (lease or status) was last seen to change, on our own monotonic clock translated to wall time: clocks of boards lie. */
  heardMs: number
  graceMs: number
  /** In place of it while the node has never reported. */
  startupGraceMs: number
  /** Earliest time at which this node may lose its pods; undefined: not while the zones are as they are. */
  mayEvictAtMs: number | undefined
  pods: readonly Stored<Pod>[]
}

export type NodeLifecycleAction =
  | { kind: 'writeConditions'; conditions: NodeCondition[] }
  | { kind: 'writeTaints'; taints: Taint[]; evicting: boolean }
  | { kind: 'nodeNotReadyEvent' }
  | { kind: 'markPodNotReady'; pod: Stored<Pod>; conditions: NonNullable<Pod['status']>['conditions'] }

export const NOT_READY = 'node.kubernetes.io/not-ready'
export const UNREACHABLE = 'node.kubernetes.io/unreachable'

/** Condition type, status and the taint that follows. */
const CONDITION_TAINTS: readonly { type: string; status: string; key: string }[] = [
  { type: 'Ready', status: 'False', key: NOT_READY },
  { type: 'Ready', status: 'Unknown', key: UNREACHABLE },
  { type: 'MemoryPressure', status: 'True', key: 'node.kubernetes.io/memory-pressure' },
  { type: 'DiskPressure', status: 'True', key: 'node.kubernetes.io/disk-pressure' },
  { type: 'PIDPressure', status: 'True', key: 'node.kubernetes.io/pid-pressure' },
  { type: 'NetworkUnavailable', status: 'True', key: 'node.kubernetes.io/network-unavailable' },
]
const UNSCHEDULABLE = 'node.kubernetes.io/unschedulable'
const KUBELET_CONDITIONS = ['Ready', 'MemoryPressure', 'DiskPressure', 'PIDPressure']

export function decideNodeLifecycle(view: NodeLifecycleView, ctx: DecideContext): Decision<NodeLifecycleAction> {
  const { node } = view
  if (node.metadata.deletionTimestamp !== undefined) return nothing('being deleted')
  const hasReported = node.status?.conditions?.some((c) => c.type === 'Ready') === true
  const lostAtMs = view.heardMs + (hasReported ? view.graceMs : view.startupGraceMs)
  const lost = ctx.nowMs >= lostAtMs
  const old = node.status?.conditions ?? []
  const conditions = lost ? unknownConditions(old, node, ctx.nowMs) : old
  const actions: NodeLifecycleAction[] = []
  if (conditions !== old) actions.push({ kind: 'writeConditions', conditions })

  const { status: ready, lastTransitionTime: turnedAt } = conditions.find((c) => c.type === 'Ready') ?? {}
  const wasReady = old.find((c) => c.type === 'Ready')?.status === 'True'
  const { taints, wakeAtMs, evicting } = wantedTaints(view, conditions, ctx.nowMs)
  if (!jsonEqual(taints, node.spec?.taints ?? [])) actions.push({ kind: 'writeTaints', taints, evicting })

  if (ready !== 'True') {
    if (lost && wasReady) actions.push({ kind: 'nodeNotReadyEvent' })
    for (const pod of view.pods) {
      const marked = notReadyConditions(pod, turnedAt, ctx.nowMs)
      if (marked) actions.push({ kind: 'markPodNotReady', pod, conditions: marked })
    }
  }
  const wake = earlier(lost ? undefined : lostAtMs, wakeAtMs)
  return { actions, because: lost ? 'heartbeats stopped' : `Ready is ${ready ?? 'not known'}`, ...(wake !== undefined && { wakeAtMs: wake }) }
}

/** The same array when nothing changes. */
function unknownConditions(old: NodeCondition[], node: Stored<Node>, nowMs: number): NodeCondition[] {
  const now = formatTime(nowMs)
  const wanted = KUBELET_CONDITIONS.map((type): NodeCondition => {
    const before = old.find((c) => c.type === type)
    if (!before) {
      return { type, status: 'Unknown', reason: 'NodeStatusNeverUpdated', message: 'Kubelet never posted node status.', lastHeartbeatTime: node.metadata.creationTimestamp, lastTransitionTime: now }
    }
    if (before.status === 'Unknown') return before
    return { ...before, status: 'Unknown', reason: 'NodeStatusUnknown', message: 'Kubelet stopped posting node status.', lastTransitionTime: now }
  })
  if (wanted.every((w) => old.includes(w))) return old
  return [...old.filter((c) => !KUBELET_CONDITIONS.includes(c.type)), ...wanted]
}

function wantedTaints(view: NodeLifecycleView, conditions: readonly NodeCondition[], nowMs: number): { taints: Taint[]; wakeAtMs?: number; evicting: boolean } {
  const { node } = view
  const statusOf = (type: string) => conditions.find((c) => c.type === type)?.status
  const ready = statusOf('Ready')
  const noSchedule = CONDITION_TAINTS.filter((c) => statusOf(c.type) === c.status).map((c) => c.key)
  if (node.spec?.unschedulable) noSchedule.push(UNSCHEDULABLE)
  const evictKey = ready === 'False' ? NOT_READY : ready === 'Unknown' ? UNREACHABLE : undefined
  const ours = (t: Taint) =>
    (t.effect === 'NoSchedule' && (t.key === UNSCHEDULABLE || CONDITION_TAINTS.some((c) => c.key === t.key))) ||
    (t.effect === 'NoExecute' && (t.key === NOT_READY || t.key === UNREACHABLE))
  const old = node.spec?.taints ?? []
  const taints = old.filter((t) => !ours(t))
  const keep = (key: string, effect: string) => {
    const before = old.find((t) => t.key === key && t.effect === effect)
    taints.push(before ?? { key, effect, timeAdded: formatTime(nowMs) })
    return before !== undefined
  }
  // A node that has not reported yet keeps the taint it was admitted with, and is given its grace.
  if (ready === undefined && old.some((t) => t.key === NOT_READY && t.effect === 'NoSchedule')) noSchedule.push(NOT_READY)
  for (const key of noSchedule) keep(key, 'NoSchedule')
  if (evictKey === undefined || view.mayEvictAtMs === undefined) return { taints: inOldOrder(taints, old), evicting: false }
  const evictedAlready = old.some((t) => t.effect === 'NoExecute' && (t.key === NOT_READY || t.key === UNREACHABLE))
  // The pace limits how many nodes lose their pods, not how a node's reason changes.
  if (!evictedAlready && nowMs < view.mayEvictAtMs) return { taints: inOldOrder(taints, old), wakeAtMs: view.mayEvictAtMs, evicting: false }
  const had = keep(evictKey, 'NoExecute')
  return { taints: inOldOrder(taints, old), evicting: !had && !evictedAlready }
}

/** What stays keeps its place: a taint list that only changed its order is not written. */
function inOldOrder(taints: readonly Taint[], old: readonly Taint[]): Taint[] {
  return [...old.filter((t) => taints.includes(t)), ...taints.filter((t) => !old.includes(t))]
}

/** Undefined: it says so already, or its kubelet has said otherwise since the node's condition turned: a node on its way down still tells how its pods are. */
function notReadyConditions(pod: Stored<Pod>, turnedAt: string | undefined, nowMs: number): NonNullable<Pod['status']>['conditions'] | undefined {
  const ready = podCondition(pod.status, 'Ready')
  if (ready?.status !== 'True') return undefined
  if (turnedAt !== undefined && ready.lastTransitionTime !== undefined && Date.parse(ready.lastTransitionTime) >= Date.parse(turnedAt)) return undefined
  return pod.status?.conditions?.map((c) => (c === ready ? { ...c, status: 'False', lastTransitionTime: formatTime(nowMs) } : c))
}
