/** Watches, by metadata only, the resources that some quota counts and nobody else needs here; others cost nothing. */
import { createInformer } from '#api/client/informer.ts'
import { discover } from '#api/client/discovery.ts'
import type { Informer } from '#api/client/client.ts'
import type { KubeObject, ResourceRef, Stored } from '#api/types/index.ts'
import { asError } from '#base/errors.ts'
import type { ControllerDeps } from '../controller.ts'

export interface CountedKinds {
  /** Undefined while the resource is unknown or not listed yet; looking for it begins with the first question. */
  informer(group: string, resource: string): Informer<KubeObject> | undefined
  /** Ends the watches of those that are not `wanted` (`group/resource`) any more. */
  keepOnly(wanted: ReadonlySet<string>): void
  run(signal: AbortSignal): void
}

/** A resource that is not there may come with a custom resource definition: asked for again, but not all the time. */
const UNKNOWN_MS = 30_000

export function createCountedKinds(deps: ControllerDeps, onListed: (group: string, resource: string) => void, onGone: (group: string, resource: string, object: Stored<KubeObject>) => void): CountedKinds {
  const { client, clock } = deps
  const log = deps.log.with('resourcequota-controller')
  const watched = new Map<string, { informer: Informer<KubeObject>; stop: AbortController }>()
  const missing = new Map<string, { group: string; resource: string; askedMs: number }>()
  const state: { signal?: AbortSignal; discovering: boolean; isAskedAgain: boolean } = { discovering: false, isAskedAgain: false }

  async function lookForMissing(signal: AbortSignal): Promise<void> {
    // What is asked for meanwhile may have come too late for this look.
    state.isAskedAgain = state.discovering
    if (state.discovering) return
    state.discovering = true
    try {
      const { resources } = await discover(client, signal)
      for (const [id, { group, resource }] of missing) {
        const found = resources.find(({ ref, verbs }) => ref.group === group && ref.resource === resource && ref.namespaced && ['create', 'list', 'watch', 'delete'].every((v) => verbs.includes(v)))
        if (!found) continue
        missing.delete(id)
        watch(id, found.ref, signal)
      }
    } catch (error) {
      if (!signal.aborted) log.warn('resources that quotas count could not be looked up', { error: asError(error) })
    } finally {
      state.discovering = false
      if (state.isAskedAgain && !signal.aborted) void lookForMissing(signal)
    }
  }

  function watch(id: string, ref: ResourceRef, signal: AbortSignal): void {
    const stop = new AbortController()
    const onAbort = () => stop.abort()
    signal.addEventListener('abort', onAbort, { once: true })
    stop.signal.addEventListener('abort', () => signal.removeEventListener('abort', onAbort), { once: true })
    const made = createInformer<KubeObject>(client, ref, { metadataOnly: true, transform: onlyNames }, deps)
    watched.set(id, { informer: made.informer, stop })
    made.informer.onChange((before, after) => { if (before && !after) onGone(ref.group, ref.resource, before) })
    void made.run(stop.signal)
    void made.informer.synced.then(() => { if (!stop.signal.aborted) onListed(ref.group, ref.resource) })
  }

  return {
    informer(group, resource) {
      const id = `${group}/${resource}`
      const found = watched.get(id)
      if (found) return found.informer.hasSynced() ? found.informer : undefined
      const { signal } = state
      const asked = missing.get(id)
      if (!signal || (asked && clock.monotonicMs() < asked.askedMs + UNKNOWN_MS)) return undefined
      missing.set(id, { group, resource, askedMs: clock.monotonicMs() })
      void lookForMissing(signal)
      return undefined
    },
    keepOnly(wanted) {
      for (const id of missing.keys()) if (!wanted.has(id)) missing.delete(id)
      for (const [id, { stop }] of watched) {
        if (wanted.has(id)) continue
        stop.abort()
        watched.delete(id)
      }
    },
    run(signal) { state.signal = signal },
  }
}

/** All that counting needs. */
function onlyNames<T extends KubeObject>({ apiVersion, kind, metadata }: Stored<T>): Stored<T> {
  const { name, namespace, uid, resourceVersion, creationTimestamp } = metadata
  return { apiVersion, kind, metadata: { name, ...(namespace !== undefined && { namespace }), uid, resourceVersion, creationTimestamp } } as unknown as Stored<T>
}
