/**
 * A pod's connection: a veth pair from the bridge into the pod.
 *
 * The pod gets its address as a /32 and reaches everything, its neighbours on the same bridge too, through the bridge's
 * address. So every packet passes the host's IP layer, where Services are translated back: with an on-link /24 the answer of
 * a neighbour behind a Service would go straight over the bridge and arrive from the wrong address, unless br_netfilter is
 * loaded, which many board kernels lack.
 */
import { closeSync, openSync, writeFileSync } from 'node:fs'
import { CodedError, hasCode } from '#base/errors.ts'
import { inNetworkNamespace } from '#base/network-namespace.ts'
import { openRtNetlink, type RtNetlink } from '../netlink/rtnetlink.ts'

export interface PortWish {
  bridge: string
  hostDevice: string
  alias: string
  netnsPath: string
  /** The pod's, without length. */
  address: string
  gateway: string
  mtu: number
}

export const POD_DEVICE = 'eth0'

/**
 * Makes it so, whatever is there: what a crash left half made is completed, what works is not disturbed. Throws EEXIST when one of the devices
 * belongs to a pair that cannot be completed: both must go first. `hostNetns`: of the bridge, if it is not this process's. `beforeEach`
 * change or question: a test ends it there.
 */
export function connectPod(wish: PortWish, hostNetns?: string, beforeEach?: () => void): void {
  const open = () => openRtNetlink(beforeEach)
  const host = hostNetns === undefined ? open() : inNetworkNamespace(hostNetns, open)
  try {
    const pod = inNetworkNamespace(wish.netnsPath, open)
    try {
      makePair(wish, host, pod)
      setUpHostSide(wish, host)
      setUpPodSide(wish, pod)
    } finally {
      pod.close()
    }
  } finally {
    host.close()
  }
}

function makePair(wish: PortWish, host: RtNetlink, pod: RtNetlink): void {
  const netns = openSync(wish.netnsPath, 'r')
  try {
    // Born with its peer inside the pod: no moment in which it lies about under another name.
    host.addVeth({ name: wish.hostDevice, peer: POD_DEVICE, peerNetnsFd: netns, mtu: wish.mtu })
  } catch (error) {
    if (!hasCode(error, 'EEXIST')) throw error
    const [ours, theirs] = [host.link(wish.hostDevice), pod.link(POD_DEVICE)]
    if (!ours || !theirs || theirs.peer !== ours.index || ours.peer !== theirs.index) throw error
  } finally {
    closeSync(netns)
  }
}

function setUpHostSide({ hostDevice, alias, bridge }: PortWish, host: RtNetlink): void {
  const on = host.link(bridge)
  if (!on) throw new CodedError('ENODEV', `the bridge ${bridge} is gone: somebody else has deleted it`)
  host.setAlias(hostDevice, alias)
  // No IPv6 link-local chatter on the host's side.
  host.keepFromIpv6(hostDevice)
  host.setUp(hostDevice, on.index)
  // Only matters where br_netfilter is on: a Service that leads a pod to itself.
  host.setHairpin(hostDevice)
}

function setUpPodSide({ netnsPath, address, gateway }: PortWish, pod: RtNetlink): void {
  pod.setUp('lo')
  pod.setUp(POD_DEVICE)
  const index = pod.link(POD_DEVICE)?.index
  if (index === undefined) throw new CodedError('ENODEV', `${POD_DEVICE} of the pod with ${address} is gone`)
  pod.replaceAddress(index, address)
  pod.replaceRoute({ to: gateway, via: undefined, index })
  pod.replaceRoute({ to: undefined, via: gateway, index })
  // A redirect would teach the pod to talk to its neighbour behind the host's back.
  inNetworkNamespace(netnsPath, () => {
    for (const name of ['all', 'default', POD_DEVICE]) writeFileSync(`/proc/sys/net/ipv4/conf/${name}/accept_redirects`, '0\n')
  })
}
