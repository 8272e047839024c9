/**
 * The kubelet: what to do for one pod now. Pure. Says only what may run at this moment, each action in a free lane,
 * then the world is looked at again. Splits by question: does it end (`endingActions`) or live (`livingActions`); the
 * sandbox, init containers, app containers.
 */
import type { DecideContext, Decision } from '#base/reconcile/action.ts'
import { replacementsEndMs } from './container-status.ts'
import { containerHash } from './labels.ts'
import { laneOf, type KillReason, type PodAction } from './pod-action.ts'
import { LOST_REASON, podText, PULL_ERROR_SHOWN_MS } from './messages.ts'
import { podStatus } from './pod-status.ts'
import { sameStatus } from './status-patch.ts'
import { containerResizes, resizeMessage } from './resize.ts'
import { nextRestart, startsAgain } from './restart.ts'
import { endsRound } from './restart-all.ts'
import { isPullFailure } from './start-error.ts'
import { deadlineOf, GRACE_SECONDS_MIN, podEnd, remainingGraceSeconds, restartGraceSeconds, type PodEnd } from './termination.ts'
import {
  allContainers, appContainers, ephemeralContainers, initContainers, isInFlight, isOutdated, isStarted, isStarting, isTerminalPhase, newest, readySandbox,
  type ContainerView, type LaneFailure, type PodView, type SpecContainer,
} from './view.ts'

/** Upstream's retry of deferred resizes, beside the moments when something becomes free. */
const RESIZE_RETRY_MS = 180_000

/** Among the containers and lanes whose back-off has been told: no name of either has a space. */
const DEADLINE_MARK = 'its deadline'

/** Dead attempts of one container that are kept: their logs answer `logs` and `logs --previous`. */
const ATTEMPTS_KEPT = 2

export function decidePodActions(view: PodView, ctx: DecideContext): Decision<PodAction> {
  const plan = new Plan(view, ctx)
  const end = podEnd(view, ctx.nowMs)
  if (end?.why === 'deadline' && !view.backOffReported.has(DEADLINE_MARK)) plan.add({ kind: 'reportDeadline', mark: DEADLINE_MARK }, 'it is past its deadline')
  if (end) endingActions(plan, end)
  else livingActions(plan)
  statusAction(plan, end)
  return plan.decision()
}

/** Collects what to do: keeps actions off busy lanes and out of their back-off, and remembers the earliest moment to look again. */
class Plan {
  readonly view: PodView
  readonly nowMs: number
  because = 'nothing to do'
  readonly #actions: PodAction[] = []
  readonly #random: DecideContext['random']
  #wakeAtMs: number | undefined

  constructor(view: PodView, ctx: DecideContext) {
    this.view = view
    this.nowMs = ctx.nowMs
    this.#random = ctx.random
  }

  get ctx(): DecideContext { return { nowMs: this.nowMs, random: this.#random } }

  /** False when its lane is busy or backing off. */
  add(action: PodAction, because: string): boolean {
    const lane = laneOf(action)
    if (lane !== 'now') {
      if (isInFlight(this.view, lane) || this.#actions.some((a) => laneOf(a) === lane)) return false
      const failure = this.view.failures.get(lane)
      if (failure && failure.retryAtMs > this.nowMs) {
        this.wakeAt(failure.retryAtMs)
        return false
      }
    }
    this.#actions.push(action)
    this.because = because
    return true
  }

  wakeAt(ms: number): void {
    if (this.#wakeAtMs === undefined || ms < this.#wakeAtMs) this.#wakeAtMs = ms
  }

  decision(): Decision<PodAction> {
    return { actions: this.#actions, because: this.because, ...(this.#wakeAtMs !== undefined && { wakeAtMs: this.#wakeAtMs }) }
  }
}

function livingActions(plan: Plan): void {
  const { view } = plan
  const deadlineMs = deadlineOf(view)
  if (deadlineMs !== undefined) plan.wakeAt(deadlineMs)
  const sandbox = readySandbox(view)
  if (!sandbox) return sandboxActions(plan)
  if (!view.prepared && !plan.add({ kind: 'preparePod' }, 'volumes and directories are to be there')) {
    restartUnhealthy(plan, sandbox.id)
    return waitAtFailure(plan, 'volumes')
  }
  if (!view.prepared) return
  restartUnhealthy(plan, sandbox.id)
  resizeActions(plan)
  for (const c of ephemeralContainers(view.pod)) if (!newest(view, c.spec.name)) start(plan, c, sandbox.id)
  if (!killOutdated(plan) && initActions(plan, sandbox.id)) appActions(plan, sandbox.id)
  prune(plan)
}

function waitAtFailure(plan: Plan, lane: string): void {
  const failure = plan.view.failures.get(lane)
  if (failure && failure.retryAtMs > plan.nowMs) plan.wakeAt(failure.retryAtMs)
}

/** There is no sandbox that can hold containers: clear away what is left of the last, then make the next. */
function sandboxActions(plan: Plan): void {
  const { view } = plan
  const wanted = appContainers(view.pod).some(({ spec, type }) => {
    const c = newest(view, spec.name)
    return !c || c.state !== 'exited' || isOutdated(view, c) || startsAgain(view, spec, type, c)
  })
  if (!wanted) return
  const running = view.containers.filter((c) => c.state === 'running' || c.state === 'unknown')
  for (const c of running) kill(plan, c, 'sandbox', GRACE_SECONDS_MIN, false)
  if (running.length > 0) return
  const broken = view.sandboxes.find((s) => s.state === 'ready')
  if (broken) {
    plan.add({ kind: 'stopSandbox', id: broken.id }, 'the sandbox has no address')
    return
  }
  if (!view.prepared) {
    plan.add({ kind: 'preparePod' }, 'volumes and directories come first')
    return
  }
  const attempt = view.sandboxes.length > 0 ? Math.max(...view.sandboxes.map((s) => s.metadata.attempt)) + 1 : 0
  plan.add({ kind: 'createSandbox', attempt }, attempt === 0 ? 'it has no sandbox' : 'its sandbox has ended')
}

/** All start anew: first the rest stops, without preStop hooks as upstream has it. True while some of it runs. */
function killOutdated(plan: Plan): boolean {
  const { view } = plan
  const running = view.containers.filter((c) => isOutdated(view, c) && (c.state === 'running' || c.state === 'unknown'))
  for (const c of running) kill(plan, c, 'restartAll', GRACE_SECONDS_MIN, false)
  return running.length > 0
}

/** In order, each to its end; sidecars stay. True when app containers may run. */
function initActions(plan: Plan, sandboxId: string): boolean {
  const { view } = plan
  const all = initContainers(view.pod)
  const last = isInitialised(view, sandboxId) ? all.length : all.findLastIndex(({ spec }) => newest(view, spec.name, sandboxId) !== undefined)
  for (const [i, c] of all.entries()) {
    const found = newest(view, c.spec.name, sandboxId)
    // One that comes later has begun, so this one has had its turn: the runtime may have lost it since.
    const hadTurn = i < last
    if (c.type === 'sidecar') {
      if (found?.state !== 'running') {
        start(plan, c, sandboxId)
        if (!hadTurn) return false
      } else if (!hadTurn && !isStarted(view, c.spec, found)) {
        return false
      }
      continue
    }
    if (hadTurn || (found?.state === 'exited' && found.exitCode === 0)) continue
    if (found?.state === 'running') return false
    start(plan, c, sandboxId)
    return false
  }
  return true
}

/** App containers have been started in this sandbox: regular init containers are not looked at again. */
function isInitialised(view: PodView, sandboxId: string): boolean {
  return appContainers(view.pod).some(({ spec }) => {
    const c = newest(view, spec.name, sandboxId)
    return c !== undefined && c.state !== 'created'
  })
}

/** One after another as upstream: a start in flight, with its pull and postStart hook, holds the next back. */
function appActions(plan: Plan, sandboxId: string): void {
  const { view } = plan
  for (const c of appContainers(view.pod)) {
    if (isStarting(view, c.spec.name)) return
    const found = newest(view, c.spec.name)
    if (found?.state === 'running' && found.sandboxId === sandboxId) continue
    if (found && !isOutdated(view, found) && endsRound(c.spec, found)) continue
    if (found?.state === 'exited' && !isOutdated(view, found) && !startsAgain(view, c.spec, 'app', found)) continue
    if (start(plan, c, sandboxId)) return
  }
}

/** True when a start was ordered. */
function start(plan: Plan, c: SpecContainer, sandboxId: string): boolean {
  const { view, nowMs } = plan
  const { name } = c.spec
  if (isStarting(view, name)) return false
  const last = newest(view, name)
  const here = newest(view, name, sandboxId)
  if (here && isInFlight(view, `kill:${here.id}`)) return false
  if (here?.state === 'running' || here?.state === 'unknown') return false
  const failure = view.failures.get(`start:${name}`)
  if (failure && failure.retryAtMs > nowMs) {
    pullBackOff(plan, c, failure)
    plan.wakeAt(failure.retryAtMs)
    return false
  }
  const begin = { kind: 'startContainer', name, type: c.type, sandboxId, ...(view.round > 0 && { round: view.round }) } as const
  if (here?.state === 'created') {
    return plan.add({ ...begin, attempt: here.restartCount, backoffSeconds: here.backoffSeconds, createdId: here.id }, `container ${name} was created but not started`)
  }
  if (!last) return plan.add({ ...begin, attempt: lostAttempts(view, name), backoffSeconds: 0 }, `container ${name} has not run yet`)
  // Whose exit it was that starts all anew ended by itself: its crash loop goes on.
  if (here === undefined && !(isOutdated(view, last) && endsRound(c.spec, last))) {
    // It ended with its sandbox, not by itself: a new sandbox starts everything at once.
    return plan.add({ ...begin, attempt: last.restartCount + 1, backoffSeconds: last.backoffSeconds }, `container ${name} is new in this ${isOutdated(view, last) ? 'round' : 'sandbox'}`)
  }
  const next = nextRestart(last, c.spec, view.node.restartSecondsMax)
  if (next.notBeforeMs > nowMs) {
    plan.wakeAt(next.notBeforeMs)
    if (!view.backOffReported.has(last.id)) {
      plan.add({ kind: 'reportBackOff', name, of: 'restart', mark: last.id, message: `Back-off restarting failed container ${name} in pod ${podText(view)}` }, `container ${name} keeps failing`)
    }
    return false
  }
  return plan.add({ ...begin, attempt: last.restartCount + 1, backoffSeconds: next.backoffSeconds }, `container ${name} ended with ${last.exitCode}`)
}

function pullBackOff(plan: Plan, c: SpecContainer, failure: LaneFailure): void {
  if (!isPullFailure(failure.reason)) return
  const mark = `pull:${c.spec.name}:${failure.atMs}`
  if (plan.view.backOffReported.has(mark)) return
  if (plan.nowMs < failure.atMs + PULL_ERROR_SHOWN_MS) return plan.wakeAt(failure.atMs + PULL_ERROR_SHOWN_MS)
  plan.add({ kind: 'reportBackOff', name: c.spec.name, of: 'pull', mark, message: `Back-off pulling image "${failure.image ?? c.spec.image ?? ''}"` }, `image of ${c.spec.name} cannot be pulled`)
}

/** Attempts the API knows of and the runtime does not any more (its state was wiped). */
function lostAttempts(view: PodView, name: string): number {
  const known = [...(view.reported.containerStatuses ?? []), ...(view.reported.initContainerStatuses ?? [])].find((s) => s.name === name)
  if (!known) return 0
  // Its status counts the one that is to come.
  if (known.state?.waiting && known.lastState?.terminated?.reason === LOST_REASON) return known.restartCount
  return known.containerID || known.lastState?.terminated ? known.restartCount + 1 : known.restartCount
}

function restartUnhealthy(plan: Plan, sandboxId: string): void {
  const { view } = plan
  for (const { spec, type } of [...initContainers(view.pod).filter((c) => c.type === 'sidecar'), ...appContainers(view.pod)]) {
    const c = newest(view, spec.name, sandboxId)
    if (c?.state !== 'running') continue
    const probes = view.probes.get(c.id)
    const hasStartupFailed = probes?.startup === 'failure'
    // In upstream's order: a sidecar that does not start is not looked at further.
    if (type === 'sidecar' && hasStartupFailed) kill(plan, c, 'startup', restartGraceSeconds(view, spec.startupProbe))
    else if (c.hash !== '' && c.hash !== containerHash(spec) && !isStarting(view, spec.name)) kill(plan, c, 'definition', restartGraceSeconds(view, undefined))
    else if (probes?.liveness === 'failure') kill(plan, c, 'liveness', restartGraceSeconds(view, spec.livenessProbe))
    else if (hasStartupFailed) kill(plan, c, 'startup', restartGraceSeconds(view, spec.startupProbe))
  }
}

/** What may be allocated is; what is allocated becomes real, by the cgroup or by a restart; both are told. */
function resizeActions(plan: Plan): void {
  const { view } = plan
  const { resize } = view
  if (resize && !resize.pending) {
    plan.add({ kind: 'allocate' }, 'its spec asks for other resources, and there is room')
    return
  }
  if (resize?.pending) {
    const { reason, message } = resize.pending
    const generation = resize.spec.metadata.generation ?? 0
    // What is used meanwhile changes the message, but is no news.
    const mark = `resize:${generation}:${reason}`
    if (!view.backOffReported.has(mark) && !isPendingTold(view, reason, generation)) plan.add({ kind: 'reportResize', of: reason, mark, message: resizeMessage(reason, resize.spec, generation, message) }, 'what its spec asks for cannot be had')
    if (reason === 'Deferred') plan.wakeAt(plan.nowMs + RESIZE_RETRY_MS)
  }
  const differ = containerResizes(view)
  const restarting = differ.filter((c) => c.restart)
  for (const { id, name } of restarting) plan.add({ kind: 'killContainer', id, name, graceSeconds: restartGraceSeconds(view, undefined), because: 'resize', preStop: true }, `container ${name} is to be restarted with other resources`)
  // The pod's cgroup cannot shrink below what they have.
  const inPlace = restarting.length > 0 ? [] : differ
  const failure = view.failures.get('resize')
  if (failure && view.resizing !== undefined) {
    const mark = `resize-error:${view.resizing}:${failure.message}`
    if (!view.backOffReported.has(mark)) plan.add({ kind: 'reportResize', of: 'error', mark, message: resizeMessage('error', view.pod, view.resizing, failure.message) }, 'a resize has failed')
  }
  if (inPlace.length > 0) {
    plan.add({ kind: 'resize', containers: inPlace.map(({ id, name, resources }) => ({ id, name, resources })) }, 'cgroups are to follow what is allocated')
    return
  }
  if (view.resizing === undefined || differ.length > 0 || isInFlight(view, 'resize')) return
  const settled = [...initContainers(view.pod).filter((c) => c.type === 'sidecar'), ...appContainers(view.pod)].every(({ spec, type }) => {
    const c = newest(view, spec.name)
    if (isStarting(view, spec.name) || (c && isInFlight(view, `kill:${c.id}`))) return false
    return c?.state === 'running' || (c?.state === 'exited' && (!startsAgain(view, spec, type, c) || nextRestart(c, spec, view.node.restartSecondsMax).notBeforeMs > plan.nowMs))
  })
  if (!settled) return
  // Only the pod's own cgroup was left: it is made to fit first.
  if (!view.resized) plan.add({ kind: 'resize', containers: [] }, 'the pod\'s cgroup is to follow what is allocated')
  else plan.add({ kind: 'reportResize', of: 'completed', mark: `resized:${view.resizing}`, message: resizeMessage('completed', view.pod, view.resizing) }, 'it has the resources it was given')
}

const isPendingTold = ({ reported }: PodView, reason: string, generation: number): boolean => reported.conditions?.some((c) => c.type === 'PodResizePending' && c.reason === reason && c.observedGeneration === generation) ?? false

function kill(plan: Plan, c: ContainerView, because: KillReason, graceSeconds: number, preStop = true): void {
  plan.add({ kind: 'killContainer', id: c.id, name: c.metadata.name, graceSeconds, because, preStop }, `container ${c.metadata.name} is to stop (${because})`)
}

/** Older dead attempts go, and sandboxes that hold nothing any more. */
function prune(plan: Plan): void {
  const { view } = plan
  for (const { spec } of allContainers(view.pod)) {
    for (const c of view.containers.filter((x) => x.metadata.name === spec.name).slice(ATTEMPTS_KEPT)) {
      if (c.state === 'exited' || (c.state === 'created' && isOutdated(view, c))) plan.add({ kind: 'removeContainer', id: c.id }, `old attempts of ${spec.name} are not kept`)
    }
  }
  for (const s of view.sandboxes.slice(1)) {
    if (!view.containers.some((c) => c.sandboxId === s.id)) plan.add({ kind: 'removeSandbox', id: s.id }, 'an old sandbox is empty')
  }
}

function endingActions(plan: Plan, end: PodEnd): void {
  const { view } = plan
  for (const f of view.inFlight) {
    if (f.action.kind === 'startContainer' || f.action.kind === 'createSandbox' || f.action.kind === 'preparePod') plan.add({ kind: 'cancel', lane: f.lane }, `it ends (${end.why})`)
  }
  if (view.inFlight.some((f) => f.action.kind === 'startContainer' || f.action.kind === 'createSandbox' || f.action.kind === 'preparePod')) {
    killRunning(plan, end)
    return
  }
  if (killRunning(plan, end)) return
  const live = view.sandboxes.filter((s) => s.state === 'ready')
  for (const s of live) plan.add({ kind: 'stopSandbox', id: s.id }, 'all its containers have stopped')
  if (live.length > 0) return
  if (!view.tornDown) {
    plan.add({ kind: 'tearDown' }, 'its sandbox has stopped')
    return
  }
  if (end.why !== 'deleted' && end.why !== 'removed') return
  if (end.why === 'deleted' && !finalStatusIsWritten(view, plan.ctx)) return
  for (const s of view.sandboxes) plan.add({ kind: 'removeSandbox', id: s.id }, 'it is being deleted')
  if (view.sandboxes.length > 0) return
  for (const c of view.containers) plan.add({ kind: 'removeContainer', id: c.id }, 'it is being deleted')
  if (view.containers.length > 0) return
  if (end.why === 'removed') plan.add({ kind: 'forget' }, 'nothing of it is left')
  else if (!view.finished) plan.add({ kind: 'finishDeletion' }, 'nothing of it is left on this node')
}

/**
 * All at once but sidecars, which wait for the app's containers and for the sidecars after them, as long as there is time; their preStop hooks do
 * not. True while something runs.
 */
function killRunning(plan: Plan, end: PodEnd): boolean {
  const { view } = plan
  const running = view.containers.filter((c) => c.state === 'running' || c.state === 'unknown')
  if (running.length === 0) return false
  const sidecars = initContainers(view.pod).filter((c) => c.type === 'sidecar').map((c) => c.spec.name)
  const apps = new Set(appContainers(view.pod).map((c) => c.spec.name))
  const appRuns = running.some((c) => apps.has(c.metadata.name))
  const last = sidecars.findLast((name) => running.some((c) => c.metadata.name === name))
  const overMs = end.sinceMs + end.graceSeconds * 1000
  const waits = (name: string) => sidecars.includes(name) && plan.nowMs < overMs && (appRuns || name !== last)
  const graceSeconds = remainingGraceSeconds(end, plan.nowMs)
  for (const c of running) {
    const { name } = c.metadata
    const begun = view.stopBegun.has(c.id)
    if (shortens(view, c.id, graceSeconds, plan.nowMs)) plan.add({ kind: 'cancel', lane: `kill:${c.id}` }, 'its grace was cut short')
    else if (!waits(name)) plan.add({ kind: 'killContainer', id: c.id, name, graceSeconds, because: 'stopping', preStop: true, ...(begun && { begun }) }, `container ${name} is to stop (stopping)`)
    else {
      if (!begun) plan.add({ kind: 'beginStop', id: c.id, name, graceSeconds }, `container ${name} is to stop in its turn`)
      plan.wakeAt(overMs)
    }
  }
  return true
}

/** A kill is under way that would last clearly longer than is allowed now: a second delete gave less time. */
function shortens(view: PodView, id: string, graceSeconds: number, nowMs: number): boolean {
  const running = view.inFlight.find((f) => f.lane === `kill:${id}`)
  if (running?.action.kind !== 'killContainer' && running?.action.kind !== 'beginStop') return false
  return running.sinceMs + running.action.graceSeconds * 1000 > nowMs + graceSeconds * 1000 + 1_000
}

function statusAction(plan: Plan, end: PodEnd | undefined): void {
  const { view } = plan
  if (end?.why === 'removed') return
  if (isGoneFromRuntime(view, end) && isTerminalPhase(view.reported.phase)) return
  const replaced = replacementsEndMs(view, end !== undefined, [...initContainers(view.pod), ...appContainers(view.pod)], plan.nowMs)
  if (replaced !== undefined) plan.wakeAt(replaced)
  const status = podStatus(view, plan.ctx)
  if (sameStatus(status, view.reported)) return
  plan.add({ kind: 'reportStatus', status }, plan.because === 'nothing to do' ? 'its status has changed' : plan.because)
}

/** Nothing is left of a deleted pod: its last status has been told, and would now only get worse. */
function isGoneFromRuntime(view: PodView, end: PodEnd | undefined): boolean {
  return end?.why === 'deleted' && view.containers.length === 0 && view.sandboxes.length === 0
}

function finalStatusIsWritten(view: PodView, ctx: DecideContext): boolean {
  if (isTerminalPhase(view.reported.phase) && view.containers.length === 0 && view.sandboxes.length === 0) return true
  return sameStatus(podStatus(view, ctx), view.reported)
}
