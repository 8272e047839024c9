/**
 * One loop for all pods of the node, keyed by uid. A pass is short: it starts what was decided in its lane and does not
 * wait for it; when a lane settles, the pod is looked at again. So a pull of minutes or a grace period never holds up
 * anything else, and nothing runs twice at a time.
 */
import { isDeepStrictEqual } from 'node:util'
import { isReason } from '#api/client/client.ts'
import type { Pod, Stored } from '#api/types/index.ts'
import type { Clock } from '#base/clock.ts'
import { asError, hasCode } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import type { Random } from '#base/random.ts'
import { applyAction, type Effects } from '#base/reconcile/action.ts'
import { createLoop } from '#base/reconcile/loop.ts'
import type { PassKind } from './stats/kubelet-durations.ts'
import { nextFailure } from './lane-backoff.ts'
import { laneOf, type PodAction } from './pod-action.ts'
import { decidePodActions } from './pod-actions.ts'
import { createPodMemory, type PodMemory } from './pod-memory.ts'
import type { PodRecord } from './pod-store.ts'
import { isAllocated, withAllocation } from './resize.ts'
import type { WaitingResize } from './resize-order.ts'
import { StartError } from './start-error.ts'
import { isTerminalPhase, type PodView } from './view.ts'

export interface PodWorkers {
  /** The API (or the disk, while it is away) has this pod. */
  upsert(pod: Stored<Pod>): void
  /** The API has it no more. */
  remove(uid: string): void
  /** The mirror of a static pod: its status is the one the API has. */
  setMirror(uid: string, mirror: Stored<Pod> | undefined): void
  /** Something about it may have changed. */
  wake(uid: string): void
  wakeAll(): void
  get(uid: string): PodMemory | undefined
  list(): PodMemory[]
  /** Pods, with what is allocated to them, that take their share of the node; but not this one. */
  holding(but: string): Stored<Pod>[]
  /** Those whose spec asks for other resources than they have and that could be given them now; but not this one. */
  waiting(but: string): WaitingResize[]
  drop(uid: string): void
  /** Resolves once the signal has aborted and what was under way has been let go; containers keep running. */
  run(signal: AbortSignal): Promise<void>
}

export interface PodWorkersDeps {
  clock: Clock
  random: Random
  log: Log
  observe(memory: PodMemory): Promise<PodView>
  effects(memory: PodMemory, view: PodView): Effects<PodAction>
  /** After each look: probes, token timers follow what was seen. */
  onView?(memory: PodMemory, view: PodView): void
  /** What is on disk of a pod that is new to this agent. */
  kept?(uid: string): PodRecord | undefined
  /** Asked once of a pod that has not been seen or started: why this node cannot take it. */
  admit?(pod: Stored<Pod>, others: readonly Stored<Pod>[]): { reason: string; message: string } | undefined
  /** Labels, annotations or what its spec asks for changed: files of the downward API follow. */
  onMetadata?(memory: PodMemory): void
  /** The API (or the disk) told of this pod again. */
  onObserved?(memory: PodMemory, isNew: boolean): void
  /** Nothing could be found out about a pod: the runtime does not answer, say. */
  onBlind?(memory: PodMemory, error: Error): void
  /** A look at a pod is over, with what could be done at once. `waitedMs`: of the first one, since the pod was seen. */
  onPass?(kind: PassKind, tookMs: number, waitedMs: number | undefined): void
  /** A pod was seen for the first time, or its spec, its deletion or the names of its claims changed: for the disk. */
  onSpec?(memory: PodMemory): void
  /** Its claims were made, or are others. */
  onClaims?(memory: PodMemory): void
}

/** More runs of one lane of one pod within this time are no work but a loop. */
const SPIN_RUNS_MAX = 50
const SPIN_MS = 10_000
const SPIN_REST_MS = 10_000
const OVERTAKEN_RETRY_MS = 100
/** Passes at one time; each is short, it only waits for the runtime's lists. */
const WORKERS = 4

export function createPodWorkers(deps: PodWorkersDeps): PodWorkers {
  const { clock, random } = deps
  const log = deps.log.with('pods')
  const pods = new Map<string, PodMemory>()
  let stopping: AbortSignal | undefined
  /** Looks under way, and what changed before the next one. */
  const passes = new Map<string, { kind: PassKind; beganMs: number; waitedMs: number | undefined }>()
  const nextPass = new Map<string, PassKind>()

  const settle = (memory: PodMemory, lane: string, action: PodAction, error: unknown, cancelled: boolean) => {
    const beganMs = memory.inFlight.get(lane)?.sinceMs ?? 0
    memory.inFlight.delete(lane)
    if (error === undefined) {
      memory.failures.delete(lane)
      restIfSpinning(memory, lane, action)
      if (action.kind === 'tearDown' || action.kind === 'resize') wakePending()
    } else if (!cancelled && !stopping?.aborted) {
      const reason = error instanceof StartError ? error.reason : hasCode(error, 'VOLUME_FAILED') ? 'FailedMount' : hasCode(error, 'CLAIMS_UNPREPARED') ? 'FailedPrepareDynamicResources' : action.kind
      const failure = nextFailure(memory.failures.get(lane), { lane, reason, message: asError(error).message, ...(error instanceof StartError && { image: error.image }) }, { nowMs: clock.nowMs(), random })
      // It failed for want of something that came while it ran, so nobody will say so again.
      const overtaken = (reason === 'CreateContainerConfigError' || reason === 'FailedMount' || reason === 'FailedPrepareDynamicResources') && memory.wantedChangedMs >= beganMs
      memory.failures.set(lane, overtaken ? { ...failure, retryAtMs: failure.atMs + OVERTAKEN_RETRY_MS } : failure)
      if (overtaken) memory.wantedChangedMs = -Infinity
      // A status refused because the pod is gone, or unsent because the server is away, is part of life.
      const level = lane === 'status' && (isReason(error, 'NotFound', 'Conflict') || failure.count > 1) ? 'debug' : 'warn'
      log[level]('will try again', { pod: nameOf(memory), action: action.kind, lane, failures: failure.count, retryMs: failure.retryAtMs - failure.atMs, error: asError(error) })
    }
    if (!stopping?.aborted) loop.queue.add(memory.uid)
  }

  /** The other pods whose share of the node is taken. Who took a pod from the API without waiting for its end may send another at once, as upstream. */
  const holding = (but: string) => [...pods.values()].filter((m) => m.uid !== but && !m.rejected && !m.removed && !m.tornDown && !isTerminalPhase(m.pod.status?.phase)).map((m) => withAllocation(m.pod, m.allocation))

  const waiting = (but: string): WaitingResize[] => {
    const able = [...pods.values()].filter((m) => m.uid !== but && !m.rejected && !m.removed && m.prepared && m.endingSinceMs === undefined && !isTerminalPhase(m.pod.status?.phase) && !isAllocated(m.pod, m.allocation))
    return able.map((m) => ({ asked: m.pod, allocated: withAllocation(m.pod, m.allocation) }))
  }

  /** There is more room than there was: those who wait for it ask again. */
  const wakePending = () => {
    for (const { uid, pod, allocation } of pods.values()) if (!isAllocated(pod, allocation)) loop.queue.add(uid)
  }

  /** An action that succeeds again and again changes nothing it was meant to change: a bug, which must not cost a core. */
  const restIfSpinning = (memory: PodMemory, lane: string, action: PodAction) => {
    const nowMs = clock.nowMs()
    const runs = memory.laneRuns.get(lane)
    const current = runs && nowMs - runs.sinceMs < SPIN_MS ? { ...runs, count: runs.count + 1 } : { sinceMs: nowMs, count: 1 }
    memory.laneRuns.set(lane, current)
    if (current.count < SPIN_RUNS_MAX) return
    log.error('an action is repeated without effect; it rests', { pod: nameOf(memory), action: action.kind, lane, times: current.count })
    memory.failures.set(lane, { reason: action.kind, message: 'repeated without effect', atMs: nowMs, count: 1, retryAtMs: nowMs + SPIN_REST_MS })
  }

  /** Starts the action in its lane and returns; what is quick by nature is awaited. */
  const launch = async (memory: PodMemory, effects: Effects<PodAction>, action: PodAction): Promise<void> => {
    const lane = laneOf(action)
    if (lane === 'now') {
      await applyAction(effects, action, new AbortController().signal)
      // What they changed in memory nobody else will tell of.
      if (action.kind === 'allocate' || action.kind === 'reportResize') loop.queue.add(memory.uid)
      return
    }
    if (memory.inFlight.has(lane)) return
    const abort = new AbortController()
    const { promise: settled, resolve } = Promise.withResolvers<void>()
    memory.inFlight.set(lane, { lane, action, sinceMs: clock.nowMs(), abort, settled })
    log.debug('begins', { pod: nameOf(memory), action: action.kind, lane })
    applyAction(effects, action, abort.signal).then(
      () => settle(memory, lane, action, undefined, false),
      (error: unknown) => settle(memory, lane, action, error, abort.signal.aborted),
    ).finally(resolve).catch((error: unknown) => log.error('a lane could not be settled', { lane, error: asError(error) }))
  }

  const loop = createLoop<PodView, PodAction>({
    name: 'kubelet',
    async observe(uid) {
      const memory = pods.get(uid)
      if (!memory) return undefined
      const kind = nextPass.get(uid) ?? 'sync'
      nextPass.delete(uid)
      passes.set(uid, { kind: memory.tornDown ? 'terminated' : memory.endingSinceMs === undefined ? kind : 'kill', beganMs: clock.monotonicMs(), waitedMs: kind === 'create' ? clock.nowMs() - memory.firstSeenMs : undefined })
      const view = await deps.observe(memory)
      deps.onView?.(memory, view)
      // What settled while the runtime was asked shows in the next look; what began cannot have.
      return view
    },
    decide: decidePodActions,
    onPass(uid, { decision, error }) {
      const pass = passes.get(uid)
      passes.delete(uid)
      const memory = pods.get(uid)
      if (memory && error && !decision && !stopping?.aborted) deps.onBlind?.(memory, error)
      if (pass) deps.onPass?.(pass.kind, clock.monotonicMs() - pass.beganMs, pass.waitedMs)
    },
    effects(view, uid) {
      const memory = pods.get(uid)
      const effects = memory ? deps.effects(memory, view) : undefined
      const run = (action: PodAction) => (memory && effects ? launch(memory, effects, action) : Promise.resolve())
      return {
        preparePod: run, createSandbox: run, startContainer: run, cancel: run, beginStop: run, killContainer: run, removeContainer: run, stopSandbox: run, removeSandbox: run,
        allocate: run, resize: run, reportResize: run, reportBackOff: run, reportDeadline: run, reportStatus: run, tearDown: run, finishDeletion: run, forget: run,
      }
    },
  }, { clock, random, log, workers: WORKERS })

  return {
    upsert(pod) {
      const { uid, deletionTimestamp, generation } = pod.metadata
      const known = pods.get(uid)
      const memory = known ?? createPodMemory(pod, clock.nowMs(), deps.kept?.(uid))
      if (!known && deletionTimestamp === undefined && pod.status?.startTime === undefined) memory.rejected = deps.admit?.(pod, holding(uid))
      const changed = !known || known.pod.metadata.generation !== generation || known.pod.metadata.deletionTimestamp !== deletionTimestamp
        || known.pod.metadata.deletionGracePeriodSeconds !== pod.metadata.deletionGracePeriodSeconds
      // A shorter grace counts from now, as upstream's worker counts it.
      if (deletionTimestamp !== undefined && (memory.endingSinceMs === undefined || (known && known.pod.metadata.deletionGracePeriodSeconds !== pod.metadata.deletionGracePeriodSeconds))) memory.endingSinceMs = clock.nowMs()
      const respecified = known && known.pod.metadata.generation !== generation
      const relabelled = known && !isDeepStrictEqual([known.pod.metadata.labels, known.pod.metadata.annotations], [pod.metadata.labels, pod.metadata.annotations])
      const waited = changed && known && !isAllocated(known.pod, known.allocation)
      // Who those made for it are, only its status says.
      const isRenamed = known && !isDeepStrictEqual(claimNames(known.pod), claimNames(pod))
      memory.pod = pod
      memory.removed = false
      pods.set(uid, memory)
      if (changed) nextPass.set(uid, known ? nextPass.get(uid) ?? 'update' : 'create')
      if (changed || isRenamed) deps.onSpec?.(memory)
      if (isRenamed) deps.onClaims?.(memory)
      deps.onObserved?.(memory, !known)
      if (relabelled || respecified) deps.onMetadata?.(memory)
      // What it held back for itself may be others' now.
      if (waited) wakePending()
      loop.queue.add(uid)
    },
    remove(uid) {
      const memory = pods.get(uid)
      if (!memory) return
      memory.removed = true
      memory.endingSinceMs ??= clock.nowMs()
      loop.queue.add(uid)
      wakePending()
    },
    setMirror(uid, mirror) {
      const memory = pods.get(uid)
      if (!memory || (memory.mirror?.metadata.uid === mirror?.metadata.uid && memory.mirror?.metadata.resourceVersion === mirror?.metadata.resourceVersion)) return
      // A new one knows nothing yet: it is told all.
      if (memory.mirror?.metadata.uid !== mirror?.metadata.uid) memory.written = undefined
      memory.mirror = mirror
      if (mirror) memory.pod = { ...memory.pod, metadata: { ...memory.pod.metadata, resourceVersion: mirror.metadata.resourceVersion }, status: mirror.status ?? {} }
      loop.queue.add(uid)
    },
    wake: (uid) => { if (pods.has(uid)) loop.queue.add(uid) },
    wakeAll: () => { for (const uid of pods.keys()) loop.queue.add(uid) },
    get: (uid) => pods.get(uid),
    list: () => [...pods.values()],
    holding,
    waiting,
    drop(uid) {
      pods.get(uid)?.cancelRefresh?.()
      pods.delete(uid)
      nextPass.delete(uid)
      loop.queue.cancelAfter(uid)
      loop.queue.forget(uid)
    },
    async run(signal) {
      stopping = signal
      await loop.run(signal)
      for (const memory of pods.values()) {
        memory.cancelRefresh?.()
        for (const { abort } of memory.inFlight.values()) abort.abort(new Error('the agent is stopping'))
      }
    },
  }
}

const claimNames = ({ status }: Pod) => [status?.resourceClaimStatuses, status?.extendedResourceClaimStatus]

function nameOf({ pod }: PodMemory): string {
  return `${pod.metadata.namespace ?? ''}/${pod.metadata.name}`
}
