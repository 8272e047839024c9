/** When a pod must leave a node because of NoExecute taints (upstream's taint-eviction-controller). Pure. */
import type { Node, Pod, Stored, Taint, Toleration } from '#api/types/index.ts'
import { isPodTerminal, tolerates } from '#api/types/index.ts'
import { nothing, type DecideContext, type Decision } from '#base/reconcile/action.ts'
import { parseTime } from '../time.ts'

export interface TaintEvictionView {
  pod: Stored<Pod>
  node: Stored<Node> | undefined
  /** When this pod was first seen on the tainted node, where the taint itself has no time. */
  seenMs: number
  /** A deletion was announced; its end is announced too. */
  announced: boolean
}

export type TaintEvictionAction =
  | { kind: 'announce' }
  | { kind: 'cancel' }
  | { kind: 'evict'; pod: Stored<Pod> }

export function decideTaintEviction(view: TaintEvictionView, ctx: DecideContext): Decision<TaintEvictionAction> {
  const { pod, node } = view
  if (pod.metadata.deletionTimestamp !== undefined || isPodTerminal(pod)) return nothing('on its way out or finished')
  const taints = (node?.spec?.taints ?? []).filter((t) => t.effect === 'NoExecute')
  const leaveAtMs = leaveMs(taints, pod.spec?.tolerations ?? [], view.seenMs)
  if (leaveAtMs === undefined) return view.announced ? { actions: [{ kind: 'cancel' }], because: 'the taints are gone or tolerated' } : nothing('may stay')
  if (ctx.nowMs >= leaveAtMs) return { actions: [...announce(view), { kind: 'evict', pod }], because: `does not tolerate ${taints.map((t) => t.key).join(', ')}` }
  return { actions: [], because: 'tolerated for a while', wakeAtMs: leaveAtMs }
}

function announce(view: TaintEvictionView): TaintEvictionAction[] {
  return view.announced ? [] : [{ kind: 'announce' }]
}

/** Undefined: for ever tolerated. The shortest tolerationSeconds among those used counts, from the time of the taint. */
function leaveMs(taints: readonly Taint[], tolerations: readonly Toleration[], seenMs: number): number | undefined {
  if (taints.length === 0) return undefined
  let at: number | undefined
  for (const taint of taints) {
    const fitting = tolerations.filter((t) => tolerates(t, taint))
    if (fitting.length === 0) return Number.NEGATIVE_INFINITY
    const seconds = fitting.flatMap((t) => t.tolerationSeconds ?? [])
    if (seconds.length === 0) continue
    const leaves = (parseTime(taint.timeAdded) ?? seenMs) + Math.max(0, Math.min(...seconds)) * 1000
    at = at === undefined ? leaves : Math.min(at, leaves)
  }
  return at
}
