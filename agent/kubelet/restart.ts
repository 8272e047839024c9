/** Whether and when a container that ended is started again. Pure: the crash loop's memory is on the container itself. */
import type { Container, ContainerRestartRule, Pod } from '#api/types/index.ts'
import { crashLoopKey } from './labels.ts'
import type { KillReason } from './pod-action.ts'
import type { ContainerType, ContainerView, PodView } from './view.ts'

/** Upstream's crash loop: 10 s, doubling to 5 min (or crashLoopBackOff.maxContainerRestartPeriod), forgotten after a run of 10 min. */
export const BACKOFF_INITIAL_SECONDS = 10
export const BACKOFF_MAX_SECONDS = 300
export const BACKOFF_RESET_SECONDS = 600

export interface NextRestart {
  /** Wall time; in the past or 0: now. */
  notBeforeMs: number
  /** Goes onto the new attempt. */
  backoffSeconds: number
}

/** The first restart is immediate, also the first with another image or other resources; each further one waits for what the attempt before it was given. */
export function nextRestart(dead: Pick<ContainerView, 'backoffSeconds' | 'crashLoopKey' | 'createdAtMs' | 'finishedAtMs'>, spec: Pick<Container, 'image' | 'resources'>, secondsMax: number): NextRestart {
  const ranLong = dead.finishedAtMs - dead.createdAtMs > BACKOFF_RESET_SECONDS * 1000
  const isAnother = dead.crashLoopKey !== '' && dead.crashLoopKey !== crashLoopKey(spec)
  if (dead.backoffSeconds <= 0 || ranLong || isAnother) return { notBeforeMs: 0, backoffSeconds: Math.min(BACKOFF_INITIAL_SECONDS, secondsMax) }
  const seconds = waitSeconds(dead, secondsMax)
  return { notBeforeMs: dead.finishedAtMs + seconds * 1000, backoffSeconds: Math.min(secondsMax, seconds * 2) }
}

/** The longest wait may have become shorter since the attempt was given its own. */
export const waitSeconds = ({ backoffSeconds }: Pick<ContainerView, 'backoffSeconds'>, secondsMax: number): number => Math.min(backoffSeconds, secondsMax)

/** It has ended, and another attempt follows. */
export function startsAgain({ pod, replacing }: Pick<PodView, 'pod' | 'replacing'>, container: Container, type: ContainerType, dead: Pick<ContainerView, 'id' | 'exitCode'>): boolean {
  return replacing.has(dead.id) || restartsAfter(pod, container, type, dead.exitCode)
}

/** A running container that is stopped for this: whether another attempt follows, whatever it exits with. Its rules are about exits of its own. */
export function isReplaced(pod: Pod, container: Container | undefined, because: KillReason): boolean {
  return because === 'definition' || because === 'resize' || ((because === 'liveness' || because === 'startup') && mayRestart(pod, container))
}

export const mayRestart = ({ spec }: Pod, container: Container | undefined): boolean => (container?.restartPolicy ?? spec?.restartPolicy) !== 'Never'

/** After an exit with this code, by the pod's policy, the container's own (KEP-753, KEP-5307) and its rules. */
export function restartsAfter(pod: Pod, container: Container, type: ContainerType, exitCode: number): boolean {
  if (type === 'ephemeral') return false
  const action = matchingRule(container, exitCode)?.action
  if (action === 'Restart' || action === 'RestartAllContainers') return true
  const policy = container.restartPolicy ?? pod.spec?.restartPolicy ?? 'Always'
  if (policy === 'Never') return false
  if (type === 'init') return exitCode !== 0
  return policy === 'Always' || exitCode !== 0
}

/** The first of its rules that is about this exit code. */
export function matchingRule({ restartPolicyRules = [] }: Container, exitCode: number): ContainerRestartRule | undefined {
  return restartPolicyRules.find(({ exitCodes }) => {
    const isListed = exitCodes?.values?.includes(exitCode) ?? false
    return exitCodes?.operator === 'In' ? isListed : exitCodes?.operator === 'NotIn' && !isListed
  })
}
