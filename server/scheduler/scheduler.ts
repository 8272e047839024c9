/**
 * The scheduler's edge: watches pods and nodes, asks `schedule`, binds. Placements are assumed at once and bound
 * concurrently; a failed binding is forgotten and tried again. Events, conditions and messages are upstream's.
 */
import type { EventRecorder } from '#api/client/event-recorder.ts'
import { isReason, type Client, type Informers } from '#api/client/client.ts'
import { compareQuantity, keyOf, NAMESPACES, NODES, POD_DISRUPTION_BUDGETS, PODS, splitKey, type Binding, type Namespace, type Node, type Pod, type PodDisruptionBudget, type Stored } from '#api/types/index.ts'
import { isPodTerminal, podPriority, podRequests } from '#api/types/pods.ts'
import { aborted } from '#base/abort.ts'
import type { Clock } from '#base/clock.ts'
import { asError } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import type { Random } from '#base/random.ts'
import { createClusterView } from './cluster-view.ts'
import { createClaimBinder, type PromisedClaims } from './dynamic-resources/claim-binder.ts'
import type { SelectorEngine } from './dynamic-resources/selectors.ts'
import { podInfo, type NodeInfo, type PodInfo } from './node-info.ts'
import { decidePreemption, PREEMPTED } from './preempt.ts'
import { chooseNode, findCandidates, unschedulableMessage } from './schedule.ts'
import { SchedulerMetrics, type ExtensionPoint } from './scheduler-metrics.ts'
import { createSchedulingQueue, type QueuedPod } from './scheduling-queue.ts'
import type { NodeVolumes } from './volumes/pod-volumes.ts'
import { createVolumeBinder } from './volumes/volume-binder.ts'

export const DEFAULT_SCHEDULER_NAME = 'default-scheduler'

export interface SchedulerOptions {
  client: Client
  informers: Informers
  events: EventRecorder
  clock: Clock
  random: Random
  log: Log
  /** Loads what answers for selectors of devices. */
  selectors?: () => Promise<SelectorEngine>
  /** Default: nobody asks. */
  metrics?: SchedulerMetrics
}

export interface Scheduler {
  /** Works until the signal aborts. The informers are started by the caller. */
  run(signal: AbortSignal): Promise<void>
}

export function createScheduler(options: SchedulerOptions): Scheduler {
  const { client, clock, random, events, metrics = new SchedulerMetrics() } = options
  const log = options.log.with('scheduler')
  const pods = options.informers.of<Pod>(PODS)
  const nodes = options.informers.of<Node>(NODES)
  const namespaces = options.informers.of<Namespace>(NAMESPACES)
  const budgets = options.informers.of<PodDisruptionBudget>(POD_DISRUPTION_BUDGETS)
  const volumes = createVolumeBinder(options)
  const claims = createClaimBinder(options)

  return {
    async run(signal) {
      const stopped = aborted(signal)
      await Promise.race([Promise.all([pods.synced, nodes.synced, namespaces.synced, budgets.synced, volumes.synced, claims.synced]), stopped])
      if (signal.aborted) return
      const view = createClusterView((name) => namespaces.get(name)?.metadata.labels ?? {}, volumes.lookup, claims.lookup)
      const binding = new Set<Promise<void>>()
      let wakeUp: () => void = () => {}
      const queue = createSchedulingQueue(clock, () => wakeUp(), (name, event) => metrics.queued(name, event))
      // By key, which plugin does: not tried before something comes that is none of the cluster's room.
      const held = new Map<string, string>()

      const onPod = (before: Stored<Pod> | undefined, after: Stored<Pod> | undefined) => {
        view.setPod(before, after)
        const key = keyOf(after ?? before ?? {})
        held.delete(key)
        if (after && isOurs(after) && !view.isAssumed(key)) {
          const plugin = heldBy(after)
          if (plugin !== undefined) {
            held.set(key, plugin)
            queue.remove(key)
          } else if (!before || !queue.has(key) || before.metadata.generation !== after.metadata.generation) queue.add(queued(after, clock))
        } else queue.remove(key)
        if (freesRoom(before, after)) queue.wake(`AssignedPod${actionOf(before?.spec?.nodeName, after?.spec?.nodeName)}`)
      }
      const unsubscribe = [
        nodes.onChange((before, after) => {
          view.setNode(before, after)
          if (after && (!before || schedulingFacts(before) !== schedulingFacts(after))) queue.wake(`Node${actionOf(before, after)}`)
        }),
        pods.onChange(onPod),
        // Of which kind it was is not told.
        volumes.onChange(() => queue.wake(ANYTHING)),
        claims.onChange(() => {
          queue.wake(ANYTHING)
          for (const pod of [...held.keys()].flatMap((key) => pods.get(key) ?? [])) {
            if (heldBy(pod) !== undefined) continue
            held.delete(keyOf(pod))
            queue.add(queued(pod, clock))
          }
        }),
        metrics.runs(() => ({ podList: () => pods.list(), queue: queue.sizes(), gatedBy: [...held.values()], ...view.sizes() })),
      ]

      while (!signal.aborted) {
        const next = queue.pop()
        if (!next) {
          const { promise, resolve } = Promise.withResolvers<void>()
          wakeUp = resolve
          await Promise.race([promise, stopped])
          continue
        }
        const queuedPod = pods.get(next.key)
        if (queuedPod && claims.concerns(queuedPod)) await claims.ready()
        // Not before: it may be gone by then, or placed.
        const pod = pods.get(next.key)
        if (!pod || !isOurs(pod)) continue
        const plugin = heldBy(pod)
        if (plugin !== undefined) {
          held.set(next.key, plugin)
          continue
        }
        const info = podInfo(pod)
        const beganMs = clock.monotonicMs()
        const snapshot = view.snapshot(info)
        const found = measured('Filter', () => findCandidates(snapshot, info))
        if (!found.ok) {
          queue.retry({ ...next, refusedBy: [...found.refusedBy] }, true)
          const preemption = measured('PostFilter', () => decidePreemption({ pod: info, snapshot, reasons: found.reasons, budgets: budgets.list() }))
          metrics.preemption(preemption.ok ? preemption.victims.length : undefined)
          metrics.attempt('unschedulable', clock.monotonicMs() - beganMs)
          const message = `${unschedulableMessage(found)}${preemption.ok || found.nodes === 0 ? '' : ` ${preemption.message}`}`
          const outdone = preemption.ok ? view.nominatedTo(preemption.node).filter((p) => podPriority(p.pod) < podPriority(pod)) : []
          if (preemption.ok) view.nominate(info, preemption.node)
          const failed = failScheduling(info, message, preemption.ok ? preemption.node : undefined)
            .then(() => (preemption.ok ? makeRoom(info, preemption.node, preemption.victims, outdone) : release(info, snapshot.nodes)))
            .finally(() => void binding.delete(failed))
          binding.add(failed)
          continue
        }
        const result = measured('Score', () => chooseNode(snapshot, info, found.candidates, random))
        metrics.algorithm(clock.monotonicMs() - beganMs)
        const node = snapshot.nodes.find((n) => n.name === result.node)
        const reservedMs = clock.monotonicMs()
        const promised = { volumes: node && volumes.assume(pod, node), claims: node && claims.assume(info, node) }
        metrics.point('Reserve', 'Success', clock.monotonicMs() - reservedMs)
        view.assume(info, result.node)
        const bound = bindOrRetry(next, info, result.node, promised, beganMs).finally(() => void binding.delete(bound))
        binding.add(bound)
      }
      for (const stop of unsubscribe) stop()
      queue.close()
      await Promise.allSettled(binding)

      async function bindOrRetry(next: QueuedPod, info: PodInfo, nodeName: string, promised: Promised, beganMs: number): Promise<void> {
        const attempts = queue.failures(next.key) + 1
        let running = 'PreBind plugin "DynamicResources"'
        const point: { now: ExtensionPoint; sinceMs: number } = { now: 'PreBind', sinceMs: clock.monotonicMs() }
        try {
          if (promised.claims) await claims.bind(promised.claims, () => events.event(info.pod, 'Normal', 'BindingConditionsPending', `waiting for binding conditions for device on node ${nodeName}`), signal)
          running = 'PreBind plugin "VolumeBinding"'
          if (promised.volumes) await volumes.bind(promised.volumes, nodeName, signal)
          running = 'Bind plugin "DefaultBinder"'
          const boundMs = clock.monotonicMs()
          metrics.point('PreBind', 'Success', boundMs - point.sinceMs)
          Object.assign(point, { now: 'Bind', sinceMs: boundMs })
          await bind(info, nodeName)
          queue.forget(next.key)
          const nowMs = clock.monotonicMs()
          metrics.point('Bind', 'Success', nowMs - boundMs)
          metrics.attempt('scheduled', nowMs - beganMs)
          metrics.scheduled(attempts, nowMs - next.addedMs)
        } catch (error) {
          metrics.point(point.now, 'Error', clock.monotonicMs() - point.sinceMs)
          metrics.attempt('error', clock.monotonicMs() - beganMs)
          view.forget(next.key)
          if (promised.volumes) volumes.forget(promised.volumes)
          if (promised.claims) await forgetClaims(promised.claims)
          if (signal.aborted || isReason(error, 'NotFound') || !pods.get(next.key)) return
          log.warn('binding failed', { pod: next.key, error: asError(error) })
          events.event(info.pod, 'Warning', 'FailedScheduling', `running ${running}: ${asError(error).message}`)
          queue.retry(next, false)
        }
      }
    },
  }

  /** Its gates, or claims that are not there: nobody is told of it, and its status is left alone. Upstream's names; undefined: nothing. */
  function heldBy(pod: Stored<Pod>): string | undefined {
    if ((pod.spec?.schedulingGates?.length ?? 0) > 0) return 'SchedulingGates'
    return claims.awaits(pod) ? 'DynamicResources' : undefined
  }

  /** What is measured knows nothing of it. */
  function measured<T extends { ok: boolean }>(point: ExtensionPoint, work: () => T): T {
    const beganMs = clock.monotonicMs()
    const result = work()
    metrics.point(point, result.ok ? 'Success' : 'Unschedulable', clock.monotonicMs() - beganMs)
    return result
  }

  async function forgetClaims(promised: PromisedClaims): Promise<void> {
    try {
      await claims.forget(promised)
    } catch (error) {
      log.warn('a claim is kept for a pod that was not placed', { pod: keyOf(promised.pod), error: asError(error) })
    }
  }

  async function release(info: PodInfo, nodes: readonly NodeInfo[]): Promise<void> {
    try {
      if (await claims.release(info, nodes)) log.debug('a claim gives its devices back: its pod cannot go there', { pod: info.key })
    } catch (error) {
      if (!isReason(error, 'NotFound', 'Conflict')) log.warn('a claim could not be deallocated', { pod: info.key, error: asError(error) })
    }
  }

  async function bind({ key, pod }: PodInfo, nodeName: string): Promise<void> {
    const { name, namespace } = splitKey(key)
    const object: Binding = {
      apiVersion: 'v1', kind: 'Binding', metadata: { name, namespace, uid: pod.metadata.uid },
      target: { apiVersion: 'v1', kind: 'Node', name: nodeName },
    }
    await client.create<Binding>(PODS, object, { subresource: 'binding' })
    log.debug('bound', { pod: key, node: nodeName })
    events.event(pod, 'Normal', 'Scheduled', `Successfully assigned ${key} to ${nodeName}`)
  }

  /** `nominated`: the node that others leave for it. */
  async function failScheduling({ key, pod }: PodInfo, message: string, nominated: string | undefined): Promise<void> {
    events.event(pod, 'Warning', 'FailedScheduling', message)
    const now = pod.status?.conditions?.find((c) => c.type === 'PodScheduled')
    const isPromised = nominated === undefined || pod.status?.nominatedNodeName === nominated
    if (now?.status === 'False' && now.reason === 'Unschedulable' && now.message === message && now.observedGeneration === pod.metadata.generation && isPromised) return
    const condition = {
      type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message,
      lastTransitionTime: now?.status === 'False' && now.lastTransitionTime ? now.lastTransitionTime : new Date(clock.nowMs()).toISOString().replace(/\.\d+Z$/, 'Z'),
      ...observed(pod),
    }
    const { name, namespace } = splitKey(key)
    try {
      await client.patch(PODS, name, namespace, 'application/strategic-merge-patch+json', { metadata: { uid: pod.metadata.uid }, status: { conditions: [condition], ...(nominated !== undefined && { nominatedNodeName: nominated }) } }, { subresource: 'status' })
    } catch (error) {
      if (!isReason(error, 'NotFound', 'Conflict')) log.warn('condition not written', { pod: key, error: asError(error) })
    }
  }

  /** Ends the victims with their own grace, each told why; pods that were promised the node and count for less are promised it no longer. */
  async function makeRoom({ pod }: PodInfo, nodeName: string, victims: readonly PodInfo[], outdone: readonly PodInfo[]): Promise<void> {
    const { uid } = pod.metadata
    const condition = { type: 'DisruptionTarget', status: 'True', reason: PREEMPTED, message: `${DEFAULT_SCHEDULER_NAME}: preempting to accommodate a higher priority pod`, lastTransitionTime: new Date(clock.nowMs()).toISOString().replace(/\.\d+Z$/, 'Z') }
    const patch = (victim: PodInfo, status: Record<string, unknown>) => {
      const { name, namespace } = splitKey(victim.key)
      return client.patch(PODS, name, namespace, 'application/strategic-merge-patch+json', { metadata: { uid: victim.pod.metadata.uid }, status }, { subresource: 'status' })
    }
    await Promise.all([
      ...victims.filter((v) => v.pod.metadata.deletionTimestamp === undefined).map(async (victim) => {
        const { name, namespace } = splitKey(victim.key)
        try {
          await patch(victim, { conditions: [{ ...condition, ...observed(victim.pod) }] })
          await client.delete(PODS, name, namespace, { preconditions: { uid: victim.pod.metadata.uid } })
          events.event(victim.pod, 'Normal', 'Preempted', `Preempted by pod ${uid} on node ${nodeName}`)
        } catch (error) {
          if (!isReason(error, 'NotFound', 'Conflict')) log.warn('a pod was not preempted', { pod: victim.key, error: asError(error) })
        }
      }),
      ...outdone.map(async (other) => {
        try {
          await patch(other, { nominatedNodeName: null })
        } catch (error) {
          if (!isReason(error, 'NotFound', 'Conflict')) log.warn('a promise was not taken back', { pod: other.key, error: asError(error) })
        }
      }),
    ])
  }
}

/** What upstream calls an event of any kind. */
const ANYTHING = '*All'

const actionOf = (before: unknown, after: unknown): string => (before === undefined ? 'Add' : after === undefined ? 'Delete' : 'Update')

/** What a pod was promised on its node. */
interface Promised { volumes: NodeVolumes | undefined; claims: PromisedClaims | undefined }

/** Of which generation a condition tells (KEP-5067). */
function observed({ metadata }: Stored<Pod>): { observedGeneration?: number } {
  return metadata.generation === undefined ? {} : { observedGeneration: metadata.generation }
}

function isOurs(pod: Stored<Pod>): boolean {
  return !pod.spec?.nodeName && !pod.metadata.deletionTimestamp && !isPodTerminal(pod) && (pod.spec?.schedulerName ?? DEFAULT_SCHEDULER_NAME) === DEFAULT_SCHEDULER_NAME
}

function queued(pod: Stored<Pod>, clock: Clock): QueuedPod {
  return { key: keyOf(pod), priority: podPriority(pod), addedMs: clock.monotonicMs() }
}

/** A placed pod left, ended, holds less, or (for affinity) arrived or changed its labels. */
function freesRoom(before: Stored<Pod> | undefined, after: Stored<Pod> | undefined): boolean {
  if (before?.spec?.nodeName && (!after || (isPodTerminal(after) && !isPodTerminal(before)))) return true
  if (!after?.spec?.nodeName) return false
  return !before?.spec?.nodeName || JSON.stringify(before.metadata.labels) !== JSON.stringify(after.metadata.labels) || holdsLess(before, after)
}

/** It was resized: told by its spec, and by its node when that is done. */
function holdsLess(before: Stored<Pod>, after: Stored<Pod>): boolean {
  if (resizeFacts(before) === resizeFacts(after)) return false
  const [was, now] = [before, after].map((pod) => podRequests(pod, { withStatus: true }))
  return Object.entries(was ?? {}).some(([name, amount]) => compareQuantity(now?.[name] ?? '0', amount) < 0)
}

function resizeFacts({ metadata, status }: Stored<Pod>): string {
  return JSON.stringify([metadata.generation, ...[status, ...status?.containerStatuses ?? [], ...status?.initContainerStatuses ?? []].map((s) => [s?.resources, s?.allocatedResources]), status?.conditions?.find((c) => c.type === 'PodResizePending')?.reason])
}

/** What of a node can make a difference: heartbeats must not wake the queue. */
function schedulingFacts({ metadata, spec, status }: Stored<Node>): string {
  return JSON.stringify([metadata.labels, spec?.unschedulable, spec?.taints, status?.allocatable, status?.declaredFeatures])
}
