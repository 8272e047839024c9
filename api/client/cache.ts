/** The store of an informer: objects by key, with indexes. It knows nothing of where they come from. */
import { keyOf, splitKey, type KubeObject, type Stored } from '../types/index.ts'

export type IndexFunction<T extends KubeObject> = (object: Stored<T>) => string[]
type Listener<T extends KubeObject> = (before: Stored<T> | undefined, after: Stored<T> | undefined) => void

interface Index<T extends KubeObject> { of: IndexFunction<T>; keys: Map<string, Set<string>> }

const NAMESPACE = '\0namespace'

export interface Cache<T extends KubeObject> {
  readonly size: number
  get(key: string): Stored<T> | undefined
  list(): Stored<T>[]
  inNamespace(namespace: string): Stored<T>[]
  byIndex(index: string, value: string): Stored<T>[]
  /** Objects already there are indexed at once. A name that is taken keeps its first function. */
  addIndex(name: string, of: IndexFunction<T>): void
  /** Objects already there are additions, told at once. */
  onChange(listener: Listener<T>): () => void
  put(object: Stored<T>): void
  remove(key: string): void
  /** The world is exactly this: what is missing was deleted. Objects with an unchanged resourceVersion stay, unannounced. */
  replace(objects: readonly Stored<T>[]): void
}

/** `onListenerError`: a listener threw; the cache goes on. */
export function createCache<T extends KubeObject>(onListenerError: (error: unknown) => void): Cache<T> {
  const objects = new Map<string, Stored<T>>()
  const indexes = new Map<string, Index<T>>()
  const listeners = new Set<Listener<T>>()

  const reindex = (index: Index<T>, key: string, before: Stored<T> | undefined, after: Stored<T> | undefined) => {
    const old = before ? index.of(before) : []
    const now = after ? index.of(after) : []
    for (const value of old) {
      if (now.includes(value)) continue
      const keys = index.keys.get(value)
      keys?.delete(key)
      if (keys?.size === 0) index.keys.delete(value)
    }
    for (const value of now) {
      const keys = index.keys.get(value)
      if (keys) keys.add(key)
      else index.keys.set(value, new Set([key]))
    }
  }
  const set = (key: string, after: Stored<T> | undefined) => {
    const before = objects.get(key)
    if (after) objects.set(key, after)
    else if (!objects.delete(key)) return
    for (const index of indexes.values()) reindex(index, key, before, after)
    for (const listener of listeners) tell(listener, before, after)
  }
  const tell = (listener: Listener<T>, before: Stored<T> | undefined, after: Stored<T> | undefined) => {
    try {
      listener(before, after)
    } catch (error) {
      onListenerError(error)
    }
  }
  const byIndex = (name: string, value: string): Stored<T>[] => {
    const keys = indexes.get(name)?.keys.get(value)
    if (!keys) return []
    const found: Stored<T>[] = []
    for (const key of keys) {
      const object = objects.get(key)
      if (object) found.push(object)
    }
    return found
  }
  const addIndex = (name: string, of: IndexFunction<T>) => {
    if (indexes.has(name)) return
    const index: Index<T> = { of, keys: new Map() }
    indexes.set(name, index)
    for (const [key, object] of objects) reindex(index, key, undefined, object)
  }

  return {
    get size() { return objects.size },
    get: (key) => objects.get(key),
    list: () => [...objects.values()],
    inNamespace(namespace) {
      // Built when first asked for: many informers never are.
      addIndex(NAMESPACE, (o) => [splitKey(keyOf(o)).namespace])
      return byIndex(NAMESPACE, namespace)
    },
    byIndex,
    addIndex,
    onChange(listener) {
      listeners.add(listener)
      for (const object of objects.values()) tell(listener, undefined, object)
      return () => { listeners.delete(listener) }
    },
    put: (object) => set(keyOf(object), object),
    remove: (key) => set(key, undefined),
    replace(world) {
      const kept = new Set<string>()
      for (const object of world) {
        const key = keyOf(object)
        kept.add(key)
        const before = objects.get(key)
        // Same name but another uid: the old one was deleted unseen, and its watchers must hear of that.
        if (before && before.metadata.uid !== object.metadata.uid) set(key, undefined)
        if (before?.metadata.resourceVersion !== object.metadata.resourceVersion || before.metadata.uid !== object.metadata.uid) set(key, object)
      }
      for (const key of objects.keys()) if (!kept.has(key)) set(key, undefined)
    },
  }
}
