/**
 * The watch cache of one resource: every object as ready bytes with what selectors need, kept current by one store
 * watch, plus the newest changes for watchers that lag. What selectors need is parsed once per change, never per reader.
 *
 * The store calls its listener before the transaction's promise resolves, so a read that starts after a write was
 * acknowledged always finds it here.
 */
import type { Labels } from '#api/types/labels.ts'
import { asError, hasCode } from '#base/errors.ts'
import type { KeyValue, ListOptions, ListResult, Store, Watch, WatchEvent as StoreEvent } from '#server/store/store.ts'
import { STORED_START_BYTES, metadataEnd } from '../storage/bytes.ts'
import type { StoredForm } from '../kind.ts'
import { prefixOf, splitStorageKey, type KeyScope } from '../storage/keys.ts'
import { FormedStore, type CacheSource } from './formed-store.ts'

/** One object as the cache holds it. A new revision is a new entry; what selectors need is read off it when one first asks. */
export class Entry {
  readonly key: string
  readonly namespace: string
  readonly name: string
  readonly revision: number
  /** The store's own bytes, shared with it: an object is in memory once. */
  readonly value: Buffer
  #labels: Labels | undefined | 'unread' = 'unread'
  #fields: Readonly<Record<string, string>> | undefined
  readonly #index: KindIndex

  constructor(index: KindIndex, rootLength: number, kv: KeyValue) {
    const { namespace, name } = splitStorageKey(index.scope, rootLength, kv.key)
    this.key = kv.key
    this.namespace = namespace
    this.name = name
    this.revision = kv.modRevision
    this.value = kv.value
    this.#index = index
  }

  get labels(): Labels | undefined {
    if (this.#labels === 'unread') {
      this.#labels = this.#metadata().labels
    }
    return this.#labels
  }

  /** Read anew each time: only shard selectors ask. */
  get uid(): string { return this.#metadata().uid ?? '' }

  #metadata(): { labels?: Labels; uid?: string } {
    return JSON.parse(this.value.toString('utf8', STORED_START_BYTES - 1, metadataEnd(this.value))) as { labels?: Labels; uid?: string }
  }

  /** The kind's selectable fields; undefined when it has none. */
  get fields(): Readonly<Record<string, string>> | undefined {
    return (this.#fields ??= this.#index.fieldsOf?.(this.value))
  }
}

export interface CacheEvent {
  readonly revision: number
  readonly before: Entry | undefined
  readonly after: Entry | undefined
  /** Encodings made so far, shared by all watchers that want the same one; let go of when all that follow have passed. */
  readonly encoded: Map<string, Buffer>
}

/** What happened before the ring begins, a part of it at a time. */
export interface Backlog {
  readonly events: readonly CacheEvent[]
  /** All changes up to here are among them. */
  readonly through: number
}

/** Whoever follows the ring; the cache tells it that there is more. */
export interface Follower {
  /** Sequence number of the next event it wants. */
  readonly position: number
  /** Called soon after events came in, once per batch. */
  onEvents(): void
  /** The ring no longer reaches back to `position`. */
  onLost(): void
  /** The store is gone. */
  onClosed(): void
}

export interface KindIndex {
  scope: KeyScope
  /** Undefined when the kind has no selectable fields. Given a stored value. */
  fieldsOf: ((value: Buffer) => Readonly<Record<string, string>>) | undefined
  /** Where the store's values are not what the cache is to hold. */
  form?: StoredForm | undefined
}

/** Events kept when nobody lags: enough for a watch that reconnects at once. */
const RING_KEEP = 64
/** A watcher may lag by this much, then it is cut with 410: bounds memory whatever clients do. */
const RING_EVENTS_MAX = 4096
const RING_BYTES_MAX = 8 * 1024 * 1024
const LOAD_PAGE = 500
/** How much of the past a watcher holds at a time. */
const BACKLOG_BYTES = 512 * 1024

export class KindCache {
  readonly prefix: string
  readonly #store: CacheSource
  readonly #index: KindIndex
  readonly #entries = new Map<string, Entry>()
  /** The entries in key order; rebuilt by insertion, as most changes replace in place. */
  #order: Entry[] = []
  readonly #followers = new Set<Follower>()
  #ring: CacheEvent[] = []
  /** Sequence number of `#ring[0]`. */
  #ringStart = 0
  /** Of the first event whose encodings somebody may still want. */
  #bareTo = 0
  #ringBytes = 0
  /** All changes after this revision are in the ring. */
  #ringAfter = 0
  #watch: Watch | undefined
  #wakeScheduled = false
  #isFollowed = true
  /** The revision whose state it shows for good, since it was closed. */
  #closedAt: number | undefined
  #changes = 0
  #bytes = 0

  private constructor(store: Store, index: KindIndex) {
    this.#store = index.form ? new FormedStore(store, index.form, () => this.close()) : store
    this.#index = index
    this.prefix = prefixOf(index.scope)
  }

  /** Loads the present state and follows it from there. */
  static async open(store: Store, index: KindIndex): Promise<KindCache> {
    for (;;) {
      const cache = new KindCache(store, index)
      try {
        await cache.#load()
        return cache
      } catch (error) {
        // The state being paged was compacted meanwhile: begin again with a newer one.
        if (!hasCode(error, 'STORE_COMPACTED')) throw error
      }
    }
  }

  /** Grows with each change: tells whether something derived is still current. */
  get changes(): number { return this.#changes }
  get size(): number { return this.#order.length }
  /** Of all objects, as stored. */
  get bytes(): number { return this.#bytes }
  get resource(): string { return this.#index.scope.group === '' ? this.#index.scope.resource : `${this.#index.scope.resource}.${this.#index.scope.group}` }
  get scope(): { group: string; resource: string } { return { group: this.#index.scope.group, resource: this.#index.scope.resource } }
  get followers(): number { return this.#followers.size }
  get ringEnd(): number { return this.#ringStart + this.#ring.length }
  /** The cache shows the state of this revision. */
  revision(): number { return this.#closedAt ?? this.#store.revision() }

  /** False while changes wait for a conversion: what is here may be older than what the store has acknowledged. */
  get isCurrent(): boolean { return this.#store.isCurrent ?? true }
  /** Resolves when everything the store has acknowledged by now is here. */
  async caughtUp(): Promise<void> { await this.#store.caughtUp?.() }
  get isClosed(): boolean { return this.#closedAt !== undefined }

  get(key: string): Entry | undefined { return this.#entries.get(key) }

  /** Of the store itself, in the cache's form: for states the cache no longer has. */
  page(options: ListOptions): Promise<ListResult> { return this.#store.list(options) }

  /** Entries of a namespace ('': all) in key order, starting after `after` when given. A fresh array. */
  list(namespace: string, after?: string): Entry[] {
    if (namespace === '' && after === undefined) return this.#order.slice()
    const prefix = namespace === '' ? this.prefix : prefixOf(this.#index.scope, namespace)
    const from = after === undefined ? this.#lowerBound(prefix) : this.#lowerBound(`${after}\0`)
    const to = namespace === '' ? this.#order.length : this.#lowerBound(`${prefix.slice(0, -1)}0`)
    return this.#order.slice(from, to)
  }

  event(position: number): CacheEvent | undefined { return this.#ring[position - this.#ringStart] }

  /** Position of the first event after `revision`; undefined when the ring does not reach back. */
  positionAfter(revision: number): number | undefined {
    if (revision < this.#ringAfter) return undefined
    let at = this.#ring.length
    while (at > 0 && (this.#ring[at - 1]?.revision ?? 0) > revision) at--
    return this.#ringStart + at
  }

  /** The first changes after `revision`, up to `until`, from the store's own history, for who comes back after long. Throws STORE_COMPACTED. */
  history(revision: number, until: number): Backlog {
    const { events, through } = this.#store.changes({ prefix: this.prefix, afterRevision: revision, bytesMax: BACKLOG_BYTES })
    return { events: events.filter((e) => e.revision <= until).map((e) => this.#translate(e)), through: Math.min(through, until) }
  }

  follow(follower: Follower): void {
    if (this.isClosed || !this.#isFollowed) follower.onClosed()
    else this.#followers.add(follower)
  }

  unfollow(follower: Follower): void { this.#followers.delete(follower) }

  /** Nobody follows it from now on. It goes on showing what the store has: a server that stops still has requests to answer. */
  endFollowers(): void {
    this.#isFollowed = false
    for (const follower of this.#followers) follower.onClosed()
    this.#followers.clear()
  }

  close(): void {
    if (this.isClosed) return
    this.#closedAt = this.#store.revision()
    this.#watch?.close()
    this.endFollowers()
    this.onClosed?.()
  }

  /** Told once, when it ends. */
  onClosed: (() => void) | undefined

  entry(kv: KeyValue): Entry {
    return new Entry(this.#index, this.prefix.length, kv)
  }

  async #load(): Promise<void> {
    let after: string | undefined
    let revision: number | undefined
    for (;;) {
      const page = await this.#store.list({ prefix: this.prefix, limit: LOAD_PAGE, ...(after !== undefined && { after }), ...(revision !== undefined && { revision }) })
      revision = page.revision
      for (const item of page.items) {
        const entry = this.entry(item)
        this.#entries.set(item.key, entry)
        this.#order.push(entry)
        this.#bytes += item.value.length
        after = item.key
      }
      if (!page.more) break
    }
    this.#ringAfter = revision
    // Those who follow were promised every change: they begin anew, with a cache that begins after the gap.
    this.#watch = this.#store.watch({ prefix: this.prefix, afterRevision: revision, onGap: () => this.close() }, (events) => this.#apply(events))
  }

  #apply(events: readonly StoreEvent[]): void {
    for (const event of events) {
      const before = this.#entries.get(event.key)
      const after = event.current && this.entry(event.current)
      this.#changes++
      this.#bytes += (after?.value.length ?? 0) - (before?.value.length ?? 0)
      this.#place(event.key, after)
      this.#push({ revision: event.revision, before, after, encoded: new Map() })
    }
    // Only who had the chance to take them is cut for lagging.
    if (this.#isOver(this.#ring.length)) this.#wake()
    else this.#trim()
    if (this.#wakeScheduled || this.#followers.size === 0) return
    this.#wakeScheduled = true
    // Once per turn of the loop: the writer's answer goes first, and a burst reaches each watcher in one piece.
    setImmediate(() => this.#wake())
  }

  #wake(): void {
    this.#wakeScheduled = false
    let passed = this.ringEnd
    for (const follower of this.#followers) {
      follower.onEvents()
      passed = Math.min(passed, follower.position)
    }
    for (; this.#bareTo < passed; this.#bareTo++) this.#ring[this.#bareTo - this.#ringStart]?.encoded.clear()
    this.#trim()
  }

  #translate(event: StoreEvent): CacheEvent {
    return { revision: event.revision, before: event.previous && this.entry(event.previous), after: event.current && this.entry(event.current), encoded: new Map() }
  }

  #place(key: string, entry: Entry | undefined): void {
    const at = this.#lowerBound(key)
    const there = this.#order[at]?.key === key
    if (entry) {
      this.#entries.set(key, entry)
      if (there) this.#order[at] = entry
      else this.#order.splice(at, 0, entry)
    } else {
      this.#entries.delete(key)
      if (there) this.#order.splice(at, 1)
    }
  }

  #push(event: CacheEvent): void {
    this.#ring.push(event)
    this.#ringBytes += sizeOf(event)
  }

  /** Drops what nobody needs; beyond the limits also what laggards still need, and tells them. */
  #trim(): void {
    if (this.#ring.length <= RING_KEEP && this.#ringBytes <= RING_BYTES_MAX) return
    let needed = this.ringEnd
    for (const follower of this.#followers) needed = Math.min(needed, follower.position)
    let drop = 0
    for (;;) {
      const length = this.#ring.length - drop
      const event = this.#ring[drop]
      if (!event) break
      const isOver = this.#isOver(length)
      const isNeeded = length <= RING_KEEP || this.#ringStart + drop >= needed
      if (isNeeded && !isOver) break
      this.#ringBytes -= sizeOf(event)
      this.#ringAfter = event.revision
      drop++
    }
    if (drop === 0) return
    this.#ring.splice(0, drop)
    this.#ringStart += drop
    const lost = Array.from(this.#followers).filter((f) => f.position < this.#ringStart)
    for (const follower of lost) follower.onLost()
  }

  #isOver(length: number): boolean { return length > RING_EVENTS_MAX || this.#ringBytes > RING_BYTES_MAX }

  /** Index of the first entry whose key is not below `key`. */
  #lowerBound(key: string): number {
    let low = 0
    let high = this.#order.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if ((this.#order[middle] as Entry).key < key) low = middle + 1
      else high = middle
    }
    return low
  }
}

const sizeOf = (event: CacheEvent): number => (event.after?.value.length ?? event.before?.value.length ?? 0) + 256

/** Lazily opened caches, one per stored resource. */
export class KindCaches {
  readonly #store: Store
  readonly #open = new Map<string, Promise<KindCache>>()
  readonly #ready = new Map<string, KindCache>()
  #isFollowed = true

  constructor(store: Store) { this.#store = store }

  /** Already there, or undefined: never waits. */
  ready(scope: KeyScope, form?: StoredForm): KindCache | undefined { return this.#ready.get(idOf(scope, form)) }
  all(): Iterable<KindCache> { return this.#ready.values() }

  of(index: KindIndex): Promise<KindCache> {
    const id = idOf(index.scope, index.form)
    let opening = this.#open.get(id)
    if (!opening) {
      opening = this.#start(id, index)
      this.#open.set(id, opening)
    }
    return opening
  }

  async #start(id: string, index: KindIndex): Promise<KindCache> {
    try {
      const cache = await KindCache.open(this.#store, index)
      if (!this.#isFollowed) cache.endFollowers()
      if (!this.#open.has(id)) cache.close()
      else this.#ready.set(id, cache)
      // A conversion that failed ends it; whoever asks next begins again.
      cache.onClosed = () => { if (this.#ready.get(id) === cache) { this.#ready.delete(id); this.#open.delete(id) } }
      return cache
    } catch (error) {
      // The next request tries again.
      this.#open.delete(id)
      throw asError(error)
    }
  }

  /** Ends the caches of a resource, in all its forms, and all that follows them: what its objects look like has changed. */
  drop(scope: KeyScope): void {
    const prefix = prefixOf(scope)
    const isOf = (id: string) => id === prefix || id.startsWith(`${prefix}#`)
    for (const id of [...this.#open.keys()].filter(isOf)) this.#open.delete(id)
    for (const [id, cache] of [...this.#ready].filter(([i]) => isOf(i))) {
      this.#ready.delete(id)
      cache.close()
    }
  }

  /** Ends all watches, and every new one at once. The caches end with their store: until then they are read by what is in flight. */
  endFollowers(): void {
    this.#isFollowed = false
    for (const cache of this.#ready.values()) cache.endFollowers()
  }
}

const idOf = (scope: KeyScope, form: StoredForm | undefined): string => (form ? `${prefixOf(scope)}#${form.id}` : prefixOf(scope))
