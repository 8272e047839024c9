/** What of history is on the disk: in segments, oldest first, each gone when the last of its events is. */
import { asError } from '#base/errors.ts'
import type { Clock } from '#base/clock.ts'
import { decodeSegment, encodeSegment } from './history-segment.ts'
import type { Revision, WatchEvent } from './store.ts'

/** A place for what memory has no room for: of this process alone, and nothing that has to survive it. */
export interface HistorySpill {
  readonly clock: Clock
  /** A number to call the next segment by. */
  newId(): number
  /** Resolves with what all may take together at the moment. Rejects where it cannot be kept; nothing is left of it then. */
  write(id: number, segment: Buffer): Promise<{ bytesMax: number }>
  /** Throws when it is not there any more. */
  read(id: number): Buffer
  remove(id: number): void
  /** Something was lost: history reaches back less than it should. */
  failed(error: Error): void
}

export interface Segment {
  readonly id: number
  readonly bytes: number
  /** Position after its last event. */
  readonly end: number
  readonly lastRevision: Revision
}

export class SpilledEvents {
  readonly #spill: HistorySpill
  #segments: Segment[] = []
  #bytes = 0
  #bytesMax = 0
  #droppedBefore = 0
  /** What was read last. */
  #decoded: { segment: Segment; events: readonly WatchEvent[] } | undefined

  constructor(spill: HistorySpill) { this.#spill = spill }

  /** The position from which on there is room for all. */
  get roomFrom(): number {
    let bytes = this.#bytes
    let from = 0
    for (const segment of this.#segments) {
      if (bytes <= this.#bytesMax) break
      bytes -= segment.bytes
      from = segment.end
    }
    return from
  }

  /** Undefined: there is no room, or it is not wanted any more. */
  async write(events: readonly WatchEvent[], end: number): Promise<Segment | undefined> {
    const id = this.#spill.newId()
    try {
      const bytes = await encodeSegment(events)
      this.#bytesMax = (await this.#spill.write(id, bytes)).bytesMax
      if (end <= this.#droppedBefore) {
        this.#spill.remove(id)
        return undefined
      }
      const segment = { id, bytes: bytes.length, end, lastRevision: events.at(-1)?.revision ?? 0 }
      this.#segments.push(segment)
      this.#bytes += segment.bytes
      return segment
    } catch (error) {
      this.#spill.failed(asError(error))
      return undefined
    }
  }

  /** Undefined: it is lost. */
  read(segment: Segment): readonly WatchEvent[] | undefined {
    if (this.#decoded?.segment === segment) return this.#decoded.events
    try {
      const events = decodeSegment(this.#spill.read(segment.id))
      this.#decoded = { segment, events }
      return events
    } catch (error) {
      this.#spill.failed(asError(error))
      return undefined
    }
  }

  /** Nobody asks for events before this position any more. */
  dropBefore(position: number): void {
    this.#droppedBefore = Math.max(this.#droppedBefore, position)
    let gone = 0
    for (const segment of this.#segments) {
      if (segment.end > position) break
      gone++
      this.#bytes -= segment.bytes
      this.#spill.remove(segment.id)
      if (this.#decoded?.segment === segment) this.#decoded = undefined
    }
    if (gone > 0) this.#segments.splice(0, gone)
  }
}
