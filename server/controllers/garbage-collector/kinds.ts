/** One metadata-only informer for each kind that can be listed, watched and deleted; kinds come and go with discovery. */
import { createInformer } from '#api/client/informer.ts'
import { discover } from '#api/client/discovery.ts'
import type { KubeObject, ResourceRef } from '#api/types/index.ts'
import { backoffMs } from '#base/backoff.ts'
import { asError } from '#base/errors.ts'
import { createLoop } from '#base/reconcile/loop.ts'
import type { ControllerDeps } from '../controller.ts'
import { graphNode, slimmed, type GraphNode } from './graph.ts'
import { kindKeyOf } from './observe.ts'

export interface Kinds {
  resourceOf(kindKey: string): ResourceRef | undefined
  /** All kinds known now have been listed. */
  complete(): boolean
  /** Discovers, then watches until the signal aborts. Resolves when all kinds have been listed, or after LIST_MS_MAX. */
  run(signal: AbortSignal): Promise<void>
  /** Discovery found new or fewer kinds since. */
  onKinds(listener: () => void): void
}

/** Upstream's: events are nobody's owner and far too many. */
const IGNORED = new Set(['/events', 'events.k8s.io/events'])
/** A kind that cannot be listed must not stop the collection of all others. */
const LIST_MS_MAX = 30_000
const SETTLE_MS = 500
const DISCOVERY_BACKOFF = { baseMs: 1_000, maxMs: 300_000, jitter: 0.2 }

export function createKinds(deps: ControllerDeps, onChange: (before: GraphNode | undefined, after: GraphNode | undefined) => void): Kinds {
  const { client, clock, random, log } = deps
  const known = new Map<string, ResourceRef>()
  const watched = new Map<string, { synced: () => boolean; wait: Promise<void>; drop: () => void }>()
  const listeners: (() => void)[] = []
  let failures = 0

  const watchKind = (ref: ResourceRef, signal: AbortSignal) => {
    const stop = new AbortController()
    const onAbort = () => stop.abort()
    signal.addEventListener('abort', onAbort, { once: true })
    stop.signal.addEventListener('abort', () => signal.removeEventListener('abort', onAbort), { once: true })
    const made = createInformer<KubeObject>(client, ref, { metadataOnly: true, transform: slimmed }, deps)
    const { informer } = made
    informer.onChange((before, after) => onChange(before && graphNode(ref, before), after && graphNode(ref, after)))
    void made.run(stop.signal)
    // Its definition, when that changes, tells of new kinds.
    if (ref.resource === 'customresourcedefinitions' || ref.resource === 'apiservices') informer.onChange(() => loop.queue.addAfter('discovery', SETTLE_MS))
    return {
      synced: () => informer.hasSynced(),
      wait: informer.synced,
      drop() {
        stop.abort()
        for (const object of informer.list()) onChange(graphNode(ref, object), undefined)
      },
    }
  }

  const refresh = async (signal: AbortSignal) => {
    const found = await discover(client, signal)
    const wanted = new Map<string, ResourceRef>()
    known.clear()
    for (const { ref, verbs } of found.resources) {
      known.set(kindKeyOf(ref), ref)
      if (['list', 'watch', 'delete'].every((v) => verbs.includes(v)) && !IGNORED.has(`${ref.group}/${ref.resource}`)) wanted.set(`${ref.group}/${ref.version}/${ref.resource}`, ref)
    }
    let changed = false
    for (const [id, ref] of wanted) if (!watched.has(id)) { watched.set(id, watchKind(ref, signal)); changed = true }
    for (const [id, kind] of watched) {
      // A group that could not be asked is not a group that is gone.
      if (wanted.has(id) || found.failures.some((f) => id.startsWith(`${f.groupVersion}/`))) continue
      kind.drop()
      watched.delete(id)
      changed = true
    }
    if (found.failures.length > 0) {
      log.warn('some API groups could not be discovered', { groups: found.failures.map((f) => f.groupVersion) })
      loop.queue.addAfter('discovery', backoffMs(DISCOVERY_BACKOFF, ++failures, random))
    } else {
      failures = 0
    }
    if (changed) for (const listener of listeners) listener()
  }

  const loop = createLoop<true, { kind: 'refresh' }>({
    name: 'garbage-collector/discovery',
    observe: () => true,
    decide: () => ({ actions: [{ kind: 'refresh' }], because: 'kinds may have changed' }),
    effects: () => ({ refresh: (_, signal) => refresh(signal) }),
  }, deps)

  return {
    resourceOf: (key) => known.get(key),
    complete: () => watched.size > 0 && [...watched.values()].every((k) => k.synced()),
    onKinds: (listener) => { listeners.push(listener) },
    async run(signal) {
      try {
        await refresh(signal)
      } catch (error) {
        if (!signal.aborted) log.warn('discovery failed, will try again', { error: asError(error) })
        loop.queue.addRateLimited('discovery')
      }
      void loop.run(signal)
      const listed = Promise.all([...watched.values()].map((k) => k.wait))
      const over = new AbortController()
      const stop = () => over.abort()
      signal.addEventListener('abort', stop, { once: true })
      await Promise.race([listed, clock.sleep(LIST_MS_MAX, over.signal).catch(() => { /* stopped, or all are listed */ })])
      over.abort()
      signal.removeEventListener('abort', stop)
    },
  }
}
