/** One container's status: state, last state, counts. Pure. */
import type { ContainerState, ContainerStateTerminated, ContainerStatus, VolumeMountStatus } from '#api/types/index.ts'
import type { DecideContext } from '#base/reconcile/action.ts'
import { containerHash } from './labels.ts'
import { LOST_REASON, podText, PULL_ERROR_SHOWN_MS } from './messages.ts'
import { actualRequirements } from './resize.ts'
import { nextRestart, restartsAfter, startsAgain, waitSeconds } from './restart.ts'
import { RESTARTING_ALL, RESTARTING_ALL_MESSAGE } from './restart-all.ts'
import { isPullFailure } from './start-error.ts'
import { time } from './time.ts'
import { appContainers, isOutdated, isReady, isStarted, isStarting, newest, type ContainerView, type LaneFailure, type PodView, type SpecContainer } from './view.ts'

export interface StatusInput {
  view: PodView
  ctx: DecideContext
  /** The pod is to end, so nothing is started again. */
  ending: boolean
  /** ... and nothing of it runs any more. */
  stopped: boolean
}

/** In spec order. Ephemeral containers that have not started are left out of none: each has a status. */
export function containerStatuses(input: StatusInput, containers: SpecContainer[]): ContainerStatus[] {
  return containers.map((c) => containerStatus(input, c))
}

function containerStatus(input: StatusInput, c: SpecContainer): ContainerStatus {
  const { view } = input
  const { spec } = c
  const current = shown(view, spec.name)
  // What is for debugging is nobody's to wait for.
  const isProbed = c.type !== 'ephemeral'
  const before = [...(view.reported.containerStatuses ?? []), ...(view.reported.initContainerStatuses ?? []), ...(view.reported.ephemeralContainerStatuses ?? [])].find((s) => s.name === spec.name)
  const resources = actualRequirements(view, spec, current)
  // Once the pod has given them back, as they were.
  const devices = c.type === 'app' ? view.devices.get(spec.name) ?? before?.allocatedResourcesStatus ?? [] : []
  const common = {
    name: spec.name,
    ...(devices.length > 0 && { allocatedResourcesStatus: [...devices] }),
    ...volumeMounts(c, view.node.canRecursiveReadOnly, current?.volumeImageRefs),
  }
  if (!current) {
    const lost = lostState(input, c, before) ?? doneBefore(view, c)
    return {
      ...common,
      // One that has never been made has none.
      ...(lost?.state.terminated && before?.resources && { resources: before.resources }),
      ...(lost?.state.terminated && before?.allocatedResources && { allocatedResources: before.allocatedResources }),
      image: before?.containerID ? before.image : (spec.image ?? ''),
      imageID: before?.containerID ? before.imageID : '',
      ready: lost?.state.terminated?.reason === 'Completed',
      ...(isProbed && { started: false }),
      restartCount: lost?.restartCount ?? before?.restartCount ?? 0,
      state: lost?.state ?? waiting(input, c, undefined),
      lastState: lost?.lastState ?? before?.lastState ?? {},
      ...(before?.containerID !== undefined && { containerID: before.containerID }),
    }
  }
  const previous = view.containers.find((x) => x.metadata.name === spec.name && x.restartCount < current.restartCount)
  // As it was, while another takes its place: upstream's worker tells nothing in between either.
  const replaced = replacedUntilMs(input, c, current, input.ctx.nowMs) > input.ctx.nowMs
  const state = replaced ? { running: { startedAt: time(current.startedAtMs) } } : stateOf(input, c, current)
  const last = state.waiting && current.state === 'exited' ? current : previous
  const done = c.type === 'init' && state.terminated?.exitCode === 0
  return {
    ...common,
    ...(resources && { resources }),
    ...(spec.resources?.requests && { allocatedResources: spec.resources.requests }),
    image: current.imageRef || (spec.image ?? ''),
    imageID: current.imageDigestRef,
    containerID: containerId(view, current),
    ready: done || (replaced && before?.ready === true) || (c.type !== 'init' && isProbed && state.running !== undefined && isReady(view, spec, current)),
    ...(isProbed && { started: replaced ? before?.started === true : state.running !== undefined && isStarted(view, spec, current) }),
    restartCount: current.restartCount,
    // The gate for it is off in upstream: where nobody chose a signal nothing is told of it, as there.
    ...(spec.lifecycle?.stopSignal !== undefined && current.stopSignal !== undefined && { stopSignal: current.stopSignal }),
    ...(current.user && { user: { linux: current.user } }),
    state,
    lastState: last?.state === 'exited' ? { terminated: isOutdated(view, last) ? { ...terminated(view, last), reason: RESTARTING_ALL, message: RESTARTING_ALL_MESSAGE } : terminated(view, last) } : last ? {} : lastTold(before, containerId(view, current)),
  }
}

/** How long a container that ended because its definition changed is told of as before: upstream looks at containers once a second. */
const REPLACED_SHOWN_MS = 1_000

/** 0: it is not one that another is to take the place of now, or that other one cannot start. Infinity: until it runs. */
function replacedUntilMs({ view, ending }: Pick<StatusInput, 'view' | 'ending'>, { spec, type }: SpecContainer, current: ContainerView, nowMs: number): number {
  if (ending || type === 'ephemeral' || type === 'init' || current.state !== 'exited') return 0
  const isAnother = current.hash !== '' && current.hash !== containerHash(spec)
  if (!(isAnother || view.replacing.has(current.id)) || !startsAgain(view, spec, type, current)) return 0
  const failure = view.failures.get(`start:${spec.name}`)
  if ((failure && failure.atMs >= current.finishedAtMs) || nextRestart(current, spec, view.node.restartSecondsMax).notBeforeMs > nowMs) return 0
  return isFinal(view, { spec, type }, current) ? Infinity : current.finishedAtMs + REPLACED_SHOWN_MS
}

/** Told as ended it would have to stay so: the API takes nothing else after an end that the pod's policy leaves as it is (upstream's ValidateContainerStateTransition). */
function isFinal(view: PodView, { spec, type }: Pick<SpecContainer, 'spec' | 'type'>, current: ContainerView): boolean {
  return !restartsAfter(view.pod, spec, type, current.exitCode)
}

/** When the statuses of these have to be looked at again because of what takes a container's place; undefined: nothing does. */
export function replacementsEndMs(view: PodView, ending: boolean, containers: readonly SpecContainer[], nowMs: number): number | undefined {
  const ends = containers.map((c) => {
    const current = shown(view, c.spec.name)
    return current ? replacedUntilMs({ view, ending }, c, current, nowMs) : 0
  }).filter((ms) => ms > nowMs && ms !== Infinity)
  return ends.length === 0 ? undefined : Math.min(...ends)
}

/** The newest one, but while it is being started the one before: nobody is to see a restart counted whose container does not run yet. */
function shown(view: PodView, name: string): ContainerView | undefined {
  const current = newest(view, name)
  const before = current && isStarting(view, name) && current.state !== 'exited' ? view.containers.find((c) => c.metadata.name === name && c.restartCount < current.restartCount) : undefined
  return before ?? current
}

function stateOf(input: StatusInput, c: SpecContainer, current: ContainerView): ContainerState {
  const { view, ctx } = input
  if (current.state === 'running' || current.state === 'unknown') {
    // Until the postStart hook has ended the container does not count as started.
    return isStarting(view, c.spec.name) ? waiting(input, c, undefined) : { running: { startedAt: time(current.startedAtMs) } }
  }
  if (current.state === 'created') return waiting(input, c, view.failures.get(`start:${c.spec.name}`))
  const startFailure = view.failures.get(`start:${c.spec.name}`)
  if (!input.ending && isOutdated(view, current)) return startFailure ? waiting(input, c, startFailure) : { waiting: { reason: RESTARTING_ALL, message: RESTARTING_ALL_MESSAGE } }
  const ended: ContainerState = { terminated: terminated(view, current) }
  if (input.ending || !startsAgain(view, c.spec, c.type, current)) return ended
  const meanwhile = isFinal(view, c, current) ? waiting(input, c, startFailure) : ended
  if (isStarting(view, c.spec.name)) return meanwhile
  if (nextRestart(current, c.spec, view.node.restartSecondsMax).notBeforeMs > ctx.nowMs) {
    return { waiting: { reason: 'CrashLoopBackOff', message: `back-off ${duration(waitSeconds(current, view.node.restartSecondsMax))} restarting failed container=${c.spec.name} pod=${podText(view)}` } }
  }
  return startFailure && startFailure.atMs >= current.finishedAtMs ? waiting(input, c, startFailure) : meanwhile
}

function waiting(input: StatusInput, c: SpecContainer, given: LaneFailure | undefined): ContainerState {
  const { view, ctx } = input
  const failure = given ?? (isStarting(view, c.spec.name) && newest(view, c.spec.name)?.state === 'running' ? undefined : view.failures.get(`start:${c.spec.name}`))
  if (failure) {
    if (isPullFailure(failure.reason) && ctx.nowMs >= failure.atMs + PULL_ERROR_SHOWN_MS && ctx.nowMs < failure.retryAtMs && !isStarting(view, c.spec.name)) {
      return { waiting: { reason: 'ImagePullBackOff', message: `Back-off pulling image "${failure.image ?? c.spec.image ?? ''}": ${failure.reason}: ${failure.message}` } }
    }
    return { waiting: { reason: failure.reason, message: failure.message } }
  }
  const hasInit = (view.pod.spec?.initContainers ?? []).length > 0
  return { waiting: { reason: hasInit ? 'PodInitializing' : 'ContainerCreating' } }
}

/** What the API knows of the container before this one, which the runtime has lost. */
function lastTold(before: ContainerStatus | undefined, id: string): ContainerState {
  return before?.containerID !== id && before?.state?.terminated ? { terminated: before.state.terminated } : (before?.lastState ?? {})
}

/** The API knows of a container that the runtime has lost. */
function lostState(input: StatusInput, c: SpecContainer, before: ContainerStatus | undefined): { state: ContainerState; lastState: ContainerState; restartCount: number } | undefined {
  if (!before?.containerID) return undefined
  if (before.state?.terminated) return { state: before.state, lastState: before.lastState ?? {}, restartCount: before.restartCount }
  if (input.stopped || input.ending) return { ...unknown(before), restartCount: before.restartCount }
  if (!before.state?.running || before.lastState?.terminated) return undefined
  // It ran, so it is neither new nor is its pod Pending again; the attempt that takes its place is counted already.
  return { state: waiting(input, c, undefined), lastState: { terminated: LOST }, restartCount: before.restartCount + 1 }
}

/** An init container that is known to nobody any more, in a pod whose app containers are there: it must have ended well. */
function doneBefore(view: PodView, { spec, type }: SpecContainer): { state: ContainerState; lastState: ContainerState; restartCount: number } | undefined {
  if (type !== 'init' || !appContainers(view.pod).some((app) => newest(view, app.spec.name)) || isStarting(view, spec.name)) return undefined
  const message = 'Unable to get init container status from container runtime and pod has been initialized, treat it as exited normally'
  return { state: { terminated: { exitCode: 0, reason: 'Completed', message } }, lastState: {}, restartCount: 0 }
}

const LOST: ContainerStateTerminated = { exitCode: 137, reason: LOST_REASON, message: 'The container could not be located when the pod was deleted.  The container used to be Running' }

function unknown(before: ContainerStatus): { state: ContainerState; lastState: ContainerState } {
  return { state: { terminated: LOST }, lastState: before.lastState ?? {} }
}

function terminated(view: PodView, c: ContainerView): ContainerStateTerminated {
  const message = c.message || c.terminationMessage
  return {
    exitCode: c.exitCode,
    reason: c.reason || (c.exitCode === 0 ? 'Completed' : 'Error'),
    ...(message !== '' && { message }),
    startedAt: time(c.startedAtMs),
    finishedAt: time(c.finishedAtMs),
    containerID: containerId(view, c),
  }
}

function containerId(view: PodView, c: ContainerView): string {
  return `${view.node.runtimeName}://${c.id}`
}

function volumeMounts({ spec }: SpecContainer, canRecursiveReadOnly: boolean, images: ReadonlyMap<string, string> | undefined): { volumeMounts?: VolumeMountStatus[] } {
  const imageStatus = (name: string) => {
    const imageRef = images?.get(name)
    // KEP-5365.
    return imageRef === undefined ? {} : { volumeStatus: { image: { imageRef } } }
  }
  const mounts = (spec.volumeMounts ?? []).map((m) => ({
    name: m.name, mountPath: m.mountPath, ...(m.readOnly && { readOnly: true, recursiveReadOnly: canRecursiveReadOnly && m.recursiveReadOnly && m.recursiveReadOnly !== 'Disabled' ? 'Enabled' : 'Disabled' }), ...imageStatus(m.name),
  }))
  return mounts.length > 0 ? { volumeMounts: mounts } : {}
}

/** As Go prints a duration: 10s, 1m20s, 5m0s. */
export function duration(seconds: number): string {
  return seconds < 60 ? `${seconds}s` : `${Math.floor(seconds / 60)}m${seconds % 60}s`
}
