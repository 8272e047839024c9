/**
 * Keeps the nftables table `skiff-proxy` in line with Services and EndpointSlices: told of changes, each change is one
 * transaction. Runs without its API server: rules stay, caches stay.
 */
import { unlessAborted } from '#base/abort.ts'
import { backoffMs, type BackoffPolicy } from '#base/backoff.ts'
import type { Clock } from '#base/clock.ts'
import type { Log } from '#base/log.ts'
import type { Informers } from '#api/client/client.ts'
import { ENDPOINT_SLICES, keyOf, SERVICES, type EndpointSlice, type Service, type Stored } from '#api/types/index.ts'
import { applyNft, deleteTable, deleteUdpFlows, diffTable, observeTable, systemExec, type Exec, type UdpFlow } from '#cni/index.ts'
import { baseTable, PROXY_TABLE } from './base-table.ts'
import { isStaleFlow, noteStale, nothingStale, type StaleUdp } from './conntrack.ts'
import { healthCheckOf, HealthPorts } from './health-ports.ts'
import { ProxyHealth, serveProxyHealth, type HealthAddresses } from './proxy-health.ts'
import { RuleTable } from './rule-table.ts'
import { serviceRules, type Fragment } from './rules.ts'
import { BY_SERVICE, indexByService, serviceKeyOf } from './slices.ts'

export interface ProxyOptions {
  informers: Informers
  nodeName: string
  /** Where node ports answer. */
  nodeIps: readonly string[]
  clusterCidr: string
  serviceCidr?: string
  /** The node's zone label, for topology hints. */
  zone?: string
  log: Log
  clock: Clock
  exec?: Exec
  /** Deletes tracked flows; default: those of this process's network namespace. */
  deleteFlows?: (isStale: (flow: UdpFlow) => boolean) => Promise<number>
  /** Where its health is told; default: nowhere. */
  health?: HealthAddresses
  /** Whether load balancers may send to this node; default: they may. */
  isNodeEligible?: () => boolean
  /** For events about Services. */
  tell?: (about: Stored<Service>, reason: string, message: string) => void
}

export interface Proxy {
  /**
   * Waits for the informers, brings the kernel's table in line (what is right stays untouched), then follows changes until
   * the signal aborts. Resolves when the first sync is in the kernel or the signal aborted; never rejects.
   */
  start(signal: AbortSignal): Promise<void>
  /** Compares everything with the kernel again: after someone flushed the rules. */
  resync(): void
  /** Removes the table: for uninstall and the lab. The loop must have ended. */
  destroy(): Promise<void>
}

/** Changes that come together (a rolling update, an agent catching up) make one transaction; the first of them does not wait. */
const WINDOW_MS = 50
/** Emptied chains are deleted once nothing has changed for so long. */
const SWEEP_MS = 1_000
/** How often the table is looked for: `systemctl restart nftables` flushes everyone's. One `nft list chain`, some 5 ms. */
const VERIFY_MS = 60_000
const RETRY: BackoffPolicy = { baseMs: 500, maxMs: 30_000, jitter: 0 }

export function createProxy(options: ProxyOptions): Proxy {
  return new ServiceProxy(options)
}

class ServiceProxy implements Proxy {
  readonly #options: ProxyOptions
  readonly #exec: Exec
  readonly #log: Log
  readonly #table: RuleTable
  readonly #dirty = new Set<string>()
  #needsFull = true
  #failures = 0
  #wake: () => void = () => undefined
  #stale: StaleUdp = nothingStale()
  readonly #health: ProxyHealth
  readonly #healthPorts: HealthPorts

  constructor(options: ProxyOptions) {
    this.#options = options
    this.#exec = options.exec ?? systemExec
    this.#log = options.log
    this.#table = new RuleTable(baseTable({ nodeIps: options.nodeIps, serviceCidr: options.serviceCidr }))
    this.#health = new ProxyHealth(options.clock)
    this.#healthPorts = new HealthPorts({
      log: options.log,
      isHealthy: () => this.#health.isHealthy,
      failed: (service, message) => options.tell?.(service, 'FailedToStartServiceHealthcheck', `node ${options.nodeName} ${message}`),
    })
  }

  start(signal: AbortSignal): Promise<void> {
    const first = Promise.withResolvers<void>()
    void this.#run(signal, first.resolve).finally(first.resolve)
    return first.promise
  }

  resync(): void {
    this.#needsFull = true
    this.#wake()
  }

  async destroy(): Promise<void> {
    await deleteTable(this.#exec, PROXY_TABLE)
  }

  async #run(signal: AbortSignal, onFirst: () => void): Promise<void> {
    const { informers, health, isNodeEligible = () => true } = this.#options
    if (health) serveProxyHealth(this.#health, health, { isNodeEligible, log: this.#log }, signal)
    const services = informers.of<Service>(SERVICES)
    const slices = informers.of<EndpointSlice>(ENDPOINT_SLICES, { indexes: { [BY_SERVICE]: indexByService } })
    const mark = (key: string | undefined) => {
      if (key === undefined) return
      this.#dirty.add(key)
      this.#wake()
    }
    const unsubscribe = [
      services.onChange((before, after) => mark(keyOf(after ?? before ?? {}))),
      slices.onChange((before, after) => {
        mark(before && serviceKeyOf(before))
        mark(after && serviceKeyOf(after))
      }),
    ]
    try {
      // Before everything is known nothing is taken away: rules of an earlier run keep working.
      await unlessAborted(signal, Promise.all([services.synced, slices.synced]))
      if (signal.aborted) return
      await this.#leaveToEarlierRun(Promise.all([services.fresh, slices.fresh]), onFirst, signal)
      for (const service of services.list()) this.#dirty.add(keyOf(service))
      while (!signal.aborted) {
        const isDone = await this.#sync((key) => {
          const service = services.get(key)
          const own = slices.byIndex(BY_SERVICE, key)
          const check = service && healthCheckOf(service, own, this.#options.nodeName)
          this.#healthPorts.set(key, service && check && { service, check })
          return service && serviceRules(service, own, this.#options)
        })
        if (isDone) onFirst()
        await this.#pause(signal, isDone ? WINDOW_MS : backoffMs(RETRY, this.#failures))
        if (isDone) await this.#waitForWork(signal)
      }
    } catch (error) {
      if (!signal.aborted) this.#log.error('the service proxy stopped', { error })
    } finally {
      for (const end of unsubscribe) end()
      this.#healthPorts.close()
      this.#wake = () => undefined
    }
  }

  /**
   * While the server is away: rules that an earlier run left in the kernel are at least as new as what it kept on disk,
   * and stay as they are until the server tells more. Returns when it has, or when there are none (any more).
   */
  async #leaveToEarlierRun(told: Promise<unknown>, onFirst: () => void, signal: AbortSignal): Promise<void> {
    const state = { isFresh: false }
    const fresh = told.then(() => { state.isFresh = true })
    for (let isSaid = false; await this.#isTableThere() && !state.isFresh && !signal.aborted; isSaid = true) {
      if (!isSaid) this.#log.info('the server is away: the Service rules in the kernel stay as they are')
      onFirst()
      await Promise.race([fresh, this.#sleepOrWake(signal, VERIFY_MS)])
      this.#wake()
    }
  }

  /** One transaction for all that is due. False when nft refused: then the kernel is looked at again. */
  async #sync(rulesOf: (key: string) => Fragment | undefined): Promise<boolean> {
    this.#health.queued()
    for (const key of this.#dirty) {
      const before = this.#table.fragment(key)
      const after = rulesOf(key)
      this.#table.put(key, after)
      noteStale(this.#stale, before, after)
    }
    this.#dirty.clear()
    try {
      if (this.#needsFull) await this.#syncAll()
      else await this.#syncPending()
      this.#failures = 0
      this.#health.updated()
    } catch (error) {
      this.#needsFull = true
      this.#failures++
      this.#health.failed()
      this.#log.error('cannot apply Service rules; trying again', { error, attempt: this.#failures })
      return false
    }
    await this.#forgetFlows()
    return true
  }

  async #forgetFlows(): Promise<void> {
    const stale = this.#stale
    if (stale.fronts.size + stale.backends.size === 0) return
    this.#stale = nothingStale()
    try {
      await (this.#options.deleteFlows ?? deleteUdpFlows)((flow) => isStaleFlow(flow, stale))
    } catch (error) {
      // They end by themselves when idle for 30 s.
      this.#log.warn('UDP flows to endpoints that are gone could not be deleted', { error })
    }
  }

  async #syncAll(): Promise<void> {
    const actual = await observeTable(this.#exec, PROXY_TABLE)
    const plan = diffTable(actual, this.#table.desired)
    // What an earlier run emptied is left to the sweep, which knows it from `settled`.
    if (plan.kind !== 'sweep') await applyNft(this.#exec, plan.commands)
    if (plan.kind === 'create') this.#table.settled({ chains: [], sets: [] })
    else this.#table.settled({ chains: actual?.chains.keys() ?? [], sets: actual?.sets.keys() ?? [] })
    this.#needsFull = false
  }

  async #syncPending(): Promise<void> {
    await applyNft(this.#exec, this.#table.commands())
    this.#table.settled()
  }

  async #sweep(): Promise<void> {
    try {
      await applyNft(this.#exec, this.#table.sweepCommands())
    } catch (error) {
      this.#needsFull = true
      this.#log.warn('cannot delete unused chains; comparing everything', { error })
    }
  }

  /** Returns when something is to be done. Sweeps and verifies while nothing is. */
  async #waitForWork(signal: AbortSignal): Promise<void> {
    while (!signal.aborted && this.#dirty.size === 0 && !this.#needsFull) {
      const hasStale = this.#table.hasStale()
      const isWoken = await this.#sleepOrWake(signal, hasStale ? SWEEP_MS : VERIFY_MS)
      if (isWoken || signal.aborted) continue
      if (hasStale) await this.#sweep()
      else if (!await this.#isTableThere()) {
        this.#log.warn('the Service rules are gone from the kernel (flushed by another program?); putting them back')
        this.#needsFull = true
      }
    }
  }

  async #isTableThere(): Promise<boolean> {
    const result = await this.#exec(['nft', 'list', 'chain', 'ip', PROXY_TABLE, 'services']).catch(() => undefined)
    return result === undefined || result.code === 0
  }

  async #sleepOrWake(signal: AbortSignal, ms: number): Promise<boolean> {
    const woken = Promise.withResolvers<boolean>()
    this.#wake = () => woken.resolve(true)
    const cancel = this.#options.clock.after(ms, () => woken.resolve(false))
    const onAbort = () => woken.resolve(true)
    signal.addEventListener('abort', onAbort, { once: true })
    try {
      return await woken.promise
    } finally {
      cancel()
      signal.removeEventListener('abort', onAbort)
      this.#wake = () => undefined
    }
  }

  async #pause(signal: AbortSignal, ms: number): Promise<void> {
    // Woken too early on purpose only by the abort: changes in this time are what the window is for.
    await this.#options.clock.sleep(ms, signal).catch(() => undefined)
  }
}
