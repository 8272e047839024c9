/**
 * How long pods take to start, as upstream's PodStartupLatencyTracker counts it: from their creation until the API is seen to tell that all containers
 * run, with and without the time for pulling images and for init containers. Pods that had begun before this agent are not counted.
 */
import type { Pod, PodStatus, Stored } from '#api/types/index.ts'
import type { Clock } from '#base/clock.ts'
import { isStaticPod } from '../static/manifest.ts'
import { isTerminalPhase, type PodView } from '../view.ts'
import { createHistogram } from './histogram.ts'
import type { MetricFamily } from './metrics-text.ts'

export interface PodStartup {
  /** The API (or the disk) has this pod, now. */
  observed(pod: Stored<Pod>): void
  /** What its init containers have taken is in it. */
  looked(view: PodView): void
  /** A pull for it begins; the returned function ends it. */
  pulling(uid: string): () => void
  /** The API was told. */
  told(before: PodStatus, after: PodStatus, firstSeenMs: number): void
  forget(uid: string): void
  metrics(): MetricFamily[]
}

interface State { initMs: number; pullMs: number; pulls: number; pullBeganMs: number }

const BOUNDS = [0.5, 1, 2, 3, 4, 5, 6, 8, 10, 20, 30, 45, 60, 120, 180, 240, 300, 360, 480, 600, 900, 1200, 1800, 2700, 3600]

export function createPodStartup(clock: Clock): PodStartup {
  const measured = 'measured from pod creation timestamp to when all its containers are reported as started and observed via watch'
  const start = createHistogram({ name: 'kubelet_pod_start_duration_seconds', help: '[ALPHA] Duration in seconds from kubelet seeing a pod for the first time to the pod starting to run', bounds: BOUNDS })
  const sli = createHistogram({ name: 'kubelet_pod_start_sli_duration_seconds', help: `[ALPHA] Duration in seconds to start a pod, excluding time to pull images and run init containers, ${measured}`, bounds: BOUNDS })
  const total = createHistogram({ name: 'kubelet_pod_start_total_duration_seconds', help: `[ALPHA] Duration in seconds to start a pod since creation, including time to pull images and run init containers, ${measured}`, bounds: BOUNDS })
  let firstNetworkSeconds: number | undefined
  /** Of pods that are starting. */
  const starting = new Map<string, State>()
  /** Those that were counted, or are none to count. */
  const known = new Set<string>()

  const count = (pod: Stored<Pod>, { initMs, pullMs }: State) => {
    const tookMs = clock.nowMs() - Date.parse(pod.metadata.creationTimestamp ?? '')
    total.observe(tookMs / 1000)
    if (isStateful(pod)) return
    const seconds = (tookMs - initMs - pullMs) / 1000
    sli.observe(seconds)
    if (!pod.spec?.hostNetwork) firstNetworkSeconds ??= seconds
  }

  return {
    observed(pod) {
      const { uid } = pod.metadata
      const state = starting.get(uid)
      if (!state) {
        if (known.has(uid)) return
        known.add(uid)
        if (!isStaticPod(pod) && pod.status?.startTime === undefined && !isTerminalPhase(pod.status?.phase)) starting.set(uid, { initMs: 0, pullMs: 0, pulls: 0, pullBeganMs: 0 })
      } else if (isTerminalPhase(pod.status?.phase) || hasStarted(pod)) {
        starting.delete(uid)
        if (!isTerminalPhase(pod.status?.phase)) count(pod, state)
      }
    },
    looked({ pod, containers }) {
      const state = starting.get(pod.metadata.uid)
      const once = new Set(pod.spec?.initContainers?.filter((c) => c.restartPolicy !== 'Always').map((c) => c.name))
      if (state && once.size > 0) state.initMs = containers.reduce((sum, c) => sum + (once.has(c.metadata.name) && c.state === 'exited' && c.startedAtMs > 0 ? Math.max(0, c.finishedAtMs - c.startedAtMs) : 0), 0)
    },
    pulling(uid) {
      const state = starting.get(uid)
      if (!state) return () => {}
      // Several at a time take the time of the longest.
      if (state.pulls++ === 0) state.pullBeganMs = clock.monotonicMs()
      return () => {
        if (--state.pulls === 0) state.pullMs += clock.monotonicMs() - state.pullBeganMs
      }
    },
    told(before, after, firstSeenMs) {
      if ((before.phase ?? 'Pending') === 'Pending' && after.phase === 'Running') start.observe((clock.nowMs() - firstSeenMs) / 1000)
    },
    forget(uid) {
      starting.delete(uid)
      known.delete(uid)
    },
    metrics: () => [
      { name: 'kubelet_first_network_pod_start_sli_duration_seconds', help: `[INTERNAL] Duration in seconds to start the first network pod, excluding time to pull images and run init containers, ${measured}`, type: 'gauge', samples: [{ value: firstNetworkSeconds ?? 0 }] },
      start.family(), sli.family(), total.family(),
    ],
  }
}

function hasStarted({ spec, status }: Stored<Pod>): boolean {
  const statuses = status?.containerStatuses ?? []
  return statuses.length === spec?.containers.length && statuses.every((s) => s.state?.running?.startedAt !== undefined)
}

/** As the SLI says it: it mounts something that is not of its own life. */
function isStateful({ spec }: Stored<Pod>): boolean {
  return (spec?.volumes ?? []).some((v) => !v.secret && !v.configMap && !v.downwardAPI && !v.emptyDir && !v.projected)
}
