/**
 * The store's contract, modelled on etcd v3 and owned by its consumer, the API server. It knows bytes, keys and
 * revisions, never a Pod. Three implementations pass `store.contract.ts`: memory, replicated (over LevelDB), etcd.
 *
 * One global revision grows by one with each transaction that changes anything; reads are of one revision; a watch
 * delivers every change after its start revision exactly once, in revision order.
 */

/** Grows by one for each changing transaction; the first write of an empty store gets 2, as in etcd. */
export type Revision = number

export interface KeyValue {
  readonly key: string
  /** Owned by the store: the caller must not change these bytes. */
  readonly value: Buffer
  readonly createRevision: Revision
  readonly modRevision: Revision
  /** 1 at creation, one more with each change. */
  readonly version: number
  /** Set by who encrypts values at rest: it is kept in an outdated form, so a write is worth while even where nothing changed. */
  readonly stale?: boolean
}

export interface Compare {
  key: string
  /** The key's modRevision; 0 asserts that the key does not exist. */
  modRevision: Revision
}

export type Op =
  | { kind: 'put'; key: string; value: Buffer }
  | { kind: 'delete'; key: string }

export type Durability = 'synced' | 'lazy' | 'heartbeat'

export interface Txn {
  /** All must hold, or nothing is changed. Empty: unconditional. */
  compare: readonly Compare[]
  /** At most one op per key, and TXN_OPS_MAX in all; the same goes for `compare`. */
  ops: readonly Op[]
  /**
   * How safe before it is acknowledged. `synced` (default): on disk with fsync. `lazy`: in memory, visible to all
   * readers at once, written back with the next synced write or after at most LAZY_FLUSH_MS; may be lost by a power
   * cut (never partly, never reordered against synced writes that came later). Events use it. `heartbeat`: the same, but
   * of no worth after a power cut: nothing is written for its sake before HEARTBEAT_FLUSH_MS. Renewals of Leases use it.
   */
  durability?: Durability
}

export type TxnResult =
  | { ok: true; revision: Revision }
  /** The first compare that failed, and what is there now (undefined: no such key). */
  | { ok: false; why: 'conflict'; key: string; current: KeyValue | undefined; revision: Revision }

export interface ListOptions {
  prefix: string
  /** First key strictly after this one; for paging. */
  after?: string
  limit?: number
  /** Read as of this revision; default the newest. Throws `STORE_COMPACTED` or `STORE_FUTURE_REVISION`. */
  revision?: Revision
  /** Only count and revision are wanted: `items` stays empty. */
  countOnly?: boolean
}

export interface ListResult {
  /** In key order. */
  items: readonly KeyValue[]
  /** The revision this list is of: pass it as `revision` to get the next page of the same state. */
  revision: Revision
  /** True when `limit` cut it off. */
  more: boolean
  /** How many keys of the prefix lie after the last item. */
  remaining: number
}

export interface WatchEvent {
  kind: 'put' | 'delete'
  key: string
  revision: Revision
  /** The new value; for a delete, undefined. */
  current: KeyValue | undefined
  /** The value before; undefined when the key was created by this event. Always known within the history kept. */
  previous: KeyValue | undefined
}

export interface WatchOptions {
  prefix: string
  /** Deliver all changes with a revision greater than this. Throws `STORE_COMPACTED` when history no longer reaches back. */
  afterRevision: Revision
  /**
   * This server was so far behind the others that it took over their state as a whole. What follows is the difference, by
   * revision; changes that were changed again are left out. Who has promised every change to somebody must end that.
   */
  onGap?: () => void
}

export interface ChangesOptions {
  prefix: string
  afterRevision: Revision
  /** About so many bytes are given; one transaction at least. */
  bytesMax: number
}

export interface Changes {
  readonly events: readonly WatchEvent[]
  /** All that happened up to here is among them: go on after it, until it is the newest revision. */
  readonly through: Revision
}

/** Called synchronously, in order, one call per transaction that touches the prefix; must not throw and must not block. */
export type WatchListener = (events: readonly WatchEvent[], revision: Revision) => void

export interface Watch {
  /** Nothing is delivered after this returns. Twice is fine. */
  close(): void
}

/**
 * Every method rejects with a CodedError: `STORE_CLOSED`, `STORE_COMPACTED` (details.compactRevision),
 * `STORE_FUTURE_REVISION`, `STORE_READ_ONLY` (disk full; recovers by itself), `STORE_CORRUPT`, `STORE_UNAVAILABLE`
 * (no quorum; retry), `STORE_UNKNOWN` (a transaction may or may not have happened, and nobody can tell: read).
 */
export interface Store {
  /** The newest revision that is visible to readers. */
  revision(): Revision
  /**
   * Resolves when this server shows all that was acknowledged anywhere before the call. Undefined: it does already, as it
   * is alone. Reads without a revision wait for it themselves; who answers from a watch asks first.
   */
  catchUp(): Promise<void> | undefined
  /** False: another server does what one of them does for all, such as sweeping. Absent: no others are known of. */
  leads?(): boolean
  /** Below this revision neither reads nor watches can start. */
  compactRevision(): Revision
  /** Undefined when absent. `revision` as in ListOptions. */
  get(key: string, revision?: Revision): Promise<KeyValue | undefined>
  list(options: ListOptions): Promise<ListResult>
  txn(txn: Txn): Promise<TxnResult>
  /**
   * History after `afterRevision` is delivered before this returns (synchronously); live changes follow.
   * A listener sees a change no later than the promise of the txn that made it resolves.
   */
  watch(options: WatchOptions, listener: WatchListener): Watch
  /** A part of history, oldest first: what a watch would begin with may be more than memory should hold at a time. Throws as `watch` does. */
  changes(options: ChangesOptions): Changes
  /** Forgets history before `revision`; current values stay. */
  compact(revision: Revision): Promise<void>
  /** A consistent copy of the newest state, in chunks; format is private to `restore`. */
  snapshot(): AsyncIterable<Buffer>
  /** Replaces everything with a snapshot's state. The store must be empty. */
  restore(chunks: AsyncIterable<Buffer>): Promise<void>
  /** Finishes writes in flight, flushes lazy ones. Twice is fine. */
  close(): Promise<void>
}

/** Longest time a lazy write may stay only in memory. Chosen for flash: one small write every five minutes. */
export const LAZY_FLUSH_MS = 300_000
/** The same for heartbeats: a cluster at rest, which knows of nothing else, writes a few times a day. */
export const HEARTBEAT_FLUSH_MS = 3_600_000
/** etcd's --max-txn-ops, as it is by default. */
export const TXN_OPS_MAX = 128
