/** The DaemonSet controller's decisions, after upstream's pkg/controller/daemon. Pure. */
import {
  DAEMON_SETS, NOTHING, compileLabelSelector, isPodAvailable, isPodReady, podCondition, scaledValue,
  type DaemonSet, type DaemonSetStatus, type LabelMatcher, type Node, type Pod, type Stored,
} from '#api/types/index.ts'
import { nameSuffix } from '#base/random.ts'
import type { DecideContext, Decision } from '#base/reconcile/action.ts'
import { jsonEqual } from '../json-equal.ts'
import { claim } from '../ownership.ts'
import { drawnName, podOf } from '../pod-control.ts'
import { REVISION_HASH, currentRevision, surplusRevisions, type Revision, type RevisionAction } from '../revisions.ts'
import { earlier, parseTime } from '../time.ts'
import { fitOf, pinned, targetNode, type Fit } from './nodes.ts'

export interface DaemonSetView {
  set: Stored<DaemonSet>
  nodes: readonly Stored<Node>[]
  /** Owned, and the namespace's orphans; with what this process did and the informer has not shown. */
  pods: readonly Stored<Pod>[]
  revisions: readonly Revision[]
  /** When a failed pod of a node may be replaced, by node; for nodes that had one. */
  retryMs: ReadonlyMap<string, number>
  unseenUntilMs: number | undefined
}

export type DaemonSetAction =
  | RevisionAction
  | { kind: 'countCollision' }
  | { kind: 'adoptPod'; name: string; uid: string }
  | { kind: 'releasePod'; name: string; uid: string }
  | { kind: 'tell'; type: 'Normal' | 'Warning'; reason: string; message: string }
  /** Failed pods of these nodes go now; the next ones wait longer. */
  | { kind: 'noteFailed'; node: string }
  | { kind: 'deletePods'; pods: Stored<Pod>[] }
  | { kind: 'createPods'; pods: Pod[] }
  | { kind: 'writeStatus'; status: DaemonSetStatus }

const TEMPLATE_GENERATION = 'deprecated.daemonset.template.generation'
const POD_TEMPLATE_GENERATION = 'pod-template-generation'
/** As upstream: no more than this in one pass. */
const BURST_REPLICAS = 250

export function selectorOf(set: DaemonSet): LabelMatcher {
  const matcher = compileLabelSelector(set.spec?.selector)
  return matcher.requirements.length === 0 ? NOTHING : matcher
}

export function decideDaemonSet(view: DaemonSetView, ctx: DecideContext): Decision<DaemonSetAction> {
  const { set } = view
  if (compileLabelSelector(set.spec?.selector).requirements.length === 0) {
    return { actions: [{ kind: 'tell', type: 'Warning', reason: 'SelectingAll', message: 'This daemon set is selecting all pods. A non-empty selector is required.' }], because: 'it selects all pods' }
  }
  const claims = claim(set, selectorOf(set), view.pods)
  const claimed: DaemonSetAction[] = [
    ...claims.adopt.map((p) => ({ kind: 'adoptPod' as const, name: p.metadata.name, uid: p.metadata.uid })),
    ...claims.release.map((p) => ({ kind: 'releasePod' as const, name: p.metadata.name, uid: p.metadata.uid })),
  ]
  const pods = [...claims.owned, ...claims.adopt]
  const { current, actions: revising, collides } = currentRevision({ ref: DAEMON_SETS, owner: set, template: set.spec?.template, collisions: set.status?.collisionCount ?? 0, hashLabel: REVISION_HASH }, view.revisions)
  if (set.metadata.deletionTimestamp !== undefined) return { actions: [], because: 'it is being deleted' }
  if (collides) return { actions: [{ kind: 'countCollision' }], because: 'the name of its revision is taken' }
  const hash = current?.metadata.labels?.[REVISION_HASH]
  // Pods are made once the revision they belong to is there.
  if (hash === undefined || revising.length > 0) return { actions: [...claimed, ...revising], because: 'a new revision' }
  const scene = sceneOf(view, pods, hash, ctx.nowMs)
  const changes = manage(scene)
  const isQuiet = changes.create.length === 0 && changes.remove.length === 0
  const rolling = isQuiet && (set.spec?.updateStrategy?.type ?? 'RollingUpdate') === 'RollingUpdate' ? rollingUpdate(scene) : { create: [], remove: [] }
  const create = [...changes.create, ...rolling.create].slice(0, BURST_REPLICAS)
  const remove = [...changes.remove, ...rolling.remove].slice(0, BURST_REPLICAS)
  const status = nextStatus(scene)
  const isLive = (r: Revision) => r === current || pods.some((p) => p.metadata.labels?.[REVISION_HASH] === r.metadata.labels?.[REVISION_HASH])
  const wakeAtMs = earlier(earlier(changes.wakeAtMs, nextAvailableMs(scene)), view.unseenUntilMs)
  return {
    actions: [
      ...claimed, ...changes.tell, ...changes.failed.map((node) => ({ kind: 'noteFailed' as const, node })),
      ...(jsonEqual(status, set.status) ? [] : [{ kind: 'writeStatus' as const, status }]),
      ...(remove.length > 0 ? [{ kind: 'deletePods' as const, pods: remove }] : []),
      ...(create.length > 0 ? [{ kind: 'createPods' as const, pods: create.map((node) => podFor(set, node, hash, nameSuffix(ctx.random))) }] : []),
      ...surplusRevisions(view.revisions, isLive, set.spec?.revisionHistoryLimit ?? 10),
    ],
    because: `${status.numberReady} of ${status.desiredNumberScheduled} ready: creating ${create.length}, deleting ${remove.length}`,
    ...(wakeAtMs !== undefined && { wakeAtMs }),
  }
}

interface Scene {
  set: Stored<DaemonSet>
  hash: string
  nowMs: number
  minReadySeconds: number
  nodes: ReadonlyMap<string, Fit>
  /** Of nodes that are gone, too. Oldest first. */
  podsByNode: ReadonlyMap<string, readonly Stored<Pod>[]>
  retryMs: ReadonlyMap<string, number>
}

function sceneOf({ set, nodes, retryMs }: DaemonSetView, pods: readonly Stored<Pod>[], hash: string, nowMs: number): Scene {
  const podsByNode = Map.groupBy(pods.toSorted(byAge), targetNode)
  return { set, hash, nowMs, minReadySeconds: set.spec?.minReadySeconds ?? 0, nodes: new Map(nodes.map((n) => [n.metadata.name, fitOf(set, n)])), podsByNode, retryMs }
}

/** Those on a node before those that wait, then by age, then by name. */
function byAge(a: Stored<Pod>, b: Stored<Pod>): number {
  if (!a.spec?.nodeName !== !b.spec?.nodeName) return a.spec?.nodeName ? -1 : 1
  const [since, other] = [a.metadata.creationTimestamp ?? '', b.metadata.creationTimestamp ?? '']
  return since < other ? -1 : since > other ? 1 : a.metadata.name < b.metadata.name ? -1 : 1
}

interface Changes { create: string[]; remove: Stored<Pod>[] }

/** One pod on each node that should have one, none elsewhere. */
function manage(scene: Scene): Changes & { tell: DaemonSetAction[]; failed: string[]; wakeAtMs: number | undefined } {
  const out: ReturnType<typeof manage> = { create: [], remove: [], tell: [], failed: [], wakeAtMs: undefined }
  for (const [node, { shouldRun, mayStay }] of scene.nodes) {
    const pods = scene.podsByNode.get(node) ?? []
    if (shouldRun && pods.length === 0) out.create.push(node)
    else if (mayStay) prune(scene, node, pods, out)
    else out.remove.push(...pods.filter((p) => p.metadata.deletionTimestamp === undefined))
  }
  // Pods that wait for a node that is no more would wait for ever; those on it are the garbage collector's.
  for (const [node, pods] of scene.podsByNode) {
    if (!scene.nodes.has(node)) out.remove.push(...pods.filter((p) => !p.spec?.nodeName && p.metadata.deletionTimestamp === undefined))
  }
  return out
}

function prune(scene: Scene, node: string, pods: readonly Stored<Pod>[], out: ReturnType<typeof manage>): void {
  const { set, hash, nowMs, minReadySeconds } = scene
  const running: Stored<Pod>[] = []
  for (const pod of pods) {
    const what = `daemon pod ${pod.metadata.namespace ?? ''}/${pod.metadata.name} on node ${node}`
    if (pod.metadata.deletionTimestamp !== undefined) continue
    if (pod.status?.phase === 'Failed') {
      const retryMs = scene.retryMs.get(node) ?? 0
      if (retryMs > nowMs) {
        out.wakeAtMs = earlier(out.wakeAtMs, retryMs)
        continue
      }
      out.tell.push({ kind: 'tell', type: 'Warning', reason: 'FailedDaemonPod', message: `Found failed ${what}, will try to kill it` })
      out.failed.push(node)
      out.remove.push(pod)
    } else if (pod.status?.phase === 'Succeeded') {
      out.tell.push({ kind: 'tell', type: 'Normal', reason: 'SucceededDaemonPod', message: `Found succeeded ${what}, will try to delete it` })
      out.remove.push(pod)
    } else running.push(pod)
  }
  if (running.length <= 1) return
  if (limitsOf(set, 1).surge === 0) {
    out.remove.push(...running.slice(1))
    return
  }
  // While surging, one of each: the old one goes when it is not ready, or the new one is available.
  const fresh = running.filter((p) => isUpdated(p, hash))
  const old = running.filter((p) => !isUpdated(p, hash))
  out.remove.push(...fresh.slice(1), ...old.slice(1))
  const [newest] = fresh
  const [oldest] = old
  if (newest && oldest && (!isPodReady(oldest) || isPodAvailable(newest, minReadySeconds, nowMs))) out.remove.push(oldest)
}

const isUpdated = (pod: Pod, hash: string): boolean => pod.metadata?.labels?.[REVISION_HASH] === hash

/** Both zero means one may be away. */
function limitsOf(set: DaemonSet, desired: number): { surge: number; unavailable: number } {
  if ((set.spec?.updateStrategy?.type ?? 'RollingUpdate') !== 'RollingUpdate') return { surge: 0, unavailable: 1 }
  const rolling = set.spec?.updateStrategy?.rollingUpdate
  const surge = scaledValue(rolling?.maxSurge ?? 0, desired, 'up') ?? 0
  const unavailable = scaledValue(rolling?.maxUnavailable ?? 1, desired, 'up') ?? 1
  return { surge, unavailable: surge === 0 && unavailable === 0 ? 1 : unavailable }
}

function rollingUpdate(scene: Scene): Changes {
  const { hash, minReadySeconds, nowMs } = scene
  const nodes = [...scene.nodes].filter(([, { shouldRun }]) => shouldRun).map(([node]) => ({ node, pods: (scene.podsByNode.get(node) ?? []).filter((p) => p.metadata.deletionTimestamp === undefined) }))
  const { surge, unavailable } = limitsOf(scene.set, nodes.length)
  const isAvailable = (pod: Pod) => isPodAvailable(pod, minReadySeconds, nowMs)
  const [must, may]: [Stored<Pod>[], Stored<Pod>[]] = [[], []]
  const [mustNodes, mayNodes]: [string[], string[]] = [[], []]
  const remove: Stored<Pod>[] = []
  let away = 0
  let extra = 0
  for (const { node, pods } of nodes) {
    const [fresh, twice] = pods.filter((p) => isUpdated(p, hash))
    const [old, again] = pods.filter((p) => !isUpdated(p, hash))
    if (twice || again) {
      // The next pass cleans that up.
      away++
      extra++
    } else if (surge === 0) {
      if (Boolean(fresh) === Boolean(old)) away++
      else if (fresh) away += isAvailable(fresh) ? 0 : 1
      else if (old) (isAvailable(old) ? may : must).push(old)
    } else if (old && !fresh) (isAvailable(old) ? mayNodes : mustNodes).push(node)
    else if (old && fresh) {
      if (isAvailable(fresh)) remove.push(old)
      else extra++
    }
  }
  if (surge === 0) return { create: [], remove: [...must, ...may.slice(0, Math.max(0, unavailable - away))] }
  return { remove, create: [...mustNodes, ...mayNodes.slice(0, Math.max(0, surge - extra))] }
}

function nextStatus({ set, nodes, podsByNode, hash, minReadySeconds, nowMs }: Scene): DaemonSetStatus {
  const counts = { desired: 0, current: 0, misscheduled: 0, ready: 0, updated: 0, available: 0 }
  for (const [node, { shouldRun }] of nodes) {
    const pods = podsByNode.get(node) ?? []
    const [pod] = pods
    if (!shouldRun) {
      if (pod) counts.misscheduled++
      continue
    }
    counts.desired++
    if (!pod) continue
    counts.current++
    if (isPodReady(pod)) counts.ready++
    if (isPodAvailable(pod, minReadySeconds, nowMs)) counts.available++
    // While surging the newer one tells whether the node is done.
    if (pods.some((p) => isUpdated(p, hash) && p.metadata.deletionTimestamp === undefined)) counts.updated++
  }
  const { conditions, collisionCount } = set.status ?? {}
  return {
    currentNumberScheduled: counts.current, numberMisscheduled: counts.misscheduled, desiredNumberScheduled: counts.desired, numberReady: counts.ready, observedGeneration: set.metadata.generation ?? 0,
    ...(counts.updated > 0 && { updatedNumberScheduled: counts.updated }), ...(counts.available > 0 && { numberAvailable: counts.available }),
    ...(counts.desired > counts.available && { numberUnavailable: counts.desired - counts.available }),
    ...(collisionCount !== undefined && { collisionCount }), ...(conditions && { conditions }),
  }
}

function nextAvailableMs({ podsByNode, minReadySeconds, nowMs }: Scene): number | undefined {
  if (minReadySeconds === 0) return undefined
  let next: number | undefined
  for (const pod of [...podsByNode.values()].flat()) {
    const since = isPodReady(pod) ? parseTime(podCondition(pod.status, 'Ready')?.lastTransitionTime) : undefined
    if (since !== undefined && since + minReadySeconds * 1000 > nowMs) next = earlier(next, since + minReadySeconds * 1000)
  }
  return next
}

function podFor(set: Stored<DaemonSet>, node: string, hash: string, suffix: string): Pod {
  const pod = podOf(DAEMON_SETS, set, set.spec?.template, drawnName(set.metadata.name, suffix))
  const generation = set.metadata.annotations?.[TEMPLATE_GENERATION]
  return {
    ...pod, metadata: { ...pod.metadata, labels: { ...pod.metadata?.labels, [REVISION_HASH]: hash, ...(generation !== undefined && { [POD_TEMPLATE_GENERATION]: generation }) } },
    ...(pod.spec && { spec: pinned(pod.spec, node) }),
  }
}
