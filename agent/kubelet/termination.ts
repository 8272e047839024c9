/** Whether a pod is to end, why, since when and in what time. Pure. */
import type { Probe } from '#api/types/index.ts'
import { restartsAfter, startsAgain } from './restart.ts'
import { appContainers, initContainers, isInFlight, isOutdated, isTerminalPhase, newest, readySandbox, type PodView } from './view.ts'

export interface PodEnd {
  /** deleted: asked by the API. removed: the API has it no more. finished: its containers have done their work, or cannot. */
  why: 'deleted' | 'removed' | 'finished' | 'deadline' | 'rejected'
  sinceMs: number
  graceSeconds: number
}

/** A container gets at least this long between its stop signal and SIGKILL (upstream's minimumGracePeriodInSeconds). */
export const GRACE_SECONDS_MIN = 2
const GRACE_SECONDS_DEFAULT = 30

export function podEnd(view: PodView, nowMs: number): PodEnd | undefined {
  const { metadata, spec } = view.pod
  const ownGrace = spec?.terminationGracePeriodSeconds ?? GRACE_SECONDS_DEFAULT
  if (metadata.deletionTimestamp !== undefined || view.removed) {
    const deletion = { sinceMs: view.endingSinceMs ?? nowMs, graceSeconds: Math.max(1, isForced(view) ? 0 : (metadata.deletionGracePeriodSeconds ?? ownGrace)) }
    // Whoever asks first: the node may have less time than the API gave.
    return { why: view.removed ? 'removed' : 'deleted', ...sooner(deletion, view.rejected?.eviction) }
  }
  if (view.rejected) return { why: 'rejected', sinceMs: view.rejected.eviction?.sinceMs ?? view.endingSinceMs ?? nowMs, graceSeconds: view.rejected.eviction?.graceSeconds ?? ownGrace }
  if (isTerminalPhase(view.reported.phase)) return { why: 'finished', sinceMs: lastFinishedMs(view, nowMs), graceSeconds: ownGrace }
  const deadlineMs = deadlineOf(view)
  if (deadlineMs !== undefined && nowMs >= deadlineMs) return { why: 'deadline', sinceMs: deadlineMs, graceSeconds: ownGrace }
  if (hasFinished(view)) return { why: 'finished', sinceMs: lastFinishedMs(view, nowMs), graceSeconds: ownGrace }
  return undefined
}

/** A grace that has begun can only be cut short. */
export function sooner<E extends { sinceMs: number; graceSeconds: number }>(one: E, other: { sinceMs: number; graceSeconds: number } | undefined): E {
  const overMs = ({ sinceMs, graceSeconds }: { sinceMs: number; graceSeconds: number }) => sinceMs + graceSeconds * 1000
  return other && overMs(other) < overMs(one) ? { ...one, sinceMs: other.sinceMs, graceSeconds: other.graceSeconds } : one
}

/** It was on its way out and then taken from the API: someone would not wait. */
function isForced({ pod, removed }: PodView): boolean {
  return removed && pod.metadata.deletionTimestamp !== undefined
}

/** Wall time at which spec.activeDeadlineSeconds ends it; undefined: never. */
export function deadlineOf(view: PodView): number | undefined {
  const seconds = view.pod.spec?.activeDeadlineSeconds
  return seconds === undefined ? undefined : startTimeMs(view) + seconds * 1000
}

export function startTimeMs(view: PodView): number {
  return view.reported.startTime === undefined ? view.firstSeenMs : Date.parse(view.reported.startTime)
}

/** What is left of the pod's grace now; never less than the minimum. */
export function remainingGraceSeconds(end: PodEnd, nowMs: number): number {
  // A wall clock that jumped back must not lengthen the grace.
  const elapsedMs = Math.max(0, nowMs - end.sinceMs)
  return Math.max(GRACE_SECONDS_MIN, Math.ceil((end.graceSeconds * 1000 - elapsedMs) / 1000))
}

/** For a container that is killed to be restarted. */
export function restartGraceSeconds(view: PodView, probe: Probe | undefined): number {
  return Math.max(GRACE_SECONDS_MIN, probe?.terminationGracePeriodSeconds ?? view.pod.spec?.terminationGracePeriodSeconds ?? GRACE_SECONDS_DEFAULT)
}

/** An init container failed for good, or every app container has ended and none is to start again. */
export function hasFinished(view: PodView): boolean {
  return initHasFailed(view) || appContainers(view.pod).every(({ spec, type }) => {
    const c = newest(view, spec.name)
    return c?.state === 'exited' && !isOutdated(view, c) && !isInFlight(view, `start:${spec.name}`) && !startsAgain(view, spec, type, c)
  })
}

export function initHasFailed(view: PodView): boolean {
  const sandbox = readySandbox(view) ?? view.sandboxes[0]
  return initContainers(view.pod).some(({ spec, type }) => {
    const c = type === 'init' ? newest(view, spec.name, sandbox?.id) : undefined
    return c?.state === 'exited' && c.exitCode !== 0 && !isInFlight(view, `start:${spec.name}`) && !restartsAfter(view.pod, spec, type, c.exitCode)
  })
}

function lastFinishedMs(view: PodView, nowMs: number): number {
  const names = new Set(appContainers(view.pod).map((c) => c.spec.name))
  const ends = view.containers.filter((c) => names.has(c.metadata.name) && c.state === 'exited').map((c) => c.finishedAtMs)
  return ends.length > 0 ? Math.max(...ends) : nowMs
}
