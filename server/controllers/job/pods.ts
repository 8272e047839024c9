/** What a Job's pods say of it, and how new ones are made. Pure. */
import { JOBS, isPodActive, isPodReady, isPodTerminal, podCondition, type Job, type Pod, type PodSpec, type Stored } from '#api/types/index.ts'
import { drawnName, podOf } from '../pod-control.ts'
import { parseTime } from '../time.ts'

/** Keeps a pod until it has been counted (KEP-2307). */
export const TRACKING = 'batch.kubernetes.io/job-tracking'
export const INDEX = 'batch.kubernetes.io/job-completion-index'
const FAILURES = 'batch.kubernetes.io/job-index-failure-count'
const IGNORED = 'batch.kubernetes.io/job-index-ignored-failure-count'

export const isTracked = (pod: Pod): boolean => pod.metadata?.finalizers?.includes(TRACKING) ?? false
export const isIndexed = ({ spec }: Job): boolean => spec?.completionMode === 'Indexed'

export function indexOf(pod: Pod): number | undefined {
  const text = pod.metadata?.annotations?.[INDEX] ?? pod.metadata?.labels?.[INDEX]
  return text !== undefined && /^\d+$/.test(text) ? Number(text) : undefined
}

/** Pods that go are replaced only when they have failed. */
const waitsForEnd = ({ spec }: Job): boolean => spec?.podReplacementPolicy === 'Failed' || spec?.podFailurePolicy !== undefined

export const terminatingCount = (pods: readonly Pod[]): number => pods.filter((p) => p.metadata?.deletionTimestamp !== undefined && !isPodTerminal(p)).length
export const blockingCount = (job: Job, pods: readonly Pod[]): number => (waitsForEnd(job) ? terminatingCount(pods) : 0)

/** Deleted pods count as failures: they may never get so far as to say so. */
export function isFailed(job: Job, pod: Pod): boolean {
  if (pod.status?.phase === 'Failed') return true
  return !waitsForEnd(job) && pod.metadata?.deletionTimestamp !== undefined && pod.status?.phase !== 'Succeeded'
}

export const isSucceeded = (pod: Pod): boolean => pod.status?.phase === 'Succeeded'

/** When its last container ended, or the nearest thing to that. */
export function endedMs(pod: Stored<Pod>): number {
  const ends = [...(pod.status?.containerStatuses ?? []), ...(pod.status?.initContainerStatuses ?? [])].flatMap((s) => parseTime(s.state?.terminated?.finishedAt) ?? [])
  return ends.length > 0 ? Math.max(...ends) : parseTime(podCondition(pod.status, 'Ready')?.lastTransitionTime) ?? parseTime(pod.metadata.deletionTimestamp) ?? parseTime(pod.metadata.creationTimestamp) ?? 0
}

export const failuresBefore = (pod: Pod): number => Number(pod.metadata?.annotations?.[FAILURES] ?? 0)
export const ignoredBefore = (pod: Pod): number => Number(pod.metadata?.annotations?.[IGNORED] ?? 0)

export interface NewPod { index?: number; /** Of the index so far, where they are counted for each. */ failures?: number; ignored?: number }

export function jobPod(job: Stored<Job>, suffix: string, { index, failures, ignored }: NewPod): Pod {
  const { name } = job.metadata
  const base = index === undefined ? name : `${name}-${index}`
  const pod = podOf(JOBS, job, job.spec?.template, drawnName(base, suffix))
  const annotations = { ...pod.metadata?.annotations, ...(index !== undefined && { [INDEX]: String(index) }), ...(failures !== undefined && { [FAILURES]: String(failures) }), ...(ignored !== undefined && ignored > 0 && { [IGNORED]: String(ignored) }) }
  return {
    ...pod,
    metadata: {
      ...pod.metadata, finalizers: [...(pod.metadata?.finalizers ?? []), TRACKING],
      ...(index !== undefined && { labels: { ...pod.metadata?.labels, [INDEX]: String(index) } }), ...(Object.keys(annotations).length > 0 && { annotations }),
    },
    ...(pod.spec && { spec: index === undefined ? pod.spec : indexedSpec(pod.spec, name, index) }),
  }
}

const VARIABLE = { name: 'JOB_COMPLETION_INDEX', valueFrom: { fieldRef: { fieldPath: `metadata.labels['${INDEX}']` } } }

/** The host name and a variable tell each container which index it is. */
function indexedSpec(spec: PodSpec, name: string, index: number): PodSpec {
  const told = <C extends NonNullable<PodSpec['containers']>[number]>(c: C): C => (c.env?.some((e) => e.name === VARIABLE.name) ? c : { ...c, env: [...(c.env ?? []), VARIABLE] })
  return { ...spec, hostname: `${name}-${index}`, containers: spec.containers.map(told), ...(spec.initContainers && { initContainers: spec.initContainers.map(told) }) }
}

/** Which to lose first: those that have come least far. */
export function byProgress(a: Stored<Pod>, b: Stored<Pod>): number {
  const rank = (p: Pod): number => (p.spec?.nodeName ? 4 : 0) + (p.status?.phase === 'Running' ? 2 : 0) + (isPodReady(p) ? 1 : 0)
  return rank(a) - rank(b) || ((a.metadata.creationTimestamp ?? '') < (b.metadata.creationTimestamp ?? '') ? 1 : -1)
}

export const activeOf = <T extends Pod>(pods: readonly T[]): T[] => pods.filter(isPodActive)
