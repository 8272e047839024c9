/** Whom a graceful shutdown of the node ends when, and in what time: upstream's shutdownGracePeriod, ...CriticalPods and ...ByPodPriority. Pure. */
import type { Pod } from '#api/types/index.ts'

/** `seconds` for the pods of this priority and above, up to the next. */
export interface ShutdownPeriod { priority: number; seconds: number }
export interface ShutdownGroup<P extends Pod> extends ShutdownPeriod { pods: P[] }

/** Of system-cluster-critical. */
export const CRITICAL_PRIORITY = 2_000_000_000
const DEFAULT_SECONDS = 30

/** All pods have `seconds` together, the last `criticalSeconds` of it for critical ones. None for 0: no graceful shutdown. */
export function periodsOf(seconds: number, criticalSeconds: number): ShutdownPeriod[] {
  return seconds === 0 ? [] : [{ priority: 0, seconds: Math.floor(seconds - criticalSeconds) }, { priority: CRITICAL_PRIORITY, seconds: Math.floor(criticalSeconds) }]
}

export const totalSeconds = (periods: readonly ShutdownPeriod[]): number => periods.reduce((sum, { seconds }) => sum + seconds, 0)

/** In the order in which they end, lowest priority first; those below the lowest go with it. */
export function shutdownGroups<P extends Pod>(periods: readonly ShutdownPeriod[], pods: readonly P[]): ShutdownGroup<P>[] {
  const groups = periods.toSorted((a, b) => a.priority - b.priority).map((period): ShutdownGroup<P> => ({ ...period, pods: [] }))
  for (const pod of pods) {
    const priority = pod.spec?.priority ?? 0
    const group = groups.findLast((g) => g.priority <= priority) ?? groups[0]
    group?.pods.push(pod)
  }
  return groups.filter((g) => g.pods.length > 0)
}

/** Its own grace where that is shorter. */
export const shutdownGraceSeconds = (pod: Pod, { seconds }: ShutdownPeriod): number => Math.min(seconds, pod.spec?.terminationGracePeriodSeconds ?? DEFAULT_SECONDS)
