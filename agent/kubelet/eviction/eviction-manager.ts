/** Looks at the node's resources every ten seconds and carries out what `decide.ts` says. Pods are measured only when something is short or one has limits of its own. */
import type { Pod, Stored } from '#api/types/index.ts'
import type { Clock } from '#base/clock.ts'
import { asError } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import { createHistogram, DEFAULT_BOUNDS } from '../stats/histogram.ts'
import type { MetricFamily } from '../stats/metrics-text.ts'
import type { PodSample } from '../stats/summary.ts'
import { decideOverLimit, decidePressure, decideVictim, hasStorageLimit, NO_EVICTION_MEMORY, pressureRefusal, type Eviction, type EvictionState } from './decide.ts'
import { isMemorySignal, thresholdsMet, type Observations, type PressureCondition, type Threshold } from './thresholds.ts'

export interface EvictionManager {
  /** One look. */
  look(): Promise<void>
  readonly conditions: ReadonlySet<PressureCondition>
  /** Why this node takes no such pod now. */
  refusal(pod: Pod): { reason: string; message: string } | undefined
  counters(): MetricFamily[]
}

export interface EvictionManagerDeps {
  thresholds: readonly Threshold[]
  maxPodGraceSeconds: number
  /** Upstream's evictionPressureTransitionPeriod. */
  transitionMs: number
  observe: () => Promise<Observations>
  /** Of pods that run and have not been asked to end. */
  pods: () => readonly Stored<Pod>[]
  measure: () => Promise<readonly PodSample[]>
  evict: (eviction: Eviction) => void
  /** Before a pod is taken for want of disk. */
  freeDisk: () => Promise<void>
  onConditions: () => void
  /** An Event about this node. */
  tell: (reason: string, message: string) => void
  clock: Clock
  log: Log
}

export function createEvictionManager(deps: EvictionManagerDeps): EvictionManager {
  const { thresholds, maxPodGraceSeconds, transitionMs, clock } = deps
  const log = deps.log.with('eviction')
  let state: EvictionState = { memory: NO_EVICTION_MEMORY, conditions: new Set(), reclaim: undefined }
  const counts = new Map<string, number>()
  const ages = createHistogram({ name: 'kubelet_eviction_stats_age_seconds', help: '[ALPHA] Time between when stats are collected, and when pod is evicted based on those stats by eviction signal', bounds: DEFAULT_BOUNDS, labels: ['eviction_signal'] })

  const evict = (eviction: Eviction) => {
    const { pod, signal, message } = eviction
    counts.set(signal, (counts.get(signal) ?? 0) + 1)
    log.warn('a pod is evicted', { pod: `${pod.metadata.namespace ?? ''}/${pod.metadata.name}`, signal, message: message.trim() })
    deps.evict(eviction)
  }

  const withUsage = async (pods: readonly Stored<Pod>[]) => {
    const samples = new Map((await deps.measure()).map((s) => [s.uid, s]))
    return pods.map((pod) => ({ pod, sample: samples.get(pod.metadata.uid) }))
  }

  const takeFor = async (threshold: Threshold, seenMs: number): Promise<void> => {
    deps.tell('EvictionThresholdMet', `Attempting to reclaim ${isMemorySignal(threshold.signal) ? 'memory' : threshold.signal.startsWith('pid') ? 'pids' : threshold.signal.endsWith('inodesFree') ? 'inodes' : 'ephemeral-storage'}`)
    if (threshold.signal.includes('fs.')) {
      await deps.freeDisk()
      if (thresholdsMet([threshold], await deps.observe(), true).length === 0) return
    }
    const pods = await withUsage(deps.pods())
    for (const signal of new Set(state.memory.met.map((t) => t.signal))) ages.observe((clock.monotonicMs() - seenMs) / 1000, { eviction_signal: signal })
    const eviction = decideVictim(threshold, pods, { observations: await deps.observe(), maxPodGraceSeconds })
    if (eviction) evict(eviction)
    else log.warn('nothing is left that may be evicted', { signal: threshold.signal })
  }

  return {
    get conditions() { return state.conditions },
    async look() {
      try {
        const before = [...state.conditions].toSorted().join()
        const seenMs = clock.monotonicMs()
        state = decidePressure({ thresholds, observations: await deps.observe(), memory: state.memory, nowMs: clock.monotonicMs(), transitionMs, maxPodGraceSeconds })
        if ([...state.conditions].toSorted().join() !== before) deps.onConditions()
        const pods = deps.pods()
        const limited = pods.filter(hasStorageLimit)
        const over = limited.length > 0 ? decideOverLimit(await withUsage(limited)) : []
        for (const eviction of over) evict(eviction)
        // What those free shows in the next look; one pod at a time otherwise, for the same reason.
        if (over.length === 0 && state.reclaim) await takeFor(state.reclaim, seenMs)
      } catch (error) {
        log.warn('the node\'s resources cannot be looked at', { error: asError(error) })
      }
    },
    refusal: (pod) => pressureRefusal(pod, state.conditions),
    counters: () => [{ name: 'kubelet_evictions', help: '[ALPHA] Cumulative number of pod evictions by eviction signal', type: 'counter', samples: [...counts].map(([signal, value]) => ({ labels: { eviction_signal: signal }, value })) }, ages.family()],
  }
}
