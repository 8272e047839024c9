/**
 * Marks the Node of a server's own machine as control plane, which a kubelet may not do for itself (NodeRestriction):
 * it is what ROLES shows and what people select by.
 */
import { isReason, type Client, type Informers } from '#api/client/client.ts'
import { NODES, type Node } from '#api/types/index.ts'
import { asError } from '#base/errors.ts'
import type { Log } from '#base/log.ts'

export const CONTROL_PLANE_LABEL = 'node-role.kubernetes.io/control-plane'

/** Told by the informer: the first time the node is there, and again after it was deleted and joined anew. Returns the unsubscribe. */
export function keepControlPlaneLabel(nodeName: string, deps: { client: Client; informers: Informers; log: Log }): () => void {
  const nodes = deps.informers.of<Node>(NODES)
  const look = () => {
    const node = nodes.get(nodeName)
    if (!node || node.metadata.labels?.[CONTROL_PLANE_LABEL] !== undefined) return
    deps.client.patch<Node>(NODES, nodeName, undefined, 'application/merge-patch+json', { metadata: { labels: { [CONTROL_PLANE_LABEL]: 'true' } } }).catch((error: unknown) => {
      // Gone again: the next Node of that name is told too.
      if (!isReason(error, 'NotFound')) deps.log.warn('the node could not be marked as control plane', { node: nodeName, error: asError(error) })
    })
  }
  look()
  return nodes.onChange((_before, after) => {
    if (after?.metadata.name === nodeName) look()
  })
}
