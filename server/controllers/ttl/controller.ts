/** Tells kubelets by an annotation how long they may keep Secrets and ConfigMaps, by the size of the cluster (upstream's ttl-controller). */
import { NODES, type Node, type Stored } from '#api/types/index.ts'
import { createLoop } from '#base/reconcile/loop.ts'
import { isOrdinary, unlessGone, type ControllerFactory } from '../controller.ts'
import { TTL_ANNOTATION, decideTtl, nextStep, type TtlAction, type TtlView } from './decide.ts'

export const ttlController: ControllerFactory = (deps) => {
  const { client } = deps
  const nodes = deps.informers.of<Node>(NODES)
  const state = { count: 0, step: 0 }
  const loop = createLoop<TtlView, TtlAction>({
    name: 'ttl-controller',
    observe(name) {
      const node = nodes.get(name)
      return node && { node, step: state.step }
    },
    decide: decideTtl,
    effects: ({ node }) => ({
      async annotate({ seconds }, signal) {
        await unlessGone(client.patch(NODES, node.metadata.name, '', 'application/strategic-merge-patch+json', { metadata: { annotations: { [TTL_ANNOTATION]: String(seconds) } } }, { signal }))
      },
    }),
    isOrdinary,
  }, deps)
  nodes.onChange((before, after: Stored<Node> | undefined) => {
    if (!before || !after) {
      state.count += after ? 1 : -1
      const step = nextStep(state.step, state.count)
      if (step !== state.step) {
        state.step = step
        for (const node of nodes.list()) loop.queue.add(node.metadata.name)
      }
    }
    if (after && after.metadata.annotations?.[TTL_ANNOTATION] === undefined) loop.queue.add(after.metadata.name)
  })
  return { name: 'ttl-controller', run: (signal) => loop.run(signal) }
}
