/** Shared informers: one cache and one watch per (resource, options) in a process, however many read it. */
import type { Clock } from '#base/clock.ts'
import type { Log } from '#base/log.ts'
import type { Random } from '#base/random.ts'
import type { KubeObject, ResourceRef, Stored } from '../types/index.ts'
import { createCache, type Cache } from './cache.ts'
import type { Client, Informer, InformerOptions, Informers } from './client.ts'
import type { Connectivity } from './connectivity.ts'
import { OFFLINE_AFTER_MS, type MemoryOf } from './object-memory.ts'
import { runReflector } from './reflector.ts'

export interface InformersDeps {
  clock: Clock
  random: Random
  log: Log
  /** Shared by who waits for the same server. Default: each waits on its own. */
  connectivity?: Connectivity
  /** Which informers start from what they knew before when the server stays away. */
  memoryOf?: MemoryOf
  /** What nobody in this process reads of a kind, left out of what is kept. Default: managedFields. For informers that name no `transform`. */
  leanOf?: (ref: ResourceRef) => ((object: Stored<KubeObject>) => Stored<KubeObject>) | undefined
}

/** One informer with its own life: for what comes and goes (a kind discovered at run time). `run` never rejects. */
export interface StandaloneInformer<T extends KubeObject> { informer: Informer<T>; run(signal: AbortSignal): Promise<void> }

export function createInformer<T extends KubeObject>(client: Client, ref: ResourceRef, options: InformerOptions<T>, deps: InformersDeps): StandaloneInformer<T> & { cache: Cache<T> } {
  const log = deps.log.with('informer')
  const cache = createCache<T>((error) => log.error('a listener failed', { resource: ref.resource, error }))
  for (const [name, of] of Object.entries(options.indexes ?? {})) cache.addIndex(name, of)
  const { promise: synced, resolve } = Promise.withResolvers<void>()
  const { promise: fresh, resolve: markFresh } = Promise.withResolvers<void>()
  let hasSynced = false
  const informer: Informer<T> = {
    synced,
    fresh,
    hasSynced: () => hasSynced,
    get: (key) => cache.get(key),
    list: () => cache.list(),
    inNamespace: (namespace) => cache.inNamespace(namespace),
    byIndex: (index, value) => cache.byIndex(index, value),
    onChange: (listener) => cache.onChange(listener),
  }
  const { namespace, labelSelector, fieldSelector, metadataOnly } = options
  const select = {
    ...(namespace !== undefined && { namespace }), ...(labelSelector !== undefined && { labelSelector }),
    ...(fieldSelector !== undefined && { fieldSelector }), ...(metadataOnly && { metadataOnly }),
  }
  const transform = options.transform ?? (metadataOnly ? onlyMetadata : ((deps.leanOf?.(ref) as unknown as InformerOptions<T>['transform']) ?? withoutManagedFields))
  const markSynced = () => {
    hasSynced = true
    resolve()
  }
  const memory = deps.memoryOf?.(ref, options as unknown as InformerOptions<KubeObject>)
  // Only what the server said is worth keeping.
  let isFresh = false
  const remember = () => {
    if (isFresh) memory?.changed(() => cache.list())
  }
  const onSynced = () => {
    isFresh = true
    markFresh()
    markSynced()
    remember()
  }
  const recall = async (signal: AbortSignal) => {
    await deps.clock.sleep(OFFLINE_AFTER_MS, signal)
    const known = hasSynced ? undefined : await memory?.load()
    if (!known || hasSynced || signal.aborted) return
    log.info('the server is away: starting from what was known before', { resource: ref.resource, objects: known.length })
    cache.replace(known as unknown as Stored<T>[])
    markSynced()
  }
  return {
    informer,
    cache,
    run: (signal) => {
      if (memory) {
        cache.onChange(remember)
        recall(signal).catch(() => { /* Only the signal ends the sleep early. */ })
      }
      return runReflector<T>({ ref, select, transform, cache, onSynced }, { client, ...deps, log }, signal)
    },
  }
}

export function createInformers(client: Client, deps: InformersDeps): Informers {
  interface Entry { informer: Informer<KubeObject>; cache: Cache<KubeObject>; run(signal: AbortSignal): Promise<void>; running: boolean }
  const entries = new Map<string, Entry>()
  const transformIds = new Map<unknown, number>()
  let started: AbortSignal | undefined

  const launch = (entry: Entry, signal: AbortSignal) => {
    if (entry.running) return
    entry.running = true
    void entry.run(signal)
  }
  const identity = <T extends KubeObject>(ref: ResourceRef, o: InformerOptions<T>): string => {
    if (o.transform && !transformIds.has(o.transform)) transformIds.set(o.transform, transformIds.size + 1)
    return JSON.stringify([ref.group, ref.version, ref.resource, o.namespace, o.labelSelector, o.fieldSelector, o.metadataOnly ?? false, transformIds.get(o.transform) ?? 0])
  }

  return {
    of<T extends KubeObject>(ref: ResourceRef, options: InformerOptions<T> = {}): Informer<T> {
      const id = identity(ref, options)
      let entry = entries.get(id)
      if (entry) {
        for (const [name, of] of Object.entries(options.indexes ?? {})) (entry.cache as unknown as Cache<T>).addIndex(name, of)
      } else {
        const created = createInformer<T>(client, ref, options, deps)
        // The table holds informers of all kinds; each is handed out only under the ref it was made for.
        entry = { ...created, running: false } as unknown as Entry
        entries.set(id, entry)
        if (started && !started.aborted) launch(entry, started)
      }
      return entry.informer as unknown as Informer<T>
    },
    async start(signal) {
      started = signal
      const known = [...entries.values()]
      for (const entry of known) launch(entry, signal)
      const aborted = Promise.withResolvers<void>()
      const onAbort = () => aborted.resolve()
      signal.addEventListener('abort', onAbort, { once: true })
      if (signal.aborted) onAbort()
      await Promise.race([Promise.all(known.map((e) => e.informer.synced)), aborted.promise])
      signal.removeEventListener('abort', onAbort)
    },
  }
}

/** Rebuilt, not deleted from: `delete` turns an object into a slow and large dictionary. */
export function withoutManagedFields<T extends KubeObject>(object: Stored<T>): Stored<T> {
  if (object.metadata.managedFields === undefined) return object
  const { managedFields: _, ...metadata } = object.metadata
  return { ...object, metadata } as Stored<T>
}

export function onlyMetadata<T extends KubeObject>(object: Stored<T>): Stored<T> {
  const { apiVersion, kind } = object
  return { apiVersion, kind, metadata: withoutManagedFields(object).metadata } as unknown as Stored<T>
}
