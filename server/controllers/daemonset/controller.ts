/** Wires the DaemonSet controller: which changes wake which key, and what decisions do. */
import { CONTROLLER_REVISIONS, DAEMON_SETS, NODES, PODS, keyOf, type ControllerRevision, type DaemonSet, type Node, type Pod, type Stored } from '#api/types/index.ts'
import { createLoop } from '#base/reconcile/loop.ts'
import { isOrdinary, recorderFor, type ControllerFactory } from '../controller.ts'
import { jsonEqual } from '../json-equal.ts'
import { BY_CONTROLLER, byController, controllerOf, orphansOf } from '../ownership.ts'
import { createPodControl } from '../pod-control.ts'
import { createRecentWrites } from '../recent-writes.ts'
import { revisionEffects } from '../revision-effects.ts'
import { decideDaemonSet, selectorOf, type DaemonSetAction, type DaemonSetView } from './decide.ts'
import { fitOf } from './nodes.ts'

const WORKERS = 2
/** Of pods that fail as soon as they are made: upstream's, so that the node that refuses them has peace. */
const FAILED_MS_MIN = 1_000
const FAILED_MS_MAX = 15 * 60_000

export const daemonSetController: ControllerFactory = (deps) => {
  const { client, informers, clock } = deps
  const indexes = { [BY_CONTROLLER]: byController }
  const sets = informers.of<DaemonSet>(DAEMON_SETS)
  const pods = informers.of<Pod>(PODS, { indexes })
  const revisions = informers.of<ControllerRevision>(CONTROLLER_REVISIONS, { indexes })
  const nodes = informers.of<Node>(NODES)
  const recent = createRecentWrites<Pod>(pods, clock)
  const recorder = recorderFor('daemonset-controller', deps)
  /** By set, then node. */
  const failures = new Map<string, Map<string, { waitMs: number; untilMs: number }>>()

  const observe = (key: string): DaemonSetView | undefined => {
    const set = sets.get(key)
    if (!set) return undefined
    const { uid, namespace = '' } = set.metadata
    const { objects, untilMs } = recent.merge(key, [...pods.byIndex(BY_CONTROLLER, uid), ...pods.byIndex(BY_CONTROLLER, orphansOf(namespace))])
    return { set, nodes: nodes.list(), pods: objects, revisions: revisions.byIndex(BY_CONTROLLER, uid), unseenUntilMs: untilMs, retryMs: new Map([...(failures.get(key) ?? [])].map(([node, { untilMs: until }]) => [node, until])) }
  }

  const loop = createLoop<DaemonSetView, DaemonSetAction>({
    name: 'daemonset-controller',
    observe,
    decide: decideDaemonSet,
    effects: ({ set }, key) => {
      const { name, namespace = '' } = set.metadata
      const control = createPodControl({ client, recorder, recent }, { ref: DAEMON_SETS, owner: set, key })
      const countCollision = async (signal: AbortSignal) => {
        await client.update<DaemonSet>(DAEMON_SETS, { ...set, status: { currentNumberScheduled: 0, desiredNumberScheduled: 0, numberMisscheduled: 0, numberReady: 0, ...set.status, collisionCount: (set.status?.collisionCount ?? 0) + 1 } }, { subresource: 'status', signal })
      }
      return {
        ...revisionEffects(client, namespace, countCollision),
        countCollision: (_, signal) => countCollision(signal),
        adoptPod: (pod, signal) => control.adopt(pod, signal),
        releasePod: (pod, signal) => control.release(pod, signal),
        tell({ type, reason, message }) {
          recorder.event(set, type, reason, message)
          return Promise.resolve()
        },
        noteFailed({ node }) {
          const ofSet = failures.get(key) ?? new Map<string, { waitMs: number; untilMs: number }>()
          failures.set(key, ofSet)
          const waitMs = Math.min(FAILED_MS_MAX, (ofSet.get(node)?.waitMs ?? FAILED_MS_MIN / 2) * 2)
          ofSet.set(node, { waitMs, untilMs: clock.nowMs() + waitMs })
          return Promise.resolve()
        },
        deletePods: ({ pods: doomed }, signal) => control.delete(doomed, signal),
        createPods: ({ pods: made }, signal) => control.create(made, signal),
        async writeStatus({ status }, signal) {
          const fresh = sets.get(`${namespace}/${name}`) ?? set
          await client.update<DaemonSet>(DAEMON_SETS, { ...fresh, status }, { subresource: 'status', signal })
        },
      }
    },
    isOrdinary,
  }, { ...deps, workers: WORKERS })

  sets.onChange((before, after) => {
    const changed = after ?? before
    if (!changed) return
    if (!after) failures.delete(keyOf(changed))
    loop.queue.add(keyOf(changed))
  })
  const wakeOwner = (object: Stored<Pod | ControllerRevision>, isPod: boolean) => {
    const { namespace = '', labels } = object.metadata
    const owner = controllerOf(object)
    if (owner?.kind === 'DaemonSet') loop.queue.add(`${namespace}/${owner.name}`)
    else if (!owner && isPod) for (const set of sets.inNamespace(namespace)) if (selectorOf(set).matches(labels)) loop.queue.add(keyOf(set))
  }
  pods.onChange((before, after) => {
    if (after) wakeOwner(after, true)
    if (before && controllerOf(before)?.uid !== (after && controllerOf(after)?.uid)) wakeOwner(before, true)
  })
  revisions.onChange((before, after) => {
    const changed = after ?? before
    if (changed) wakeOwner(changed, false)
  })
  // Heartbeats change nothing that counts here.
  nodes.onChange((before, after) => {
    if (before && after && jsonEqual([before.metadata.labels, before.spec], [after.metadata.labels, after.spec])) return
    for (const set of sets.list()) if (!before || !after || !jsonEqual(fitOf(set, before), fitOf(set, after))) loop.queue.add(keyOf(set))
  })

  return {
    name: 'daemonset-controller',
    async run(signal) {
      await loop.run(signal)
      recorder.close()
    },
  }
}
