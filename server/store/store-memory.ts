/** The store in memory: for tests, and the plain reading of what the contract means. */
import { CodedError } from '#base/errors.ts'
import { History, HISTORY_LIMITS, type HistoryLimits } from './history.ts'
import { readSnapshot, writeSnapshot } from './snapshot-format.ts'
import type { Changes, ChangesOptions, KeyValue, ListOptions, ListResult, Revision, Store, Txn, TxnResult, Watch, WatchListener, WatchOptions } from './store.ts'
import { eventsOf, failedCompare } from './transaction.ts'
import { WatchHub } from './watch-hub.ts'

export class MemoryStore implements Store {
  #revision: Revision = 1
  #items = new Map<string, KeyValue>()
  #history: History
  readonly #hub = new WatchHub()
  #closed = false

  constructor(limits: HistoryLimits = HISTORY_LIMITS) {
    this.#history = new History(1, limits)
  }

  revision(): Revision { return this.#revision }
  catchUp(): undefined { /* alone */ }
  compactRevision(): Revision { return this.#history.compactRevision }

  async get(key: string, revision?: Revision): Promise<KeyValue | undefined> {
    this.#assertReadable(revision)
    if (revision === undefined || revision === this.#revision) return this.#items.get(key)
    const then = this.#history.before(key, revision)
    return then.has(key) ? then.get(key) : this.#items.get(key)
  }

  async list(options: ListOptions): Promise<ListResult> {
    const revision = options.revision ?? this.#revision
    this.#assertReadable(revision)
    const then = revision === this.#revision ? new Map<string, KeyValue | undefined>() : this.#history.before(options.prefix, revision)
    const found = new Map<string, KeyValue>()
    for (const [key, item] of this.#items) if (key.startsWith(options.prefix)) found.set(key, item)
    for (const [key, item] of then) {
      if (item) found.set(key, item)
      else found.delete(key)
    }
    const after = options.after
    const all = [...found.values()].filter((i) => after === undefined || i.key > after).sort((a, b) => (a.key < b.key ? -1 : 1))
    if (options.countOnly) return { items: [], revision, more: false, remaining: all.length }
    const items = options.limit === undefined ? all : all.slice(0, options.limit)
    return { items, revision, more: items.length < all.length, remaining: all.length - items.length }
  }

  async txn(txn: Txn): Promise<TxnResult> {
    this.#assertOpen()
    const read = (key: string) => this.#items.get(key)
    const failed = failedCompare(txn.compare, read)
    if (failed) return { ok: false, why: 'conflict', ...failed, revision: this.#revision }
    const events = eventsOf(txn.ops, this.#revision + 1, read)
    if (events.length === 0) return { ok: true, revision: this.#revision }
    this.#revision++
    for (const event of events) {
      if (event.current) this.#items.set(event.key, event.current)
      else this.#items.delete(event.key)
    }
    this.#history.append(events)
    this.#hub.publish(events, this.#revision)
    return { ok: true, revision: this.#revision }
  }

  watch(options: WatchOptions, listener: WatchListener): Watch {
    this.#assertOpen()
    this.#history.assertReaches(options.afterRevision)
    for (const group of this.#history.since(options.prefix, options.afterRevision)) listener(group.events, group.revision)
    return this.#hub.add(options, listener)
  }

  changes(options: ChangesOptions): Changes {
    this.#assertOpen()
    return this.#history.page(options, this.#revision)
  }

  async compact(revision: Revision): Promise<void> {
    this.#assertReadable(revision)
    this.#history.compact(revision)
  }

  async *snapshot(): AsyncIterable<Buffer> {
    this.#assertOpen()
    const items = [...this.#items.values()].sort((a, b) => (a.key < b.key ? -1 : 1))
    yield* writeSnapshot(this.#revision, fromArray(items))
  }

  async restore(chunks: AsyncIterable<Buffer>): Promise<void> {
    this.#assertOpen()
    if (this.#items.size > 0) throw new CodedError('STORE_NOT_EMPTY', 'a snapshot can only be restored into an empty store')
    const items = new Map<string, KeyValue>()
    let revision = 1
    for await (const part of readSnapshot(chunks)) {
      if ('revision' in part) revision = part.revision
      else items.set(part.item.key, part.item)
    }
    this.#items = items
    this.#revision = revision
    this.#history = new History(revision)
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#hub.closeAll()
  }

  #assertOpen(): void {
    if (this.#closed) throw new CodedError('STORE_CLOSED', 'the store is closed')
  }

  #assertReadable(revision: Revision | undefined): void {
    this.#assertOpen()
    if (revision === undefined) return
    if (revision > this.#revision) throw new CodedError('STORE_FUTURE_REVISION', `revision ${revision} does not exist yet: the newest one is ${this.#revision}`)
    this.#history.assertReaches(revision)
  }
}

async function* fromArray(items: readonly KeyValue[]): AsyncGenerator<KeyValue> {
  yield* items
}
