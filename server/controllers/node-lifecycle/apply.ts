/** The effects of node lifecycle decisions. */
import type { Client } from '#api/client/client.ts'
import type { EventRecorder } from '#api/client/event-recorder.ts'
import { NODES, PODS, type Node, type Pod, type Stored } from '#api/types/index.ts'
import type { Effects } from '#base/reconcile/action.ts'
import { unlessGone } from '../controller.ts'
import type { NodeLifecycleAction, NodeLifecycleView } from './decide.ts'
import type { Heartbeats } from './heartbeats.ts'

export function nodeLifecycleEffects(view: NodeLifecycleView, deps: { client: Client; recorder: EventRecorder; heartbeats: Heartbeats; onEviction: (node: Node) => void }): Effects<NodeLifecycleAction> {
  const { client, recorder, heartbeats, onEviction } = deps
  let current: Stored<Node> = view.node
  const { name, uid } = current.metadata
  return {
    async writeConditions({ conditions }, signal) {
      current = await client.update<Node>(NODES, { ...current, status: { ...current.status, conditions } }, { subresource: 'status', signal })
    },
    async writeTaints({ taints, evicting }, signal) {
      const { taints: _, ...spec } = current.spec ?? {}
      current = await client.update<Node>(NODES, { ...current, spec: { ...spec, ...(taints.length > 0 && { taints }) } }, { signal })
      if (!evicting) return
      heartbeats.evicted(current)
      onEviction(current)
    },
    async nodeNotReadyEvent() {
      // Upstream refers to nodes by name in place of the uid here; describe looks for either.
      recorder.event({ kind: 'Node', name, uid, apiVersion: 'v1' }, 'Normal', 'NodeNotReady', `Node ${name} status is now: NodeNotReady`)
    },
    async markPodNotReady({ pod, conditions }, signal) {
      const { status } = pod
      await unlessGone(client.update<Pod>(PODS, { ...pod, ...(status && { status: { ...status, ...(conditions && { conditions }) } }) }, { subresource: 'status', signal }))
      recorder.event(pod, 'Warning', 'NodeNotReady', 'Node is not ready')
    },
  }
}
