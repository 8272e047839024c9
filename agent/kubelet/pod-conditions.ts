/** The kubelet's conditions, with upstream's reasons and messages. Pure. */
import type { ContainerStatus, PodCondition } from '#api/types/index.ts'
import { mayRestartAll } from '#api/types/pods.ts'
import { isResizing } from './resize.ts'
import { time } from './time.ts'
import { appContainers, initContainers, isOutdated, isStarted, newest, readySandbox, type PodView } from './view.ts'

export interface ConditionInput { init: ContainerStatus[]; app: ContainerStatus[]; phase: string; nowMs: number; /** It is to end. */ ending: boolean; /** ... and nothing of it runs any more. */ stopped: boolean }

/** Gone when there is nothing to say. */
const RESIZE_CONDITIONS = ['PodResizePending', 'PodResizeInProgress']

/** `generation`: the one it is about, where that is not the pod's present one. */
type Verdict = { status: 'True' | 'False'; reason?: string; message?: string; generation?: number | undefined }

/** All five in upstream's order, then those that others wrote, untouched. */
export function podConditions(view: PodView, input: ConditionInput): PodCondition[] {
  const before = view.reported.conditions ?? []
  const containers = containersReady(view, input)
  const verdicts: [string, Verdict][] = [
    ['PodReadyToStartContainers', { status: readySandbox(view) && input.phase !== 'Succeeded' && input.phase !== 'Failed' ? 'True' : 'False' }],
    ['Initialized', initialised(view, input)],
    ['Ready', ready(view, containers)],
    ['ContainersReady', containers],
    ['PodScheduled', { status: 'True' }],
  ]
  if (mayRestartAll(view.pod.spec)) verdicts.push(['AllContainersRestarting', restartingAll(view, input)])
  verdicts.push(...resizeVerdicts(view, input), ...evictionVerdict(view))
  const own = verdicts.map(([type, verdict]) => condition(view, before.find((c) => c.type === type), type, verdict, input.nowMs))
  return [...own, ...before.filter((c) => !verdicts.some(([type]) => type === c.type) && !RESIZE_CONDITIONS.includes(c.type))]
}

function condition(view: PodView, before: PodCondition | undefined, type: string, { generation = view.pod.metadata.generation, ...verdict }: Verdict, nowMs: number): PodCondition {
  // Those of a resize are there or not, so what changes is why.
  const isSame = before?.status === verdict.status && (!RESIZE_CONDITIONS.includes(type) || before.reason === verdict.reason)
  return {
    type,
    ...verdict,
    lastTransitionTime: isSame && before.lastTransitionTime !== undefined ? before.lastTransitionTime : time(nowMs),
    ...(generation !== undefined && { observedGeneration: generation }),
  }
}

function initialised(view: PodView, { init, app, phase }: ConditionInput): Verdict {
  if (phase === 'Succeeded') return { status: 'True', reason: 'PodCompleted' }
  const begun = app.some((s) => s.state?.running !== undefined || s.state?.terminated !== undefined || s.lastState?.terminated !== undefined)
  if (begun && phase !== 'Failed') return { status: 'True' }
  const incomplete = initContainers(view.pod).filter((c, i) => {
    const s = init[i]
    if (c.type === 'sidecar') return !isStarted(view, c.spec, newest(view, c.spec.name)) && !(begun && s?.state?.terminated)
    return !s?.ready
  })
  // Since 1.36 what was so once stays so: init containers of a pod that is restarted whole run again.
  if (incomplete.length === 0 || view.reported.conditions?.some((c) => c.type === 'Initialized' && c.status === 'True')) return { status: 'True' }
  // Once initialised, however often init containers run again.
  if (mayRestartAll(view.pod.spec) && view.reported.conditions?.some((c) => c.type === 'Initialized' && c.status === 'True')) return { status: 'True' }
  return { status: 'False', reason: 'ContainersNotInitialized', message: `containers with incomplete status: ${names(incomplete.map((c) => c.spec.name))}` }
}

function containersReady(view: PodView, { init, app, phase }: ConditionInput): Verdict {
  if (phase === 'Succeeded') return { status: 'False', reason: 'PodCompleted' }
  if (phase === 'Failed') return { status: 'False', reason: 'PodFailed' }
  const counted = [...initContainers(view.pod).flatMap((c, i) => (c.type === 'sidecar' ? [{ name: c.spec.name, s: init[i] }] : [])), ...appContainers(view.pod).map((c, i) => ({ name: c.spec.name, s: app[i] }))]
  const unready = counted.filter(({ s }) => !s?.ready).map(({ name }) => name)
  if (unready.length === 0) return { status: 'True' }
  return { status: 'False', reason: 'ContainersNotReady', message: `containers with unready status: ${names(unready)}` }
}

/** True until nothing of the round before runs any more. */
function restartingAll(view: PodView, { phase, ending }: ConditionInput): Verdict {
  if (phase === 'Succeeded') return { status: 'False', reason: 'PodCompleted' }
  if (phase === 'Failed') return { status: 'False', reason: 'PodFailed' }
  if (ending || !view.containers.some((c) => isOutdated(view, c) && (c.state === 'running' || c.state === 'unknown'))) return { status: 'False' }
  return { status: 'True', reason: 'RestartAllContainersStarted', message: 'container exited with restart policy rule' }
}

function ready(view: PodView, containers: Verdict): Verdict {
  if (containers.status === 'False') return containers
  const messages = (view.pod.spec?.readinessGates ?? []).flatMap(({ conditionType }) => {
    const found = view.reported.conditions?.find((c) => c.type === conditionType)
    if (!found) return [`corresponding condition of pod readiness gate "${conditionType}" does not exist.`]
    return found.status === 'True' ? [] : [`the status of pod readiness gate "${conditionType}" is not "True", but ${found.status}`]
  })
  return messages.length === 0 ? { status: 'True' } : { status: 'False', reason: 'ReadinessGatesNotReady', message: messages.join(', ') }
}

/** KEP-3329: a pod that this node ended, not its own failure; one beyond its own limits of storage failed itself. */
function evictionVerdict({ rejected }: PodView): [string, Verdict][] {
  if (!rejected?.eviction || rejected.eviction.condition === false) return []
  return [['DisruptionTarget', { status: 'True', reason: 'TerminationByKubelet', message: rejected.eviction.condition ?? rejected.message }]]
}

function resizeVerdicts(view: PodView, { ending, stopped }: ConditionInput): [string, Verdict][] {
  if (stopped) return []
  const pending = view.resize?.pending
  const failure = view.failures.get('resize')
  return [
    ...(pending ? [['PodResizePending', { status: 'True', ...pending }] satisfies [string, Verdict]] : []),
    // About to be allocated: whoever sees its generation observed is not to think it done. Later generations that ask for no other resources do not touch it.
    ...(isResizing(view) || (!ending && view.resize && !pending) ? [['PodResizeInProgress', { status: 'True', ...(failure && { reason: 'Error', message: failure.message }), generation: view.resize && !pending ? view.resize.spec.metadata.generation : view.resizing }] satisfies [string, Verdict]] : []),
  ]
}

/** As Go prints a list. */
const names = (list: string[]): string => `[${list.join(' ')}]`
