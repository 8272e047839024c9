/**
 * What a leader knows of one follower, and how fast it may send to it (flow control; section 10.2.1 for pipelining).
 *
 *            accepted                        log no longer reaches back
 *   probe ------------> replicate     probe ----------------------------> snapshot
 *     ^  <------------                  ^                                     |
 *     |   refused, unreachable          +-------- has it, or is past it ------+
 *
 * probe: one message, then wait for its answer. replicate: messages go out before earlier ones are answered.
 * snapshot: nothing but heartbeats until the snapshot is there.
 */
import type { LogIndex, MemberId } from './types.ts'

export interface SnapshotTransfer {
  /** Undefined until the driver has chosen one. */
  id: string | undefined
  index: LogIndex
  /** Where the piece under way begins, and where it ends once it was sent. */
  offsetBytes: number
  sentBytes: number
  /** Asked of the driver, not there yet. */
  reading: boolean
  /** Since something moved. */
  idleTicks: number
}

export class Progress {
  readonly member: MemberId
  state: 'probe' | 'replicate' | 'snapshot' = 'probe'
  /** Up to here its durable log is known to be the leader's. */
  match: LogIndex = 0
  /** The round of this leader in which that became known. */
  matchRound = 0
  next: LogIndex
  /** The highest commit index that it was told and could use. */
  commitSent: LogIndex = 0
  /** The highest round it answered. */
  round = 0
  /** Since it was last heard of; since this server leads, if it was not yet. */
  silentTicks = 0
  /** In probe: the question is out. */
  probeSent = false
  /** No member any more; gets the end of the change that removed it, as a courtesy (section 4.2.2). */
  leaving = false
  transfer: SnapshotTransfer | undefined
  /** Catching up in rounds (section 4.2.1): this round ends at the target, and began so many ticks ago. */
  catchUpTarget: LogIndex
  catchUpTicks = 0
  caughtUp = false
  /** Ring of what is in flight: last index and bytes of each message. */
  readonly #lastIndexes: number[] = []
  readonly #bytes: number[] = []
  #first = 0
  #inFlight = 0
  #inFlightBytes = 0

  constructor(member: MemberId, next: LogIndex, lastIndex: LogIndex) {
    this.member = member
    this.next = next
    this.catchUpTarget = lastIndex
  }

  get inFlight(): number {
    return this.#inFlight
  }

  becomeProbe(next: LogIndex): void {
    this.state = 'probe'
    this.next = Math.max(next, this.match + 1)
    this.probeSent = false
    this.transfer = undefined
    this.#forgetInFlight()
  }

  /** It does not have what it said it has. */
  forgot(round: number): void {
    this.match = 0
    this.matchRound = round
  }

  becomeReplicate(): void {
    this.state = 'replicate'
    this.next = Math.max(this.next, this.match + 1)
    this.probeSent = false
    this.transfer = undefined
    this.#forgetInFlight()
  }

  becomeSnapshot(): void {
    this.state = 'snapshot'
    this.transfer = { id: undefined, index: 0, offsetBytes: 0, sentBytes: 0, reading: true, idleTicks: 0 }
    this.#forgetInFlight()
  }

  isFull(limits: { readonly inFlightMax: number; readonly inFlightBytesMax: number }): boolean {
    return this.#inFlight >= limits.inFlightMax || this.#inFlightBytes >= limits.inFlightBytesMax
  }

  sent(lastIndex: LogIndex, bytes: number, inFlightMax: number): void {
    const slot = (this.#first + this.#inFlight) % inFlightMax
    this.#lastIndexes[slot] = lastIndex
    this.#bytes[slot] = bytes
    this.#inFlight++
    this.#inFlightBytes += bytes
  }

  answered(index: LogIndex, inFlightMax: number): void {
    while (this.#inFlight > 0 && (this.#lastIndexes[this.#first] ?? 0) <= index) {
      this.#inFlightBytes -= this.#bytes[this.#first] ?? 0
      this.#first = (this.#first + 1) % inFlightMax
      this.#inFlight--
    }
  }

  #forgetInFlight(): void {
    this.#first = 0
    this.#inFlight = 0
    this.#inFlightBytes = 0
  }
}
