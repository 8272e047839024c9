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
  /** Images and what containers write are on a file system of their own. */
  hasImageFs: () => Promise<boolean>
  /** Of pods that run and have not been asked to end. */
  pods: () => readonly Stored<Pod>[]
  measure: () => Promise<readonly PodSample[]>
  evict: (eviction: Eviction) => void
  /** Nothing of it runs or is mounted any more. */
  hasEnded: (uid: string) => boolean
  /** Before a pod is taken for want of disk. */
  freeDisk: () => Promise<void>
  onConditions: () => void
  /** An Event about this node. */
  tell: (reason: string, message: string) => void
  clock: Clock
  log: Log
}

/** Upstream's: a pod has one and a half times its grace to be killed, ten seconds at least, and then so long until its volumes are gone; no other is evicted meanwhile. */
const KILL_MS_MIN = 10_000
const CLEANUP_MS = 30_000

export function createEvictionManager(deps: EvictionManagerDeps): EvictionManager {
  const { thresholds, maxPodGraceSeconds, transitionMs, clock } = deps
  const log = deps.log.with('eviction')
  let state: EvictionState = { memory: NO_EVICTION_MEMORY, conditions: new Set(), reclaim: undefined }
  const counts = new Map<string, number>()
  /** Evicted pods, until when they are waited for: what they free shows only then. */
  const ending = new Map<string, number>()
  const ages = createHistogram({ name: 'kubelet_eviction_stats_age_seconds', help: '[ALPHA] Time between when stats are collected, and when pod is evicted based on those stats by eviction signal', bounds: DEFAULT_BOUNDS, labels: ['eviction_signal'] })

  const evict = (eviction: Eviction) => {
    const { pod, signal, message } = eviction
    counts.set(signal, (counts.get(signal) ?? 0) + 1)
    log.warn('a pod is evicted', { pod: `${pod.metadata.namespace ?? ''}/${pod.metadata.name}`, signal, message: message.trim() })
    deps.evict(eviction)
    ending.set(pod.metadata.uid, clock.monotonicMs() + Math.max(KILL_MS_MIN, eviction.graceSeconds * 1_500) + CLEANUP_MS)
  }

  const mayEvict = (): boolean => {
    for (const [uid, untilMs] of ending) if (deps.hasEnded(uid) || clock.monotonicMs() >= untilMs) ending.delete(uid)
    return ending.size === 0
  }

  const withUsage = async (pods: readonly Stored<Pod>[]) => {
    const samples = new Map((await deps.measure()).map((s) => [s.uid, s]))
    return pods.map((pod) => ({ pod, sample: samples.get(pod.metadata.uid) }))
  }

  const takeFor = async (threshold: Threshold, observations: Observations, seenMs: number): Promise<void> => {
    const hasImageFs = await deps.hasImageFs()
    deps.tell('EvictionThresholdMet', `Attempting to reclaim ${isMemorySignal(threshold.signal) ? 'memory' : threshold.signal.startsWith('pid') ? 'pids' : threshold.signal.endsWith('inodesFree') ? 'inodes' : 'ephemeral-storage'}`)
    // Where images are elsewhere, removing them does not help the node's disk.
    if (threshold.signal.startsWith('imagefs') || (threshold.signal.startsWith('nodefs') && !hasImageFs)) {
      await deps.freeDisk()
      if (thresholdsMet([threshold], await deps.observe(), true).length === 0) return
    }
    const pods = await withUsage(deps.pods())
    for (const signal of new Set(state.memory.met.map((t) => t.signal))) ages.observe((clock.monotonicMs() - seenMs) / 1000, { eviction_signal: signal })
    const eviction = decideVictim(threshold, pods, { observations, maxPodGraceSeconds, hasImageFs })
    if (eviction) evict(eviction)
    else log.warn('nothing is left that may be evicted', { signal: threshold.signal })
  }

  return {
    get conditions() { return state.conditions },
    async look() {
      try {
        const before = [...state.conditions].toSorted().join()
        const seenMs = clock.monotonicMs()
        const observations = await deps.observe()
        state = decidePressure({ thresholds, observations, memory: state.memory, nowMs: clock.monotonicMs(), transitionMs, maxPodGraceSeconds })
        if ([...state.conditions].toSorted().join() !== before) deps.onConditions()
        if (!mayEvict()) return
        const pods = deps.pods()
        const limited = pods.filter(hasStorageLimit)
        const over = limited.length > 0 ? decideOverLimit(await withUsage(limited), await deps.hasImageFs()) : []
        for (const eviction of over) evict(eviction)
        // What those free shows in the next look; one pod at a time otherwise, for the same reason.
        if (over.length === 0 && state.reclaim) await takeFor(state.reclaim, observations, seenMs)
      } catch (error) {
        log.warn('the node\'s resources cannot be looked at', { error: asError(error) })
      }
    },
    refusal: (pod) => pressureRefusal(pod, state.conditions),
    counters: () => [{ name: 'kubelet_evictions', help: '[ALPHA] Cumulative number of pod evictions by eviction signal', type: 'counter', samples: [...counts].map(([signal, value]) => ({ labels: { eviction_signal: signal }, value })) }, ages.family()],
  }
}
