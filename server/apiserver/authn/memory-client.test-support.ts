/** A Client over a Map with the semantics these tests lean on: AlreadyExists, NotFound, Conflict, watches. For tests of parts that only need some objects to be there. */
import { ApiError, type Client, type WatchEvent } from '#api/client/client.ts'
import type { KubeObject, ResourceRef, Stored } from '#api/types/index.ts'

export interface MemoryClient extends Client {
  /** Puts an object there as it is; uid and resourceVersion are filled in. */
  put<T extends KubeObject>(ref: ResourceRef, object: T): Stored<T>
  all<T extends KubeObject>(ref: ResourceRef): Stored<T>[]
  remove(ref: ResourceRef, name: string, namespace?: string): void
  onWrite(listener: (ref: ResourceRef, before: Stored<KubeObject> | undefined, after: Stored<KubeObject> | undefined) => void): void
}

export function createMemoryClient(nowMs: () => number = () => Date.UTC(2026, 10, 20)): MemoryClient {
  const objects = new Map<string, Stored<KubeObject>>()
  const listeners = new Set<(ref: ResourceRef, before: Stored<KubeObject> | undefined, after: Stored<KubeObject> | undefined) => void>()
  let revision = 0
  const prefix = (ref: ResourceRef) => `${ref.group}/${ref.resource}/`
  const key = (ref: ResourceRef, name: string, namespace = '') => `${prefix(ref)}${namespace}/${name}`
  const write = (ref: ResourceRef, at: string, after: Stored<KubeObject> | undefined) => {
    const before = objects.get(at)
    if (after) objects.set(at, after)
    else objects.delete(at)
    for (const listener of listeners) listener(ref, before, after)
  }
  const notFound = (ref: ResourceRef, name: string) => new ApiError({ code: 404, reason: 'NotFound', message: `${ref.resource} "${name}" not found` })
  const store = <T extends KubeObject>(ref: ResourceRef, object: T, old?: Stored<KubeObject>): Stored<T> => {
    const name = object.metadata?.name ?? ''
    const metadata = { ...object.metadata, name, uid: old?.metadata.uid ?? object.metadata?.uid ?? `uid-${++revision}`, resourceVersion: String(++revision), creationTimestamp: old?.metadata.creationTimestamp ?? object.metadata?.creationTimestamp ?? new Date(nowMs()).toISOString() }
    const stored = { ...structuredClone(object), metadata } as Stored<T>
    write(ref, key(ref, name, object.metadata?.namespace), stored)
    return stored
  }
  const client: MemoryClient = {
    async get<T extends KubeObject>(ref: ResourceRef, name: string, namespace?: string) {
      const object = objects.get(key(ref, name, namespace))
      if (!object) throw notFound(ref, name)
      return structuredClone(object) as Stored<T>
    },
    async list<T extends KubeObject>(ref: ResourceRef) {
      return { items: client.all<T>(ref), metadata: { resourceVersion: String(revision) } }
    },
    async *watch<T extends KubeObject>(ref: ResourceRef, params: { fieldSelector?: string }, signal: AbortSignal): AsyncGenerator<WatchEvent<T>, void> {
      const name = /^metadata\.name=(.*)$/.exec(params.fieldSelector ?? '')?.[1]
      const queue: WatchEvent<T>[] = client.all<T>(ref).map((object) => ({ type: 'ADDED', object }))
      let wake = () => {}
      const listener = (changed: ResourceRef, before: Stored<KubeObject> | undefined, after: Stored<KubeObject> | undefined) => {
        if (changed.resource !== ref.resource) return
        queue.push({ type: after ? (before ? 'MODIFIED' : 'ADDED') : 'DELETED', object: (after ?? before) as Stored<T> })
        wake()
      }
      listeners.add(listener)
      signal.addEventListener('abort', () => wake(), { once: true })
      try {
        while (!signal.aborted) {
          const event = queue.shift()
          if (event && (name === undefined || (event.type !== 'ERROR' && event.type !== 'BOOKMARK' && event.object.metadata.name === name))) yield event
          else if (!event) await new Promise<void>((r) => { wake = r })
        }
      } finally {
        listeners.delete(listener)
      }
    },
    async create<T extends KubeObject>(ref: ResourceRef, object: T) {
      if (objects.has(key(ref, object.metadata?.name ?? '', object.metadata?.namespace))) throw new ApiError({ code: 409, reason: 'AlreadyExists', message: `${ref.resource} "${object.metadata?.name}" already exists` })
      return store(ref, object)
    },
    async update<T extends KubeObject>(ref: ResourceRef, object: T) {
      const old = objects.get(key(ref, object.metadata?.name ?? '', object.metadata?.namespace))
      if (!old) throw notFound(ref, object.metadata?.name ?? '')
      if (object.metadata?.resourceVersion !== undefined && object.metadata.resourceVersion !== old.metadata.resourceVersion) throw new ApiError({ code: 409, reason: 'Conflict', message: 'the object has been modified' })
      return store(ref, object, old)
    },
    patch: () => Promise.reject(new Error('the memory client does not patch')),
    async delete(ref, name, namespace) {
      if (!objects.has(key(ref, name, namespace))) throw notFound(ref, name)
      client.remove(ref, name, namespace)
    },
    raw: () => Promise.reject(new Error('the memory client has no raw paths')),
    put: (ref, object) => store(ref, object, objects.get(key(ref, object.metadata?.name ?? '', object.metadata?.namespace))),
    all: <T extends KubeObject>(ref: ResourceRef) => [...objects].filter(([k]) => k.startsWith(prefix(ref))).map(([, o]) => structuredClone(o) as Stored<T>),
    remove: (ref, name, namespace) => write(ref, key(ref, name, namespace), undefined),
    onWrite: (listener) => { listeners.add(listener) },
  }
  return client
}
