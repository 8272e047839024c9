/**
 * The API server's own client, for admission: gets skip the handler and read the watch cache where there is one, else the store,
 * lists without selectors the watch cache; everything else is an ordinary request. Both look at what this server shows, as upstream's informers do, so that a
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

/** What was read lately, read-only and shared: every write asks for its namespace, pods for their account and some small lists. */
class RecentObjects {
  readonly #byValue = new Map<Buffer, { object: KubeObject; revision: number }>()

  /** The store and the caches hand out the same bytes as long as nobody writes. */
  of(value: Buffer, ref: ResourceRef, revision: number): KubeObject {
    const known = this.#byValue.get(value)
    if (known?.revision === revision) return known.object
    const object = freeze(decodeStored(value, namesOf(ref), revision))
    if (value.length > RECENT_BYTES_MAX) return object
    this.#byValue.set(value, { object, revision })
    for (const oldest of this.#byValue.keys()) {
      if (this.#byValue.size <= RECENT_MAX) break
      this.#byValue.delete(oldest)
    }
    return object
  }
}

const namesOf = (ref: ResourceRef): { kind: string; apiVersion: string } => ({ kind: ref.kind, apiVersion: apiVersionOf(ref) })

const RECENT_MAX = 32
const RECENT_BYTES_MAX = 16 * 1024

function freeze<T extends object>(value: T): T {
  for (const part of Object.values(value)) if (typeof part === 'object' && part !== null) freeze(part as object)
  return Object.freeze(value)
}

/** `cacheOf` opens the row's cache when nobody has, `readyCache` does not. What is read is read-only. */
export function createServerClient(store: Store, rows: Rows, transport: Transport, { cacheOf, readyCache }: { cacheOf: (row: KindRow) => Promise<KindCache>; readyCache: (row: KindRow) => KindCache | undefined }): Client {
  const client = createClient(transport, { userAgent: 'kube-apiserver/v1.36.0' })
  const recent = new RecentObjects()
  return {
    ...client,
    async get<T extends KubeObject>(ref: ResourceRef, name: string, namespace = ''): Promise<Stored<T>> {
      const row = rows.find(ref.group, ref.version, ref.resource)
      if (!row || row.storedAs || row.custom) return client.get<T>(ref, name, namespace)
      const key = storageKey(ref, namespace, name)
      const cache = readyCache(row)
      const entry = cache?.isCurrent ? cache.get(key) : undefined
      if (entry) return recent.of(entry.value, ref, entry.revision) as Stored<T>
      // What is not here may have been made at another server a moment ago.
      const kv = (await store.get(key, store.revision())) ?? (await store.get(key))
      if (!kv) throw new ApiError(statusObject(notFound(ref, name).body))
      return recent.of(kv.value, ref, kv.modRevision) as Stored<T>
    },
    async list<T extends KubeObject>(ref: ResourceRef, params: ListParams = {}, signal?: AbortSignal) {
      const row = rows.find(ref.group, ref.version, ref.resource)
      if (!row || row.storedAs || row.custom || Object.keys(params).some((name) => name !== 'namespace')) return client.list<T>(ref, params, signal)
      const cache = await cacheOf(row)
      const entries = cache.list(params.namespace ?? '')
      // A long list would drive out all else, and is asked for seldom.
      const isShort = entries.length <= RECENT_MAX / 2
      return { items: entries.map((entry) => (isShort ? recent.of(entry.value, ref, entry.revision) : decodeStored(entry.value, namesOf(ref), entry.revision)) as Stored<T>), metadata: { resourceVersion: String(cache.revision()) } }
    },
  }
}
