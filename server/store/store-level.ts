/**
 * The store on LevelDB. Only the log is synced: all transactions waiting at that moment become one log entry and one
 * fsync (group commit); they are visible, delivered and acknowledged after it. The state machine is written later
 * without sync, together with the removal of the log entry; after a crash the tail of the log is applied again.
 *
 * Between the two, values live in `#overlay`, which readers consult before the database; lazy values (node leases,
 * events) stay there until the next synced write takes them along, or LAZY_FLUSH_MS have passed.
 *
 *   txn --compare--> #waiting --log, fsync--> #overlay (visible, watched, acknowledged) --no sync--> LevelDB
 *
 * Revisions are handed out below a ceiling that is on disk, so that after a power cut, which may lose lazy writes, no
 * revision is given to a second change.
 */
import type { ClassicLevel } from 'classic-level'
import type { Clock } from '#base/clock.ts'
import { assert, asError, CodedError, hasCode } from '#base/errors.ts'
import { History, HISTORY_LIMITS, type HistoryLimits } from './history.ts'
import { decodeLogEntry, decodeState, encodeLogEntry, encodeState, LOG, logKey, META_CEILING, META_CLEAN, META_FORMAT, STATE } from './level-codec.ts'
import { RecentReads } from './recent-reads.ts'
import { readSnapshot, writeSnapshot } from './snapshot-format.ts'
import { LAZY_FLUSH_MS, type KeyValue, type ListOptions, type ListResult, type Revision, type Store, type Txn, type TxnResult, type Watch, type WatchEvent, type WatchListener, type WatchOptions } from './store.ts'
import { eventsOf, failedCompare } from './transaction.ts'
import { WatchHub } from './watch-hub.ts'

export type LevelDatabase = ClassicLevel<string, Buffer>

export interface LevelStoreOptions {
  /** Opens the database; called again after a write failed, when space may be back. */
  open: () => Promise<LevelDatabase>
  clock: Clock
  history?: HistoryLimits
}

type BatchOp = { type: 'put'; key: string; value: Buffer } | { type: 'del'; key: string }
interface Waiting { events: WatchEvent[]; revision: Revision; resolve: (r: TxnResult) => void; reject: (e: Error) => void }
/** undefined: deleted. `lazy`: not on disk in any form. */
interface Pending { revision: Revision; current: KeyValue | undefined; lazy: boolean }

const FORMAT = 1
/** Revisions reserved ahead with one write; a crash skips at most so many. */
const CEILING_STEP = 20_000
/** Reserve again when fewer are left than this. */
const CEILING_LOW = 5_000
/** After a failed write, how long until the disk is tried again. */
const RETRY_MS = 1_000
/** Transactions in one group: bounds the size of a log entry. */
const GROUP_MAX = 512

export async function openLevelStore(options: LevelStoreOptions): Promise<Store> {
  const db = await openDatabase(options.open)
  const start = await recover(db)
  return new LevelStore(db, start, options)
}

class LevelStore implements Store {
  #db: LevelDatabase
  readonly #options: LevelStoreOptions
  readonly #clock: Clock
  readonly #hub = new WatchHub()
  #history: History
  #revision: Revision
  /** The newest revision handed out, visible or not. */
  #issued: Revision
  #ceiling: Revision
  #logIndex: number
  /** Visible, not yet in the database's state. */
  readonly #overlay = new Map<string, Pending>()
  /** Visible values only. */
  readonly #recent = new RecentReads()
  /** Handed out a revision, not yet synced. */
  readonly #unsynced = new Map<string, KeyValue | undefined>()
  #waiting: Waiting[] = []
  /** State writes and log removals that ride along with the next batch. */
  #unapplied: BatchOp[] = []
  #writer: Promise<void> | undefined
  #failure: { error: Error; atMs: number } | undefined
  #cancelLazyFlush: (() => void) | undefined
  #closing: Promise<void> | undefined

  constructor(db: LevelDatabase, start: Recovered, options: LevelStoreOptions) {
    this.#db = db
    this.#options = options
    this.#clock = options.clock
    this.#revision = this.#issued = start.revision
    this.#ceiling = start.ceiling
    this.#logIndex = start.logIndex
    this.#history = new History(start.revision, options.history ?? HISTORY_LIMITS)
  }

  revision(): Revision { return this.#revision }
  catchUp(): undefined { /* alone */ }
  compactRevision(): Revision { return this.#history.compactRevision }

  async get(key: string, revision?: Revision): Promise<KeyValue | undefined> {
    this.#assertReadable(revision)
    if (revision !== undefined && revision !== this.#revision) {
      const then = this.#history.before(key, revision)
      if (then.has(key)) return then.get(key)
    }
    return this.#readVisible(key)
  }

  async list(options: ListOptions): Promise<ListResult> {
    const revision = options.revision ?? this.#revision
    this.#assertReadable(revision)
    const over = this.#overlayAt(options.prefix, revision)
    const limit = options.countOnly ? 0 : (options.limit ?? Infinity)
    // Both counted and listed from one iterator: a LevelDB iterator sees the moment it was made.
    const items: KeyValue[] = []
    let remaining = 0
    for await (const item of this.#scan(options.prefix, options.after, over)) {
      if (items.length < limit) items.push(item)
      else remaining++
    }
    return { items, revision, more: !options.countOnly && remaining > 0, remaining }
  }

  txn(txn: Txn): Promise<TxnResult> {
    this.#assertOpen()
    if (this.#failure) return this.#afterRepair(txn)
    const read = (key: string) => (this.#unsynced.has(key) ? this.#unsynced.get(key) : this.#readVisible(key))
    const failed = failedCompare(txn.compare, read)
    if (failed) {
      // What it lost against may not be synced yet, and may never be: ask again when that is known.
      if (this.#unsynced.has(failed.key) && this.#writer) return this.#writer.then(() => this.txn(txn))
      return Promise.resolve({ ok: false, why: 'conflict', ...failed, revision: this.#revision })
    }
    const events = eventsOf(txn.ops, this.#issued + 1, read)
    if (events.length === 0) return Promise.resolve({ ok: true, revision: this.#revision })
    const revision = ++this.#issued
    const isQuiet = this.#writer === undefined && this.#waiting.length === 0
    if (txn.durability === 'lazy' && isQuiet && revision < this.#ceiling) {
      this.#show(events, revision, true)
      this.#cancelLazyFlush ??= this.#clock.after(LAZY_FLUSH_MS, () => this.#flushLazy())
      return Promise.resolve({ ok: true, revision })
    }
    for (const event of events) this.#unsynced.set(event.key, event.current)
    return new Promise((resolve, reject) => {
      this.#waiting.push({ events, revision, resolve, reject })
      this.#startWriter()
    })
  }

  watch(options: WatchOptions, listener: WatchListener): Watch {
    this.#assertOpen()
    this.#history.assertReaches(options.afterRevision)
    for (const group of this.#history.since(options.prefix, options.afterRevision)) listener(group.events, group.revision)
    return this.#hub.add(options.prefix, listener, options.afterRevision)
  }

  async compact(revision: Revision): Promise<void> {
    this.#assertReadable(revision)
    this.#history.compact(revision)
  }

  async *snapshot(): AsyncIterable<Buffer> {
    this.#assertOpen()
    yield* writeSnapshot(this.#revision, this.#scan('', undefined, this.#overlayAt('', this.#revision)))
  }

  async restore(chunks: AsyncIterable<Buffer>): Promise<void> {
    this.#assertOpen()
    const { remaining } = await this.list({ prefix: '', countOnly: true })
    if (remaining > 0) throw new CodedError('STORE_NOT_EMPTY', 'a snapshot can only be restored into an empty store')
    let revision = this.#revision
    let batch: BatchOp[] = []
    for await (const part of readSnapshot(chunks)) {
      if ('revision' in part) revision = Math.max(revision, part.revision)
      else batch.push({ type: 'put', key: STATE + part.item.key, value: encodeState(part.item) })
      if (batch.length >= GROUP_MAX) await this.#db.batch(batch.splice(0), {})
    }
    this.#ceiling = revision + CEILING_STEP
    batch = [...batch, { type: 'put', key: META_CEILING, value: encodeNumber(this.#ceiling) }]
    await this.#db.batch(batch, { sync: true })
    this.#recent.clear()
    this.#revision = this.#issued = revision
    this.#history = new History(revision, this.#options.history ?? HISTORY_LIMITS)
  }

  close(): Promise<void> {
    this.#closing ??= this.#shutDown()
    return this.#closing
  }

  async #shutDown(): Promise<void> {
    this.#hub.closeAll()
    this.#cancelLazyFlush?.()
    while (this.#writer) await this.#writer
    if (!this.#failure) {
      const clean: BatchOp = { type: 'put', key: META_CLEAN, value: encodeNumber(this.#revision) }
      await this.#db.batch([...this.#unapplied, ...this.#lazyOps(), clean], { sync: true })
    }
    await this.#db.close()
  }

  /** The one place that writes, so that one fsync is under way at a time and serves all who wait. */
  #startWriter(): void {
    this.#writer ??= this.#write().finally(() => {
      this.#writer = undefined
      if (this.#waiting.length > 0) this.#startWriter()
    })
  }

  async #write(): Promise<void> {
    // Everything that arrives in this turn of the event loop joins the group.
    await new Promise<void>((resolve) => setImmediate(resolve))
    const group = this.#waiting.splice(0, GROUP_MAX)
    // All that the overlay holds now is in `#unapplied` or lazy: this batch writes it.
    const written = [...this.#overlay]
    const entryKey = logKey(++this.#logIndex)
    const events = group.flatMap((w) => w.events)
    const ceiling = this.#issued + CEILING_LOW > this.#ceiling ? this.#issued + CEILING_STEP : this.#ceiling
    const batch: BatchOp[] = [...this.#unapplied, ...this.#lazyOps()]
    if (events.length > 0) batch.push({ type: 'put', key: entryKey, value: encodeLogEntry(events) })
    if (ceiling !== this.#ceiling) batch.push({ type: 'put', key: META_CEILING, value: encodeNumber(ceiling) })
    try {
      await this.#db.batch(batch, { sync: true })
    } catch (error) {
      this.#fail(group, asError(error))
      return
    }
    this.#ceiling = ceiling
    this.#unapplied = []
    for (const [key, pending] of written) if (this.#overlay.get(key) === pending) this.#overlay.delete(key)
    for (const waiting of group) {
      for (const event of waiting.events) if (this.#unsynced.get(event.key) === event.current) this.#unsynced.delete(event.key)
      this.#show(waiting.events, waiting.revision, false)
      waiting.resolve({ ok: true, revision: waiting.revision })
    }
    if (events.length > 0) this.#unapplied = [...stateOps(events), { type: 'del', key: entryKey }]
    if (this.#waiting.length === 0) await this.#applyNow()
  }

  /** Idle: the state machine catches up without waiting for the next write to take it along. */
  async #applyNow(): Promise<void> {
    const ops = this.#unapplied
    if (ops.length === 0) return
    const applied = [...this.#overlay].filter(([, p]) => !p.lazy)
    try {
      await this.#db.batch(ops, {})
    } catch (error) {
      this.#failure = { error: asError(error), atMs: this.#clock.monotonicMs() }
      return
    }
    this.#unapplied = []
    for (const [key, pending] of applied) if (this.#overlay.get(key) === pending) this.#overlay.delete(key)
  }

  #show(events: readonly WatchEvent[], revision: Revision, lazy: boolean): void {
    for (const event of events) {
      this.#overlay.set(event.key, { revision, current: event.current, lazy })
      this.#recent.set(event.key, event.current)
    }
    this.#revision = revision
    this.#history.append(events)
    this.#hub.publish(events, revision)
  }

  #lazyOps(): BatchOp[] {
    return [...this.#overlay].filter(([, p]) => p.lazy).map(([key, p]) => stateOp(key, p.current))
  }

  #flushLazy(): void {
    this.#cancelLazyFlush = undefined
    if (!this.#closing && !this.#failure) this.#startWriter()
  }

  #fail(group: readonly Waiting[], cause: Error): void {
    const error = readOnly(cause)
    this.#failure = { error: cause, atMs: this.#clock.monotonicMs() }
    for (const waiting of [...group, ...this.#waiting.splice(0)]) waiting.reject(error)
    this.#unsynced.clear()
    this.#issued = this.#revision
  }

  /** After a failed write LevelDB refuses all others until it is opened again: do that, at most once a second. */
  async #afterRepair(txn: Txn): Promise<TxnResult> {
    const failure = this.#failure
    if (failure) {
      if (this.#clock.monotonicMs() - failure.atMs < RETRY_MS) throw readOnly(failure.error)
      this.#writer ??= this.#repair(failure).finally(() => { this.#writer = undefined })
      await this.#writer
      if (this.#failure) throw readOnly(this.#failure.error)
    }
    return this.txn(txn)
  }

  async #repair(failure: { error: Error; atMs: number }): Promise<void> {
    failure.atMs = this.#clock.monotonicMs()
    try {
      await this.#db.close()
      this.#db = await openDatabase(this.#options.open)
      // Fails here if there is still no space: nothing has been changed then.
      const start = await recover(this.#db)
      this.#ceiling = start.ceiling
      this.#logIndex = start.logIndex
      this.#unapplied = []
      this.#failure = undefined
      this.#adopt(start.replayed)
    } catch (error) {
      failure.error = asError(error)
    }
  }

  /** A group whose sync failed may be in the log after all: what the log says is what happened. */
  #adopt(replayed: readonly (readonly WatchEvent[])[]): void {
    for (const [key, pending] of this.#overlay) if (!pending.lazy) this.#overlay.delete(key)
    this.#recent.clear()
    for (const events of replayed) {
      const revision = events[0]?.revision ?? 0
      if (revision <= this.#revision) continue
      this.#revision = revision
      this.#history.append(events)
      this.#hub.publish(events, revision)
    }
    this.#issued = this.#revision
  }

  #readVisible(key: string): KeyValue | undefined {
    const pending = this.#overlay.get(key)
    if (pending) return pending.current
    const recent = this.#recent.get(key)
    if (recent.known) return recent.item
    const bytes = this.#database().getSync(STATE + key, { valueEncoding: 'buffer' })
    const item = bytes === undefined ? undefined : decodeState(key, bytes)
    this.#recent.set(key, item)
    return item
  }

  /** Per key, what to say instead of what the database says, for a read at `revision`. */
  #overlayAt(prefix: string, revision: Revision): Map<string, KeyValue | undefined> {
    const over = new Map<string, KeyValue | undefined>()
    for (const [key, pending] of this.#overlay) if (key.startsWith(prefix)) over.set(key, pending.current)
    if (revision !== this.#revision) for (const [key, item] of this.#history.before(prefix, revision)) over.set(key, item)
    return over
  }

  /** The database's state with `over` laid on top, in key order. The iterator is made before the first await. */
  async *#scan(prefix: string, after: string | undefined, over: Map<string, KeyValue | undefined>): AsyncGenerator<KeyValue> {
    const range = after !== undefined && after >= prefix ? { gt: STATE + after } : { gte: STATE + prefix }
    const iterator = this.#database().iterator({ ...range, lt: upperBound(STATE + prefix), valueEncoding: 'buffer' })
    const extra = [...over.keys()].filter((k) => after === undefined || k > after).sort()
    let next = 0
    try {
      for (;;) {
        const rows = await iterator.nextv(256)
        for (const [stateKey, bytes] of rows) {
          const key = stateKey.slice(STATE.length)
          for (; next < extra.length && (extra[next] as string) < key; next++) {
            const item = over.get(extra[next] as string)
            if (item) yield item
          }
          if (!over.has(key)) yield decodeState(key, bytes)
        }
        if (rows.length === 0) break
      }
      for (; next < extra.length; next++) {
        const item = over.get(extra[next] as string)
        if (item) yield item
      }
    } finally {
      await iterator.close()
    }
  }

  #database(): LevelDatabase {
    if (this.#db.status === 'open') return this.#db
    throw new CodedError('STORE_UNAVAILABLE', 'the store is being opened again after a failed write: try again in a moment')
  }

  #assertOpen(): void {
    if (this.#closing) throw new CodedError('STORE_CLOSED', 'the store is closed')
  }

  #assertReadable(revision: Revision | undefined): void {
    this.#assertOpen()
    if (revision === undefined) return
    if (revision > this.#revision) throw new CodedError('STORE_FUTURE_REVISION', `revision ${revision} does not exist yet: the newest one is ${this.#revision}`)
    this.#history.assertReaches(revision)
  }
}

interface Recovered { revision: Revision; ceiling: Revision; logIndex: number; replayed: WatchEvent[][] }

/** Applies what the log holds, settles which revision comes next and reserves a range of them. One synced write. */
async function recover(db: LevelDatabase): Promise<Recovered> {
  const format = db.getSync(META_FORMAT, { valueEncoding: 'buffer' })
  if (format !== undefined && decodeNumber(format) > FORMAT) {
    throw new CodedError('STORE_FORMAT', `the store was written by a newer skiff (format ${decodeNumber(format)}, this one reads up to ${FORMAT}): install that release again, or restore a snapshot`)
  }
  const ops: BatchOp[] = []
  const replayed: WatchEvent[][] = []
  let logIndex = 0
  let newest = 1
  for await (const [key, entry] of db.iterator({ gte: LOG, lt: upperBound(LOG), valueEncoding: 'buffer' })) {
    logIndex = Number.parseInt(key.slice(LOG.length), 16)
    for (const change of decodeLogEntry(key, entry)) {
      newest = Math.max(newest, change.revision)
      ops.push(stateOp(change.key, change.current))
      const event: WatchEvent = { ...change, kind: change.current ? 'put' : 'delete', previous: undefined }
      if (replayed.at(-1)?.[0]?.revision === change.revision) replayed.at(-1)?.push(event)
      else replayed.push([event])
    }
    ops.push({ type: 'del', key })
  }
  const clean = db.getSync(META_CLEAN, { valueEncoding: 'buffer' })
  const ceilingBytes = db.getSync(META_CEILING, { valueEncoding: 'buffer' })
  const revision = Math.max(newest, clean ? decodeNumber(clean) : ceilingBytes ? decodeNumber(ceilingBytes) : 1)
  const ceiling = revision + CEILING_STEP
  ops.push({ type: 'put', key: META_FORMAT, value: encodeNumber(FORMAT) }, { type: 'put', key: META_CEILING, value: encodeNumber(ceiling) }, { type: 'del', key: META_CLEAN })
  await db.batch(ops, { sync: true })
  return { revision, ceiling, logIndex, replayed }
}

async function openDatabase(open: () => Promise<LevelDatabase>): Promise<LevelDatabase> {
  try {
    return await open()
  } catch (error) {
    const cause = asError(error).cause
    if (hasCode(cause, 'LEVEL_LOCKED')) {
      throw new CodedError('STORE_LOCKED', 'another skiff server uses this data directory: stop it, or give this one its own --data-dir', { cause: error })
    }
    if (hasCode(cause, 'LEVEL_CORRUPTION')) {
      throw new CodedError('STORE_CORRUPT', 'the store is damaged: restore a snapshot, or start with an empty data directory', { cause: error })
    }
    throw new CodedError('STORE_OPEN_FAILED', `the store cannot be opened: ${asError(cause ?? error).message}`, { cause: error })
  }
}

function stateOps(events: readonly WatchEvent[]): BatchOp[] {
  return events.map((e) => stateOp(e.key, e.current))
}

function stateOp(key: string, current: KeyValue | undefined): BatchOp {
  return current ? { type: 'put', key: STATE + key, value: encodeState(current) } : { type: 'del', key: STATE + key }
}

function readOnly(cause: Error): CodedError {
  const under = cause.cause instanceof Error ? cause.cause.message : cause.message
  return new CodedError('STORE_READ_ONLY', `the store cannot write (${under}): free disk space; it recovers by itself`, { cause })
}

/** The smallest string above all that start with `prefix`. */
function upperBound(prefix: string): string {
  const last = prefix.charCodeAt(prefix.length - 1)
  assert(last < 0xffff, 'a key prefix ends in U+FFFF')
  return prefix.slice(0, -1) + String.fromCharCode(last + 1)
}

function encodeNumber(value: number): Buffer {
  const out = Buffer.alloc(8)
  out.writeBigUInt64BE(BigInt(value))
  return out
}

function decodeNumber(bytes: Buffer): number {
  return Number(bytes.readBigUInt64BE(0))
}
