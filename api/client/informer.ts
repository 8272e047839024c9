/** Shared informers: one cache and one watch per (resource, options) in a process, however many read it. */
import { unlessAborted } from '#base/abort.ts'
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
export interface StandaloneInformer<T extends KubeObject> {
  informer: Informer<T>
  run(signal: AbortSignal): Promise<void>
  /** While it runs: resolves when it shows a list that was asked for after the call. Who reads it meanwhile sees what was there before. */
  relist(): Promise<void>
}

export function createInformer<T extends KubeObject>(client: Client, ref: ResourceRef, options: InformerOptions<T>, deps: InformersDeps): StandaloneInformer<T> & { cache: Cache<T> } {
  const log = deps.log.with('informer')
  const cache = createCache<T>((error) => log.error('a listener failed', { resource: ref.resource, error }))
  for (const [name, of] of Object.entries(options.indexes ?? {})) cache.addIndex(name, of)
  const listListeners = new Set<(resourceVersion: string) => void>()
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
    onListed(listener) {
      listListeners.add(listener)
      return () => { listListeners.delete(listener) }
    },
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
  let relist = () => {}
  let relisted = Promise.withResolvers<void>()
  const remember = () => {
    if (isFresh) memory?.changed(() => cache.list())
  }
  const onSynced = (resourceVersion: string) => {
    isFresh = true
    markFresh()
    markSynced()
    remember()
    relisted.resolve()
    relisted = Promise.withResolvers()
    for (const listener of listListeners) listener(resourceVersion)
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
      return runReflector<T>({ ref, select, transform, cache, onSynced, takeRelist: (to) => { relist = to } }, { client, ...deps, log }, signal)
    },
    relist() {
      relist()
      return relisted.promise
    },
  }
}

/** The informers of a process, of which some work only for a time needs more than the rest of it does. */
export interface LendingInformers extends Informers {
  /**
   * The same informers, for work that ends with the signal: then its listeners hear nothing more, and informers that nobody
   * else asked for end. Its `start` resolves when all of them show a list that was asked for after it was called.
   */
  lend(until: AbortSignal): Informers
}

interface Entry extends StandaloneInformer<KubeObject> {
  readonly cache: Cache<KubeObject>
  readonly stop: AbortController
  running: boolean
  /** For as long as the process runs. */
  stays: boolean
  borrowers: number
}

export function createInformers(client: Client, deps: InformersDeps): LendingInformers {
  const entries = new Map<string, Entry>()
  const transformIds = new WeakMap<object, number>()
  let transforms = 0
  let started: AbortSignal | undefined

  const launch = (entry: Entry) => {
    if (entry.running) return
    entry.running = true
    void entry.run(entry.stop.signal)
  }
  const identity = <T extends KubeObject>(ref: ResourceRef, o: InformerOptions<T>): string => {
    if (o.transform && !transformIds.has(o.transform)) transformIds.set(o.transform, ++transforms)
    return JSON.stringify([ref.group, ref.version, ref.resource, o.namespace, o.labelSelector, o.fieldSelector, o.metadataOnly ?? false, o.transform ? transformIds.get(o.transform) : 0])
  }
  const entryOf = <T extends KubeObject>(ref: ResourceRef, options: InformerOptions<T>): Entry => {
    const id = identity(ref, options)
    const known = entries.get(id)
    if (known) {
      for (const [name, of] of Object.entries(options.indexes ?? {})) (known.cache as unknown as Cache<T>).addIndex(name, of)
      return known
    }
    // The table holds informers of all kinds; each is handed out only under the ref it was made for.
    const created = createInformer<T>(client, ref, options, deps) as unknown as StandaloneInformer<KubeObject> & { cache: Cache<KubeObject> }
    const stop = new AbortController()
    const entry: Entry = { ...created, stop, running: false, stays: false, borrowers: 0 }
    entries.set(id, entry)
    stop.signal.addEventListener('abort', () => entries.delete(id), { once: true })
    if (started?.aborted) stop.abort()
    return entry
  }

  return {
    of<T extends KubeObject>(ref: ResourceRef, options: InformerOptions<T> = {}): Informer<T> {
      const entry = entryOf(ref, options)
      entry.stays = true
      if (started) launch(entry)
      return entry.informer as unknown as Informer<T>
    },
    async start(signal) {
      started = signal
      const known = [...entries.values()]
      for (const entry of known) launch(entry)
      onAbort(signal, () => { for (const entry of entries.values()) entry.stop.abort() })
      await unlessAborted(signal, Promise.all(known.map((e) => e.informer.synced)))
    },
    lend(until) {
      const borrowed = new Set<Entry>()
      const unsubscribes = new Set<() => void>()
      let begun = false
      const untilReturned = (subscribe: () => () => void): (() => void) => {
        if (until.aborted) return () => {}
        const unsubscribe = subscribe()
        unsubscribes.add(unsubscribe)
        return () => {
          unsubscribes.delete(unsubscribe)
          unsubscribe()
        }
      }
      onAbort(until, () => {
        for (const unsubscribe of unsubscribes) unsubscribe()
        for (const entry of borrowed) if (--entry.borrowers === 0 && !entry.stays) entry.stop.abort()
      })
      return {
        of<T extends KubeObject>(ref: ResourceRef, options: InformerOptions<T> = {}): Informer<T> {
          const entry = entryOf(ref, options)
          if (!borrowed.has(entry) && !until.aborted) {
            borrowed.add(entry)
            entry.borrowers++
          }
          if (begun) launch(entry)
          const informer = entry.informer as unknown as Informer<T>
          return {
            ...informer,
            onChange: (listener) => untilReturned(() => informer.onChange(listener)),
            onListed: (listener) => untilReturned(() => informer.onListed(listener)),
          }
        },
        async start(signal) {
          begun = true
          const fresh = [...borrowed].map((entry) => {
            if (entry.running) return entry.relist()
            launch(entry)
            return entry.informer.synced
          })
          await unlessAborted(signal, Promise.all(fresh))
        },
      }
    },
  }
}

function onAbort(signal: AbortSignal, end: () => void): void {
  if (signal.aborted) end()
  else signal.addEventListener('abort', end, { once: true })
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
