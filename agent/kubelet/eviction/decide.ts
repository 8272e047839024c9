/**
 * The eviction manager: what a look at the node's resources leads to. Pure; upstream's pkg/kubelet/eviction in its order: thresholds met,
 * conditions told (and kept told for a while), pods over limits of their own, then what costs nobody a pod, then one pod.
 */
import { podLimits, podQosClass } from '#api/types/pods.ts'
import { parseQuantity, quantityValue } from '#api/types/quantity.ts'
import type { Pod, Stored, Toleration } from '#api/types/index.ts'
import { ephemeralBytes, type PodSample } from '../stats/summary.ts'
import { isCritical } from '../critical.ts'
import { memoryOf, rankForEviction, type PodUsage } from './rank.ts'
import { amountIn, amountText, isMemorySignal, SIGNAL_FACTS, thresholdsMet, type Observations, type PressureCondition, type Signal, type Threshold } from './thresholds.ts'

/** Between looks; lost with the agent, which costs a grace period or a transition period. */
export interface EvictionMemory {
  met: readonly Threshold[]
  firstMetMs: ReadonlyMap<Threshold, number>
  conditionSeenMs: ReadonlyMap<PressureCondition, number>
}

export const NO_EVICTION_MEMORY: EvictionMemory = { met: [], firstMetMs: new Map(), conditionSeenMs: new Map() }

export interface EvictionView {
  thresholds: readonly Threshold[]
  observations: Observations
  memory: EvictionMemory
  nowMs: number
  /** Upstream's evictionPressureTransitionPeriod. */
  transitionMs: number
  maxPodGraceSeconds: number
}

export interface EvictionState {
  memory: EvictionMemory
  /** For the node's status and for admission. */
  conditions: ReadonlySet<PressureCondition>
  /** What is to be reclaimed first; undefined: nothing is short, or not for long enough. */
  reclaim: Threshold | undefined
}

/** From the signals alone: no pod needs to be measured for it. */
export function decidePressure({ thresholds, observations, memory, nowMs, transitionMs }: EvictionView): EvictionState {
  const unresolved = thresholdsMet(memory.met, observations, true)
  const met = [...new Set([...thresholdsMet(thresholds, observations, false), ...unresolved])]
  const firstMetMs = new Map(met.map((t) => [t, memory.firstMetMs.get(t) ?? nowMs]))
  const conditionSeenMs = new Map([...memory.conditionSeenMs].filter(([, seenMs]) => nowMs - seenMs < transitionMs))
  // A soft threshold tells its condition at once: the scheduler is to know before pods suffer.
  for (const t of met) conditionSeenMs.set(SIGNAL_FACTS[t.signal].condition, nowMs)
  const due = met.filter((t) => nowMs - (firstMetMs.get(t) ?? nowMs) >= t.graceMs)
  return {
    memory: { met: due, firstMetMs, conditionSeenMs },
    conditions: new Set(conditionSeenMs.keys()),
    // Memory first: it is what kills processes.
    reclaim: due.toSorted((a, b) => Number(!isMemorySignal(a.signal)) - Number(!isMemorySignal(b.signal)) || a.graceMs - b.graceMs)[0],
  }
}

/** As metrics name them. */
export type LimitSignal = 'emptydirfs.limit' | 'ephemeralpodfs.limit' | 'ephemeralcontainerfs.limit'
export interface Eviction { pod: Stored<Pod>; graceSeconds: number; message: string; signal: Signal | LimitSignal; /** Of its Event: who used what of the resource that was short. */ annotations?: Readonly<Record<string, string>> }

/** A hard threshold leaves a pod this long. */
const IMMEDIATE_GRACE_SECONDS = 1

/** Whom to evict for the threshold; undefined: nobody may be. */
export function decideVictim(threshold: Threshold, pods: readonly PodUsage[], { observations, maxPodGraceSeconds, hasImageFs }: Pick<EvictionView, 'observations' | 'maxPodGraceSeconds'> & { hasImageFs: boolean }): Eviction | undefined {
  const victim = rankForEviction(pods, threshold.signal, hasImageFs).find(({ pod }) => !isCritical(pod))
  if (!victim) return undefined
  const own = victim.pod.spec?.terminationGracePeriodSeconds ?? 30
  return {
    pod: victim.pod, signal: threshold.signal, ...pressureWords(threshold, victim, observations),
    graceSeconds: threshold.graceMs === 0 ? IMMEDIATE_GRACE_SECONDS : Math.min(own, maxPodGraceSeconds),
  }
}

function pressureWords({ signal, limit }: Threshold, { pod, sample }: PodUsage, observations: Observations): Pick<Eviction, 'message' | 'annotations'> {
  const { resource } = SIGNAL_FACTS[signal]
  const seen = observations[signal]
  const parts = [`The node was low on resource: ${resource}. `]
  if (seen) parts.push(`Threshold quantity: ${amountText(signal, amountIn(limit, seen))}, available: ${available(signal, seen.available)}. `)
  if (!sample) return { message: parts.join('') }
  const annotations: Record<string, string> = {}
  const whole = pod.spec?.resources?.requests?.memory
  if (isMemorySignal(signal) && whole !== undefined) {
    const used = kibi(memoryOf(sample))
    parts.push(`Pod ${pod.metadata.name} was using ${used}, request is ${whole}, has larger consumption of ${resource}. `)
    Object.assign(annotations, { offending_pod: pod.metadata.name, offending_pod_usage: used })
  }
  const offending: [string, string][] = []
  for (const c of sample.containers) {
    const used = isMemorySignal(signal) ? c.memory.workingSetBytes : signal.endsWith('fs.available') ? c.rootfsUsedBytes + c.logsUsedBytes : undefined
    const spec = [...(pod.spec?.containers ?? []), ...(pod.spec?.initContainers ?? [])].find((x) => x.name === c.name)
    const request = spec?.resources?.requests?.[resource]
    if (used === undefined || used <= quantityValue(request)) continue
    parts.push(`Container ${c.name} was using ${kibi(used)}, request is ${request ?? '0'}, has larger consumption of ${resource}. `)
    offending.push([c.name, kibi(used)])
  }
  const listed = { offending_containers: offending.map(([name]) => name).join(','), offending_containers_usage: offending.map(([, used]) => used).join(',') }
  return { message: parts.join(''), annotations: { ...annotations, ...listed, starved_resource: resource } }
}

/** Upstream shows bytes in whole kibibytes. */
const kibi = (bytes: number): string => (bytes === 0 ? '0' : `${Math.ceil(bytes / 1024)}Ki`)
const available = (signal: Signal, amount: number): string => (isMemorySignal(signal) || signal.endsWith('fs.available') ? kibi(amount) : String(Math.round(amount)))

/** Pods that use more of the node's disk than they said they would: those go whatever is free. `hasImageFs`: what containers write is not on the node's disk. */
export function decideOverLimit(pods: readonly PodUsage[], hasImageFs: boolean): Eviction[] {
  return pods.flatMap(({ pod, sample }) => {
    const over = sample && !isCritical(pod) ? overLimit(pod, sample, hasImageFs) : undefined
    return over ? [{ pod, graceSeconds: IMMEDIATE_GRACE_SECONDS, ...over }] : []
  })
}

/** True when it must be measured to know: cheap for all who set no limit. */
export function hasStorageLimit({ spec }: Pod): boolean {
  return (spec?.volumes ?? []).some((v) => v.emptyDir?.sizeLimit !== undefined) || [...(spec?.containers ?? []), ...(spec?.initContainers ?? [])].some((c) => c.resources?.limits?.['ephemeral-storage'] !== undefined)
}

function overLimit(pod: Pod, sample: PodSample, hasImageFs: boolean): { signal: LimitSignal; message: string } | undefined {
  for (const { name, emptyDir } of pod.spec?.volumes ?? []) {
    const limit = emptyDir?.sizeLimit
    const used = sample.volumes.find((v) => v.name === name)?.usedBytes ?? 0
    // A limit of nothing is no limit, as upstream's.
    if (limit !== undefined && parseQuantity(limit).nano > 0n && used > quantityValue(limit)) return { signal: 'emptydirfs.limit', message: `Usage of EmptyDir volume "${name}" exceeds the limit "${limit}". ` }
  }
  // As upstream's: containers without a limit share that of the others.
  const total = podLimits(pod)['ephemeral-storage']
  if (total !== undefined && ephemeralBytes(sample) > quantityValue(total)) return { signal: 'ephemeralpodfs.limit', message: `Pod ephemeral local storage usage exceeds the total limit of containers ${total}. ` }
  for (const { name, logsUsedBytes, rootfsUsedBytes } of sample.containers) {
    const limit = pod.spec?.containers.find((c) => c.name === name)?.resources?.limits?.['ephemeral-storage']
    if (limit !== undefined && parseQuantity(limit).nano > 0n && logsUsedBytes + (hasImageFs ? 0 : rootfsUsedBytes) > quantityValue(limit)) {
      return { signal: 'ephemeralcontainerfs.limit', message: `Container ${name} exceeded its local ephemeral storage limit "${limit}". ` }
    }
  }
  return undefined
}

/** Why a node under pressure takes no such pod. */
export function pressureRefusal(pod: Pod, conditions: ReadonlySet<PressureCondition>): { reason: string; message: string } | undefined {
  if (conditions.size === 0 || isCritical(pod)) return undefined
  // Memory is short: those who asked for some, or say they can do with that, still come in.
  if (conditions.size === 1 && conditions.has('MemoryPressure') && (podQosClass(pod) !== 'BestEffort' || (pod.spec?.tolerations ?? []).some(toleratesMemoryPressure))) return undefined
  return { reason: 'Evicted', message: `The node had condition: [${[...conditions].toSorted().join(' ')}]. ` }
}

function toleratesMemoryPressure({ key, operator, effect }: Toleration): boolean {
  return (effect === undefined || effect === '' || effect === 'NoSchedule') && (key === 'node.kubernetes.io/memory-pressure' || (operator === 'Exists' && !key))
}

