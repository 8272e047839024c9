/** Each node gets its own part of the pod network, never one that another node has. Pure. */
import type { Node, Stored } from '#api/types/index.ts'
import { nothing, type Decision } from '#base/reconcile/action.ts'
import { blockAt, blockCount, formatCidr, overlaps, parseCidr, type Cidr } from './cidr.ts'

export interface NodeIpamView {
  node: Stored<Node>
  /** What other nodes have, also what was just given and is not shown by the informer yet. */
  taken: readonly string[]
  ranges: readonly { range: Cidr; prefix: number }[]
}

export type NodeIpamAction =
  | { kind: 'assign'; podCIDRs: string[] }
  | { kind: 'noneLeft' }

export function decideNodeIpam({ node, taken, ranges }: NodeIpamView): Decision<NodeIpamAction> {
  if (node.metadata.deletionTimestamp !== undefined) return nothing('being deleted')
  if (node.spec?.podCIDR) return nothing('has one')
  const used = taken.flatMap((t) => parseCidr(t) ?? [])
  const podCIDRs: string[] = []
  for (const { range, prefix } of ranges) {
    const free = firstFree(range, prefix, used)
    if (!free) return { actions: [{ kind: 'noneLeft' }], because: `${formatCidr(range)} is used up` }
    podCIDRs.push(formatCidr(free))
  }
  return { actions: [{ kind: 'assign', podCIDRs }], because: 'no pod CIDR yet' }
}

function firstFree(range: Cidr, prefix: number, used: readonly Cidr[]): Cidr | undefined {
  const near = used.filter((u) => overlaps(u, range))
  // With n blocks taken one of the first n+1 of that size is free, unless a bigger one (a changed mask) covers more.
  for (let index = 0; index < blockCount(range, prefix); index++) {
    const block = blockAt(range, prefix, index)
    if (!near.some((u) => overlaps(u, block))) return block
  }
  return undefined
}
