/**
 * One watch being served: first what is there (when asked), then events from the cache's ring, as fast as the client
 * takes them and no faster. States:
 *
 *   sending --sink full--> parked --drain--> sending --timeout, signal, lost, closed--> ended
 *
 * A parked watcher holds no bytes, only a position in the ring.
 */
import type { BodySink, BodyStream } from '#api/client/transport.ts'
import type { Clock } from '#base/clock.ts'
import { hasCode } from '#base/errors.ts'
import { statusObject, tooOld } from '../http/status.ts'
import { encodeEvent, type EventType, type WatchForm } from './encoder.ts'
import type { Backlog, CacheEvent, Entry, Follower, KindCache } from './kind-cache.ts'

export interface WatcherOptions {
  cache: KindCache
  clock: Clock
  form: WatchForm
  matches: (entry: Entry) => boolean
  /** ADDED events to begin with. */
  initial: readonly Entry[]
  /** The same as bytes, which many that begin alike share. */
  initialPieces: EventPieces | undefined
  /** The initial events are of this revision; their end is marked by a bookmark when set. */
  initialEndRevision: number | undefined
  /** From the store's history: what happened between the client's revision and `position`, or the first part of it. Undefined: the ring has all. */
  backlog: Backlog | undefined
  position: number
  /** Events up to this revision are not sent: the client asked from a state that is still to come. */
  afterRevision: number
  bookmarks: boolean
  timeoutMs: number
  signal: AbortSignal
  /** Told the size of each event that goes out. */
  sent?: (bytes: number) => void
}

/** Several events in a row. */
export interface EventPiece {
  readonly bytes: Buffer
  readonly sizes: readonly number[]
}

export interface EventPieces {
  /** Undefined: there are no more. */
  at(index: number): EventPiece | undefined
}

/** Upstream's period is about a minute as well. */
export const BOOKMARK_MS = 55_000
/** The last bookmark goes out this long before the end; of a watch that is no longer than that, none does. */
const LAST_BOOKMARK_MS = 2_000
/** Pieces are joined up to this size: one write per turn, not one per event. */
const BATCH_BYTES = 64 * 1024

export class Watcher implements Follower, BodyStream {
  readonly #options: Omit<WatcherOptions, 'initial' | 'initialPieces' | 'backlog'>
  #position: number
  /** Let go of as soon as they are sent: a watch lives long. */
  #initial: readonly Entry[]
  #pieces: EventPieces | undefined
  #pieceAt = 0
  #backlog: Backlog | undefined
  /** Until the next part of it is here. */
  #isReading = false
  /** From here on the ring tells. */
  #until = 0
  #initialAt = 0
  #backlogAt = 0
  #initialEndDue: boolean
  #bookmarkDue = false
  #isFirst = true
  #sink: BodySink | undefined
  #parked = false
  #ended = false
  #cancels: (() => void)[] = []

  constructor({ initial, initialPieces, backlog, ...options }: WatcherOptions) {
    this.#options = options
    this.#position = options.position
    this.#initial = initial
    this.#pieces = initialPieces
    this.#backlog = backlog
    this.#until = options.cache.revision()
    this.#initialEndDue = options.initialEndRevision !== undefined
    // Followed from now on, so that the ring keeps what comes while the first answer is on its way.
    options.cache.follow(this)
    const onAbort = () => this.#end()
    options.signal.addEventListener('abort', onAbort, { once: true })
    this.#cancels.push(() => options.signal.removeEventListener('abort', onAbort))
  }

  get position(): number { return this.#position }

  start(sink: BodySink): void {
    this.#sink = sink
    const { clock, signal, timeoutMs, bookmarks } = this.#options
    if (signal.aborted) this.#end()
    if (this.#ended) return sink.end()
    this.#cancels.push(clock.after(timeoutMs, () => this.#end()))
    if (bookmarks) {
      this.#scheduleBookmark()
      if (timeoutMs > LAST_BOOKMARK_MS) this.#cancels.push(clock.after(timeoutMs - LAST_BOOKMARK_MS, () => this.#bookmark()))
    }
    sink.onDrain(() => {
      this.#parked = false
      this.#pump()
    })
    this.#pump()
  }

  onEvents(): void {
    if (!this.#parked) this.#pump()
  }

  onLost(): void {
    const { cache } = this.#options
    if (this.#backlog || this.#isReading) {
      // Nothing of the ring has been told yet: history tells more of it.
      this.#until = cache.revision()
      this.#position = cache.ringEnd
      return
    }
    this.#fail(tooOld(this.#position, cache.ringEnd).body)
  }

  onClosed(): void { this.#end() }

  #scheduleBookmark(): void {
    const cancel = this.#options.clock.after(BOOKMARK_MS, () => {
      this.#cancels.splice(this.#cancels.indexOf(cancel), 1)
      this.#bookmark()
      if (!this.#ended) this.#scheduleBookmark()
    })
    this.#cancels.push(cancel)
  }

  #bookmark(): void {
    this.#bookmarkDue = true
    if (!this.#parked) this.#pump()
  }

  #pump(): void {
    const sink = this.#sink
    if (!sink) return
    while (!this.#ended && !this.#parked) {
      const batch = this.#batch()
      if (batch === undefined) return
      if (!sink.write(batch)) this.#parked = true
    }
  }

  /** The next bytes to send; undefined when there is nothing more for now. */
  #batch(): Buffer | undefined {
    const piece = this.#piece()
    if (piece) return piece
    const pieces: Buffer[] = []
    let bytes = 0
    while (bytes < BATCH_BYTES) {
      const piece = this.#next()
      if (piece === undefined) break
      pieces.push(piece)
      bytes += piece.length
      this.#options.sent?.(piece.length)
    }
    return pieces.length > 1 ? Buffer.concat(pieces, bytes) : pieces[0]
  }

  #piece(): Buffer | undefined {
    const piece = this.#pieces?.at(this.#pieceAt++)
    if (!piece) {
      this.#pieces = undefined
      return undefined
    }
    this.#isFirst = false
    for (const size of piece.sizes) this.#options.sent?.(size)
    return piece.bytes
  }

  #next(): Buffer | undefined {
    const { initialEndRevision, cache, form } = this.#options
    const encoder = this.#isFirst ? form.first : form.objects
    const entry = this.#initial[this.#initialAt]
    if (entry) {
      if (++this.#initialAt === this.#initial.length) this.#initial = []
      this.#isFirst = false
      return encoder.framing.event('ADDED', encoder.object(entry, entry.revision))
    }
    if (this.#initialEndDue && initialEndRevision !== undefined) {
      this.#initialEndDue = false
      return this.#bookmarkBytes(initialEndRevision, true)
    }
    while (!this.#isReading) {
      const backlog = this.#backlog
      const old = backlog?.events[this.#backlogAt]
      if (backlog && !old) {
        this.#readOn(backlog.through)
        continue
      }
      const event = old ?? cache.event(this.#position)
      if (!event) break
      if (old) this.#backlogAt++
      else this.#position++
      if (event.revision <= this.#options.afterRevision) continue
      const type = transition(event, this.#options.matches)
      if (!type) continue
      this.#isFirst = false
      return encodeEvent(event, type, encoder)
    }
    if (!this.#bookmarkDue || this.#isReading) return undefined
    this.#bookmarkDue = false
    return this.#bookmarkBytes(cache.revision(), false)
  }

  /** In a turn of its own: many that come back at once must not hold up all others. */
  #readOn(through: number): void {
    this.#backlog = undefined
    this.#backlogAt = 0
    if (through >= this.#until) return
    this.#isReading = true
    setImmediate(() => {
      this.#isReading = false
      if (this.#ended) return
      try {
        this.#backlog = this.#options.cache.history(through, this.#until)
      } catch (error) {
        // The store is closing, or takes over another state: who watches begins anew.
        if (!hasCode(error, 'STORE_COMPACTED')) return this.#end()
        return this.#fail(tooOld(through, this.#until).body)
      }
      if (!this.#parked) this.#pump()
    })
  }

  #bookmarkBytes(revision: number, initialEventsEnd: boolean): Buffer {
    const { form } = this.#options
    const isFirst = this.#isFirst
    this.#isFirst = false
    return form.objects.framing.bookmark(form.bookmark(revision, initialEventsEnd, isFirst))
  }

  #fail(status: Parameters<typeof statusObject>[0]): void {
    if (!this.#ended) this.#sink?.write(this.#options.form.objects.framing.error(statusObject(status)))
    this.#end()
  }

  #end(): void {
    if (this.#ended) return
    this.#ended = true
    this.#options.cache.unfollow(this)
    for (const cancel of this.#cancels.splice(0)) cancel()
    this.#sink?.end()
  }
}

/** What an event is to someone who sees only what `matches`: coming in is ADDED, going out DELETED. */
export function transition(event: CacheEvent, matches: (entry: Entry) => boolean): EventType | undefined {
  const was = event.before !== undefined && matches(event.before)
  const is = event.after !== undefined && matches(event.after)
  if (is) return was ? 'MODIFIED' : 'ADDED'
  return was ? 'DELETED' : undefined
}
