/** How many replicas a metric asks for, after upstream's podautoscaler/replica_calculator. Pure. */
import { podCondition, quantityMilli, type Pod, type Stored } from '#api/types/index.ts'
import { parseTime } from '../time.ts'

/** A pod's usage, in thousandths. */
export interface Sample { pod: string; value: number; timestampMs: number; windowMs: number }

export interface Proposal { replicas: number; /** For the status. */ utilization?: number; averageMilli?: number; valueMilli?: number }
export type Outcome = ({ ok: true } & Proposal) | { ok: false; message: string }

/** A proposal within this of what is there changes nothing (--horizontal-pod-autoscaler-tolerance). */
export interface Tolerance { up: number; down: number }
export const TOLERANCE: Tolerance = { up: 0.1, down: 0.1 }

/** New pods tell of their start rather than their work (--horizontal-pod-autoscaler-cpu-initialization-period, -initial-readiness-delay). */
const CPU_START_MS = 300_000
const READINESS_DELAY_MS = 30_000

const isTolerated = (ratio: number, { up, down }: Tolerance): boolean => ratio >= 1 - down && ratio <= 1 + up

interface Groups { ready: string[]; unready: string[]; missing: string[]; ignored: string[] }

export function groupPods(pods: readonly Stored<Pod>[], samples: ReadonlyMap<string, Sample>, isCpu: boolean, nowMs: number): Groups {
  const groups: Groups = { ready: [], unready: [], missing: [], ignored: [] }
  for (const pod of pods) {
    const { name } = pod.metadata
    const sample = samples.get(name)
    if (pod.metadata.deletionTimestamp !== undefined || pod.status?.phase === 'Failed') groups.ignored.push(name)
    else if (pod.status?.phase === 'Pending') groups.unready.push(name)
    else if (!sample) groups.missing.push(name)
    else if (isCpu && isStarting(pod, sample, nowMs)) groups.unready.push(name)
    else groups.ready.push(name)
  }
  return groups
}

function isStarting(pod: Pod, sample: Sample, nowMs: number): boolean {
  const condition = podCondition(pod.status, 'Ready')
  const startMs = parseTime(pod.status?.startTime)
  const sinceMs = parseTime(condition?.lastTransitionTime) ?? 0
  if (!condition || startMs === undefined) return true
  if (startMs + CPU_START_MS > nowMs) return condition.status === 'False' || sample.timestampMs < sinceMs + sample.windowMs
  return condition.status === 'False' && startMs + READINESS_DELAY_MS > sinceMs
}

export interface PodMetric {
  current: number
  pods: readonly Stored<Pod>[]
  samples: readonly Sample[]
  isCpu: boolean
  /** Of what pods ask for, in percent; or an average in thousandths. */
  target: { utilization: number; requestMilli: (pod: Stored<Pod>) => number | string } | { averageMilli: number }
  tolerance: Tolerance
  nowMs: number
}

export function podMetricReplicas({ current, pods, samples, isCpu, target, tolerance, nowMs }: PodMetric): Outcome {
  const known = new Map(samples.map((s) => [s.pod, s]))
  const { ready, unready, missing, ignored } = groupPods(pods, known, isCpu, nowMs)
  const used = new Map([...known].filter(([name]) => !ignored.includes(name) && !unready.includes(name)).map(([name, s]) => [name, s.value]))
  if (used.size === 0) return { ok: false, message: 'did not receive metrics for targeted pods (pods might be unready)' }
  const requests = new Map<string, number>()
  if ('utilization' in target) {
    for (const pod of pods) {
      const request = target.requestMilli(pod)
      if (typeof request === 'string') return { ok: false, message: request }
      requests.set(pod.metadata.name, request)
    }
  }
  const measure = (of: ReadonlyMap<string, number>): { ratio: number; utilization?: number; averageMilli: number } => {
    const sum = [...of.values()].reduce((a, b) => a + b, 0)
    const averageMilli = Math.floor(sum / of.size)
    if (!('utilization' in target)) return { ratio: averageMilli / target.averageMilli, averageMilli }
    const asked = [...of.keys()].reduce((total, name) => total + (requests.get(name) ?? 0), 0)
    const utilization = Math.floor((sum * 100) / asked)
    return { ratio: utilization / target.utilization, utilization, averageMilli }
  }
  const first = measure(used)
  const told = { ...(first.utilization !== undefined && { utilization: first.utilization }), averageMilli: first.averageMilli }
  const stay: Outcome = { ok: true, replicas: current, ...told }
  const looksUp = unready.length > 0 && first.ratio > 1
  if (!looksUp && missing.length === 0) return isTolerated(first.ratio, tolerance) ? stay : { ok: true, replicas: Math.ceil(first.ratio * ready.length), ...told }
  // Nobody knows what these do: assumed is what changes least.
  const all = new Map(used)
  const full = (name: string): number => ('utilization' in target ? ((requests.get(name) ?? 0) * Math.max(100, target.utilization)) / 100 : target.averageMilli)
  if (first.ratio < 1) for (const name of missing) all.set(name, full(name))
  else if (first.ratio > 1) for (const name of missing) all.set(name, 0)
  if (looksUp) for (const name of unready) all.set(name, 0)
  const { ratio } = measure(all)
  if (isTolerated(ratio, tolerance) || (first.ratio < 1 && ratio > 1) || (first.ratio > 1 && ratio < 1)) return stay
  const replicas = Math.ceil(ratio * all.size)
  return (ratio < 1 && replicas > current) || (ratio > 1 && replicas < current) ? stay : { ok: true, replicas, ...told }
}

/** One value for all: of an object, or from outside. `readyPods`: of the target. */
export function valueReplicas({ current, valueMilli, target, tolerance, readyPods }: { current: number; valueMilli: number; target: { valueMilli: number } | { averageMilli: number }; tolerance: Tolerance; readyPods: number }): Proposal {
  if ('valueMilli' in target) {
    const ratio = valueMilli / target.valueMilli
    const base = current === 0 ? 1 : readyPods
    return { replicas: isTolerated(ratio, tolerance) && current !== 0 ? current : Math.ceil(ratio * base), valueMilli }
  }
  const ratio = valueMilli / (target.averageMilli * Math.max(current, 1))
  return { replicas: isTolerated(ratio, tolerance) && current !== 0 ? current : Math.ceil(valueMilli / target.averageMilli), averageMilli: Math.ceil(valueMilli / Math.max(current, 1)) }
}

/** What a pod's containers, or one of them, ask for; a text: why that is not known. */
export function requestMilli(pod: Stored<Pod>, resource: string, container?: string): number | string {
  let sum = 0
  const sidecars = (pod.spec?.initContainers ?? []).filter((c) => c.restartPolicy === 'Always')
  const pods = pod.spec?.resources?.requests?.[resource]
  if (container === undefined && pods !== undefined) return quantityMilli(pods)
  for (const c of [...(pod.spec?.containers ?? []), ...sidecars]) {
    if (container !== undefined && c.name !== container) continue
    const request = c.resources?.requests?.[resource]
    if (request === undefined) return `missing request for ${resource} in container ${c.name} of Pod ${pod.metadata.name}`
    sum += quantityMilli(request)
  }
  return sum
}
