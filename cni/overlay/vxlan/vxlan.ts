/**
 * Kernel VXLAN, VNI 1 on UDP 8472 (as flannel uses), learning off: neighbours, forwarding entries and routes are all static.
 */
import { CodedError } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import { derivedMac } from '../../bridge/names.ts'
import { mustRun, type Exec } from '../../netlink/exec.ts'
import { ipBatch, type Link } from '../../netlink/links.ts'
import { listForwarding, listNeighbours, listRoutes, ROUTE_PROTOCOL } from '../../netlink/routes.ts'
import type { Peer } from '../../network.ts'
import { desiredVxlan, soundPeers, type OverlayEntry } from '../desired.ts'
import { diffEntries } from '../diff.ts'
import type { Overlay, OverlayContext } from '../overlay.ts'

export interface VxlanOptions {
  exec: Exec
  log: Log
  device: string
  nodeIp: string
  podCidr: string
  /** The bridge's address: what the host's own packets to other nodes' pods come from. */
  sourceAddress: string
}

const VNI = 1
const PORT = 8472
/** Outer IPv4 20, UDP 8, VXLAN 8, inner Ethernet 14. */
const HEADER_BYTES = 50

export function createVxlanOverlay(options: VxlanOptions): Overlay {
  return new VxlanOverlay(options)
}

class VxlanOverlay implements Overlay {
  readonly #options: VxlanOptions
  readonly #mac: string
  /** What the kernel has; undefined when that must be looked up. */
  #entries: OverlayEntry[] | undefined

  constructor(options: VxlanOptions) {
    this.#options = options
    // A pod CIDR belongs to one node at a time: the MAC is unique in the cluster and survives restarts.
    this.#mac = derivedMac(`vtep ${options.podCidr}`)
  }

  podMtu(underlay: Link | undefined): number {
    if (!underlay) throw new CodedError('NODE_IP_MISSING', `no interface has the node's address ${this.#options.nodeIp}; give the right one with --node-ip`)
    return underlay.mtu - HEADER_BYTES
  }

  vtepMac(): string { return this.#mac }

  async start(context: OverlayContext): Promise<void> {
    const { device, nodeIp, exec } = this.#options
    const underlay = context.links.find((link) => link.addresses.some((a) => a.split('/')[0] === nodeIp))
    const commands = decideDevice(context.links, { device, nodeIp, mac: this.#mac, mtu: this.podMtu(underlay), address: `${this.#options.sourceAddress}/32` })
    await ipBatch(exec, commands)
    if (commands.some((c) => c.startsWith('link add'))) await this.#disableChecksumOffload()
    this.#entries = undefined
  }

  async setPeers(peers: readonly Peer[]): Promise<void> {
    const sound = soundPeers(this.#options, peers)
    for (const peer of sound.refused) this.#options.log.warn('peer left out: its address or pod CIDR is malformed or taken', { peer: peer.nodeName, nodeIp: peer.nodeIp, podCidr: peer.podCidr })
    const desired = desiredVxlan(sound.peers)
    const change = diffEntries(this.#entries ?? await this.#observe(), desired)
    this.#entries = undefined
    const all = [...change.remove.map((entry) => ({ entry, put: false })), ...change.put.map((entry) => ({ entry, put: true }))]
    // `bridge` speaks only of forwarding entries, `ip` of the rest. New forwarding entries come before the routes that use them.
    await this.#batch('ip', all.filter((c) => !c.put && c.entry.kind !== 'fdb').map((c) => this.#remove(c.entry)))
    await this.#batch('bridge', all.filter((c) => c.entry.kind === 'fdb').map((c) => c.put ? this.#put(c.entry) : this.#remove(c.entry)))
    await this.#batch('ip', all.filter((c) => c.put && c.entry.kind !== 'fdb').map((c) => this.#put(c.entry)))
    this.#entries = desired
  }

  async reachable(): Promise<{ podCidr: string; nodeIp: string }[]> {
    const entries = await this.#observe()
    const find = (kind: OverlayEntry['kind'], key: string | undefined) => entries.find((e) => e.kind === kind && e.key === key)?.value
    return entries.filter((e) => e.kind === 'route')
      .map((route) => ({ podCidr: route.key, nodeIp: find('fdb', find('neighbour', route.value)) ?? '' }))
      .filter((r) => r.nodeIp !== '')
      .sort((a, b) => a.podCidr.localeCompare(b.podCidr))
  }

  async destroy(): Promise<void> {
    const result = await this.#options.exec(['ip', 'link', 'del', this.#options.device])
    if (result.code !== 0 && !/Cannot find device/.test(result.stderr)) throw new CodedError('TOOL_FAILED', `cannot remove ${this.#options.device}: ${result.stderr.trim()}`)
    this.#entries = undefined
  }

  async #observe(): Promise<OverlayEntry[]> {
    const { exec, device } = this.#options
    const [routes, neighbours, forwarding] = await Promise.all([listRoutes(exec), listNeighbours(exec, device), listForwarding(exec, device)])
    return [
      ...routes.filter((r) => r.device === device).map((r): OverlayEntry => ({ kind: 'route', key: r.prefix, value: r.via })),
      ...neighbours.map((n): OverlayEntry => ({ kind: 'neighbour', key: n.address, value: n.mac })),
      ...forwarding.map((f): OverlayEntry => ({ kind: 'fdb', key: f.mac, value: f.nodeIp })),
    ]
  }

  #put(entry: OverlayEntry): string {
    const { device, sourceAddress } = this.#options
    if (entry.kind === 'fdb') return `fdb replace ${entry.key} dev ${device} dst ${entry.value}`
    if (entry.kind === 'neighbour') return `neigh replace ${entry.key} lladdr ${entry.value} dev ${device} nud permanent`
    return `route replace ${entry.key} via ${entry.value} dev ${device} onlink src ${sourceAddress} proto ${ROUTE_PROTOCOL}`
  }

  #remove(entry: OverlayEntry): string {
    const { device } = this.#options
    if (entry.kind === 'fdb') return `fdb del ${entry.key} dev ${device} dst ${entry.value}`
    if (entry.kind === 'neighbour') return `neigh del ${entry.key} dev ${device}`
    return `route del ${entry.key} via ${entry.value} dev ${device}`
  }

  async #batch(tool: 'ip' | 'bridge', commands: string[]): Promise<void> {
    // -force: one entry that vanished by itself must not keep the others from being made.
    if (commands.length > 0) await mustRun(this.#options.exec, [tool, '-force', '-batch', '-'], { input: `${commands.join('\n')}\n` })
  }

  /**
   * Kernels before 5.7 send wrong inner checksums when a masqueraded packet is encapsulated. Only ethtool (or its ioctl) can
   * switch the offload off; where it is missing, what else keeps that from happening is that skiff's own rules clear their mark
   * before a packet is encapsulated, so the outer packet is never masqueraded.
   */
  async #disableChecksumOffload(): Promise<void> {
    try {
      await this.#options.exec(['ethtool', '-K', this.#options.device, 'tx-checksum-ip-generic', 'off'])
    } catch (error) {
      this.#options.log.debug('ethtool is not installed: checksum offload of the VXLAN device stays on', { error })
    }
  }
}

/** `ip` commands that make the device right; none when it is. Pure. */
export function decideDevice(links: readonly Link[], wish: { device: string; nodeIp: string; mac: string; mtu: number; address: string }): string[] {
  const d = wish.device
  const other = links.find((link) => link.name !== d && link.vxlan?.id === VNI && link.vxlan.port === PORT)
  if (other) throw new CodedError('VXLAN_TAKEN', `device ${other.name} already uses VXLAN network ${VNI} on UDP ${PORT} (another cluster's network?); remove it with: ip link del ${other.name}`)
  const is = links.find((link) => link.name === d)
  const isSame = is?.vxlan && is.vxlan.id === VNI && is.vxlan.port === PORT && is.vxlan.local === wish.nodeIp && !is.vxlan.learning
  if (!is || !isSame) {
    return [
      ...(is ? [`link del ${d}`] : []),
      `link add name ${d} address ${wish.mac} mtu ${wish.mtu} type vxlan id ${VNI} dstport ${PORT} local ${wish.nodeIp} nolearning`,
      `link set dev ${d} addrgenmode none`,
      `link set dev ${d} up`,
      // The bridge's address once more: masquerading takes its source from the device a packet leaves by.
      `addr add ${wish.address} dev ${d}`,
    ]
  }
  return [
    ...(is.mac === wish.mac ? [] : [`link set dev ${d} address ${wish.mac}`]),
    ...(is.mtu === wish.mtu ? [] : [`link set dev ${d} mtu ${wish.mtu}`]),
    ...(is.isUp ? [] : [`link set dev ${d} up`]),
    ...(is.addresses.includes(wish.address) ? [] : [`addr add ${wish.address} dev ${d}`]),
    ...is.addresses.filter((a) => a !== wish.address).map((a) => `addr del ${a} dev ${d}`),
  ]
}
