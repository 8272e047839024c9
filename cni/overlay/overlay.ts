/**
 * How packets for other nodes' pods get there. One folder per way; `overlay.contract.ts` is the suite they all pass. An
 * overlay touches only its own device, and routes that carry its protocol number.
 */
import type { Link } from '../netlink/links.ts'
import type { Peer } from '../network.ts'

export interface OverlayContext {
  /** All devices before the overlay acts. */
  links: readonly Link[]
}

export interface Overlay {
  /** What fits in a packet between pods, given the device that holds the node's address. */
  podMtu(underlay: Link | undefined): number
  /** Makes its device what it should be; changes nothing that is right. Fails with a CodedError that names the mend. */
  start(context: OverlayContext): Promise<void>
  vtepMac(): string | undefined
  /** The whole desired set; only differences are applied. Peers that are not ready for this overlay are left out. After a failure the next call looks at the kernel again. */
  setPeers(peers: readonly Peer[]): Promise<void>
  /** The peers' pod prefixes that packets now find their way to, as the kernel (or the memory) has it, sorted. */
  reachable(): Promise<{ podCidr: string; nodeIp: string }[]>
  destroy(): Promise<void>
}
