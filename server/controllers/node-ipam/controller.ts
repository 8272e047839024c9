/** Wires node IPAM. One worker and a memory of what was given: no two nodes get the same, whatever the informer shows. */
import { NODES, type Node, type Stored } from '#api/types/index.ts'
import { UsageError } from '#base/errors.ts'
import { createLoop } from '#base/reconcile/loop.ts'
import { isOrdinary, recorderFor, type ControllerFactory, type ControllersConfig } from '../controller.ts'
import { parseCidr } from './cidr.ts'
import { decideNodeIpam, type NodeIpamAction, type NodeIpamView } from './decide.ts'

export const nodeIpamController: ControllerFactory = (deps) => {
  const { client, informers } = deps
  const nodes = informers.of<Node>(NODES)
  const ranges = parseRanges(deps.config)
  const recorder = recorderFor('cidrAllocator', deps)
  /** Node uid to what it was given, until the node is gone. */
  const given = new Map<string, { name: string; podCIDRs: readonly string[] }>()
  const starved = new Set<string>()

  const takenBesides = (node: Stored<Node>): string[] => {
    const taken: string[] = []
    for (const n of nodes.list()) if (n.metadata.uid !== node.metadata.uid) taken.push(...(n.spec?.podCIDRs ?? (n.spec?.podCIDR ? [n.spec.podCIDR] : [])))
    for (const [uid, { podCIDRs }] of given) if (uid !== node.metadata.uid) taken.push(...podCIDRs)
    return taken
  }

  const loop = createLoop<NodeIpamView, NodeIpamAction>({
    name: 'node-ipam-controller',
    observe(name) {
      const node = nodes.get(name)
      return node && { node, taken: takenBesides(node), ranges }
    },
    decide: decideNodeIpam,
    effects: ({ node }) => ({
      async assign({ podCIDRs }, signal) {
        given.set(node.metadata.uid, { name: node.metadata.name, podCIDRs })
        const spec = { ...node.spec, podCIDR: podCIDRs[0] ?? '', podCIDRs }
        try {
          await client.update<Node>(NODES, { ...node, spec }, { signal })
        } catch (error) {
          // It may have arrived all the same: stays reserved until the node shows what it has.
          if (isOrdinary(error as Error)) given.delete(node.metadata.uid)
          throw error
        }
        starved.delete(node.metadata.name)
      },
      async noneLeft() {
        starved.add(node.metadata.name)
        recorder.event({ kind: 'Node', name: node.metadata.name, uid: node.metadata.uid, apiVersion: 'v1' }, 'Normal', 'CIDRNotAvailable', `Node ${node.metadata.name} status is now: CIDRNotAvailable`)
      },
    }),
    isOrdinary,
  }, { ...deps, workers: 1 })

  nodes.onChange((before, after) => {
    if (after && !after.spec?.podCIDR) loop.queue.add(after.metadata.name)
    if (after?.spec?.podCIDR) given.delete(after.metadata.uid)
    if (before && !after) {
      given.delete(before.metadata.uid)
      starved.delete(before.metadata.name)
      for (const name of starved) loop.queue.add(name)
    }
  })
  return {
    name: 'node-ipam-controller',
    async run(signal) {
      await loop.run(signal)
      recorder.close()
    },
  }
}

function parseRanges(config: ControllersConfig): NodeIpamView['ranges'] {
  return config.clusterCidr.split(',').map((text) => {
    const range = parseCidr(text)
    if (!range) throw new UsageError(`--cluster-cidr: ${JSON.stringify(text)} is not a network; write it like 10.42.0.0/16`)
    const prefix = range.bits === 32 ? (config.nodeCidrMaskSize ?? 24) : (config.nodeCidrMaskSizeIpv6 ?? 64)
    if (prefix < range.prefix) throw new UsageError(`--cluster-cidr: ${text} is smaller than one node's /${prefix}`)
    return { range, prefix }
  })
}
