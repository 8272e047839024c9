/**
 * The store on an external etcd v3 cluster. Reads and transactions go to etcd; one watch of all of it feeds the recent
 * history from which watches are served, as in the embedded stores. What the store shows (`revision()`) is what that watch has
 * delivered: a write is acknowledged, and a newest read is answered, when the watch has come as far.
 *
 *   txn, get, list --> members --> etcd --watch--> event feed --> history, watches; then the answer
 *
 * Other than in the embedded stores: nothing is lazy, history before this process's start is not served to watches, and
 * `restore` gives new revisions.
 */
import type { Clock } from '#base/clock.ts'
import { CodedError } from '#base/errors.ts'
import type { GrpcTls } from '#base/grpc/grpc-client.ts'
import type { Log } from '#base/log.ts'
import { History, HISTORY_LIMITS } from '../history.ts'
import { readSnapshot, writeSnapshot } from '../snapshot-format.ts'
import { TXN_OPS_MAX, type Changes, type ChangesOptions, type KeyValue, type ListOptions, type ListResult, type Revision, type Store, type Txn, type TxnResult, type Watch, type WatchEvent, type WatchListener, type WatchOptions } from '../store.ts'
import { WatchHub } from '../watch-hub.ts'
import { keepCompacting } from './compactor.ts'
import { EventFeed } from './event-feed.ts'
import { keySpace, type KeySpace } from './key-space.ts'
import { Members, type MemberLimits } from './members.ts'
import { ETCD, EVENT_DELETE, TARGET_MOD, type EtcdEvent, type EtcdKeyValue } from './messages.ts'

export interface EtcdStoreOptions {
  /** `https://host:2379`, `http://...`: members of one cluster. */
  endpoints: readonly string[]
  tls: GrpcTls
  /** What all keys of the store begin with, and what they begin with in etcd. */
  root: string
  prefix: string
  /** 0: somebody else compacts. */
  compactionIntervalMs: number
  clock: Clock
  log: Log
  /** The store has missed changes that nobody can tell any more: only a new start helps. */
  onLost: (error: CodedError) => void
  limits?: MemberLimits
}

const FORMAT = 'skiff 1'
/** Objects of a page at first; then as many as make about PAGE_BYTES. */
const PAGE_FIRST = 100
const PAGE_BYTES = 4 * 1024 * 1024
const PAGE_MAX = 5_000
/** How long the watch may lag before it is asked (and asked again), and before whoever waits is told. */
const LAG_MS = 50
const LAG_MS_MAX = 10_000

/** Rejects with `STORE_UNAVAILABLE`, `STORE_FORMAT`, `STORE_REFUSED`. */
export async function openEtcdStore(options: EtcdStoreOptions): Promise<Store> {
  const members = new Members(options)
  const keys = keySpace(options.root, options.prefix)
  try {
    await claim(members, keys, options.prefix)
    const { header } = await members.ask(ETCD.range, { ...keys.all, countOnly: true }, { again: true })
    const store = new EtcdStore(members, keys, header?.revision ?? 0, options)
    await store.start()
    return store
  } catch (error) {
    members.close()
    throw error
  }
}

/** Notes whose prefix it is; refuses one that is somebody else's, or a newer skiff's. */
async function claim(members: Members, keys: KeySpace, prefix: string): Promise<void> {
  const key = keys.own('format')
  const { kvs: [mark] } = await members.ask(ETCD.range, { key }, { again: true })
  if (mark?.value.toString() === FORMAT) return
  if (mark) throw new CodedError('STORE_FORMAT', `the keys below ${prefix} in etcd were written by a newer skiff (${JSON.stringify(mark.value.toString().slice(0, 40))}, this one reads ${JSON.stringify(FORMAT)}): install that release again`)
  const { count } = await members.ask(ETCD.range, { ...keys.rangeOf(''), countOnly: true }, { again: true })
  if (count > 0) throw new CodedError('STORE_FOREIGN', `etcd holds ${count} keys below ${prefix}/ that are not skiff's: they may be another Kubernetes cluster: pass another --etcd-prefix, or another etcd`)
  // Several servers may start at once: whoever is first writes it.
  await members.ask(ETCD.txn, { compare: [{ target: TARGET_MOD, key, modRevision: 0 }], success: [{ put: { key, value: Buffer.from(FORMAT) } }], failure: [] }, { again: true })
}

class EtcdStore implements Store {
  readonly #members: Members
  readonly #keys: KeySpace
  readonly #options: EtcdStoreOptions
  readonly #feed: EventFeed
  readonly #hub = new WatchHub()
  readonly #history: History
  readonly #stop = new AbortController()
  #revision: Revision
  #waiting: { revision: Revision; resolve: () => void; reject: (error: Error) => void }[] = []
  #touching: Promise<unknown> | undefined

  constructor(members: Members, keys: KeySpace, revision: Revision, options: EtcdStoreOptions) {
    this.#members = members
    this.#keys = keys
    this.#options = options
    this.#revision = revision
    this.#history = new History(revision, HISTORY_LIMITS)
    this.#feed = new EventFeed({ members, keys, afterRevision: revision, clock: options.clock, log: options.log, onRevision: (r, events) => this.#show(r, events), onLost: (error) => this.#lose(error) })
  }

  async start(): Promise<void> {
    await this.#feed.start()
    const { clock, log, compactionIntervalMs: intervalMs } = this.#options
    if (intervalMs > 0) void keepCompacting({ members: this.#members, keys: this.#keys, clock, log, intervalMs, revision: () => this.#revision }, this.#stop.signal)
  }

  revision(): Revision { return this.#revision }
  async catchUp(): Promise<void> { await this.list({ prefix: '', countOnly: true }) }
  compactRevision(): Revision { return this.#history.compactRevision }

  async get(key: string, revision?: Revision): Promise<KeyValue | undefined> {
    this.#assertOpen()
    const { kvs: [kv] } = await this.#read({ key: this.#keys.toEtcd(key), ...(revision !== undefined && { revision }) })
    // A reader never knows more than the watches.
    if (kv && revision === undefined) await this.#caughtUp(kv.modRevision)
    return kv && toKeyValue(key, kv)
  }

  async list(options: ListOptions): Promise<ListResult> {
    this.#assertOpen()
    const range = this.#keys.rangeOf(options.prefix, options.after)
    if (options.countOnly) {
      const { header, count } = await this.#read({ ...range, countOnly: true, ...(options.revision !== undefined && { revision: options.revision }) })
      const revision = options.revision ?? header?.revision ?? 0
      if (options.revision === undefined) await this.#caughtUp(revision)
      return { items: [], revision, more: false, remaining: count }
    }
    const items: KeyValue[] = []
    const read = { revision: options.revision, count: 0 }
    for await (const page of this.#pages(range, options.limit ?? Infinity, read)) items.push(...page)
    const revision = read.revision ?? 0
    if (options.revision === undefined) await this.#caughtUp(revision)
    const remaining = read.count - items.length
    return { items, revision, more: remaining > 0, remaining }
  }

  async txn(txn: Txn): Promise<TxnResult> {
    this.#assertOpen()
    const { header, succeeded, responses } = await this.#members.ask(ETCD.txn, {
      compare: txn.compare.map(({ key, modRevision }) => ({ target: TARGET_MOD, key: this.#keys.toEtcd(key), modRevision })),
      success: txn.ops.map((op) => (op.kind === 'put' ? { put: { key: this.#keys.toEtcd(op.key), value: op.value } } : { deleteRange: { key: this.#keys.toEtcd(op.key) } })),
      failure: txn.compare.map(({ key }) => ({ range: { key: this.#keys.toEtcd(key) } })),
    }, { again: false })
    const revision = header?.revision ?? 0
    if (succeeded) {
      // Deleting what is not there changes nothing.
      if (!responses.some((r) => r.put !== undefined || (r.deleteRange?.deleted ?? 0) > 0)) return { ok: true, revision: this.#revision }
      await this.#caughtUp(revision)
      return { ok: true, revision }
    }
    await this.#caughtUp(revision)
    const found = responses.map((r) => r.range?.kvs[0])
    const lost = txn.compare.findIndex(({ modRevision }, i) => (found[i]?.modRevision ?? 0) !== modRevision)
    const { key = '' } = txn.compare[lost] ?? {}
    const current = found[lost]
    return { ok: false, why: 'conflict', key, current: current && toKeyValue(key, current), revision }
  }

  watch({ prefix, afterRevision }: WatchOptions, listener: WatchListener): Watch {
    this.#assertOpen()
    this.#history.assertReaches(afterRevision)
    for (const group of this.#history.since(prefix, afterRevision)) listener(group.events, group.revision)
    return this.#hub.add({ prefix, afterRevision }, listener)
  }

  changes(options: ChangesOptions): Changes {
    this.#assertOpen()
    return this.#history.page(options, this.revision())
  }

  async compact(revision: Revision): Promise<void> {
    this.#assertOpen()
    await this.#members.ask(ETCD.compact, { revision }, { again: true })
    this.#history.compact(revision)
  }

  async *snapshot(): AsyncIterable<Buffer> {
    this.#assertOpen()
    const { header } = await this.#read({ ...this.#keys.all, countOnly: true })
    const revision = header?.revision ?? 0
    yield* writeSnapshot(revision, this.#all(revision))
  }

  async restore(chunks: AsyncIterable<Buffer>): Promise<void> {
    this.#assertOpen()
    const { remaining } = await this.list({ prefix: '', countOnly: true })
    if (remaining > 0) throw new CodedError('STORE_NOT_EMPTY', 'a snapshot can only be restored into an empty store')
    // All of it first: a damaged one leaves nothing behind.
    const items: KeyValue[] = []
    for await (const part of readSnapshot(chunks)) if ('item' in part) items.push(part.item)
    let batch: KeyValue[] = []
    let bytes = 0
    for (const [i, item] of items.entries()) {
      batch.push(item)
      bytes += item.key.length + item.value.length
      const next = items[i + 1]
      if (next && batch.length < TXN_OPS_MAX && bytes + next.key.length + next.value.length < RESTORE_BYTES) continue
      await this.txn({ compare: [], ops: batch.map(({ key, value }) => ({ kind: 'put', key, value })) })
      batch = []
      bytes = 0
    }
  }

  async close(): Promise<void> {
    if (this.#stop.signal.aborted) return
    this.#stop.abort()
    this.#hub.closeAll()
    this.#feed.close()
    this.#members.close()
    for (const { reject } of this.#waiting.splice(0)) reject(closed())
  }

  async #read(request: { key: Buffer; rangeEnd?: Buffer; limit?: number; revision?: number; countOnly?: boolean }) {
    return this.#members.ask(ETCD.range, request, { again: true })
  }

  /** Pages of one revision, which `read` then knows, with how many there are in all. */
  async *#pages(range: { key: Buffer; rangeEnd: Buffer }, limit: number, read: { revision: Revision | undefined; count: number }): AsyncGenerator<KeyValue[]> {
    let { key } = range
    let left = limit
    let size = PAGE_FIRST
    for (let isFirst = true; ; isFirst = false) {
      const { header, kvs, count, more } = await this.#read({ ...range, key, limit: Math.min(left, size), ...(read.revision !== undefined && { revision: read.revision }) })
      read.revision ??= header?.revision ?? 0
      if (isFirst) read.count = count
      yield kvs.flatMap((kv) => {
        const name = this.#keys.fromEtcd(kv.key)
        return name === undefined ? [] : [toKeyValue(name, kv)]
      })
      left -= kvs.length
      const last = kvs.at(-1)
      if (!more || left <= 0 || !last) return
      key = Buffer.concat([last.key, Buffer.of(0)])
      const bytes = kvs.reduce((sum, kv) => sum + kv.key.length + kv.value.length + 32, 0)
      size = Math.max(1, Math.min(PAGE_MAX, Math.floor((PAGE_BYTES * kvs.length) / bytes)))
    }
  }

  async *#all(revision: Revision): AsyncGenerator<KeyValue> {
    for await (const page of this.#pages(this.#keys.rangeOf(''), Infinity, { revision, count: 0 })) yield* page
  }

  #show(revision: Revision, raw: readonly EtcdEvent[]): void {
    this.#revision = revision
    const events = raw.flatMap((event) => this.#eventOf(event, revision))
    if (events.length > 0) {
      this.#history.append(events)
      this.#hub.publish(events, revision)
    }
    const ready = this.#waiting.filter((w) => w.revision <= revision)
    if (ready.length === 0) return
    this.#waiting = this.#waiting.filter((w) => w.revision > revision)
    for (const { resolve } of ready) resolve()
  }

  #eventOf({ type, kv, prevKv }: EtcdEvent, revision: Revision): WatchEvent[] {
    const key = kv && this.#keys.fromEtcd(kv.key)
    if (!kv || key === undefined) return []
    const previous = prevKv && toKeyValue(key, prevKv)
    return [type === EVENT_DELETE ? { kind: 'delete', key, revision, current: undefined, previous } : { kind: 'put', key, revision, current: toKeyValue(key, kv), previous }]
  }

  /** Resolves when the watch has delivered all up to `revision`. */
  async #caughtUp(revision: Revision): Promise<void> {
    if (this.#revision >= revision) return
    const { clock } = this.#options
    const waiter = Promise.withResolvers<void>()
    const entry = { revision, resolve: waiter.resolve, reject: waiter.reject }
    this.#waiting.push(entry)
    // What others write in this etcd raises its revision, and nothing of ours need ever come of that.
    const nudging = { cancel: () => {} }
    const nudgeLater = () => {
      nudging.cancel = clock.after(LAG_MS, () => {
        this.#nudge()
        nudgeLater()
      })
    }
    nudgeLater()
    const giveUp = clock.after(LAG_MS_MAX, () => {
      this.#waiting = this.#waiting.filter((w) => w !== entry)
      waiter.reject(new CodedError('STORE_UNAVAILABLE', `the watch of etcd has not come to revision ${revision} within ${LAG_MS_MAX / 1000} s: a change may have been made all the same`))
    })
    try {
      await waiter.promise
    } finally {
      nudging.cancel()
      giveUp()
    }
  }

  /** Makes the watch tell how far it is: by asking, or, where the answer could not be relied on, by a change of its own. */
  #nudge(): void {
    if (this.#feed.askProgress() || this.#touching) return
    this.#touching = this.#members.ask(ETCD.txn, { compare: [], success: [{ put: { key: this.#keys.own('touch'), value: Buffer.alloc(0) } }], failure: [] }, { again: true })
      .catch(() => { /* whoever waits is told by the lag */ })
      .finally(() => { this.#touching = undefined })
  }

  #lose(error: CodedError): void {
    for (const { reject } of this.#waiting.splice(0)) reject(new CodedError('STORE_UNAVAILABLE', error.message, { cause: error }))
    this.#options.onLost(error)
  }

  #assertOpen(): void {
    if (this.#stop.signal.aborted) throw closed()
  }
}

const RESTORE_BYTES = 1024 * 1024

const closed = (): CodedError => new CodedError('STORE_CLOSED', 'the store is closed')

const toKeyValue = (key: string, { value, createRevision, modRevision, version }: EtcdKeyValue): KeyValue => ({ key, value, createRevision, modRevision, version })
