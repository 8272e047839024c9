/**
 * The node's resolver: the cluster's names from informers, the rest from the host's name servers. It listens on the cluster
 * DNS address, which each node has on its loopback: a pod's packet to it never leaves the node, and no DNS pods are needed.
 */
import { readFile, stat } from 'node:fs/promises'
import { backoffMs } from '#base/backoff.ts'
import type { Clock } from '#base/clock.ts'
import { asError } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import { systemRandom, type Random } from '#base/random.ts'
import type { Informers } from '#api/client/client.ts'
import { ENDPOINT_SLICES, SERVICES, type EndpointSlice, type Service } from '#api/types/index.ts'
import { hasAddress, maybeIpv4, mustRun, parsePrefix, systemExec, type Exec } from '#cni/index.ts'
import { BY_SERVICE, indexByService } from '../proxy/slices.ts'
import { AnswerCache } from './cache.ts'
import { createForwarder, type Forwarder } from './forwarder.ts'
import { listen, type Listeners } from './listeners.ts'
import type { DnsView, Zone } from './records.ts'
import { parseResolvConf } from './resolv-conf.ts'
import { resolve } from './resolver.ts'

export interface DnsOptions {
  informers: Informers
  /** `cluster.local`. */
  clusterDomain: string
  /** The cluster DNS address first (10.43.0.10); each is put on `lo` as a /32 if `manageAddresses`. */
  listenAddresses: readonly string[]
  /** Default true. */
  manageAddresses?: boolean
  /** Default 53. */
  port?: number
  /** Prefixes whose reverse look-ups no other server can answer: cluster and service CIDR. */
  ownedCidrs: readonly string[]
  /** Default /etc/resolv.conf; read again when it has changed. */
  resolvConfPath?: string
  clock: Clock
  log: Log
  random?: Random
  exec?: Exec
  /** 53, but for tests. */
  upstreamPort?: number
}

export interface Dns {
  /** Resolves when it listens, which does not wait for the informers. Retries by itself; rejects only when the signal aborts first. */
  start(signal: AbortSignal): Promise<void>
  /** Why it does not listen; undefined when it does. */
  notReadyReason(): string | undefined
  /** Takes the addresses off `lo`: for uninstall and the lab. */
  destroy(): Promise<void>
}

/** How old the knowledge of resolv.conf's modification time may be when a query is forwarded. Nothing is looked at while nobody asks. */
const RESOLV_CONF_MS = 5_000
const RETRY = { baseMs: 1_000, maxMs: 30_000, jitter: 0 }
/** resolv.conf is a few lines. */
const RESOLV_CONF_BYTES_MAX = 64 * 1024

const BY_CLUSTER_IP = 'clusterIp'
const BY_ADDRESS = 'address'

export function createDns(options: DnsOptions): Dns {
  return new NodeDns(options)
}

class NodeDns implements Dns {
  readonly #options: DnsOptions
  readonly #exec: Exec
  readonly #cache = new AnswerCache()
  readonly #forwarder: Forwarder
  #servers: readonly string[] = []
  #resolvConf = { mtimeMs: -1, checkedMs: -Infinity }
  /** Queries that come together wait for the one look at the file. */
  #reading = Promise.resolve()
  #notReady: string | undefined = 'the cluster resolver has not started'

  constructor(options: DnsOptions) {
    this.#options = options
    this.#exec = options.exec ?? systemExec
    this.#forwarder = createForwarder({
      servers: () => this.#upstreams(), random: options.random ?? systemRandom, clock: options.clock,
      ...(options.upstreamPort !== undefined && { port: options.upstreamPort }),
    })
  }

  notReadyReason(): string | undefined { return this.#notReady }

  async start(signal: AbortSignal): Promise<void> {
    const { clock, log, listenAddresses, port = 53 } = this.#options
    const answer = this.#answerer()
    for (let failures = 0; ;) {
      try {
        if (this.#options.manageAddresses ?? true) await this.#ensureAddresses()
        const listeners = await listen(listenAddresses, port, answer, { clock, log })
        signal.addEventListener('abort', () => this.#stop(listeners), { once: true })
        if (signal.aborted) this.#stop(listeners)
        this.#notReady = undefined
        return
      } catch (error) {
        failures++
        this.#notReady = asError(error).message
        log.error('the cluster resolver cannot start; trying again', { error, attempt: failures })
        await clock.sleep(backoffMs(RETRY, failures), signal)
      }
    }
  }

  async destroy(): Promise<void> {
    for (const address of this.#options.listenAddresses) await this.#exec(['ip', 'addr', 'del', `${address}/32`, 'dev', 'lo'])
  }

  #stop(listeners: Listeners): void {
    this.#notReady = 'the cluster resolver is closed'
    this.#forwarder.close()
    void listeners.close()
  }

  #answerer(): (request: Buffer, by: 'udp' | 'tcp') => Promise<Buffer | undefined> {
    const { informers, clusterDomain, listenAddresses, ownedCidrs, clock } = this.#options
    const prefixes = ownedCidrs.map((cidr) => parsePrefix(cidr, 'cluster CIDR'))
    const zone: Zone = {
      domain: clusterDomain.replace(/\.$/, '').toLowerCase().split('.'),
      serverIp: listenAddresses[0] ?? '',
      ownsAddress(address) {
        const value = maybeIpv4(address)
        return value !== undefined && prefixes.some((prefix) => hasAddress(prefix, value))
      },
    }
    const { view, isReady } = viewOf(informers)
    const resolver = { zone, view, isReady, forwarder: this.#forwarder, cache: this.#cache, clock, random: this.#options.random ?? systemRandom }
    return (request, by) => resolve(request, by, resolver)
  }

  async #upstreams(): Promise<readonly string[]> {
    const now = this.#options.clock.monotonicMs()
    if (now - this.#resolvConf.checkedMs > RESOLV_CONF_MS) {
      this.#resolvConf.checkedMs = now
      this.#reading = this.#readResolvConf()
    }
    await this.#reading
    return this.#servers
  }

  async #readResolvConf(): Promise<void> {
    const { resolvConfPath = '/etc/resolv.conf', log, listenAddresses } = this.#options
    try {
      const { mtimeMs, size } = await stat(resolvConfPath)
      if (mtimeMs === this.#resolvConf.mtimeMs || size > RESOLV_CONF_BYTES_MAX) return
      const { servers, loops } = parseResolvConf(await readFile(resolvConfPath, 'utf8'), listenAddresses)
      this.#resolvConf.mtimeMs = mtimeMs
      this.#servers = servers
      this.#cache.clear()
      for (const address of loops) log.warn('left out of the upstream servers: it is this resolver itself', { path: resolvConfPath, address })
      if (servers.length === 0) log.warn('no name server to forward to: only cluster names resolve', { path: resolvConfPath })
    } catch (error) {
      log.warn('cannot read the host\'s resolv.conf; the name servers known before stay in use', { path: resolvConfPath, error })
    }
  }

  async #ensureAddresses(): Promise<void> {
    const have = await mustRun(this.#exec, ['ip', '-4', '-o', 'addr', 'show', 'dev', 'lo'])
    for (const address of this.#options.listenAddresses) {
      if (have.includes(` ${address}/32 `)) continue
      // Scope host: never chosen as the source of the node's own packets.
      await mustRun(this.#exec, ['ip', 'addr', 'add', `${address}/32`, 'dev', 'lo', 'scope', 'host'])
    }
  }
}

/** Services and slices as the resolver asks for them, answered from the shared informers' indexes. */
export function viewOf(informers: Informers): { view: DnsView; isReady: () => boolean } {
  const services = informers.of<Service>(SERVICES, { indexes: { [BY_CLUSTER_IP]: (s) => (s.spec?.clusterIPs ?? [s.spec?.clusterIP ?? 'None']).filter((ip) => ip !== 'None') } })
  const slices = informers.of<EndpointSlice>(ENDPOINT_SLICES, {
    indexes: { [BY_SERVICE]: indexByService, [BY_ADDRESS]: (slice) => (slice.endpoints ?? []).flatMap((e) => e.hostname ? e.addresses.slice(0, 1) : []) },
  })
  return {
    isReady: () => services.hasSynced() && slices.hasSynced(),
    view: {
      service: (namespace, name) => services.get(`${namespace}/${name}`),
      slices: (namespace, service) => slices.byIndex(BY_SERVICE, `${namespace}/${service}`),
      hasNamespace: (namespace) => services.inNamespace(namespace).length > 0,
      servicesByClusterIp: (address) => services.byIndex(BY_CLUSTER_IP, address),
      slicesByAddress: (address) => slices.byIndex(BY_ADDRESS, address),
    },
  }
}
