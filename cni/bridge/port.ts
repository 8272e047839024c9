/**
 * A pod's connection: the veth pair's commands on both sides, as text. Pure.
 *
 * The pod gets its address as a /32 and reaches everything, its neighbours on the same bridge too, through the bridge's
 * address. So every packet passes the host's IP layer, where Services are translated back: with an on-link /24 the answer of
 * a neighbour behind a Service would go straight over the bridge and arrive from the wrong address, unless br_netfilter is
 * loaded, which many board kernels lack.
 */

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

/** `ip` commands on the host. The pair is born with its peer inside the pod: no moment in which it lies about under another name. */
export function hostCommands(wish: PortWish): string[] {
  const { hostDevice: d } = wish
  return [
    `link add name ${d} mtu ${wish.mtu} type veth peer name ${POD_DEVICE} mtu ${wish.mtu} netns ${wish.netnsPath}`,
    `link set dev ${d} alias "${wish.alias}"`,
    // No IPv6 link-local chatter on the host's side.
    `link set dev ${d} addrgenmode none`,
    `link set dev ${d} master ${wish.bridge} up`,
    // Only matters where br_netfilter is on: a Service that leads a pod to itself.
    `link set dev ${d} type bridge_slave hairpin on`,
  ]
}

/** A shell script run inside the pod's network namespace; safe to run again. */
export function podScript(wish: PortWish): string {
  return `set -e
ip -batch - <<'END'
link set dev lo up
link set dev ${POD_DEVICE} up
addr replace ${wish.address}/32 dev ${POD_DEVICE}
route replace ${wish.gateway} dev ${POD_DEVICE} scope link
route replace default via ${wish.gateway} dev ${POD_DEVICE}
END
# A redirect would teach the pod to talk to its neighbour behind the host's back.
for f in all default ${POD_DEVICE}; do echo 0 > /proc/sys/net/ipv4/conf/$f/accept_redirects; done
`
}

/** Prints `right` when the pod's side is complete. */
export function checkScript(wish: PortWish): string {
  return `ip -4 -o addr show dev ${POD_DEVICE} up 2>/dev/null | grep -q ' ${wish.address}/32 ' && ip -4 route show default 2>/dev/null | grep -q 'via ${wish.gateway} dev ${POD_DEVICE}' && echo right || true\n`
}

export const POD_DEVICE = 'eth0'
