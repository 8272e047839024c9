/** Services, slices and informers that a test fills by hand. Only tests import this. */
import { createCache, type Cache } from '#api/client/cache.ts'
import type { Informer, InformerOptions, Informers } from '#api/client/client.ts'
import type { Endpoint, EndpointSlice, KubeObject, ResourceRef, Service, Stored } from '#api/types/index.ts'

export interface ServiceShape {
  name: string
  namespace?: string
  labels?: Record<string, string>
  spec?: Service['spec']
  status?: Service['status']
}

/** A ClusterIP Service on TCP port 80 unless told otherwise. */
export function service(shape: ServiceShape): Stored<Service> {
  return {
    apiVersion: 'v1', kind: 'Service',
    metadata: meta(shape),
    spec: { type: 'ClusterIP', clusterIP: '10.43.0.100', ports: [{ port: 80, protocol: 'TCP' }], ...shape.spec },
    ...(shape.status && { status: shape.status }),
  }
}

export interface SliceShape {
  service: string
  name?: string
  namespace?: string
  ports?: EndpointSlice['ports']
  /** An address, or a whole endpoint. */
  endpoints: (string | Endpoint)[]
}

export function slice(shape: SliceShape): Stored<EndpointSlice> {
  return {
    apiVersion: 'discovery.k8s.io/v1', kind: 'EndpointSlice', addressType: 'IPv4',
    metadata: meta({ name: shape.name ?? `${shape.service}-x`, namespace: shape.namespace ?? 'default', labels: { 'kubernetes.io/service-name': shape.service } }),
    ports: shape.ports ?? [{ name: '', port: 8080, protocol: 'TCP' }],
    endpoints: shape.endpoints.map((e) => typeof e === 'string' ? { addresses: [e] } : e),
  }
}

function meta(shape: { name: string; namespace?: string; labels?: Record<string, string> }) {
  return { name: shape.name, namespace: shape.namespace ?? 'default', uid: `uid-${shape.name}`, resourceVersion: '1', creationTimestamp: '2026-01-01T00:00:00Z', labels: shape.labels ?? {} }
}

export interface FakeInformers extends Informers {
  put(object: Stored<Service> | Stored<EndpointSlice> | Stored<KubeObject>): void
  remove(object: KubeObject): void
  /** As after the first complete list of the server. */
  sync(): void
  /** As when the server is away and what was kept is all there is. */
  recall(): void
}

export function fakeInformers(): FakeInformers {
  const caches = new Map<string, Cache<KubeObject>>()
  const { promise: synced, resolve } = Promise.withResolvers<void>()
  const { promise: fresh, resolve: markFresh } = Promise.withResolvers<void>()
  const state = { isSynced: false }
  const cacheOf = (kind: string) => {
    const cache = caches.get(kind) ?? createCache<KubeObject>((error) => { throw error })
    caches.set(kind, cache)
    return cache
  }
  return {
    of<T extends KubeObject>(ref: ResourceRef, options: InformerOptions<T> = {}): Informer<T> {
      const cache = cacheOf(ref.kind) as unknown as Cache<T>
      for (const [name, of] of Object.entries(options.indexes ?? {})) cache.addIndex(name, of)
      return {
        synced,
        fresh,
        hasSynced: () => state.isSynced,
        get: (key) => cache.get(key),
        list: () => cache.list(),
        inNamespace: (namespace) => cache.inNamespace(namespace),
        byIndex: (index, value) => cache.byIndex(index, value),
        onChange: (listener) => cache.onChange(listener),
        // What is put here is heard of at once: there are no lists.
        onListed: () => () => {},
      }
    },
    async start() { await synced },
    put(object) { cacheOf(object.kind ?? '').put(object as Stored<KubeObject>) },
    remove(object) { cacheOf(object.kind ?? '').remove(`${object.metadata?.namespace ?? ''}/${object.metadata?.name ?? ''}`) },
    sync() {
      state.isSynced = true
      resolve()
      markFresh()
    },
    recall() {
      state.isSynced = true
      resolve()
    },
  }
}
