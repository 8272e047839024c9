/**
 * The recent past in memory: every event since the compact revision, oldest first. It serves watches that start in
 * the past and reads at an older revision (by undoing what came after). Bounded by count and by bytes; what falls
 * off the end raises the compact revision.
 */
import { CodedError } from '#base/errors.ts'
import type { KeyValue, Revision, WatchEvent } from './store.ts'

export interface HistoryLimits {
  /** Events kept at most; the bytes limit may cut earlier. */
  eventsMax: number
  /** Bytes of values kept alive only by history, roughly. A board's memory is the reason. */
  bytesMax: number
}

/**
 * What was created costs 200 bytes and its key, what was changed or deleted its former value as well: 20,000 creations, 10,000
 * changes of objects of 600 bytes, or of larger ones those of ten minutes at nine a second of 1.2 kB.
 */
export const HISTORY_LIMITS: HistoryLimits = { eventsMax: 20_000, bytesMax: 8 * 1024 * 1024 }

export class History {
  #events: WatchEvent[] = []
  /** Index of the oldest event still kept; the array is trimmed in larger steps. */
  #head = 0
  #bytes = 0
  /** Of each key that is in `#events`. */
  readonly #newest = new Map<string, WatchEvent>()
  #compactRevision: Revision
  readonly #limits: HistoryLimits

  constructor(startRevision: Revision, limits: HistoryLimits = HISTORY_LIMITS) {
    this.#compactRevision = startRevision
    this.#limits = limits
  }

  get compactRevision(): Revision { return this.#compactRevision }

  /** The last thing that happened to the key, as far as is known here: what it left is what is there now. */
  newest(key: string): WatchEvent | undefined { return this.#newest.get(key) }

  /** What happened to the key since is not told of here. */
  forget(key: string): void { this.#newest.delete(key) }

  append(events: readonly WatchEvent[]): void {
    for (const event of events) {
      this.#events.push(event)
      this.#newest.set(event.key, event)
      this.#bytes += size(event)
    }
    while (this.#bytes > this.#limits.bytesMax || this.#events.length - this.#head > this.#limits.eventsMax) this.#dropOldest()
    this.#trim()
  }

  /** Forgets what happened up to and including `revision`. */
  compact(revision: Revision): void {
    while (this.#head < this.#events.length && this.#at(this.#head).revision <= revision) this.#dropOldest()
    this.#compactRevision = Math.max(this.#compactRevision, revision)
    this.#trim()
  }

  /** Groups of one revision each, of keys with the prefix, after `revision`. */
  *since(prefix: string, revision: Revision): Generator<{ revision: Revision; events: WatchEvent[] }> {
    this.assertReaches(revision)
    let group: { revision: Revision; events: WatchEvent[] } | undefined
    for (let i = this.#firstAfter(revision); i < this.#events.length; i++) {
      const event = this.#at(i)
      if (!event.key.startsWith(prefix)) continue
      if (group && group.revision !== event.revision) {
        yield group
        group = undefined
      }
      group ??= { revision: event.revision, events: [] }
      group.events.push(event)
    }
    if (group) yield group
  }

  /** For each key of the prefix changed after `revision`: what it was then (undefined: it did not exist). */
  before(prefix: string, revision: Revision): Map<string, KeyValue | undefined> {
    this.assertReaches(revision)
    const then = new Map<string, KeyValue | undefined>()
    for (let i = this.#firstAfter(revision); i < this.#events.length; i++) {
      const event = this.#at(i)
      if (event.key.startsWith(prefix) && !then.has(event.key)) then.set(event.key, event.previous)
    }
    return then
  }

  assertReaches(revision: Revision): void {
    if (revision >= this.#compactRevision) return
    throw new CodedError('STORE_COMPACTED', `revision ${revision} has been compacted: the oldest one still known is ${this.#compactRevision}`, {
      details: { compactRevision: this.#compactRevision },
    })
  }

  #firstAfter(revision: Revision): number {
    let low = this.#head
    let high = this.#events.length
    while (low < high) {
      const mid = (low + high) >>> 1
      if (this.#at(mid).revision <= revision) low = mid + 1
      else high = mid
    }
    return low
  }

  #at(index: number): WatchEvent {
    return this.#events[index] as WatchEvent
  }

  #dropOldest(): void {
    const { revision } = this.#at(this.#head)
    this.#compactRevision = Math.max(this.#compactRevision, revision)
    // All events of one revision go together, or a watch could start in the middle of a transaction.
    while (this.#head < this.#events.length && this.#at(this.#head).revision === revision) {
      const event = this.#at(this.#head++)
      this.#bytes -= size(event)
      if (this.#newest.get(event.key) === event) this.#newest.delete(event.key)
    }
  }

  #trim(): void {
    if (this.#head < 1024 && this.#head < this.#events.length) return
    this.#events = this.#events.slice(this.#head)
    this.#head = 0
  }
}

/** A value stays alive through the event that replaces it: count that one, not the current value. */
function size(event: WatchEvent): number {
  return 200 + event.key.length + (event.previous?.value.length ?? 0)
}
