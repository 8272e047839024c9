/**
 * One term of leading: transactions are evaluated here, at once, against what is visible and what was proposed before them;
 * their effects go into the log, all that wait together as one group. Each group names the one before it, so that where
 * one is lost those evaluated on it are void.
 *
 * Where a group is refused, or turns out void, nothing more is evaluated until all that is under way has its outcome:
 * then what never happened is evaluated again.
 */
import { asError, CodedError, hasCode } from '#base/errors.ts'
import { eventsOf, failedCompare } from '#server/store/transaction.ts'
import type { Durability, KeyValue, Revision, Txn, TxnResult, WatchEvent } from '#server/store/store.ts'
import type { LogIndex, Term } from '../../raft/types.ts'
import { encodeGroup, type Change, type GroupHeader, type GroupKind, type Origin } from './entry.ts'
import type { OwnGroup, StoreMachine } from './store-machine.ts'

/** Revisions reserved ahead; a change of leader skips at most so many. */
const CEILING_STEP = 20_000
/** Reserve again when fewer are left than this. */
const CEILING_LOW = 5_000
/** Transactions in one group, and bytes of values (one larger still goes): bounds the size of a log entry. */
const GROUP_TXNS = 512
const GROUP_BYTES = 1024 * 1024
/** Beyond this lazy values go into the log at once: one entry has to carry all of them, and one frame to tell another server. */
const OUTSTANDING_BYTES_MAX = 1024 * 1024

/** Waits for its outcome. */
export interface Waiting {
  readonly txn: Txn
  /** Of another server: it hears of what the log holds by the log itself, and from here only of the rest. */
  readonly origin?: Pick<Origin, 'member' | 'id'>
  readonly resolve: (result: TxnResult) => void
  readonly reject: (error: Error) => void
  /** It has not happened and is to be asked as if it had just come. `lost`: it was tried, and something failed. */
  readonly again: (lost: boolean) => void
}
interface Evaluated extends Waiting { readonly events: readonly WatchEvent[]; readonly revision: Revision; readonly bytes: number }

interface Group extends OwnGroup {
  readonly header: GroupHeader
  readonly transactions: readonly Evaluated[]
  /** Of what is no transaction. */
  readonly done?: { resolve: () => void; reject: (error: Error) => void }
}

export interface LeadingOptions {
  term: Term
  machine: StoreMachine
  propose(data: readonly Buffer[]): Promise<{ term: Term; index: LogIndex }>
  /** Groups in the log that are not applied: more of them hide the way to other servers, fewer are larger. */
  inFlightMax(): number
  /** Resolves when this server has been the leader after the call, or is one no more; rejects where that cannot be known. Undefined: nobody else could be. */
  confirm(): Promise<unknown> | undefined
  /** After lazy values were shown here, ahead of the log. */
  shownLazy(changes: readonly Change[], before: Revision, revision: Revision, durability: Exclude<Durability, 'synced'>): void
  /** The first revision that nobody can have seen. */
  startRevision: Revision
}

export class Leading {
  readonly term: Term
  readonly #options: LeadingOptions
  readonly #machine: StoreMachine
  readonly #start: Revision
  /** The newest revision given out, visible or not. */
  #issued: Revision
  /** Of the last group proposed. */
  #proposed: Revision
  #ceiling: Revision
  /** Given a revision, not applied. */
  readonly #pending = new Map<string, WatchEvent>()
  /** Found something pending that their answer depends on. */
  #contenders: { key: string; safe: () => void; again: Waiting['again'] }[] = []
  #waiting: Evaluated[] = []
  #inFlight: Group[] = []
  #sendScheduled = false
  #flushes: (() => void)[] = []
  /** The first group of this term is applied. */
  #begun = false
  /** Something was lost: nothing is evaluated until all that is in flight has its outcome. */
  #broken = false
  #ended = false
  /** To be asked again then. */
  #lost: Waiting['again'][] = []

  constructor(options: LeadingOptions) {
    this.term = options.term
    this.#options = options
    this.#machine = options.machine
    this.#start = this.#issued = options.startRevision
    this.#proposed = options.machine.position.revision
    this.#ceiling = options.machine.position.ceiling
  }

  /** After it can be found by its term: what is sent may be applied at once. */
  begin(): void { this.#send('beginning', []) }

  /** Nothing is on its way into the log. */
  get isQuiet(): boolean { return this.#inFlight.length === 0 && this.#waiting.length === 0 }

  /** Not after `end`. */
  txn(waiting: Waiting): void {
    if (this.#broken) {
      this.#lost.push(waiting.again)
      return
    }
    const { txn } = waiting
    const read = (key: string) => {
      const pending = this.#pending.get(key)
      return pending ? pending.current : this.#machine.state.read(key)
    }
    // What is found now is true up to here. Servers that follow may show more of it than this one has applied yet.
    const upTo = this.#issued
    const failed = failedCompare(txn.compare, read)
    if (failed) {
      // What it lost against may not be safe yet, and may never be: asked again when that is known.
      if (this.#pending.has(failed.key)) this.#contenders.push({ key: failed.key, safe: () => waiting.again(false), again: waiting.again })
      else this.#answer(waiting, { ok: false, why: 'conflict', ...failed, revision: this.#machine.state.revision }, upTo)
      return
    }
    const events = eventsOf(txn.ops, this.#issued + 1, read)
    if (events.length === 0) {
      // Nothing to delete, that is: true only when what deleted it is safe.
      const gone = txn.ops.flatMap(({ key }) => this.#pending.get(key) ?? []).reduce<WatchEvent | undefined>((a, b) => (a && a.revision > b.revision ? a : b), undefined)
      // True as of that revision: by the time it is safe the key may be there again.
      const answer = (revision: Revision) => this.#answer(waiting, { ok: true, revision }, upTo)
      if (gone) this.#contenders.push({ key: gone.key, safe: () => answer(gone.revision), again: waiting.again })
      else answer(this.#machine.state.revision)
      return
    }
    const revision = ++this.#issued
    const { durability = 'synced' } = txn
    if (durability !== 'synced' && this.#begun && this.isQuiet && revision < this.#machine.position.ceiling && this.#machine.state.outstandingBytes < OUTSTANDING_BYTES_MAX) {
      const before = this.#machine.state.revision
      this.#machine.state.showLazy(events, revision)
      this.#options.shownLazy(events, before, revision, durability)
      waiting.resolve({ ok: true, revision })
      return
    }
    for (const event of events) this.#pending.set(event.key, event)
    this.#waiting.push({ ...waiting, events, revision, bytes: events.reduce((sum, e) => sum + (e.current?.value.length ?? 0), 0) })
    this.#sendSoon()
  }

  /**
   * Of what changes nothing, and so is in no log: true only while nobody else leads, which is asked after it was found.
   * All that was acknowledged before is applied here then: the revision it names, up to which this is true, is no older.
   */
  #answer(waiting: Waiting, result: TxnResult, upTo: Revision): void {
    const confirmed = this.#options.confirm()
    if (!confirmed) {
      waiting.resolve(result)
      return
    }
    const newest = () => Math.max(result.revision, Math.min(this.#machine.state.revision, upTo))
    confirmed.then(() => (this.#ended ? waiting.again(true) : waiting.resolve({ ...result, revision: newest() })), () => waiting.again(true))
  }

  /** Lazy values into the log. Resolves when that is done, or was tried in vain. */
  flush(): Promise<void> {
    if (this.#ended || this.#broken || !this.#machine.state.hasOutstanding) return DONE
    // What is in flight took along all there was.
    if (this.#inFlight.length === 0) this.#sendSoon()
    return new Promise((resolve) => this.#flushes.push(resolve))
  }

  /** Resolves when nothing is in flight or waits. */
  async quiet(): Promise<void> {
    while (!this.isQuiet && !this.#broken) await new Promise<void>((resolve) => { this.#flushes.push(resolve) })
  }

  /** Items as they are, into a store that is empty and that nobody uses yet. Throws `STORE_UNAVAILABLE` where it is in use. */
  async place(items: readonly KeyValue[], revision: Revision): Promise<Revision> {
    await this.quiet()
    if (this.#ended || this.#broken) throw new CodedError('STORE_UNAVAILABLE', 'leadership was lost while a snapshot was being restored: begin again with an empty store')
    this.#issued = Math.max(this.#issued, revision)
    const changes = items.map((item) => ({ key: item.key, revision: item.modRevision, current: item }))
    await new Promise<void>((resolve, reject) => this.#send('restore', [], { changes, revision: this.#issued, done: { resolve, reject } }))
    return this.#machine.state.revision
  }

  /** The group that an entry of this term is of. */
  own(header: GroupHeader): OwnGroup | undefined {
    const [first] = this.#inFlight
    return header.kind !== 'restore' && first?.header.revision === header.revision && first.header.after === header.after ? first : undefined
  }

  applied(header: GroupHeader): void {
    const [group] = this.#inFlight
    if (group?.header.revision !== header.revision || group.header.after !== header.after) return
    this.#inFlight.shift()
    if (header.kind === 'beginning') this.#begun = true
    for (const { events, revision, origin, resolve } of group.transactions) {
      for (const event of events) if (this.#pending.get(event.key) === event) this.#pending.delete(event.key)
      if (!origin) resolve({ ok: true, revision })
    }
    group.done?.resolve()
    this.#afterOutcome()
  }

  /** No longer leader: what is in the log gets its outcome still, all else begins anew elsewhere. */
  end(): void {
    this.#ended = true
    for (const { again } of this.#waiting.splice(0)) again(false)
    this.#afterOutcome()
  }

  /** Everything that arrives in this turn of the event loop joins the group. */
  #sendSoon(): void {
    if (this.#sendScheduled) return
    this.#sendScheduled = true
    setImmediate(() => {
      this.#sendScheduled = false
      if (!this.#broken && !this.#ended) this.#sendWaiting()
    })
  }

  #sendWaiting(): void {
    if (!this.#begun && this.#inFlight.length === 0) this.#send('beginning', [])
    while (this.#waiting.length > 0 && this.#inFlight.length < this.#options.inFlightMax()) {
      let bytes = 0
      let count = 0
      for (const { bytes: more } of this.#waiting) {
        if (count === GROUP_TXNS || (count > 0 && bytes + more > GROUP_BYTES)) break
        bytes += more
        count++
      }
      this.#send('changes', this.#waiting.splice(0, count))
    }
    if (this.#flushes.length > 0 && this.#inFlight.length === 0) this.#send('changes', [])
  }

  #send(kind: GroupKind, transactions: readonly Evaluated[], placed?: { changes: readonly Change[]; revision: Revision; done: NonNullable<Group['done']> }): void {
    // Nothing lazy is shown while a group is in flight, so what is outstanding then has been sent along with it.
    const carried = this.#inFlight.length === 0 ? this.#machine.state.outstanding() : []
    const revision = transactions.at(-1)?.revision ?? placed?.revision ?? (kind === 'beginning' ? this.#start : Math.max(this.#proposed, this.#machine.state.revision))
    if (this.#issued + CEILING_LOW > this.#ceiling) this.#ceiling = this.#issued + CEILING_STEP
    const header: GroupHeader = { kind, term: this.term, after: this.#proposed, revision, ceiling: this.#ceiling }
    const changes: Change[] = [...carried]
    const origins: Origin[] = []
    for (const { events, origin, revision: at } of transactions) {
      for (const event of events) changes.push(event)
      if (origin) origins.push({ ...origin, revision: at })
    }
    if (placed) changes.push(...placed.changes)
    const group: Group = { header, carried, transactions, ...(placed && { done: placed.done }) }
    this.#inFlight.push(group)
    this.#proposed = revision
    this.#options.propose([encodeGroup(header, changes, origins)]).then(
      // Applied, and in flight still: it was void.
      () => this.#failed(group, undefined),
      (error: unknown) => this.#failed(group, asError(error)),
    )
  }

  /** `error` undefined: it is in the log, and has no effect. */
  #failed(group: Group, error: Error | undefined): void {
    const at = this.#inFlight.indexOf(group)
    if (at < 0) return
    this.#inFlight.splice(at, 1)
    this.#broken = true
    const never = error === undefined || NEVER_HAPPENED.some((code) => hasCode(error, code))
    for (const { again, reject } of group.transactions) {
      if (never) this.#lost.push(again)
      else reject(failureOf(error))
    }
    group.done?.reject(failureOf(error ?? new Error('it was void')))
    this.#afterOutcome()
  }

  #afterOutcome(): void {
    const contenders = this.#contenders
    if (contenders.length > 0) {
      const done = contenders.filter(({ key }) => this.#ended || !this.#pending.has(key))
      this.#contenders = contenders.filter((c) => !done.includes(c))
      for (const { key, safe, again } of done) {
        if (this.#pending.has(key)) again(false)
        else safe()
      }
    }
    if (this.#flushes.length > 0 && (this.#inFlight.length === 0 && !this.#machine.state.hasOutstanding || this.#broken || this.#ended)) for (const done of this.#flushes.splice(0)) done()
    if (this.#inFlight.length === 0 && this.#broken) this.#mend()
    if (this.#waiting.length > 0 || this.#flushes.length > 0) this.#sendSoon()
  }

  /** What waited was evaluated on something that is not there. */
  #mend(): void {
    const lost = [...this.#lost, ...this.#waiting.map((w) => w.again), ...this.#contenders.map((c) => c.again)]
    this.#lost = []
    this.#waiting = []
    this.#contenders = []
    this.#pending.clear()
    this.#proposed = this.#machine.position.revision
    this.#broken = false
    for (const again of lost) again(true)
  }
}

const DONE = Promise.resolve()

/** Refusals after which the group is in no log and never will be. */
const NEVER_HAPPENED = ['RAFT_NO_LEADER', 'RAFT_TRANSFERRING', 'RAFT_OVERLOADED', 'RAFT_CHANGING', 'RAFT_LOST']

function failureOf(cause: Error): CodedError {
  if (hasCode(cause, 'DISK_FULL')) return new CodedError('STORE_READ_ONLY', `the store cannot write (${cause.message}): free disk space; it recovers by itself`, { cause })
  if (hasCode(cause, 'RAFT_STOPPED')) return new CodedError('STORE_CLOSED', 'the store is closed', { cause })
  return new CodedError('STORE_UNKNOWN', 'leadership was lost while this was being written: it may or may not have happened; read, and try again', { cause })
}
