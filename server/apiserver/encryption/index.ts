/**
 * Encryption at rest, put together: reads the configuration, wraps the store, follows changes of the file when asked to.
 */
import type { Clock } from '#base/clock.ts'
import { asError, UsageError } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import type { Random } from '#base/random.ts'
import type { Store } from '#server/store/store.ts'
import type { HealthCheck } from '../discovery/health.ts'
import type { Metric } from '#base/metrics.ts'
import { ReloadMetrics } from '../metrics/reload-metrics.ts'
import { parseEncryptionConfig, type EncryptionConfig } from './configuration.ts'
import { createKmsClient } from './kms-client.ts'
import { kmsTransformer, type KmsTransformer } from './kms-transformer.ts'
import { sealStore, type SealedStore } from './sealed-store.ts'
import { transformerTable, type KmsFactory } from './table.ts'
import { TransformMetrics } from './transform-metrics.ts'

export { parseEncryptionConfig, type EncryptionConfig } from './configuration.ts'

export interface EncryptionOptions {
  /** The configuration file's mapping, read anew with each call; throws a UsageError that names the file. */
  read: () => unknown
  /** Tells when the file may have changed; the function returned ends that. Undefined: the file is read once. */
  follow?: (onChange: () => void) => () => void
}

export interface Encryption {
  /** What the rest of the server uses in place of the store. */
  store: Store
  checks: readonly HealthCheck[]
  metrics(): readonly Metric[]
  /** Reads the file again; throws, and goes on as before, when it is wrong. */
  reload(): void
  close(): void
}

/** A store that was once written with encryption says so, so that a server without keys does not take ciphertext for objects. */
export const MARK_KEY = '/skiff/encrypted-at-rest'

export async function sealedWithoutKeys(store: Store, log: Log): Promise<Encryption> {
  const marked = await store.get(MARK_KEY)
  if (marked) log.warn('objects were encrypted at rest, and there is no key to read them: pass --encryption-provider-config, or restore server/cred/encryption-config.json of the data directory from a backup')
  return { store: marked ? sealStore(store, { of: () => undefined }, log) : store, checks: [], metrics: () => [], reload() { /* there is no file */ }, close() { /* nothing is open */ } }
}

/** Rejects with a UsageError when the configuration is wrong. */
export async function openEncryption(store: Store, options: EncryptionOptions | undefined, deps: { clock: Clock; random: Random; log: Log; serverName: string }): Promise<Encryption> {
  const log = deps.log.with('encryption')
  if (!options) return sealedWithoutKeys(store, log)
  const plugins = new Map<string, KmsTransformer>()
  const used = (config: EncryptionConfig) => {
    const wanted = new Set<string>()
    const kms: KmsFactory = (provider) => {
      const id = JSON.stringify(provider)
      wanted.add(id)
      const plugin = plugins.get(id) ?? kmsTransformer(createKmsClient({ socketPath: provider.endpoint, timeoutMs: provider.timeoutMs, clock: deps.clock }), deps)
      plugins.set(id, plugin)
      return plugin
    }
    return { table: transformerTable(config, deps.random, kms), wanted }
  }
  const transforms = new TransformMetrics(deps.clock)
  const state = { read: JSON.stringify(options.read()) }
  const reloads = new ReloadMetrics('encryption', deps)
  reloads.inForce(state.read)
  const config = readConfig(options)
  const sealed: SealedStore = sealStore(store, used(config).table, log, transforms)
  if (config.resources.some((r) => r.providers.some((p) => p.kind !== 'identity')) && !(await store.get(MARK_KEY))) {
    await store.txn({ compare: [{ key: MARK_KEY, modRevision: 0 }], ops: [{ kind: 'put', key: MARK_KEY, value: Buffer.from('{}') }] })
  }
  const reload = (): void => {
    state.read = JSON.stringify(options.read())
    const { table, wanted } = used(readConfig(options))
    sealed.use(table)
    for (const [id, plugin] of plugins) {
      if (wanted.has(id)) continue
      plugin.close()
      plugins.delete(id)
    }
    reloads.inForce(state.read)
    log.info('the encryption configuration was read again')
  }
  const stop = options.follow?.(() => {
    try {
      // The directory changed, not necessarily this file.
      if (JSON.stringify(options.read()) === state.read) return
      reload()
      reloads.reloaded('success')
    } catch (error) {
      reloads.reloaded('failure')
      log.error('the changed encryption configuration is wrong; the one before stays in use', { error: asError(error) })
    }
  })
  return {
    store: sealed,
    checks: [{ name: 'kms-providers', live: false, problem: () => [...plugins.values()].map((p) => p.problem()).find((p) => p !== undefined) }],
    reload,
    metrics: () => [...reloads.all(), ...transforms.all()],
    close() {
      stop?.()
      for (const plugin of plugins.values()) plugin.close()
    },
  }
}

function readConfig(options: EncryptionOptions): EncryptionConfig {
  const parsed = parseEncryptionConfig(options.read())
  if (!parsed.ok) throw new UsageError(`--encryption-provider-config: ${parsed.message}`)
  return parsed.config
}
