/** The DisruptionTarget condition (KEP-3329): tells a Job and its reader why the control plane removed a pod. Pure. */
import { podCondition, type Pod, type PodStatus } from '#api/types/index.ts'
import { formatTime } from './time.ts'

/** Undefined: the pod says so already. */
export function withDisruptionTarget(pod: Pod, reason: string, message: string, nowMs: number): PodStatus | undefined {
  const before = podCondition(pod.status, 'DisruptionTarget')
  if (before?.status === 'True' && before.reason === reason) return undefined
  const condition = {
    type: 'DisruptionTarget', status: 'True', reason, message, lastTransitionTime: formatTime(nowMs),
    ...(pod.metadata?.generation !== undefined && { observedGeneration: pod.metadata.generation }),
  }
  return { ...pod.status, conditions: [...(pod.status?.conditions ?? []).filter((c) => c !== before), condition] }
}
