/** The pod network: what the agent may use of this folder. */
import type { Log } from '#base/log.ts'
import { connectPod, type PortWish } from './bridge/port.ts'
import { systemExec, type Exec } from './netlink/exec.ts'
import type { Network, PodNetworkConfig } from './network.ts'
import { createHostGatewayOverlay } from './overlay/host-gw/host-gw.ts'
import { createNoOverlay } from './overlay/none/none.ts'
import type { Overlay } from './overlay/overlay.ts'
import { createVxlanOverlay } from './overlay/vxlan/vxlan.ts'
import { PodNetwork } from './pod-network.ts'
import { addressAt, formatPrefix, parsePrefix } from './prefix.ts'

export type { Network, OverlayKind, Peer, PodNetworkConfig, PodPort } from './network.ts'
export { deleteUdpFlows, type UdpFlow } from './netlink/conntrack.ts'
export { mustRun, systemExec, type Exec, type ExecOptions, type ExecResult } from './netlink/exec.ts'
export { applyNft, deleteTable } from './nft/apply.ts'
export { diffTable, settle, type NftPlan, type NftScope } from './nft/diff.ts'
export { observeTable } from './nft/observe.ts'
export { emptyTable, ruleHash, setShape, type NftChain, type NftHook, type NftSet, type NftTable } from './nft/table.ts'
export { cniFiles, type CniFile } from './plugin/files.ts'
export { runCniPlugin } from './plugin/plugin.ts'
export { serveCni, type CniServer } from './plugin/serve.ts'
export { addressAt, formatIpv4, formatPrefix, hasAddress, maybeIpv4, maybePrefix, parsePrefix, type Prefix } from './prefix.ts'

export interface CreateNetworkConfig extends PodNetworkConfig {
  /** Default `skiff0`. */
  bridgeName?: string
  /** Default `skiff.1`. */
  vxlanName?: string
  /** Routed to the bridge, so that a node without a default route reaches Services too. */
  serviceCidr?: string
}

/** Acts in the network namespace of this process, unless `exec` and `connect` enter another. Throws BAD_PREFIX on malformed CIDRs; touches nothing before `start`. */
export function createNetwork(config: CreateNetworkConfig, deps: { log: Log; exec?: Exec; connect?: (wish: PortWish) => void }): Network {
  const { log, exec = systemExec, connect = connectPod } = deps
  const podCidr = formatPrefix(parsePrefix(config.podCidr, 'pod CIDR'))
  const serviceCidr = config.serviceCidr === undefined ? undefined : formatPrefix(parsePrefix(config.serviceCidr, 'service CIDR'))
  return new PodNetwork({
    config: { ...config, podCidr, serviceCidr, bridgeName: config.bridgeName ?? 'skiff0' },
    overlay: createOverlay({ ...config, podCidr }, { log, exec }),
    exec,
    connect,
    log,
  })
}

function createOverlay(config: CreateNetworkConfig, deps: { log: Log; exec: Exec }): Overlay {
  const sourceAddress = addressAt(parsePrefix(config.podCidr, 'pod CIDR'), 1)
  const { nodeIp, podCidr } = config
  switch (config.overlay) {
    case 'vxlan': return createVxlanOverlay({ ...deps, device: config.vxlanName ?? 'skiff.1', nodeIp, podCidr, sourceAddress })
    case 'host-gw': return createHostGatewayOverlay({ ...deps, nodeIp, podCidr, sourceAddress })
    case 'none': return createNoOverlay()
  }
}
