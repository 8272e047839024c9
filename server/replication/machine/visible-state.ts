/**
 * What readers and watches of this member see, in layers, newest first:
 *
 *   lazy      shown by the leader, not in the log yet; may still be taken back
 *   logged    applied from the log, not in the database yet
 *   writing   the part of it that is on its way there
 *   database  (with the values used last before it)
 *
 * Synchronous but for scans: what one call shows is shown whole.
 */
import { CodedError } from '#base/errors.ts'
import { History, type HistoryLimits } from '#server/store/history.ts'
import { RecentReads } from '#server/store/recent-reads.ts'
import type { Changes, ChangesOptions, KeyValue, ListOptions, ListResult, Revision, Watch, WatchEvent, WatchListener, WatchOptions } from '#server/store/store.ts'
import type { HistorySpill } from '#server/store/spilled-events.ts'
import { WatchHub } from '#server/store/watch-hub.ts'
import { bytesOf, type Change } from './entry.ts'
import { laidOver, readState, scanState, type Database } from './state-database.ts'

type Layer = Map<string, KeyValue | undefined>

export class VisibleState {
  readonly #db: Database
  readonly #limits: HistoryLimits
  readonly #spill: HistorySpill | undefined
  readonly #hub = new WatchHub()
  readonly #recent = new RecentReads()
  #history: History
  #revision: Revision
  /** Key to the change that was shown last. */
  readonly #lazy = new Map<string, Change>()
  #lazyBytes = 0
  #logged: Layer = new Map()
  #loggedBytes = 0
  #writing: Layer = new Map()

  constructor(db: Database, revision: Revision, limits: HistoryLimits, spill?: HistorySpill) {
    this.#db = db
    this.#limits = limits
    this.#spill = spill
    this.#revision = revision
    this.#history = new History(revision, limits, spill)
  }

  get revision(): Revision { return this.#revision }
  get compactRevision(): Revision { return this.#history.compactRevision }
  get history(): History { return this.#history }
  get loggedCount(): number { return this.#logged.size }
  get loggedBytes(): number { return this.#loggedBytes }
  get hasWatches(): boolean { return this.#hub.size > 0 }

  /** Not in the log yet, by revision. */
  outstanding(): Change[] {
    return this.#lazy.size === 0 ? NONE : [...this.#lazy.values()].sort((a, b) => a.revision - b.revision)
  }

  get hasOutstanding(): boolean { return this.#lazy.size > 0 }
  /** What the next entry of the log has to carry along. */
  get outstandingBytes(): number { return this.#lazyBytes }

  read(key: string): KeyValue | undefined {
    const lazy = this.#lazy.get(key)
    if (lazy) return lazy.current
    // The same bytes, too: what replaces it keeps them in history as what was before, and a second copy out of the database would be kept with the first.
    const newest = this.#history.newest(key)
    return newest ? newest.current : this.#readLogged(key)
  }

  /** As of `revision`, which history must reach. */
  readAt(key: string, revision: Revision): KeyValue | undefined {
    if (revision !== this.#revision) {
      const then = this.#history.before(key, revision)
      if (then.has(key)) return then.get(key)
    }
    return this.read(key)
  }

  async list(options: ListOptions): Promise<ListResult> {
    const revision = options.revision ?? this.#revision
    const limit = options.countOnly ? 0 : (options.limit ?? Infinity)
    const items: KeyValue[] = []
    let remaining = 0
    // Both counted and listed from one iterator, made before the first await.
    for await (const item of this.scan(options.prefix, options.after, revision)) {
      if (items.length < limit) items.push(item)
      else remaining++
    }
    return { items, revision, more: !options.countOnly && remaining > 0, remaining }
  }

  scan(prefix: string, after: string | undefined, revision: Revision): AsyncGenerator<KeyValue> {
    return laidOver(scanState(this.#openDatabase(), { prefix, after }), this.#over(prefix, revision), after)
  }

  watch(options: WatchOptions, listener: WatchListener): Watch {
    this.#history.assertReaches(options.afterRevision)
    for (const group of this.#history.since(options.prefix, options.afterRevision)) listener(group.events, group.revision)
    return this.#hub.add(options, listener)
  }

  changes(options: ChangesOptions): Changes { return this.#history.page(options, this.#revision) }

  compact(revision: Revision): void { this.#history.compact(revision) }

  assertReadable(revision: Revision | undefined): void {
    if (revision === undefined) return
    if (revision > this.#revision) throw new CodedError('STORE_FUTURE_REVISION', `revision ${revision} does not exist yet: the newest one is ${this.#revision}`)
    this.#history.assertReaches(revision)
  }

  /** One transaction's effects, from the log. */
  showLogged(events: readonly WatchEvent[], revision: Revision): void {
    for (const event of events) this.#log(event.key, event.current)
    this.#tell(events, revision)
  }

  /** One transaction's effects, ahead of the log. */
  showLazy(events: readonly WatchEvent[], revision: Revision): void {
    for (const event of events) {
      this.#putLazy({ key: event.key, revision: event.revision, current: event.current })
    }
    this.#tell(events, revision)
  }

  /** What was shown is in the log now: nobody hears of it again. */
  settle(change: Change): void {
    const shown = this.#lazy.get(change.key)
    if ((this.#history.newest(change.key)?.revision ?? 0) < change.revision) this.#history.forget(change.key)
    this.#log(change.key, change.current)
    // What was shown after it waits for its own entry, or for being taken back.
    if (shown && shown.revision > change.revision) this.#putLazy(shown)
  }

  /** Lazy values that the log of a new leader does not have are no more: watches hear what is there instead, as of `revision`. */
  takeBack(revision: Revision): void {
    const events: WatchEvent[] = []
    for (const [key, shown] of this.#lazy) {
      this.#dropLazy(key)
      const current = this.#readLogged(key)
      const previous = shown.current
      if (current) events.push({ kind: 'put', key, revision, current, previous })
      else if (previous) events.push({ kind: 'delete', key, revision, current, previous })
    }
    if (events.length > 0) this.#tell(events.sort((a, b) => (a.key < b.key ? -1 : 1)), revision)
  }

  /** Without an event: revisions up to here may have been seen elsewhere. */
  advance(revision: Revision): void { this.#revision = Math.max(this.#revision, revision) }

  /** Puts a value there without a history: of a snapshot. */
  place(change: Change): void { this.#log(change.key, change.current) }

  /** Forgets what was before `revision`: what led to the present state is not known here. */
  restart(revision: Revision): void {
    this.#revision = Math.max(this.#revision, revision)
    this.#history.discard()
    this.#history = new History(this.#revision, this.#limits, this.#spill)
    this.#recent.clear()
  }

  /** The database holds another state now, that of `revision`; `events` are the difference to what was shown, by revision. Keys of encryption are told of first: what is older may be sealed with them. */
  replaced(events: readonly WatchEvent[], revision: Revision): void {
    this.#lazy.clear()
    this.#lazyBytes = 0
    this.#logged = new Map()
    this.#loggedBytes = 0
    this.restart(revision)
    this.#hub.gap()
    this.#publish(events.filter((e) => e.key.startsWith(SETTINGS)))
    this.#publish(events.filter((e) => !e.key.startsWith(SETTINGS)))
  }

  #publish(events: readonly WatchEvent[]): void {
    for (let i = 0; i < events.length;) {
      const first = events[i] as WatchEvent
      let end = i + 1
      while (events[end]?.revision === first.revision) end++
      this.#hub.publish(events.slice(i, end), first.revision)
      i = end
    }
  }

  /** Hands out what is to be written; readers go on seeing it until `written`. */
  beginWriting(): ReadonlyMap<string, KeyValue | undefined> {
    this.#writing = this.#logged
    this.#logged = new Map()
    this.#loggedBytes = 0
    return this.#writing
  }

  written(): void { this.#writing = new Map() }

  writeFailed(): void {
    this.#logged = new Map([...this.#writing, ...this.#logged])
    this.#writing = new Map()
  }

  /** Nobody is told of anything, or asks for what was, any more. */
  close(): void {
    this.#hub.closeAll()
    this.#history.discard()
  }

  #readLogged(key: string): KeyValue | undefined {
    const logged = this.#logged.get(key)
    if (logged) return logged
    if (this.#logged.has(key)) return undefined
    const writing = this.#writing.get(key)
    if (writing) return writing
    if (this.#writing.has(key)) return undefined
    const recent = this.#recent.get(key)
    if (recent.known) return recent.item
    const item = readState(this.#openDatabase(), key)
    this.#recent.set(key, item)
    return item
  }

  #putLazy(change: Change): void {
    this.#dropLazy(change.key)
    this.#lazy.set(change.key, change)
    this.#lazyBytes += bytesOf(change)
  }

  #dropLazy(key: string): void {
    const shown = this.#lazy.get(key)
    if (!shown) return
    this.#lazy.delete(key)
    this.#lazyBytes -= bytesOf(shown)
  }

  #log(key: string, current: KeyValue | undefined): void {
    this.#dropLazy(key)
    this.#logged.set(key, current)
    this.#loggedBytes += key.length + (current?.value.length ?? 0)
    this.#recent.set(key, current)
  }

  #tell(events: readonly WatchEvent[], revision: Revision): void {
    this.#revision = revision
    this.#history.append(events)
    this.#hub.publish(events, revision)
  }

  /** Per key, what to say instead of what the database says, for a read at `revision`. */
  #over(prefix: string, revision: Revision): Layer {
    const over: Layer = new Map()
    for (const layer of [this.#writing, this.#logged]) for (const [key, item] of layer) if (key.startsWith(prefix)) over.set(key, item)
    for (const [key, { current }] of this.#lazy) if (key.startsWith(prefix)) over.set(key, current)
    if (revision !== this.#revision) for (const [key, item] of this.#history.before(prefix, revision)) over.set(key, item)
    return over
  }

  #openDatabase(): Database {
    if (this.#db.status === 'open') return this.#db
    throw new CodedError('STORE_CLOSED', 'the store is closed')
  }
}

const NONE: Change[] = []
/** What is no object of the API, but what those are kept by. */
const SETTINGS = '/registry/skiff/'
