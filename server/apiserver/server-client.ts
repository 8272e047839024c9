/**
 * The API server's own client, for admission: gets skip the handler and read the store, lists without selectors the watch
 * cache; everything else is an ordinary request. Both look at what this server shows, as upstream's informers do, so that a
 * write need not ask the other servers for anything before it goes to the leader.
 */
import { ApiError, type Client, type ListParams } from '#api/client/client.ts'
import { createClient } from '#api/client/rest.ts'
import type { Transport } from '#api/client/transport.ts'
import type { KubeObject, ResourceRef, Stored } from '#api/types/index.ts'
import { apiVersionOf } from '#api/types/index.ts'
import type { Store } from '#server/store/store.ts'
import { notFound, statusObject } from './http/status.ts'
import type { KindRow } from './kind.ts'
import type { Rows } from './rows.ts'
import { decodeStored } from './storage/bytes.ts'
import { storageKey } from './storage/keys.ts'
import type { KindCache } from './watch/kind-cache.ts'

/** `cacheOf`: opens the row's cache when nobody has. */
export function createServerClient(store: Store, rows: Rows, transport: Transport, cacheOf: (row: KindRow) => Promise<KindCache>): Client {
  const client = createClient(transport, { userAgent: 'kube-apiserver/v1.36.0' })
  return {
    ...client,
    async get<T extends KubeObject>(ref: ResourceRef, name: string, namespace = ''): Promise<Stored<T>> {
      const row = rows.find(ref.group, ref.version, ref.resource)
      if (!row || row.storedAs || row.custom) return client.get<T>(ref, name, namespace)
      const key = storageKey(ref, namespace, name)
      // What is not here may have been made at another server a moment ago.
      const kv = (await store.get(key, store.revision())) ?? (await store.get(key))
      if (!kv) throw new ApiError(statusObject(notFound(ref, name).body))
      return decodeStored(kv.value, { kind: ref.kind, apiVersion: apiVersionOf(ref) }, kv.modRevision) as Stored<T>
    },
    async list<T extends KubeObject>(ref: ResourceRef, params: ListParams = {}, signal?: AbortSignal) {
      const row = rows.find(ref.group, ref.version, ref.resource)
      if (!row || row.storedAs || row.custom || Object.keys(params).some((name) => name !== 'namespace')) return client.list<T>(ref, params, signal)
      const cache = await cacheOf(row)
      const names = { kind: ref.kind, apiVersion: apiVersionOf(ref) }
      return { items: cache.list(params.namespace ?? '').map((entry) => decodeStored(entry.value, names, entry.revision) as Stored<T>), metadata: { resourceVersion: String(cache.revision()) } }
    },
  }
}
