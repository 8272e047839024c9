/** An API server for kubelet tests: objects, watches, the patches the kubelet sends, graceful deletion of pods. Only tests import it. */
import { ApiError, type Client, type ListParams, type WatchEvent } from '#api/client/client.ts'
import { keyOf, type KubeObject, type Pod, type ResourceRef, type Stored } from '#api/types/index.ts'

interface Change { ref: string; type: 'ADDED' | 'MODIFIED' | 'DELETED'; object: Stored<KubeObject>; rv: number }

export interface ApiMemory {
  client: Client
  put<T extends KubeObject>(ref: ResourceRef, object: T): Stored<T>
  get<T extends KubeObject>(ref: ResourceRef, key: string): Stored<T> | undefined
  list<T extends KubeObject>(ref: ResourceRef): Stored<T>[]
  /** As a user's `kubectl delete`. */
  deletePod(ref: ResourceRef, key: string, graceSeconds?: number): void
  remove(ref: ResourceRef, key: string): void
  /** While down every call fails and watches end. */
  down(down: boolean): void
  /** Answers TokenRequests and other subresource creations. */
  onCreate: (resource: string, subresource: string, object: KubeObject) => KubeObject
  readonly patches: { path: string; patch: unknown }[]
  readonly calls: string[]
}

export function createApiMemory(): ApiMemory {
  const objects = new Map<string, Map<string, Stored<KubeObject>>>()
  const history: Change[] = []
  const watchers = new Set<() => void>()
  const patches: ApiMemory['patches'] = []
  const calls: string[] = []
  let rv = 0
  let uidCount = 0
  let isDown = false

  const of = (resource: string) => {
    const map = objects.get(resource) ?? new Map<string, Stored<KubeObject>>()
    objects.set(resource, map)
    return map
  }
  const change = (type: Change['type'], resource: string, object: Stored<KubeObject>) => {
    rv++
    object.metadata.resourceVersion = String(rv)
    if (type === 'DELETED') of(resource).delete(keyOf(object))
    else of(resource).set(keyOf(object), object)
    history.push({ ref: resource, type, object: structuredClone(object), rv })
    for (const wake of watchers) wake()
    return structuredClone(object)
  }
  const need = (resource: string, key: string) => {
    const found = of(resource).get(key)
    if (!found) throw new ApiError({ code: 404, reason: 'NotFound', message: `${resource} "${key}" not found` })
    return structuredClone(found)
  }
  const enter = async (call: string) => {
    calls.push(call)
    await Promise.resolve()
    if (isDown) throw new Error('connect ECONNREFUSED 127.0.0.1:6443')
  }
  const key = (name: string, namespace?: string) => (namespace ? `${namespace}/${name}` : name)
  const matches = (object: KubeObject, { namespace, fieldSelector }: ListParams) => {
    if (namespace && object.metadata?.namespace !== namespace) return false
    const [field, value] = fieldSelector?.split('=') ?? []
    if (field === 'metadata.name') return object.metadata?.name === value
    if (field === 'spec.nodeName') return (object as Pod).spec?.nodeName === value
    return true
  }
  const stored = (object: KubeObject): Stored<KubeObject> => {
    const copy = structuredClone(object)
    return { ...copy, metadata: { creationTimestamp: '2026-01-01T00:00:00Z', generation: 1, ...copy.metadata, name: copy.metadata?.name ?? '', uid: copy.metadata?.uid ?? `uid-${++uidCount}`, resourceVersion: '' } } as Stored<KubeObject>
  }

  const client: Client = {
    async get(ref, name, namespace) {
      await enter(`get ${ref.resource} ${name}`)
      return need(ref.resource, key(name, namespace)) as never
    },
    async list(ref, params = {}) {
      await enter(`list ${ref.resource}`)
      return { items: [...of(ref.resource).values()].filter((o) => matches(o, params)).map((o) => structuredClone(o)) as never, metadata: { resourceVersion: String(rv) } }
    },
    async *watch<T extends KubeObject>(ref: ResourceRef, params: ListParams & { sendInitialEvents?: boolean }, signal: AbortSignal): AsyncGenerator<WatchEvent<T>> {
      await enter(`watch ${ref.resource} ${params.fieldSelector ?? ''}`)
      let at = Number(params.resourceVersion ?? 0)
      if (params.sendInitialEvents) {
        at = rv
        for (const o of of(ref.resource).values()) if (matches(o, params)) yield { type: 'ADDED', object: structuredClone(o) as Stored<T> }
        yield { type: 'BOOKMARK', object: { metadata: { resourceVersion: String(at), annotations: { 'k8s.io/initial-events-end': 'true' } } } }
      }
      let next = history.findIndex((c) => c.rv > at)
      if (next < 0) next = history.length
      while (!signal.aborted && !isDown) {
        for (; next < history.length; next++) {
          const c = history[next]
          if (c && c.ref === ref.resource && matches(c.object, params)) yield { type: c.type, object: structuredClone(c.object) as Stored<T> }
        }
        await new Promise<void>((resolve) => {
          const wake = () => { watchers.delete(wake); signal.removeEventListener('abort', wake); resolve() }
          watchers.add(wake)
          signal.addEventListener('abort', wake)
        })
      }
      if (!signal.aborted) throw new Error('the connection was closed')
    },
    async create(ref, object, options = {}) {
      await enter(`create ${ref.resource}${options.subresource ? `/${options.subresource}` : ''}`)
      if (options.subresource) return api.onCreate(ref.resource, options.subresource, object) as never
      if (of(ref.resource).has(keyOf(object))) throw new ApiError({ code: 409, reason: 'AlreadyExists', message: `${ref.resource} "${keyOf(object)}" already exists` })
      return change('ADDED', ref.resource, stored(object)) as never
    },
    async update(ref, object) {
      await enter(`update ${ref.resource}`)
      const old = need(ref.resource, keyOf(object))
      if (object.metadata?.resourceVersion && object.metadata.resourceVersion !== old.metadata.resourceVersion) throw new ApiError({ code: 409, reason: 'Conflict', message: 'the object has been modified' })
      return change('MODIFIED', ref.resource, { ...stored(object), metadata: { ...old.metadata, ...object.metadata } } as Stored<KubeObject>) as never
    },
    async patch(ref, name, namespace, type, patch, options = {}) {
      await enter(`patch ${ref.resource} ${name}${options.subresource ? `/${options.subresource}` : ''}`)
      const old = need(ref.resource, key(name, namespace))
      const uid = (patch as KubeObject).metadata?.uid
      if (uid !== undefined && uid !== old.metadata.uid) throw new ApiError({ code: 409, reason: 'Conflict', message: 'the UID in the precondition does not match' })
      patches.push({ path: `${ref.resource}/${name}/${options.subresource ?? ''}`, patch: structuredClone(patch) })
      return change('MODIFIED', ref.resource, merge(old, patch, type === 'application/merge-patch+json' ? undefined : '') as Stored<KubeObject>) as never
    },
    async delete(ref, name, namespace, options = {}) {
      await enter(`delete ${ref.resource} ${name}`)
      const old = need(ref.resource, key(name, namespace))
      if (options.preconditions?.uid !== undefined && options.preconditions.uid !== old.metadata.uid) throw new ApiError({ code: 409, reason: 'Conflict', message: 'the UID in the precondition does not match' })
      change('DELETED', ref.resource, old)
    },
    raw: () => Promise.reject(new Error('not needed here')),
  }

  const api: ApiMemory = {
    client, patches, calls,
    put<T extends KubeObject>(ref: ResourceRef, object: T) {
      const old = of(ref.resource).get(keyOf(object))
      const next = stored(object)
      if (old) next.metadata.uid = object.metadata?.uid ?? old.metadata.uid
      return change(old ? 'MODIFIED' : 'ADDED', ref.resource, next) as Stored<T>
    },
    get: <T extends KubeObject>(ref: ResourceRef, k: string) => { const o = of(ref.resource).get(k); return o && (structuredClone(o) as Stored<T>) },
    list: <T extends KubeObject>(ref: ResourceRef) => [...of(ref.resource).values()].map((o) => structuredClone(o) as Stored<T>),
    deletePod(ref, k, graceSeconds) {
      const old = need(ref.resource, k)
      const grace = graceSeconds ?? (old as Pod).spec?.terminationGracePeriodSeconds ?? 30
      if (grace === 0) change('DELETED', ref.resource, old)
      else change('MODIFIED', ref.resource, { ...old, metadata: { ...old.metadata, deletionTimestamp: '2026-01-01T01:00:00Z', deletionGracePeriodSeconds: grace } })
    },
    remove: (ref, k) => { change('DELETED', ref.resource, need(ref.resource, k)) },
    down(down) {
      isDown = down
      for (const wake of watchers) wake()
    },
    onCreate: (resource, subresource) => { throw new ApiError({ code: 404, reason: 'NotFound', message: `${resource}/${subresource}` }) },
  }
  return api
}

/** Enough of a strategic merge: null removes, maps merge, conditions merge by type, `$patch: replace` replaces, `$patch: delete` removes one. `at` undefined: a merge patch, whose lists replace. */
function merge(old: unknown, patch: unknown, at: string | undefined): unknown {
  if (Array.isArray(patch)) {
    const replace = patch.some((p) => (p as { $patch?: string } | null)?.$patch === 'replace')
    const items = patch.filter((p) => (p as { $patch?: string } | null)?.$patch === undefined) as Record<string, unknown>[]
    if (replace || at !== 'conditions' || !Array.isArray(old)) return structuredClone(items)
    const gone = patch.filter((p) => (p as { $patch?: string } | null)?.$patch === 'delete').map((p) => (p as { type?: string }).type)
    const before = (old as Record<string, unknown>[]).filter((o) => !gone.includes(o.type as string))
    return [...before.map((o) => merge(o, items.find((i) => i.type === o.type) ?? {}, '')), ...items.filter((i) => !before.some((o) => o.type === i.type))]
  }
  if (typeof patch !== 'object' || patch === null) return patch
  const out: Record<string, unknown> = typeof old === 'object' && old !== null && !Array.isArray(old) ? { ...old } : {}
  // Lists of items in a status are atomic.
  for (const [k, v] of Object.entries(patch)) {
    if (v === null) delete out[k]
    else out[k] = merge(out[k], v, at === undefined ? undefined : k)
  }
  return out
}
