/** Whom a critical pod pushes out of the node when what it asks for is not free (upstream's pkg/kubelet/preemption). Pure. */
import { podPriority, podQosClass, podRequests } from '#api/types/pods.ts'
import { quantityMilli, quantityValue } from '#api/types/quantity.ts'
import type { Pod } from '#api/types/index.ts'
import { isCritical } from './critical.ts'

/** `amount`: how much is missing; thousandths of CPU, bytes, pods. */
export interface Shortage { resource: string; amount: number }

export type Preemption<P extends Pod> = { ok: true; victims: P[] } | { ok: false; message: string }

export const PREEMPTED = { reason: 'Preempting', message: 'Preempted in order to admit critical pod', condition: 'Pod was preempted by Kubelet to accommodate a critical pod.' }

/** As few as will do, of the lowest class; a pod asked for by nobody critical pushes nobody out. */
export function decidePreemption<P extends Pod>(pod: Pod, others: readonly P[], shortages: readonly Shortage[]): Preemption<P> {
  const may = others.filter((other) => isPreemptable(pod, other))
  const [bestEffort, burstable, guaranteed] = (['BestEffort', 'Burstable', 'Guaranteed'] as const).map((qos) => may.filter((p) => podQosClass(p) === qos)) as [P[], P[], P[]]
  const missing = without(shortages, may)
  if (missing.length > 0) return { ok: false, message: `preemption: error finding a set of pods to preempt: no set of running pods found to reclaim resources: ${text(missing)}` }
  // Each class gives only what the classes below it cannot.
  const ofGuaranteed = nearest(guaranteed, without(shortages, [...bestEffort, ...burstable]))
  const ofBurstable = nearest(burstable, without(shortages, [...bestEffort, ...ofGuaranteed]))
  const ofBestEffort = nearest(bestEffort, without(shortages, [...ofBurstable, ...ofGuaranteed]))
  return { ok: true, victims: [...ofBestEffort, ...ofBurstable, ...ofGuaranteed] }
}

function isPreemptable(preemptor: Pod, other: Pod): boolean {
  return (isCritical(preemptor) && !isCritical(other)) || podPriority(preemptor) > podPriority(other)
}

/** One by one whoever comes nearest to what is missing; of two as near the smaller. They are enough, which the caller knows. */
function nearest<P extends Pod>(pods: readonly P[], shortages: readonly Shortage[]): P[] {
  const left = [...pods]
  const chosen: P[] = []
  for (let missing = shortages; missing.length > 0;) {
    const best = left.map((pod) => ({ pod, distance: distance(pod, missing) })).toSorted((a, b) => a.distance - b.distance || requestOf(a.pod, 'memory') - requestOf(b.pod, 'memory') || requestOf(a.pod, 'cpu') - requestOf(b.pod, 'cpu'))[0]
    if (!best) break
    chosen.push(best.pod)
    left.splice(left.indexOf(best.pod), 1)
    missing = without(missing, [best.pod])
  }
  return chosen
}

/** Parts that would still be missing, squared: so that each resource counts alike. */
function distance(pod: Pod, shortages: readonly Shortage[]): number {
  return shortages.reduce((sum, { resource, amount }) => sum + (Math.max(0, amount - requestOf(pod, resource)) / amount) ** 2, 0)
}

function without(shortages: readonly Shortage[], pods: readonly Pod[]): Shortage[] {
  return shortages.map(({ resource, amount }) => ({ resource, amount: pods.reduce((left, pod) => left - requestOf(pod, resource), amount) })).filter(({ amount }) => amount > 0)
}

/** In the unit of a shortage. */
export function requestOf(pod: Pod, resource: string): number {
  if (resource === 'pods') return 1
  return (resource === 'cpu' ? quantityMilli : quantityValue)(podRequests(pod)[resource])
}

/** As Go prints it there. */
const text = (shortages: readonly Shortage[]): string => `[${shortages.map(({ resource, amount }) => `(res: ${resource}, q: ${amount}), `).join('')}]`
