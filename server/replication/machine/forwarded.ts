/**
 * What this server has handed to the leader, until it knows what became of it. Of what the log holds, the log tells: each
 * group names whose transactions are in it. So where the leader is lost there is seldom any doubt: once the first entry of
 * a later term is applied here, all that the old one left is, and what was not among it never will be.
 */
import type { Clock } from '#base/clock.ts'
import type { TxnResult } from '#server/store/store.ts'
import type { MemberId, Term } from '../../raft/types.ts'
import type { Origin } from './entry.ts'
import type { Wish } from './volatile-message.ts'

/** On its way to an outcome. */
export interface Asked {
  readonly wish: Wish
  readonly untilMs: number
  readonly resolve: (result: TxnResult) => void
  readonly reject: (error: Error) => void
}

interface Forwarded extends Asked { readonly id: number; readonly leader: MemberId; readonly term: Term; untilMs: number }

export interface ForwardedWishesParts {
  readonly clock: Clock
  /** Of ids, at random: what became of an earlier life's finds nobody. */
  readonly firstId: number
  /** How long it may take until there is another leader. */
  readonly doubtMs: number
  /** False: it was not and will not be sent. */
  send(leader: MemberId, id: number, term: Term, wish: Wish): boolean
  /** It never happened and never will. */
  again(asked: Asked): void
  unknown(): Error
}

export class ForwardedWishes {
  readonly #parts: ForwardedWishesParts
  readonly #all = new Map<number, Forwarded>()
  #nextId: number

  constructor(parts: ForwardedWishesParts) {
    this.#parts = parts
    this.#nextId = parts.firstId
  }

  get isEmpty(): boolean { return this.#all.size === 0 }

  /** False: there is no way to the leader at the moment, and nothing has happened. */
  send(asked: Asked, leader: MemberId, term: Term): boolean {
    const id = this.#nextId++
    if (!this.#parts.send(leader, id, term, asked.wish)) return false
    this.#all.set(id, { ...asked, id, leader, term })
    return true
  }

  /** The leader answers, or this server has seen for itself. */
  take(id: number): Asked | undefined {
    const asked = this.#all.get(id)
    this.#all.delete(id)
    return asked
  }

  /** Of this server, in a group of `term` that is visible now. */
  logged(origins: readonly Origin[], term: Term): void {
    for (const { id, revision } of origins) if (this.#all.get(id)?.term === term) this.take(id)?.resolve({ ok: true, revision })
  }

  /** All that leaders of earlier terms left in the log is applied. */
  termBegan(term: Term): void {
    for (const asked of this.#endingIf((a) => a.term < term)) {
      if (isToldByTheLog(asked.wish)) this.#parts.again(asked)
      else asked.reject(this.#parts.unknown())
    }
  }

  /** An answer may have been lost with it. Mostly the leader is gone, and the next one's log tells; where it is not, nothing does. */
  disconnected(leader: MemberId): void {
    const untilMs = this.#parts.clock.monotonicMs() + this.#parts.doubtMs
    for (const asked of this.#all.values()) if (asked.leader === leader) asked.untilMs = Math.min(asked.untilMs, untilMs)
  }

  /** For those that have waited long enough. */
  expire(nowMs: number): void {
    for (const asked of this.#endingIf((a) => nowMs >= a.untilMs)) asked.reject(this.#parts.unknown())
  }

  /** Nobody will tell any more: there is no leader, the log was jumped over, or this server stops. */
  giveUp(): void {
    for (const asked of this.#endingIf(() => true)) asked.reject(this.#parts.unknown())
  }

  #endingIf(is: (asked: Forwarded) => boolean): Forwarded[] {
    const ending = [...this.#all.values()].filter(is)
    for (const { id } of ending) this.#all.delete(id)
    return ending
  }
}

/** Lazy values are seen ahead of the log, and parts of snapshots have no number: whether they happened, no log tells. */
function isToldByTheLog(wish: Wish): boolean {
  return wish.kind === 'txn' && (wish.txn.durability ?? 'synced') === 'synced'
}
