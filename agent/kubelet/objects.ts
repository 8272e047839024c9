/**
 * The ConfigMaps, Secrets and RuntimeClasses that pods here refer to, and no others: one watch by name each (the Node authorizer allows
 * nothing wider), started at first use and ended with its last pod, or once it is immutable. What was read stays readable while the server is away.
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
  /** Anything else that the Node authorizer lets a pod's node get: asked for each time, not watched. Undefined: there is none. */
  read<T extends KubeObject>(ref: ResourceRef, podUid: string, namespace: string, name: string): Promise<T | undefined>
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

/** A ConfigMap or Secret that cannot change any more (KEP-1412). */
const isImmutable = (object: KubeObject & { immutable?: boolean }): boolean => object.immutable === true

/** `saved`: the resourceVersion of what is on disk. */
interface Copy { ref: ResourceRef; namespace: string; name: string; users: Set<string>; saved: string | undefined }
interface Entry extends Copy { informer: Informer<KubeObject>; stop: AbortController }

export function createObjectSource(client: Client, deps: { clock: Clock; random: Random; log: Log; store?: ObjectStore }): ObjectSource {
  const entries = new Map<string, Entry>()
  /** Of what is not watched. */
  const copies = new Map<string, Copy>()
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
      // As upstream's: it stays what it is for as long as pods here have it. Once it is shown: nobody asks for it again.
      if (after && isImmutable(after)) void standalone.informer.synced.then(() => stop.abort())
      for (const uid of entry.users) for (const l of listeners) l(uid)
    })
    entries.set(id, entry)
    void standalone.run(AbortSignal.any([stop.signal, closed.signal]))
    return entry
  }

  const keep = (entry: Copy, ref: ResourceRef, namespace: string, name: string, object: KubeObject) => {
    if (!deps.store || entry.saved === object.metadata?.resourceVersion) return
    entry.saved = object.metadata?.resourceVersion
    deps.store.save(ref.kind, namespace, name, object).catch((error: unknown) => deps.log.warn('cannot keep a copy for offline restarts', { kind: ref.kind, name: `${namespace}/${name}`, error }))
  }

  const watched = async <T extends KubeObject>(ref: ResourceRef, uid: string, namespace: string, name: string): Promise<T | undefined> => {
    const entry = watch(ref, namespace, name)
    entry.users.add(uid)
    if (entry.informer.hasSynced()) return entry.informer.get(namespace === '' ? name : `${namespace}/${name}`) as T | undefined
    return ask<T>(entry, ref, namespace, name)
  }

  const read = async <T extends KubeObject>(ref: ResourceRef, uid: string, namespace: string, name: string): Promise<T | undefined> => {
    const id = `${ref.resource}/${namespace}/${name}`
    const copy = copies.get(id) ?? { ref, namespace, name, users: new Set(), saved: undefined }
    copies.set(id, copy)
    copy.users.add(uid)
    return ask<T>(copy, ref, namespace, name)
  }

  const ask = async <T extends KubeObject>(copied: Copy, ref: ResourceRef, namespace: string, name: string): Promise<T | undefined> => {
    try {
      const object = await client.get<T>(ref, name, namespace === '' ? undefined : namespace)
      keep(copied, ref, namespace, name, object)
      return object
    } catch (error) {
      if (isReason(error, 'NotFound')) return undefined
      const copy = await deps.store?.load(ref.kind, namespace, name)
      if (copy) return copy as T
      throw error
    }
  }

  const drop = ({ ref, namespace, name }: Copy): void => {
    deps.store?.remove(ref.kind, namespace, name).catch((error: unknown) => deps.log.warn('cannot remove the copy of an object', { kind: ref.kind, error }))
  }

  return {
    configMap: (uid, namespace, name) => watched<ConfigMap>(CONFIG_MAPS, uid, namespace, name),
    secret: (uid, namespace, name) => watched<Secret>(SECRETS, uid, namespace, name),
    runtimeClass: (uid, name) => watched<RuntimeClass>(RUNTIME_CLASSES, uid, '', name),
    read,
    release(uid) {
      for (const [id, entry] of entries) {
        if (!entry.users.delete(uid) || entry.users.size > 0) continue
        entry.stop.abort()
        entries.delete(id)
        drop(entry)
      }
      for (const [id, copy] of copies) {
        if (!copy.users.delete(uid) || copy.users.size > 0) continue
        copies.delete(id)
        drop(copy)
      }
    },
    onChange(listener) {
      listeners.add(listener)
      return () => { listeners.delete(listener) }
    },
    close() {
      closed.abort()
      entries.clear()
      copies.clear()
      listeners.clear()
    },
  }
}
