/** The effects of taint eviction. */
import type { Client } from '#api/client/client.ts'
import type { EventRecorder } from '#api/client/event-recorder.ts'
import { PODS, type Pod } from '#api/types/index.ts'
import type { Clock } from '#base/clock.ts'
import type { Effects } from '#base/reconcile/action.ts'
import { unlessGone } from '../controller.ts'
import { withDisruptionTarget } from '../disruption-target.ts'
import type { TaintEvictionAction, TaintEvictionView } from './decide.ts'
import type { Tainted } from './observe.ts'

export function taintEvictionEffects(view: TaintEvictionView, key: string, deps: { client: Client; recorder: EventRecorder; clock: Clock; tainted: Map<string, Tainted> }): Effects<TaintEvictionAction> {
  const { client, recorder, clock, tainted } = deps
  const { metadata } = view.pod
  return {
    async announce() {
      const known = tainted.get(key)
      if (known) known.announced = true
      recorder.event(view.pod, 'Normal', 'TaintManagerEviction', `Marking for deletion Pod ${key}`)
    },
    async cancel() {
      recorder.event(view.pod, 'Normal', 'TaintManagerEviction', `Cancelling deletion of Pod ${key}`)
    },
    async evict({ pod }, signal) {
      const status = withDisruptionTarget(pod, 'DeletionByTaintManager', 'Taint manager: deleting due to NoExecute taint', clock.nowMs())
      if (status) await unlessGone(client.update<Pod>(PODS, { ...pod, status }, { subresource: 'status', signal }))
      await unlessGone(client.delete(PODS, metadata.name, metadata.namespace, { preconditions: { uid: metadata.uid }, signal }))
    },
  }
}
