/** The drivers of dynamic resources of this node: plugins that registered (see plugins/), several of one driver while it is being renewed (KEP-4381). */
import { asError, CodedError } from '#base/errors.ts'
import type { Client } from '#api/client/client.ts'
import type { Clock } from '#base/clock.ts'
import type { Log } from '#base/log.ts'
import type { Random } from '#base/random.ts'
import type { PluginHandler } from '../plugins/plugin-watcher.ts'
import { createHistogram } from '../stats/histogram.ts'
import type { MetricFamily } from '../stats/metrics-text.ts'
import type { ReportedHealth } from './calls.ts'
import { DURATION_BOUNDS } from './metrics.ts'
import { createDraPlugin, type DraPlugin } from './plugin.ts'
import { chooseService } from './services.ts'
import { createSliceWipes } from './slices.ts'

export interface DraDrivers {
  /** Throws DRA_UNREGISTERED. */
  get(driver: string): Pick<DraPlugin, 'prepare' | 'unprepare'>
  /** Takes those that register (`DRAPlugin`). */
  readonly handler: PluginHandler
  /** One registered or can be reached now: what waited for it may go on. Returns the unsubscribe. */
  onChange(listener: () => void): () => void
  /** What drivers tell of their devices; undefined: they do not tell any more. Returns the unsubscribe. */
  onHealth(listener: (driver: string, devices: readonly ReportedHealth[] | undefined) => void): () => void
  metrics(): MetricFamily[]
  /** Until aborted; never rejects. */
  run(signal: AbortSignal): Promise<void>
}

export interface DraDriversDeps { nodeName: string; client: Pick<Client, 'list' | 'raw'>; clock: Clock; random: Random; log: Log }

export function createDraDrivers({ nodeName, client, clock, random, log }: DraDriversDeps): DraDrivers {
  /** By driver; the latest comes last. */
  const byDriver = new Map<string, DraPlugin[]>()
  const changes = new Set<() => void>()
  const healths = new Set<(driver: string, devices: readonly ReportedHealth[] | undefined) => void>()
  const durations = createHistogram({ name: 'dra_grpc_operations_duration_seconds', help: '[ALPHA] Duration in seconds of the DRA gRPC operations', bounds: DURATION_BOUNDS, labels: ['driver_name', 'method_name', 'grpc_status_code'] })
  const wipes = createSliceWipes({ nodeName, client, clock, random, log, isUsable: (driver) => byDriver.get(driver)?.some((p) => p.isConnected) ?? false })

  const changed = (driver: string): void => {
    wipes.follow(driver)
    for (const listener of changes) listener()
  }

  const add = (driver: string, plugin: DraPlugin): void => {
    byDriver.set(driver, [...(byDriver.get(driver) ?? []), plugin])
    log.info('a DRA driver has registered', { driver, endpoint: plugin.endpoint })
    changed(driver)
  }

  const drop = (plugin: DraPlugin): void => {
    const left = (byDriver.get(plugin.driver) ?? []).filter((p) => p !== plugin)
    if (left.length > 0) byDriver.set(plugin.driver, left)
    else byDriver.delete(plugin.driver)
    plugin.close().catch((error: unknown) => log.warn('a DRA driver cannot be let go', { driver: plugin.driver, error: asError(error) }))
  }

  return {
    get(driver) {
      const plugins = byDriver.get(driver) ?? []
      // The latest is the newest, most likely. One that cannot be reached may be by the time that it is called.
      const plugin = plugins.findLast((p) => p.isConnected) ?? plugins.at(-1)
      if (!plugin) throw new CodedError('DRA_UNREGISTERED', `DRA driver ${driver} is not registered`)
      return plugin
    },
    handler: {
      validate(plugin) {
        const choice = chooseService(plugin)
        return choice.ok ? undefined : choice.message
      },
      register(given) {
        const { name: driver, endpoint, registeredAt } = given
        const choice = chooseService(given)
        if (!choice.ok) return Promise.reject(new CodedError('DRA_REGISTRATION', choice.message))
        const before = byDriver.get(driver)?.find((p) => p.endpoint === endpoint)
        // One plugin cannot take another's place by its socket.
        if (before && before.registeredAt !== registeredAt) return Promise.reject(new CodedError('DRA_REGISTRATION', `endpoint ${endpoint} already registered for DRA driver plugin ${driver}`))
        if (before) drop(before)
        const plugin = createDraPlugin({
          driver, endpoint, registeredAt, service: choice.service, clock, random, log,
          onConnection: () => changed(driver),
          onHealth: (devices) => { for (const listener of healths) listener(driver, devices) },
          onCall: (method_name, grpc_status_code, tookMs) => durations.observe(tookMs / 1000, { driver_name: driver, method_name, grpc_status_code }),
        })
        add(driver, plugin)
        return Promise.resolve()
      },
      deregister({ name: driver, endpoint }) {
        const plugin = byDriver.get(driver)?.find((p) => p.endpoint === endpoint)
        if (plugin) {
          drop(plugin)
          log.info('a DRA driver is gone', { driver, endpoint })
          changed(driver)
        }
        return Promise.resolve()
      },
    },
    onChange(listener) {
      changes.add(listener)
      return () => { changes.delete(listener) }
    },
    onHealth(listener) {
      healths.add(listener)
      return () => { healths.delete(listener) }
    },
    metrics: () => [durations.family()],
    async run(signal) {
      await wipes.run(signal)
      await new Promise<void>((resolve) => { if (signal.aborted) resolve(); else signal.addEventListener('abort', () => resolve(), { once: true }) })
      for (const plugin of [...byDriver.values()].flat()) drop(plugin)
    },
  }
}
