/**
 * The ConfigMaps, Secrets and RuntimeClasses that pods here refer to, and no others: one watch by name each (the Node authorizer allows
 * nothing wider), started at first use and ended with its last pod. What was read stays readable while the server is away.
 */
import { createInformer } from '#api/client/informer.ts'
import { isReason, type Client, type Informer } from '#api/client/client.ts'
import { CONFIG_MAPS, RUNTIME_CLASSES, SECRETS, type ConfigMap, type KubeObject, type ResourceRef, type RuntimeClass, type Secret } from '#api/types/index.ts'
import type { Clock } from '#base/clock.ts'
import type { Log } from '#base/log.ts'
import type { Random } from '#base/random.ts'

export interface ObjectSource {
  /** Undefined: the API says that there is none. Rejects when that cannot be known. `podUid` keeps it watched until `release`. */
  configMap(podUid: string, namespace: string, name: string): Promise<ConfigMap | undefined>
  secret(podUid: string, namespace: string, name: string): Promise<Secret | undefined>
  runtimeClass(podUid: string, name: string): Promise<RuntimeClass | undefined>
  release(podUid: string): void
  /** The pods that refer to something that has just changed. Returns the unsubscribe. */
  onChange(listener: (podUid: string) => void): () => void
  close(): void
}

/** Keeps copies for when the server is away after a restart. */
export interface ObjectStore {
  save(kind: string, namespace: string, name: string, object: KubeObject): Promise<void>
  load(kind: string, namespace: string, name: string): Promise<KubeObject | undefined>
  remove(kind: string, namespace: string, name: string): Promise<void>
}

interface Entry { ref: ResourceRef; namespace: string; name: string; users: Set<string>; informer: Informer<KubeObject>; stop: AbortController; saved: string | undefined }

export function createObjectSource(client: Client, deps: { clock: Clock; random: Random; log: Log; store?: ObjectStore }): ObjectSource {
  const entries = new Map<string, Entry>()
  const listeners = new Set<(podUid: string) => void>()
  /** A start that was in flight may still ask when the agent has stopped: it gets its answer, and no watch is left behind. */
  const closed = new AbortController()

  const watch = (ref: ResourceRef, namespace: string, name: string): Entry => {
    const id = `${ref.resource}/${namespace}/${name}`
    const found = entries.get(id)
    if (found) return found
    const stop = new AbortController()
    const standalone = createInformer<KubeObject>(client, ref, { ...(namespace !== '' && { namespace }), fieldSelector: `metadata.name=${name}` }, deps)
    const entry: Entry = { ref, namespace, name, users: new Set(), informer: standalone.informer, stop, saved: undefined }
    standalone.informer.onChange((before, after) => {
      if (before?.metadata.resourceVersion === after?.metadata.resourceVersion) return
      if (after) keep(entry, ref, namespace, name, after)
      for (const uid of entry.users) for (const l of listeners) l(uid)
    })
    entries.set(id, entry)
    void standalone.run(AbortSignal.any([stop.signal, closed.signal]))
    return entry
  }

  const keep = (entry: Entry, ref: ResourceRef, namespace: string, name: string, object: KubeObject) => {
    if (!deps.store || entry.saved === object.metadata?.resourceVersion) return
    entry.saved = object.metadata?.resourceVersion
    deps.store.save(ref.kind, namespace, name, object).catch((error: unknown) => deps.log.warn('cannot keep a copy for offline restarts', { kind: ref.kind, name: `${namespace}/${name}`, error }))
  }

  const read = async <T extends KubeObject>(ref: ResourceRef, uid: string, namespace: string, name: string): Promise<T | undefined> => {
    const entry = watch(ref, namespace, name)
    entry.users.add(uid)
    if (entry.informer.hasSynced()) return entry.informer.get(namespace === '' ? name : `${namespace}/${name}`) as T | undefined
    try {
      const object = await client.get<T>(ref, name, namespace)
      keep(entry, ref, namespace, name, object)
      return object
    } catch (error) {
      if (isReason(error, 'NotFound')) return undefined
      const copy = await deps.store?.load(ref.kind, namespace, name)
      if (copy) return copy as T
      throw error
    }
  }

  return {
    configMap: (uid, namespace, name) => read<ConfigMap>(CONFIG_MAPS, uid, namespace, name),
    secret: (uid, namespace, name) => read<Secret>(SECRETS, uid, namespace, name),
    runtimeClass: (uid, name) => read<RuntimeClass>(RUNTIME_CLASSES, uid, '', name),
    release(uid) {
      for (const [id, entry] of entries) {
        if (!entry.users.delete(uid) || entry.users.size > 0) continue
        entry.stop.abort()
        entries.delete(id)
        deps.store?.remove(entry.ref.kind, entry.namespace, entry.name).catch((error: unknown) => deps.log.warn('cannot remove the copy of an object', { kind: entry.ref.kind, error }))
      }
    },
    onChange(listener) {
      listeners.add(listener)
      return () => { listeners.delete(listener) }
    },
    close() {
      closed.abort()
      entries.clear()
      listeners.clear()
    },
  }
}
