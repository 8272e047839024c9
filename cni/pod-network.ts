/** The Network of this node: bridge, leases, overlay and host ports put together. */
import { join } from 'node:path'
import { asError, CodedError, hasCode } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import { decideBridge } from './bridge/bridge.ts'
import { ensureForward } from './bridge/forward.ts'
import { derivedMac, formatAlias, HOST_DEVICE, hostDeviceName, maybeAlias } from './bridge/names.ts'
import { CNI_TABLE, desiredNatTable } from './bridge/nat-table.ts'
import { POD_DEVICE, type PortWish } from './bridge/port.ts'
import { openLeaseFile } from './ipam/lease-file.ts'
import type { Lease, Leases } from './ipam/leases.ts'
import type { Exec } from './netlink/exec.ts'
import { deleteLink, ipBatch, listLinks, type Link } from './netlink/links.ts'
import { listRoutes, ROUTE_PROTOCOL } from './netlink/routes.ts'
import { ensureSysctls } from './netlink/sysctls.ts'
import type { Network, Peer, PodNetworkConfig, PodPort } from './network.ts'
import { applyNft, deleteTable } from './nft/apply.ts'
import { diffTable, settle } from './nft/diff.ts'
import { observeTable } from './nft/observe.ts'
import type { NftTable } from './nft/table.ts'
import type { Overlay } from './overlay/overlay.ts'
import { addressAt, formatPrefix, maybeIpv4, parsePrefix, type Prefix } from './prefix.ts'

export interface PodNetworkOptions {
  config: PodNetworkConfig & { bridgeName: string; serviceCidr?: string | undefined }
  overlay: Overlay
  exec: Exec
  /** Throws EEXIST where devices of other pairs are in the way. */
  connect: (wish: PortWish) => void
  log: Log
}

type SetupRequest = Parameters<Network['setup']>[0]

export class PodNetwork implements Network {
  readonly #config: PodNetworkOptions['config']
  readonly #overlay: Overlay
  readonly #exec: Exec
  readonly #connectPod: (wish: PortWish) => void
  readonly #log: Log
  readonly #prefix: Prefix
  #leases: Leases | undefined
  #mtu = 1500
  #notReady: string | undefined = 'the pod network has not started'
  /** The nftables table as the kernel has it; undefined when that must be looked up. */
  #natTable: NftTable | undefined
  #natTail: Promise<unknown> = Promise.resolve()
  /** One operation at a time for each pod. */
  readonly #tails = new Map<string, Promise<unknown>>()

  constructor(options: PodNetworkOptions) {
    this.#config = options.config
    this.#overlay = options.overlay
    this.#exec = options.exec
    this.#connectPod = options.connect
    this.#log = options.log
    this.#prefix = parsePrefix(options.config.podCidr, 'pod CIDR')
    parsePrefix(options.config.clusterCidr, 'cluster CIDR')
    if (this.#prefix.size < 4) throw new CodedError('BAD_PREFIX', `pod CIDR ${options.config.podCidr} has no room for pods`)
  }

  async start(): Promise<void> {
    const isFirst = this.#leases === undefined
    try {
      await this.#start()
      this.#notReady = undefined
    } catch (error) {
      this.#notReady = asError(error).message
      // Whoever gives up now would leave an open file behind.
      if (isFirst) {
        await this.#leases?.close()
        this.#leases = undefined
      }
      throw error
    }
  }

  vtepMac(): string | undefined { return this.#overlay.vtepMac() }
  notReadyReason(): string | undefined { return this.#notReady }

  async setPeers(peers: readonly Peer[]): Promise<void> {
    await this.#overlay.setPeers(peers)
  }

  setup(pod: SetupRequest): Promise<{ ips: string[] }> {
    return this.#inTurn(pod.id, async () => {
      checkRequest(pod)
      const lease = await this.#openLeases().acquire(pod.id, pod.portMappings.map(toLeasedPort))
      await this.#connect(pod, lease)
      if (lease.ports.length > 0) await this.#syncNat()
      return { ips: [lease.address] }
    })
  }

  teardown(pod: { id: string; netnsPath: string | undefined }): Promise<void> {
    return this.#inTurn(pod.id, () => this.#disconnect(pod.id))
  }

  async retainOnly(ids: readonly string[]): Promise<void> {
    const keep = new Set(ids)
    const leases = this.#openLeases()
    const gone = leases.list().filter((lease) => !keep.has(lease.id))
    for (const lease of gone) await this.#inTurn(lease.id, () => this.#disconnect(lease.id))
    const known = new Set(leases.list().map((lease) => hostDeviceName(lease.id)))
    const orphans = (await listLinks(this.#exec)).filter((link) => HOST_DEVICE.test(link.name) && !known.has(link.name))
    for (const link of orphans) await deleteLink(this.#exec, link.name)
    if (gone.length + orphans.length > 0) this.#log.info('freed what pods left behind', { leases: gone.length, devices: orphans.length })
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.#tails.values())
    await this.#leases?.close()
    this.#leases = undefined
    this.#notReady = 'the pod network is closed'
  }

  async destroy(): Promise<void> {
    await Promise.allSettled(this.#tails.values())
    this.#notReady = 'the pod network was removed'
    for (const link of await listLinks(this.#exec)) {
      if (HOST_DEVICE.test(link.name) || link.name === this.#config.bridgeName) await deleteLink(this.#exec, link.name)
    }
    await this.#overlay.destroy()
    await deleteTable(this.#exec, CNI_TABLE)
    await ensureForward(this.#exec, undefined)
    this.#natTable = undefined
    const leases = this.#leases ?? await openLeaseFile(this.#leasePath(), this.#prefix, this.#log)
    this.#leases = undefined
    await leases.destroy()
  }

  async #start(): Promise<void> {
    const { bridgeName, nodeIp } = this.#config
    this.#leases ??= await openLeaseFile(this.#leasePath(), this.#prefix, this.#log)
    const links = await listLinks(this.#exec)
    this.#mtu = this.#overlay.podMtu(links.find((link) => link.addresses.some((a) => a.split('/')[0] === nodeIp)))
    await ipBatch(this.#exec, decideBridge(links, {
      name: bridgeName, mac: derivedMac(`bridge ${this.#config.podCidr}`), mtu: this.#mtu, address: `${this.#gateway()}/${this.#prefix.bits}`,
    }))
    await ensureSysctls(this.#exec, {
      ip_forward: '1',
      [`conf/${bridgeName}/proxy_arp`]: '0',
      [`conf/${bridgeName}/send_redirects`]: '0',
      // Host ports on 127.0.0.1; raw-prerouting keeps pods from abusing it.
      [`conf/${bridgeName}/route_localnet`]: '1',
    })
    await this.#ensureServiceRoute()
    await this.#adopt(links)
    this.#natTable = undefined
    await this.#syncNat()
    await ensureForward(this.#exec, this.#config.clusterCidr)
    await this.#overlay.start({ links })
  }

  /** A packet needs a route before it is translated: without one for the Services a node that has no default route cannot reach them. */
  async #ensureServiceRoute(): Promise<void> {
    const { bridgeName, serviceCidr } = this.#config
    if (serviceCidr === undefined) return
    const has = (await listRoutes(this.#exec)).some((route) => route.prefix === serviceCidr && route.device === bridgeName)
    if (!has) await ipBatch(this.#exec, [`route replace ${serviceCidr} dev ${bridgeName} src ${this.#gateway()} proto ${ROUTE_PROTOCOL}`])
  }

  /** Pods' devices know whose they are and which address they have: leases that a damaged or lost file forgot come back. */
  async #adopt(links: readonly Link[]): Promise<void> {
    const leases = this.#openLeases()
    for (const link of links) {
      const owner = HOST_DEVICE.test(link.name) ? maybeAlias(link.alias) : undefined
      if (!owner || leases.get(owner.id) || hostDeviceName(owner.id) !== link.name) continue
      const isAdopted = await leases.adopt({ ...owner, ports: [] })
      this.#log.warn(isAdopted ? 'took back a lease found on a device' : 'a device has an address that is leased to another pod', { device: link.name, ...owner })
    }
  }

  async #connect(pod: SetupRequest, lease: Lease): Promise<void> {
    const wish: PortWish = {
      bridge: this.#config.bridgeName, hostDevice: hostDeviceName(pod.id), alias: formatAlias(lease), netnsPath: pod.netnsPath,
      address: lease.address, gateway: this.#gateway(), mtu: this.#mtu,
    }
    try {
      try {
        this.#connectPod(wish)
      } catch (error) {
        if (!hasCode(error, 'EEXIST')) throw error
        // Left before a crash, or the pod's side holds a device of someone gone: both ends go and are made anew.
        await deleteLink(this.#exec, wish.hostDevice)
        await this.#exec(['nsenter', `--net=${pod.netnsPath}`, '--', 'ip', 'link', 'del', POD_DEVICE])
        this.#connectPod(wish)
      }
    } catch (error) {
      throw new CodedError('POD_LINK', `cannot connect the pod to ${wish.bridge}: ${asError(error).message}`, { cause: error, details: { id: pod.id, netnsPath: pod.netnsPath } })
    }
  }

  async #disconnect(id: string): Promise<void> {
    const leases = this.#openLeases()
    const lease = leases.get(id)
    // A lease is there before its device and goes after it (and start looks for devices without one): the runtime asks twice for each pod.
    if (!lease) return
    await deleteLink(this.#exec, hostDeviceName(id))
    // The address is free only when nothing leads to it any more.
    if (lease.ports.length > 0) await this.#syncNat(id)
    await leases.release(id)
  }

  /** Brings the nftables table in line with the leases, `without` that pod's. */
  #syncNat(without?: string): Promise<void> {
    const run = this.#natTail.then(async () => {
      const desired = desiredNatTable({
        bridge: this.#config.bridgeName, clusterCidr: this.#config.clusterCidr, podCidr: formatPrefix(this.#prefix),
        leases: this.#openLeases().list().filter((lease) => lease.id !== without),
      })
      const actual = this.#natTable ?? await observeTable(this.#exec, CNI_TABLE)
      this.#natTable = undefined
      const plan = diffTable(actual, desired)
      await applyNft(this.#exec, plan.commands)
      this.#natTable = settle(actual, desired, plan)
    })
    this.#natTail = run.catch(() => undefined)
    return run
  }

  async #inTurn<T>(id: string, work: () => Promise<T>): Promise<T> {
    const run = (this.#tails.get(id) ?? Promise.resolve()).then(work, work)
    const tail = run.catch(() => undefined).finally(() => { if (this.#tails.get(id) === tail) this.#tails.delete(id) })
    this.#tails.set(id, tail)
    return run
  }

  #openLeases(): Leases {
    if (!this.#leases) throw new CodedError('NETWORK_NOT_STARTED', this.#notReady ?? 'the pod network has not started')
    return this.#leases
  }

  #gateway(): string { return addressAt(this.#prefix, 1) }
  #leasePath(): string { return join(this.#config.stateDir, 'leases.jsonl') }
}

/** All of this ends up in command text: nothing but what it should be gets through. */
function checkRequest(pod: SetupRequest): void {
  const bad = (what: string) => new CodedError('BAD_POD_REQUEST', `pod ${pod.podNamespace}/${pod.podName}: ${what}`)
  if (!/^[\w.:-]{1,160}$/.test(pod.id)) throw bad('its sandbox id has characters a device alias cannot hold')
  if (!/^\/[^\s'"\\]+$/.test(pod.netnsPath)) throw bad(`network namespace path ${JSON.stringify(pod.netnsPath)} is not a plain absolute path`)
  for (const port of pod.portMappings) {
    if (!['TCP', 'UDP', 'SCTP'].includes(port.protocol) || !isPort(port.containerPort) || !isPort(port.hostPort)) throw bad('malformed host port')
    if (!['', '::'].includes(port.hostIp) && maybeIpv4(port.hostIp) === undefined) throw bad(`host IP ${JSON.stringify(port.hostIp)} is not an IPv4 address`)
  }
}

function isPort(value: number): boolean { return Number.isInteger(value) && value > 0 && value < 65536 }

function toLeasedPort(port: PodPort): PodPort {
  return { protocol: port.protocol, containerPort: port.containerPort, hostPort: port.hostPort, hostIp: port.hostIp === '::' ? '' : port.hostIp }
}
