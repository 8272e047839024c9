/** How the API server reaches what runs on a node. Owned here; the tunnel hub and tests implement it. */
import type { Duplex } from 'node:stream'

export interface NodeConnector {
  /**
   * A fresh byte stream to the node. `authority` (default KUBELET): the kubelet's HTTP server, plain HTTP/1.1 inside,
   * or `address:port` of a pod of that node, which the agent dials. Rejects with `NODE_NOT_CONNECTED` when the node
   * has no connection to this server, with another error when the agent refuses.
   */
  connect(nodeName: string, authority?: string): Promise<Duplex>
}

export const KUBELET = 'kubelet'
