/**
 * The recent past: every event since the compact revision, oldest first. It serves watches that start in the past and
 * reads at an older revision (by undoing what came after). Bounded by count and by the bytes that it keeps alive in
 * memory; what falls off the end raises the compact revision. Where it is given a place on the disk, what has no room
 * in memory goes there as long as it is promised.
 *
 *   dropped | spilled: in memory only what it is about | whole in memory      <- newest
 */
import { CodedError } from '#base/errors.ts'
import { SpilledEvents, type HistorySpill, type Segment } from './spilled-events.ts'
import type { Changes, ChangesOptions, KeyValue, Revision, WatchEvent } from './store.ts'

export interface HistoryLimits {
  /** Events kept at most; the bytes limit may cut earlier. */
  eventsMax: number
  /** Bytes of values kept alive only by history, roughly. A board's memory is the reason. */
  bytesMax: number
  /** With a place on the disk, so many events, or those of so long (whichever are fewer), are kept whatever their size. */
  promisedEvents: number
  promisedMs: number
}

/**
 * What was created costs 200 bytes and its key, what was changed or deleted its former value as well: in memory that is 20,000
 * creations, or 10,000 changes of objects of 600 bytes.
 */
export const HISTORY_LIMITS: HistoryLimits = { eventsMax: 20_000, bytesMax: 8 * 1024 * 1024, promisedEvents: 10_000, promisedMs: 600_000 }

/** Events go to the disk so many bytes at a time: what a read brings back for the sake of one of them. */
const SEGMENT_BYTES = 256 * 1024
/** What waits for a slow disk may take so many times the memory; then the oldest is dropped. */
const WAITING_TIMES_MAX = 4
/** How exactly ages are known. */
const AGE_STEP_MS = 10_000

/** An event whose values are on the disk. */
interface Spilled { readonly key: string; readonly revision: Revision; readonly segment: Segment; /** Among the segment's. */ readonly at: number }

/** Events of one revision each. */
export interface HistoryGroup { readonly revision: Revision; readonly events: readonly WatchEvent[] }

export class History {
  /** Positions count from the first event ever; `#slots[0]` is at `#start`. */
  #slots: (WatchEvent | Spilled)[] = []
  #start = 0
  /** Of the oldest that is kept; the array is trimmed in larger steps. */
  #head = 0
  /** Of the oldest that is whole in memory. */
  #whole = 0
  #bytes = 0
  /** Of each key that is whole in memory. */
  readonly #newest = new Map<string, WatchEvent>()
  #compactRevision: Revision
  readonly #limits: HistoryLimits
  readonly #spill: HistorySpill | undefined
  readonly #spilled: SpilledEvents | undefined
  #spilling: Promise<void> | undefined
  /** Events before `end` had come by `byMs`: oldest first, the last one still open. */
  #ages: { end: number; byMs: number }[] = []

  constructor(startRevision: Revision, limits: HistoryLimits = HISTORY_LIMITS, spill?: HistorySpill) {
    this.#compactRevision = startRevision
    this.#limits = limits
    this.#spill = spill
    this.#spilled = spill && new SpilledEvents(spill)
  }

  get compactRevision(): Revision { return this.#compactRevision }

  /** Resolves when memory is within its limit again; undefined where it is. */
  get spilling(): Promise<void> | undefined { return this.#spilling }

  /** The last thing that happened to the key, as far as is known here: what it left is what is there now. */
  newest(key: string): WatchEvent | undefined { return this.#newest.get(key) }

  /** What happened to the key since is not told of here. */
  forget(key: string): void { this.#newest.delete(key) }

  append(events: readonly WatchEvent[]): void {
    for (const event of events) {
      this.#slots.push(event)
      this.#newest.set(event.key, event)
      this.#bytes += size(event)
    }
    this.#noteAge()
    while (this.#end - this.#head > this.#limits.eventsMax) this.#dropOldest()
    while (this.#bytes > this.#limits.bytesMax && !this.#isWorthSpilling()) this.#dropOldest()
    if (this.#bytes > this.#limits.bytesMax) this.#spilling ??= this.#spillOldest().finally(() => { this.#spilling = undefined })
    this.#trim()
  }

  /** Forgets what happened up to and including `revision`. */
  compact(revision: Revision): void {
    while (this.#head < this.#end && this.#at(this.#head).revision <= revision) this.#dropOldest()
    this.#compactRevision = Math.max(this.#compactRevision, revision)
    this.#trim()
  }

  /** Another one takes its place: nothing of it stays on the disk. */
  discard(): void {
    while (this.#head < this.#end) this.#dropOldest()
    this.#trim()
  }

  /** Groups of one revision each, of keys with the prefix, after `revision`. */
  *since(prefix: string, revision: Revision): Generator<HistoryGroup> {
    this.assertReaches(revision)
    let group: { revision: Revision; events: WatchEvent[] } | undefined
    for (let i = this.#firstAfter(revision); i < this.#end; i++) {
      const slot = this.#at(i)
      if (!slot.key.startsWith(prefix)) continue
      if (group && group.revision !== slot.revision) {
        yield group
        group = undefined
      }
      group ??= { revision: slot.revision, events: [] }
      group.events.push(this.#event(slot))
    }
    if (group) yield group
  }

  /** The first part of `since`: about so many bytes. `newest`: up to where nothing else happened, if that is all. */
  page({ prefix, afterRevision, bytesMax }: ChangesOptions, newest: Revision): Changes {
    const events: WatchEvent[] = []
    let bytes = 0
    for (const group of this.since(prefix, afterRevision)) {
      for (const event of group.events) bytes += 200 + (event.current?.value.length ?? 0) + (event.previous?.value.length ?? 0)
      events.push(...group.events)
      if (bytes >= bytesMax) return { events, through: group.revision }
    }
    return { events, through: newest }
  }

  /** For each key of the prefix changed after `revision`: what it was then (undefined: it did not exist). */
  before(prefix: string, revision: Revision): Map<string, KeyValue | undefined> {
    this.assertReaches(revision)
    const then = new Map<string, KeyValue | undefined>()
    for (let i = this.#firstAfter(revision); i < this.#end; i++) {
      const slot = this.#at(i)
      if (slot.key.startsWith(prefix) && !then.has(slot.key)) then.set(slot.key, this.#event(slot).previous)
    }
    return then
  }

  assertReaches(revision: Revision): void {
    if (revision < this.#compactRevision) throw compacted(revision, this.#compactRevision)
  }

  get #end(): number { return this.#start + this.#slots.length }

  #at(position: number): WatchEvent | Spilled { return this.#slots[position - this.#start] as WatchEvent | Spilled }

  #firstAfter(revision: Revision): number {
    let low = this.#head
    let high = this.#end
    while (low < high) {
      const mid = (low + high) >>> 1
      if (this.#at(mid).revision <= revision) low = mid + 1
      else high = mid
    }
    return low
  }

  #event(slot: WatchEvent | Spilled): WatchEvent {
    if (!('segment' in slot)) return slot
    const event = this.#spilled?.read(slot.segment)?.[slot.at]
    if (event) return event
    // As if it had been compacted: who asked begins anew with what is there now.
    this.compact(slot.segment.lastRevision)
    throw compacted(slot.revision, this.#compactRevision)
  }

  #dropOldest(): void {
    const { revision } = this.#at(this.#head)
    this.#compactRevision = Math.max(this.#compactRevision, revision)
    // All events of one revision go together, or a watch could start in the middle of a transaction.
    while (this.#head < this.#end && this.#at(this.#head).revision === revision) this.#letGo(this.#at(this.#head++))
    this.#whole = Math.max(this.#whole, this.#head)
    this.#spilled?.dropBefore(this.#head)
  }

  /** Memory no longer has the event's values. */
  #letGo(slot: WatchEvent | Spilled): void {
    if ('segment' in slot) return
    this.#bytes -= size(slot)
    if (this.#newest.get(slot.key) === slot) this.#newest.delete(slot.key)
  }

  #trim(): void {
    if (this.#head - this.#start < 1024 && this.#head < this.#end) return
    this.#slots = this.#slots.slice(this.#head - this.#start)
    this.#start = this.#head
  }

  #noteAge(): void {
    if (!this.#spill) return
    const nowMs = this.#spill.clock.monotonicMs()
    const last = this.#ages.at(-1)
    if (last && nowMs <= last.byMs) last.end = this.#end
    else this.#ages.push({ end: this.#end, byMs: nowMs + AGE_STEP_MS })
    // The first one is that before which everything is too old.
    while ((this.#ages[1]?.byMs ?? Infinity) < nowMs - this.#limits.promisedMs) this.#ages.shift()
  }

  /** Of the oldest event that has to be kept, if there is room for it anywhere. */
  #promisedFrom(nowMs: number): number {
    const [oldest] = this.#ages
    const agedTo = oldest && oldest.byMs < nowMs - this.#limits.promisedMs ? oldest.end : 0
    return Math.max(this.#end - this.#limits.promisedEvents, agedTo)
  }

  #isWorthSpilling(): boolean {
    if (!this.#spill || this.#bytes > WAITING_TIMES_MAX * this.#limits.bytesMax) return false
    return this.#whole >= this.#promisedFrom(this.#spill.clock.monotonicMs())
  }

  /** One segment after the other until memory is within its limit. */
  async #spillOldest(): Promise<void> {
    if (!this.#spilled || !this.#spill) return
    while (this.#bytes > this.#limits.bytesMax && this.#isWorthSpilling()) {
      const from = this.#whole
      const events = this.#oldestWhole()
      const end = from + events.length
      const segment = await this.#spilled.write(events, end)
      // Some may have been dropped meanwhile.
      if (segment) for (let position = Math.max(from, this.#head); position < end; position++) this.#replace(position, segment, position - from)
      this.#whole = Math.max(this.#whole, segment ? end : this.#head)
      const promised = this.#promisedFrom(this.#spill.clock.monotonicMs())
      // What could not be written has no room anywhere.
      const keptFrom = Math.max(segment ? this.#spilled.roomFrom : end, Math.min(promised, this.#whole))
      while (this.#head < keptFrom) this.#dropOldest()
      this.#trim()
    }
  }

  #oldestWhole(): WatchEvent[] {
    const events: WatchEvent[] = []
    let bytes = 0
    for (let position = this.#whole; position < this.#end && bytes < SEGMENT_BYTES; position++) {
      const event = this.#at(position) as WatchEvent
      events.push(event)
      bytes += size(event) + (event.current?.value.length ?? 0)
    }
    return events
  }

  #replace(position: number, segment: Segment, at: number): void {
    const event = this.#at(position) as WatchEvent
    this.#letGo(event)
    this.#slots[position - this.#start] = { key: event.key, revision: event.revision, segment, at }
  }
}

function compacted(revision: Revision, compactRevision: Revision): CodedError {
  return new CodedError('STORE_COMPACTED', `revision ${revision} has been compacted: the oldest one still known is ${compactRevision}`, { details: { compactRevision } })
}

/** A value stays alive through the event that replaces it: count that one, not the current value. */
function size(event: WatchEvent): number {
  return 200 + event.key.length + (event.previous?.value.length ?? 0)
}
