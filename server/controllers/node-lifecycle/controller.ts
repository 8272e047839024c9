/** Wires the node lifecycle controller. Each node is looked at when it changes and when its grace would end; nothing polls. */
import { LEASES, NODES, PODS, type Lease, type Node, type Pod, type Stored } from '#api/types/index.ts'
import { createLoop } from '#base/reconcile/loop.ts'
import { isOrdinary, recorderFor, type ControllerFactory } from '../controller.ts'
import { nodeLifecycleEffects } from './apply.ts'
import { decideNodeLifecycle, type NodeLifecycleAction, type NodeLifecycleView } from './decide.ts'
import { createHeartbeats } from './heartbeats.ts'
import { BY_NODE, byNode, observeNode } from './observe.ts'

const GRACE_MS = 40_000
/** Of a node that has not reported yet: its agent is still starting. */
const STARTUP_GRACE_MS = 60_000

export const nodeLifecycleController: ControllerFactory = (deps) => {
  const { client, informers, clock, config } = deps
  const nodes = informers.of<Node>(NODES)
  const pods = informers.of<Pod>(PODS, { indexes: { [BY_NODE]: byNode } })
  const leases = informers.of<Lease>(LEASES, { namespace: 'kube-node-lease' })
  const heartbeats = createHeartbeats(clock)
  const recorder = recorderFor('node-controller', deps)
  const graceMs = config.nodeGraceMs ?? GRACE_MS

  const loop = createLoop<NodeLifecycleView, NodeLifecycleAction>({
    name: 'node-lifecycle-controller',
    observe: (name) => observeNode(name, { nodes, pods, heartbeats, graceMs, startupGraceMs: Math.max(STARTUP_GRACE_MS, graceMs) }),
    decide: decideNodeLifecycle,
    effects: (view) => nodeLifecycleEffects(view, { client, recorder, heartbeats, onEviction: (node) => deps.metrics?.nodeEvicted(node) }),
    isOrdinary,
  }, deps)

  const tell = ({ metadata: { name, uid } }: Stored<Node>, reason: string, what: string) => recorder.event({ kind: 'Node', name, uid, apiVersion: 'v1' }, 'Normal', reason, `Node ${name} event: ${what}`)
  const isReady = (n: Node | undefined) => n?.status?.conditions?.find((c) => c.type === 'Ready')?.status
  nodes.onChange((before, after) => {
    // In upstream's words, of both ways; a controller that starts anew registers all.
    if (!before && after) tell(after, 'RegisteredNode', `Registered Node ${after.metadata.name} in Controller`)
    else if (before && !after) tell(before, 'RemovingNode', `Removing Node ${before.metadata.name} from Controller`)
    if (after) {
      heartbeats.sawNode(after)
      loop.queue.add(after.metadata.name)
    } else if (before) {
      heartbeats.forget(before.metadata.name)
    }
    // The state of a zone decides what may happen to its other nodes.
    if (isReady(before) !== isReady(after)) for (const n of nodes.list()) if (isReady(n) !== 'True') loop.queue.add(n.metadata.name)
  })
  leases.onChange((_, after) => { if (after) heartbeats.sawLease(after) })
  // A pod that is bound to a lost node, or that its kubelet last called ready, is marked too.
  pods.onChange((_, after) => {
    const node = after?.spec?.nodeName ? nodes.get(after.spec.nodeName) : undefined
    if (node && isReady(node) !== 'True') loop.queue.add(node.metadata.name)
  })
  return {
    name: 'node-lifecycle-controller',
    async run(signal) {
      await loop.run(signal)
      recorder.close()
    },
  }
}
