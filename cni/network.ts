/**
 * What the agent needs of the pod network. `cni` knows nothing of Kubernetes: nodes are names, addresses and prefixes.
 * `index.ts` exports the constructor; `overlay.contract.ts` is the suite for overlays (memory, vxlan, host-gw, none).
 */
export type OverlayKind = 'vxlan' | 'host-gw' | 'none'

export interface Peer {
  nodeName: string
  /** The address other nodes reach it by. */
  nodeIp: string
  /** Its pod prefix, e.g. `10.42.1.0/24`. */
  podCidr: string
  /** MAC of its VXLAN device; undefined until it has said so (node annotation `skiff.io/vtep-mac`). */
  vtepMac: string | undefined
}

export interface PodNetworkConfig {
  /** All pods of the cluster, e.g. `10.42.0.0/16`: traffic leaving it is masqueraded. */
  clusterCidr: string
  /** This node's prefix; its first address is the bridge's. */
  podCidr: string
  nodeIp: string
  overlay: OverlayKind
  /** Where leases are kept: `<data-dir>/agent/cni`. */
  stateDir: string
}

export interface PodPort { protocol: 'TCP' | 'UDP' | 'SCTP'; containerPort: number; hostPort: number; hostIp: string }

export interface Network {
  /** Makes the bridge, overlay device, routes, masquerade rules what they should be; run again it changes nothing that is right. */
  start(): Promise<void>
  /** For the node annotation `skiff.io/vtep-mac`; undefined unless the overlay is VXLAN. */
  vtepMac(): string | undefined
  /** The whole desired peer set; the difference is applied. */
  setPeers(peers: readonly Peer[]): Promise<void>
  /** veth + address + routes + host ports. Idempotent per id: a repeat returns the same address. */
  setup(pod: { id: string; netnsPath: string; podName: string; podNamespace: string; podUid: string; portMappings: readonly PodPort[] }): Promise<{ ips: string[] }>
  /** Succeeds when there is nothing left. An address is not handed out again before all others were. */
  teardown(pod: { id: string; netnsPath: string | undefined }): Promise<void>
  /** Frees leases whose id is not among `ids` (after an agent crash). */
  retainOnly(ids: readonly string[]): Promise<void>
  notReadyReason(): string | undefined
  /** Stops watching; leaves the network in place: pods keep their traffic. */
  close(): Promise<void>
  /** Removes every device, rule and lease: for `skiff uninstall` and the lab. */
  destroy(): Promise<void>
}
