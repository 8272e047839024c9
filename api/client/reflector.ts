/**
 * Keeps a cache equal to the server's view of one resource: list, then watch from there, for ever. Lists come as a
 * stream of initial events (KEP-3157) where the server offers it, else in pages. After 410 it lists anew; after a
 * failure it waits with back-off and jitter, without end; nothing polls.
 */
import { backoffMs, type BackoffPolicy } from '#base/backoff.ts'
import type { Clock } from '#base/clock.ts'
import { asError, CodedError } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import type { Random } from '#base/random.ts'
import { keyOf, type KubeObject, type ResourceRef, type Stored } from '../types/index.ts'
import type { Cache } from './cache.ts'
import { createConnectivity, type Connectivity } from './connectivity.ts'
import { ApiError, type Client, type ListParams, type WatchEvent } from './client.ts'

export interface ReflectorDeps { client: Client; clock: Clock; random: Random; log: Log; connectivity?: Connectivity }

export interface ReflectorOptions<T extends KubeObject> {
  ref: ResourceRef
  select: Pick<ListParams, 'namespace' | 'labelSelector' | 'fieldSelector' | 'metadataOnly'>
  transform: (object: Stored<T>) => Stored<T>
  cache: Cache<T>
  /** The cache is a whole list of the server's, of this version. */
  onSynced: (resourceVersion: string) => void
  /** Handed a function, once, that makes it list anew, at once: what `onSynced` tells next is of a list that began after the call. */
  takeRelist?: (relist: () => void) => void
}

/** As upstream's reflector. */
export const REFLECTOR_BACKOFF: BackoffPolicy = { baseMs: 800, maxMs: 30_000, jitter: 0.5 }
/** Objects per page where lists come in pages, as upstream's pager. */
const PAGE_OBJECTS = 500
/** A watch that ends sooner, without an event, counts as a failure: no tight loop against a server that is going down. */
const WATCH_MS_MIN = 1_000
const INITIAL_EVENTS_END = 'k8s.io/initial-events-end'

/** Runs until the signal aborts; never rejects. */
export async function runReflector<T extends KubeObject>(options: ReflectorOptions<T>, deps: ReflectorDeps, signal: AbortSignal): Promise<void> {
  const { client, clock, random, log, connectivity = createConnectivity(deps.clock) } = deps
  const { ref, select, cache, transform } = options
  let resourceVersion: string | undefined
  let failures = 0
  let streamLists = true
  let listing = new AbortController()
  options.takeRelist?.(() => {
    resourceVersion = undefined
    listing.abort(new CodedError('ABORTED', 'it is listed anew'))
  })

  const put = (object: Stored<T>) => cache.put(transform(object))
  const fits = (event: WatchEvent<T>): boolean => {
    if (event.type !== 'ERROR') return true
    throw new ApiError(event.object)
  }
  const succeeded = () => {
    // One failure is a hiccup, of which nobody else need know.
    if (failures > 1) connectivity.back()
    failures = 0
  }
  const replaced = (objects: Stored<T>[], at: string) => {
    cache.replace(objects)
    resourceVersion = at
    succeeded()
    options.onSynced(at)
  }

  const listInPages = async (during: AbortSignal) => {
    const objects: Stored<T>[] = []
    let from: string | undefined
    let at = ''
    do {
      const page = await client.list<T>(ref, { ...select, limit: PAGE_OBJECTS, ...(from !== undefined && { continue: from }) }, during)
      for (const object of page.items) objects.push(transform(object))
      from = page.metadata.continue
      at = page.metadata.resourceVersion
    } while (from)
    if (!during.aborted) replaced(objects, at)
  }

  const watch = async (from: string | undefined, during: AbortSignal) => {
    const startMs = clock.monotonicMs()
    let events = 0
    // Until the bookmark that ends the initial events, what comes is the list.
    let initial: Map<string, Stored<T>> | undefined = from === undefined ? new Map() : undefined
    const stream = client.watch<T>(ref, {
      ...select,
      allowWatchBookmarks: true,
      withoutManagedFields: true,
      ...(from === undefined ? { sendInitialEvents: true, resourceVersionMatch: 'NotOlderThan' } : { resourceVersion: from }),
    }, during)
    for await (const event of stream) {
      // What it still says is of the time before.
      if (during.aborted) return
      if (!fits(event) || event.type === 'ERROR') continue
      events++
      succeeded()
      if (event.type === 'BOOKMARK') {
        if (initial && event.object.metadata.annotations?.[INITIAL_EVENTS_END] === 'true') {
          replaced([...initial.values()], event.object.metadata.resourceVersion)
          initial = undefined
        } else if (!initial) {
          resourceVersion = event.object.metadata.resourceVersion
        }
        continue
      }
      if (initial) {
        if (event.type === 'DELETED') initial.delete(keyOf(event.object))
        else initial.set(keyOf(event.object), transform(event.object))
        continue
      }
      resourceVersion = event.object.metadata.resourceVersion
      if (event.type === 'DELETED') cache.remove(keyOf(event.object))
      else put(event.object)
    }
    if (during.aborted) return
    if (initial) throw new CodedError('WATCH_ENDED', `the watch of ${ref.resource} ended before its initial events were complete`)
    if (clock.monotonicMs() - startMs >= WATCH_MS_MIN) failures = 0
    else if (events === 0) throw new CodedError('WATCH_ENDED', `the watch of ${ref.resource} ended at once`)
  }

  while (!signal.aborted) {
    const { signal: anew } = (listing = new AbortController())
    try {
      if (resourceVersion === undefined && !streamLists) await listInPages(AbortSignal.any([signal, anew]))
      else await watch(resourceVersion, AbortSignal.any([signal, anew]))
    } catch (thrown) {
      if (signal.aborted) return
      if (anew.aborted) continue
      const error = asError(thrown)
      if (resourceVersion === undefined && streamLists && error instanceof ApiError && [400, 422].includes(error.code)) {
        streamLists = false
        continue
      }
      if (isExpired(error) && resourceVersion !== undefined) {
        // The server answers, it only knows less of the past than we do (it was restarted): list at once, however long it was away.
        resourceVersion = undefined
        failures = 0
        continue
      }
      failures++
      const waitMs = backoffMs(REFLECTOR_BACKOFF, failures, random)
      // Once is enough: a server may be away for days, and logs wear flash cards.
      log[failures === 3 ? 'warn' : 'debug']('list and watch interrupted, will go on', { resource: ref.resource, failures, waitMs: Math.round(waitMs), error })
      try {
        await connectivity.sleep(waitMs, AbortSignal.any([signal, anew]))
      } catch {
        // Only the signals end a sleep early.
        if (signal.aborted) return
      }
    }
  }
}

function isExpired(error: Error): boolean {
  return error instanceof ApiError && (error.code === 410 || error.reason === 'Expired' || error.reason === 'Gone')
}
