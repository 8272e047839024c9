/** The Nodes of the cluster as peers of the overlay; pure. */
import type { Node, Stored } from '#api/types/index.ts'
import type { Peer } from '#cni/index.ts'

export const VTEP_MAC_ANNOTATION = 'skiff.io/vtep-mac'

/** Every other node that has both an address and a pod CIDR. */
export function peersOf(nodes: readonly Stored<Node>[], ownName: string): Peer[] {
  return nodes.flatMap((node) => {
    const nodeIp = node.status?.addresses?.find((a) => a.type === 'InternalIP')?.address
    const podCidr = node.spec?.podCIDR
    if (node.metadata.name === ownName || nodeIp === undefined || podCidr === undefined) return []
    return [{ nodeName: node.metadata.name, nodeIp, podCidr, vtepMac: node.metadata.annotations?.[VTEP_MAC_ANNOTATION] }]
  })
}
