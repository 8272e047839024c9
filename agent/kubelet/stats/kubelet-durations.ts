/** How long the kubelet's own work takes, under upstream's names: passes over pods, status writes, resizes, cgroups, pulls. */
import type { Clock } from '#base/clock.ts'
import type { Effects } from '#base/reconcile/action.ts'
import type { PodCgroups } from '../cgroups/pod-cgroups.ts'
import type { PodAction } from '../pod-action.ts'
import { createHistogram, DEFAULT_BOUNDS } from './histogram.ts'
import type { MetricFamily } from './metrics-text.ts'

/** What a pass over a pod was for, in upstream's words. */
export type PassKind = 'create' | 'update' | 'sync' | 'kill' | 'terminated'

export interface KubeletDurations {
  /** A pod is new to this agent. */
  newPod(containers: number): void
  /** `waitedMs`: since the pod was first seen, of its first pass. */
  pass(kind: PassKind, tookMs: number, waitedMs?: number): void
  pulled(sizeBytes: number, tookMs: number): void
  /** The same effects, timed. `memory`: stands for one life of a pod. */
  timed(effects: Effects<PodAction>, memory: object): Effects<PodAction>
  timedCgroups(cgroups: PodCgroups): PodCgroups
  metrics(): MetricFamily[]
}

const MIB = 1024 ** 2
const GIB = 1024 ** 3
/** Of images, with their lower bounds, the largest first. */
const IMAGE_SIZES: readonly (readonly [number, string])[] = [
  [100 * GIB, 'GT100GB'], [60 * GIB, '60GB-100GB'], [40 * GIB, '40GB-60GB'], [30 * GIB, '30GB-40GB'], [20 * GIB, '20GB-30GB'], [10 * GIB, '10GB-20GB'], [5 * GIB, '5GB-10GB'], [GIB, '1GB-5GB'],
  [500 * MIB, '500MB-1GB'], [100 * MIB, '100MB-500MB'], [10 * MIB, '10MB-100MB'], [0, '0-10MB'],
]

export function createKubeletDurations(clock: Clock): KubeletDurations {
  const cgroupOperations = createHistogram({ name: 'kubelet_cgroup_manager_duration_seconds', help: '[ALPHA] Duration in seconds for cgroup manager operations. Broken down by method.', bounds: DEFAULT_BOUNDS, labels: ['operation_type'] })
  const containersPerPod = createHistogram({ name: 'kubelet_containers_per_pod_count', help: '[ALPHA] The number of containers per pod.', bounds: [1, 2, 4, 8, 16] })
  const pulls = createHistogram({ name: 'kubelet_image_pull_duration_seconds', help: '[ALPHA] Duration in seconds to pull an image.', bounds: [1, 5, 10, 20, 30, 60, 120, 180, 240, 300, 360, 480, 600, 900, 1200, 1800, 2700, 3600], labels: ['image_size_in_bytes'] })
  const resizes = createHistogram({ name: 'kubelet_pod_resize_duration_milliseconds', help: '[ALPHA] Duration in milliseconds to actuate a pod resize', bounds: [10, 50, 100, 500, 1000, 2000, 5000, 10000, 20000, 30000, 60000, 120000, 300000, 600000], labels: ['success'] })
  const statusSyncs = createHistogram({ name: 'kubelet_pod_status_sync_duration_seconds', help: '[ALPHA] Duration in seconds to sync a pod status update. Measures time from detection of a change to pod status until the API is successfully updated for that pod, even if multiple intevening changes to pod status occur.', bounds: [0.01, 0.05, 0.1, 0.5, 1, 5, 10, 20, 30, 45, 60] })
  const passes = createHistogram({ name: 'kubelet_pod_worker_duration_seconds', help: '[ALPHA] Duration in seconds to sync a single pod. Broken down by operation type: create, update, or sync', bounds: DEFAULT_BOUNDS, labels: ['operation_type'] })
  const firstPasses = createHistogram({ name: 'kubelet_pod_worker_start_duration_seconds', help: '[ALPHA] Duration in seconds from kubelet seeing a pod to starting a worker.', bounds: DEFAULT_BOUNDS })
  /** Since when what the API tells of a pod is not what is so. */
  const untoldSinceMs = new WeakMap<object, number>()

  return {
    newPod: (containers) => containersPerPod.observe(containers),
    pass(kind, tookMs, waitedMs) {
      passes.observe(tookMs / 1000, { operation_type: kind })
      if (waitedMs !== undefined) firstPasses.observe(waitedMs / 1000)
    },
    pulled: (sizeBytes, tookMs) => pulls.observe(tookMs / 1000, { image_size_in_bytes: IMAGE_SIZES.find(([from]) => sizeBytes >= from)?.[1] ?? '0-10MB' }),
    timed: (effects, memory) => ({
      ...effects,
      async reportStatus(action, signal) {
        const sinceMs = untoldSinceMs.get(memory) ?? clock.monotonicMs()
        untoldSinceMs.set(memory, sinceMs)
        await effects.reportStatus(action, signal)
        untoldSinceMs.delete(memory)
        statusSyncs.observe((clock.monotonicMs() - sinceMs) / 1000)
      },
      async resize(action, signal) {
        const beganMs = clock.monotonicMs()
        let isDone = false
        try {
          await effects.resize(action, signal)
          isDone = true
        } finally {
          resizes.observe(clock.monotonicMs() - beganMs, { success: String(isDone) })
        }
      },
    }),
    timedCgroups(cgroups) {
      const made = new Set<string>()
      const timed = async <T>(operation: 'create' | 'update' | 'destroy', work: () => Promise<T>): Promise<T> => {
        const beganMs = clock.monotonicMs()
        try {
          return await work()
        } finally {
          cgroupOperations.observe((clock.monotonicMs() - beganMs) / 1000, { operation_type: operation })
        }
      }
      return {
        ...cgroups,
        ensure(pod) {
          const uid = pod.metadata?.uid ?? ''
          const isNew = !made.has(uid)
          made.add(uid)
          return timed(isNew ? 'create' : 'update', () => cgroups.ensure(pod))
        },
        grow: (pod) => timed('update', () => cgroups.grow(pod)),
        holdPods: (limits) => timed('update', () => cgroups.holdPods(limits)),
        remove(uid) {
          made.delete(uid)
          return timed('destroy', () => cgroups.remove(uid))
        },
      }
    },
    metrics: () => [cgroupOperations, containersPerPod, pulls, resizes, statusSyncs, passes, firstPasses].map((histogram) => histogram.family()),
  }
}
