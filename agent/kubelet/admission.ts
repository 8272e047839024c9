/** Whether this node can take a pod that was sent to it, whoever sent it (upstream's kubelet admission). Pure. */
import { podRequests } from '#api/types/pods.ts'
import { quantityMilli, quantityValue } from '#api/types/quantity.ts'
import type { Pod } from '#api/types/index.ts'

export interface AdmissionInput {
  pod: Pod
  /** Admitted pods that still run or will. */
  others: readonly Pod[]
  allocatable: Readonly<Record<string, string>>
}

/** Undefined: it may come in. Else the reason and message its status fails with. */
export function refusal({ pod, others, allocatable }: AdmissionInput): { reason: string; message: string } | undefined {
  const pods = Number(allocatable.pods ?? Infinity)
  if (others.length + 1 > pods) return outOf('pods', 1, others.length, pods)
  const wanted = podRequests(pod)
  for (const [resource, asked] of Object.entries(wanted)) {
    // What the node does not count (ephemeral storage of an unknown disk, extended resources) it cannot refuse.
    const total = allocatable[resource]
    if (total === undefined) continue
    const value = resource === 'cpu' ? quantityMilli : quantityValue
    const want = value(asked)
    const used = others.reduce((sum, p) => sum + value(podRequests(p)[resource]), 0)
    if (want > 0 && used + want > value(total)) return outOf(resource, want, used, value(total))
  }
  return undefined
}

function outOf(resource: string, requested: number, used: number, capacity: number): { reason: string; message: string } {
  return { reason: `OutOf${resource}`, message: `Pod was rejected: Node didn't have enough resource: ${resource}, requested: ${requested}, used: ${used}, capacity: ${capacity}` }
}
