/** Pods nobody else will remove (upstream's pod-garbage-collector). Pure. */
import { isPodTerminal, type Node, type Pod, type Stored } from '#api/types/index.ts'
import { nothing, type DecideContext, type Decision } from '#base/reconcile/action.ts'

export interface PodGcView {
  pod: Stored<Pod>
  /** The node the pod is bound to; undefined: unknown to the informer, or the pod is not bound. */
  node: Stored<Node> | undefined
  /** Since when the pod's node has been missing, as far as this process saw. */
  nodeMissingSinceMs: number | undefined
  /** Finished pods that are older than this one's place in the queue: it goes when there are too many. */
  surplus: boolean
}

export type PodGcAction = { kind: 'remove'; because: 'Orphaned' | 'Unscheduled' | 'OutOfService' | 'Terminated'; verifyNodeGone?: string }

/** A node that registers again within this time finds its pods. Upstream's quarantine. */
export const QUARANTINE_MS = 40_000
const OUT_OF_SERVICE = 'node.kubernetes.io/out-of-service'

export function decidePodGc(view: PodGcView, ctx: DecideContext): Decision<PodGcAction> {
  const { pod, node } = view
  const nodeName = pod.spec?.nodeName
  const dying = pod.metadata.deletionTimestamp !== undefined
  if (nodeName && !node) {
    const dueMs = (view.nodeMissingSinceMs ?? ctx.nowMs) + QUARANTINE_MS
    if (ctx.nowMs < dueMs) return nothing(`node ${nodeName} is missing`, dueMs)
    return { actions: [{ kind: 'remove', because: 'Orphaned', verifyNodeGone: nodeName }], because: `node ${nodeName} is gone` }
  }
  if (dying && !nodeName) return { actions: [{ kind: 'remove', because: 'Unscheduled' }], because: 'deleted before it was scheduled' }
  const ready = node?.status?.conditions?.find((c) => c.type === 'Ready')?.status === 'True'
  if (dying && node && !ready && node.spec?.taints?.some((t) => t.key === OUT_OF_SERVICE)) {
    return { actions: [{ kind: 'remove', because: 'OutOfService' }], because: 'its node is declared out of service' }
  }
  if (view.surplus && isPodTerminal(pod)) return { actions: [{ kind: 'remove', because: 'Terminated' }], because: 'too many finished pods' }
  return nothing('wanted')
}
