/**
 * The store that several servers keep together. The leader evaluates transactions; the others hand theirs to it and answer
 * when the outcome is visible here, too. Reads are of this server's state, and of the newest one where no revision is named:
 * it asks first whether it has all that was acknowledged anywhere. A server that is alone asks nobody and waits for nothing.
 */
import type { Clock } from '#base/clock.ts'
import { asError, CodedError, hasCode } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import type { Random } from '#base/random.ts'
import { readSnapshot, writeSnapshot } from '#server/store/snapshot-format.ts'
import type { Changes, ChangesOptions, KeyValue, ListOptions, ListResult, Revision, Store, Txn, TxnResult, Watch, WatchListener, WatchOptions } from '#server/store/store.ts'
import type { WriteBack } from '#server/store/write-back.ts'
import { isAlone, membersOf } from '../../raft/configuration.ts'
import { NOBODY, type MemberId, type RaftStatus, type Term } from '../../raft/types.ts'
import type { ReplicaNode } from '../contract.ts'
import { decodeOrigins, type Change, type GroupHeader } from './entry.ts'
import { ForwardedWishes, type Asked } from './forwarded.ts'
import { LazyStream } from './lazy-stream.ts'
import { Leading, type Waiting } from './leading.ts'
import type { StoreMachine } from './store-machine.ts'
import { decodeVolatile, encodeVolatile, type Answer, type VolatileMessage, type Wish } from './volatile-message.ts'

/** Longest time a transaction or a read may take: less than clients wait. */
const PATIENCE_MS = 8_000
/** So long a cluster may be without a leader until nothing waits for one any more: two elections that take their longest. */
const LEADERLESS_MS_MAX = 3_200
/** What was refused is tried again after this. */
const RETRY_MS = 50
/** Groups on their way to other servers: one is being synced, the next is there when that is done. More make smaller groups, each with its own messages and records. Alone, one at a time makes the largest. */
const IN_FLIGHT_MAX = 2
/** What a stop spends on what is on its way into the log. */
const CLOSE_MS_MAX = 2_000
const RESTORE_BATCH_BYTES = 256 * 1024

export interface ReplicatedStoreParts {
  readonly machine: StoreMachine
  readonly node: ReplicaNode
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly writeBack: WriteBack
  /** Default 3.2 s, two elections. */
  readonly leaderlessMsMax?: number
  /** After all else is closed. */
  closeDatabase(): Promise<void>
}

/** Waits for a leader that can be asked. */
interface Leaderless {
  readonly untilMs: number
  go(): void
  fail(error: Error): void
}

export class ReplicatedStore implements Store {
  readonly node: ReplicaNode
  readonly #parts: ReplicatedStoreParts
  readonly #machine: StoreMachine
  readonly #clock: Clock
  readonly #lazy: LazyStream
  #status: RaftStatus
  #others: readonly MemberId[] = []
  #alone = false
  /** Of the term in which this server leads and may evaluate. */
  #leading: Leading | undefined
  /** Those with something in flight still, too. */
  readonly #terms = new Map<Term, Leading>()
  #termApplied: Term = 0
  readonly #forwarded: ForwardedWishes
  #leaderless: Leaderless[] = []
  /** Since this server has known no leader; undefined: it knows one. */
  #leaderlessSinceMs: number | undefined
  readonly #leaderlessMsMax: number
  /** Wait until this server shows a revision. */
  #visible: { revision: Revision; resolve: () => void }[] = []
  #cancelPatience: (() => void) | undefined
  /** Timers until what is shown here ahead of the log is written to it. */
  readonly #flushes: Record<'lazy' | 'heartbeat', (() => void) | undefined> = { lazy: undefined, heartbeat: undefined }
  #closing: Promise<void> | undefined

  constructor(parts: ReplicatedStoreParts) {
    this.#parts = parts
    this.node = parts.node
    this.#machine = parts.machine
    this.#clock = parts.clock
    this.#leaderlessMsMax = parts.leaderlessMsMax ?? LEADERLESS_MS_MAX
    this.#leaderlessSinceMs = parts.clock.monotonicMs()
    this.#forwarded = new ForwardedWishes({
      clock: parts.clock,
      firstId: Math.floor(parts.random.next() * 2 ** 47),
      doubtMs: this.#leaderlessMsMax,
      send: (leader, id, term, wish) => this.node.sendVolatile(leader, encodeVolatile({ kind: 'request', id, term, wish })),
      again: (asked) => this.#route(asked),
      unknown: unknownOutcome,
    })
    this.#lazy = new LazyStream({
      clock: parts.clock, machine: parts.machine,
      shown: () => this.#noteVisible(),
      askFlush: () => { this.#tellLeader({ kind: 'flush' }) },
      askAll: () => this.#tellLeader({ kind: 'askLazy' }),
    })
    this.#status = this.node.status()
    this.#machine.listen({
      own: (header) => this.#terms.get(header.term)?.own(header),
      applied: (header, data) => this.#applied(header, data),
      termBegan: (term) => {
        this.#termApplied = term
        this.#maybeLead()
        this.#forwarded.termBegan(term)
        this.#lazy.lost()
      },
      jumped: () => {
        this.#forwarded.giveUp()
        this.#lazy.lost()
      },
    })
    this.#termApplied = this.#machine.termApplied
    this.node.onVolatile((from, data) => this.#hear(from, data))
    this.node.onConnection((member, isThere) => {
      if (!isThere) this.#forwarded.disconnected(member)
      if (member === this.#status.leader) this.#lazy.lost()
    })
    this.node.onChange((status) => this.#changed(status))
    this.#changed(this.#status)
  }

  revision(): Revision { return this.#machine.state.revision }
  compactRevision(): Revision { return this.#machine.state.compactRevision }

  leads(): boolean { return this.#leading !== undefined }

  /** Undefined: what this server shows is the newest there is. */
  catchUp(): Promise<void> | undefined {
    return this.#alone && this.#leading ? undefined : this.#catchUp()
  }

  /** Where this server has the only vote: resolves when it leads, and its first group is applied. At once elsewhere. */
  async whenAloneLeads(): Promise<void> {
    if (!this.#alone) return
    try {
      await this.#catchUp()
    } catch (error) {
      if (!hasCode(error, 'STORE_UNAVAILABLE')) throw error
      throw new CodedError('STORE_READ_ONLY', 'the store cannot be opened, as nothing can be written: free disk space, and start again', { cause: error })
    }
    await this.#leading?.quiet()
  }

  async get(key: string, revision?: Revision): Promise<KeyValue | undefined> {
    await this.#readable(revision)
    return revision === undefined ? this.#machine.state.read(key) : this.#machine.state.readAt(key, revision)
  }

  async list(options: ListOptions): Promise<ListResult> {
    await this.#readable(options.revision)
    return this.#machine.state.list(options)
  }

  txn(txn: Txn): Promise<TxnResult> {
    return this.#wish({ kind: 'txn', txn })
  }

  watch(options: WatchOptions, listener: WatchListener): Watch {
    this.#assertShows()
    return this.#machine.state.watch(options, listener)
  }

  changes(options: ChangesOptions): Changes {
    this.#assertShows()
    return this.#machine.state.changes(options)
  }

  #assertShows(): void {
    if (this.#closing) throw closedError()
    if (this.#machine.installing) throw new CodedError('STORE_UNAVAILABLE', 'this server is taking over the state of another one: try again in a moment')
  }

  async compact(revision: Revision): Promise<void> {
    await this.#readable(revision)
    this.#machine.state.compact(revision)
  }

  async *snapshot(): AsyncIterable<Buffer> {
    await this.#readable(undefined)
    const { revision } = this.#machine.state
    yield* writeSnapshot(revision, this.#machine.state.scan('', undefined, revision))
  }

  async restore(chunks: AsyncIterable<Buffer>): Promise<void> {
    const { remaining } = await this.list({ prefix: '', countOnly: true })
    if (remaining > 0) throw new CodedError('STORE_NOT_EMPTY', 'a snapshot can only be restored into an empty store')
    let revision = this.revision()
    let items: KeyValue[] = []
    let bytes = 0
    const place = async () => {
      await this.#wish({ kind: 'place', items, revision })
      items = []
      bytes = 0
    }
    for await (const part of readSnapshot(chunks)) {
      if ('revision' in part) revision = Math.max(revision, part.revision)
      else {
        items.push(part.item)
        bytes += part.item.value.length
        if (bytes >= RESTORE_BATCH_BYTES) await place()
      }
    }
    await place()
  }

  close(): Promise<void> {
    this.#closing ??= this.#shutDown()
    return this.#closing
  }

  async #shutDown(): Promise<void> {
    this.#machine.state.close()
    this.#cancelFlushes()
    this.#cancelPatience?.()
    this.#lazy.close()
    for (const waiting of this.#leaderless.splice(0)) waiting.fail(closedError())
    const leading = this.#leading
    if (leading) {
      await this.#settled(leading)
      if (this.#alone && this.#leading === leading && !this.#machine.state.hasOutstanding && leading.isQuiet) this.#machine.stopsCleanly()
    }
    await this.node.close()
    this.#forwarded.giveUp()
    for (const { resolve } of this.#visible.splice(0)) resolve()
    await this.#parts.closeDatabase()
  }

  /** Everything is in the log, or it takes too long: there may be no majority for it any more. */
  async #settled(leading: Leading): Promise<void> {
    const enough = new AbortController()
    const settled = leading.flush().then(() => leading.quiet())
    await Promise.race([settled, this.#clock.sleep(CLOSE_MS_MAX, enough.signal).catch(() => undefined)])
    enough.abort(new Error('closed'))
  }

  // -------------------------------------------------------------- reads

  async #readable(revision: Revision | undefined): Promise<void> {
    if (this.#closing) throw closedError()
    if (this.#machine.installing) await this.#machine.installing
    if (revision === undefined || revision > this.#machine.state.revision) await this.catchUp()
    if (this.#closing) throw closedError()
    this.#machine.state.assertReadable(revision)
  }

  async #catchUp(): Promise<void> {
    const untilMs = this.#clock.monotonicMs() + PATIENCE_MS
    for (;;) {
      try {
        await this.node.readBarrier()
        // In the log's order is not enough: the leader may have shown more than the log holds.
        if (!this.#leading) await this.#lazy.inStep()
        return
      } catch (error) {
        if (hasCode(error, 'RAFT_STOPPED')) throw closedError()
        if (this.#clock.monotonicMs() >= untilMs) throw unreadableError(error)
      }
      if (this.#status.leader === NOBODY) await new Promise<void>((go, fail) => this.#await({ untilMs, go, fail: (error) => fail(hasCode(error, 'STORE_CLOSED') ? error : unreadableError()) }))
      else await this.#clock.sleep(RETRY_MS)
      if (this.#closing) throw closedError()
    }
  }

  // -------------------------------------------------------------- transactions

  #wish(wish: Wish): Promise<TxnResult> {
    if (this.#closing) return Promise.reject(closedError())
    return new Promise((resolve, reject) => this.#route({ wish, resolve, reject, untilMs: this.#clock.monotonicMs() + PATIENCE_MS }))
  }

  #route(asked: Asked): void {
    if (this.#closing && !this.#leading) asked.reject(closedError())
    else if (this.#leading) this.#do(this.#leading, asked, (lost) => this.#again(asked, lost))
    else if (this.#status.leader !== NOBODY && this.#status.leader !== this.node.id) {
      if (this.#forwarded.send(asked, this.#status.leader, this.#status.term)) this.#watchPatience()
      else this.#again(asked, true)
    } else this.#await({ untilMs: asked.untilMs, go: () => this.#route(asked), fail: asked.reject })
  }

  #do(leading: Leading, { wish, resolve, reject, origin }: Pick<Asked, 'wish' | 'resolve' | 'reject'> & Pick<Waiting, 'origin'>, again: (lost: boolean) => void): void {
    if (wish.kind === 'txn') leading.txn({ txn: wish.txn, ...(origin && { origin }), resolve: (result) => this.#tell(result, resolve, again), reject, again })
    else leading.place(wish.items, wish.revision).then((revision) => resolve({ ok: true, revision }), reject)
  }

  /** That nothing was changed is a read: true only if this server led when it looked. What was changed is in the log of most. */
  #tell(result: TxnResult, resolve: Asked['resolve'], again: (lost: boolean) => void): void {
    if (result.ok || this.#alone) resolve(result)
    else this.node.readBarrier().then(() => resolve(result), () => again(true))
  }

  #again(asked: Asked, lost: boolean): void {
    if (!lost) this.#route(asked)
    else if (this.#clock.monotonicMs() >= asked.untilMs) asked.reject(leaderlessError())
    else this.#clock.after(RETRY_MS, () => this.#route(asked))
  }

  #await(waiting: Leaderless): void {
    if (this.#closing) {
      waiting.fail(closedError())
      return
    }
    if (this.#clock.monotonicMs() >= Math.min(waiting.untilMs, this.#givesUpAtMs())) {
      waiting.fail(leaderlessError())
      return
    }
    this.#leaderless.push(waiting)
    this.#watchPatience()
  }

  /** When nothing waits for a leader any more, as there has been none for too long. */
  #givesUpAtMs(): number { return (this.#leaderlessSinceMs ?? Infinity) + this.#leaderlessMsMax }

  #tryLeaderless(): void {
    for (const waiting of this.#leaderless.splice(0)) waiting.go()
  }

  /** One timer for all that wait, and none when nobody does. */
  #watchPatience(): void {
    this.#cancelPatience ??= this.#clock.after(PATIENCE_CHECK_MS, () => {
      this.#cancelPatience = undefined
      const nowMs = this.#clock.monotonicMs()
      const isHopeless = nowMs >= this.#givesUpAtMs()
      if (isHopeless) this.#forwarded.giveUp()
      else this.#forwarded.expire(nowMs)
      const late = this.#leaderless.filter((w) => isHopeless || nowMs >= w.untilMs)
      this.#leaderless = this.#leaderless.filter((w) => !late.includes(w))
      for (const waiting of late) waiting.fail(leaderlessError())
      if (!this.#forwarded.isEmpty || this.#leaderless.length > 0) this.#watchPatience()
    })
  }

  #answered(id: number, answer: Answer): void {
    const request = this.#forwarded.take(id)
    if (!request) return
    if (answer.kind === 'again') this.#again(request, true)
    else if (answer.kind === 'failed') request.reject(new CodedError(answer.code, answer.message))
    else if (answer.result.revision <= this.revision()) request.resolve(answer.result)
    else {
      const { result } = answer
      this.#visible.push({ revision: result.revision, resolve: () => request.resolve(result) })
      this.#lazy.awaited(result.revision)
    }
  }

  #noteVisible(): void {
    if (this.#visible.length === 0) return
    const revision = this.revision()
    const ready = this.#visible.filter((v) => v.revision <= revision)
    this.#visible = this.#visible.filter((v) => v.revision > revision)
    for (const { resolve } of ready) resolve()
  }

  // -------------------------------------------------------------- what the others say

  #hear(from: MemberId, data: Buffer): void {
    let message
    try {
      message = decodeVolatile(data)
    } catch (error) {
      this.#parts.log.warn('another server said something that cannot be read', { from, error: asError(error) })
      return
    }
    if (message?.kind === 'request') this.#serve(from, message)
    else if (message?.kind === 'answer') this.#answered(message.id, message.answer)
    else if (message?.kind === 'lazy' || message?.kind === 'allLazy') this.#lazy.hear(message)
    else if (message?.kind === 'askLazy') this.#sayAllLazy(from)
    else if (message?.kind === 'flush') this.#leading?.flush().catch((error: unknown) => this.#parts.log.warn('lazy values cannot be flushed', { error: asError(error) }))
  }

  #serve(from: MemberId, request: Extract<VolatileMessage, { kind: 'request' }>): void {
    const { id, term, wish } = request
    const answer = (said: Answer): void => { this.node.sendVolatile(from, encodeVolatile({ kind: 'answer', id, answer: said })) }
    const leading = this.#closing ? undefined : this.#leading
    // What was meant for an earlier term its sender takes for lost once that has ended.
    if (leading?.term !== term) {
      answer({ kind: 'again' })
      return
    }
    const asked = {
      wish,
      origin: { member: from, id },
      resolve: (result: TxnResult) => answer({ kind: 'done', result }),
      reject: (error: Error) => answer({ kind: 'failed', code: error instanceof CodedError ? error.code : 'STORE_UNAVAILABLE', message: error.message }),
    }
    this.#do(leading, asked, (lost) => (lost ? answer({ kind: 'again' }) : this.#serve(from, request)))
  }

  // -------------------------------------------------------------- who leads

  #changed(status: RaftStatus): void {
    const before = this.#status
    this.#status = status
    this.#others = membersOf(status.configuration).filter((m) => m !== this.node.id)
    this.#alone = isAlone(status.configuration, this.node.id) && this.#others.length === 0
    if (this.#leading && (status.role !== 'leader' || status.term !== this.#leading.term)) {
      const ended = this.#leading
      this.#leading = undefined
      ended.end()
    }
    if (status.leader !== NOBODY) this.#leaderlessSinceMs = undefined
    else this.#leaderlessSinceMs ??= this.#clock.monotonicMs()
    this.#maybeLead()
    if (status.leader !== NOBODY && (status.leader !== before.leader || status.term !== before.term)) this.#tryLeaderless()
  }

  #maybeLead(): void {
    const { role, term } = this.#status
    if (this.#leading || role !== 'leader' || this.#termApplied !== term || this.#terms.has(term)) return
    const { state, position, clean } = this.#machine
    const leading = new Leading({
      term, machine: this.#machine,
      propose: (data) => this.node.propose(data),
      confirm: () => (this.#alone ? undefined : this.node.readBarrier()),
      inFlightMax: () => (this.#alone ? 1 : IN_FLIGHT_MAX),
      shownLazy: (changes, before, revision, durability) => {
        this.#flushLater(durability)
        this.#sendLazy(term, changes, before, revision)
      },
      startRevision: this.#alone && clean !== undefined ? clean : Math.max(position.ceiling, state.revision),
    })
    for (const [old, { isQuiet }] of this.#terms) if (isQuiet) this.#terms.delete(old)
    this.#terms.set(term, leading)
    this.#leading = leading
    leading.begin()
    this.#tryLeaderless()
  }

  #applied(header: GroupHeader, data: Buffer): void {
    this.#terms.get(header.term)?.applied(header)
    if (!this.#forwarded.isEmpty) this.#forwarded.logged(decodeOrigins(data, this.node.id), header.term)
    this.#lazy.applied()
    this.#noteVisible()
    // It took along what would have been written for its own sake.
    if (!this.#machine.state.hasOutstanding) this.#cancelFlushes()
  }

  #flushLater(durability: 'lazy' | 'heartbeat'): void {
    const { lazyMs, heartbeatMs } = this.#parts.writeBack
    this.#flushes[durability] ??= this.#clock.after(durability === 'lazy' ? lazyMs : heartbeatMs, () => {
      this.#flushes[durability] = undefined
      this.#leading?.flush().catch((error: unknown) => this.#parts.log.warn('lazy values cannot be flushed', { error: asError(error) }))
    })
  }

  #cancelFlushes(): void {
    for (const durability of ['lazy', 'heartbeat'] as const) {
      this.#flushes[durability]?.()
      this.#flushes[durability] = undefined
    }
  }

  #tellLeader(message: VolatileMessage): boolean {
    const { leader } = this.#status
    return leader !== NOBODY && leader !== this.node.id && this.node.sendVolatile(leader, encodeVolatile(message))
  }

  /** Where this server does not lead yet, the other one asks again when it does. */
  #sayAllLazy(to: MemberId): void {
    if (!this.#leading) return
    const { state, position } = this.#machine
    this.node.sendVolatile(to, encodeVolatile({ kind: 'allLazy', term: this.#leading.term, before: position.revision, revision: state.revision, changes: state.outstanding() }))
  }

  #sendLazy(term: Term, changes: readonly Change[], before: Revision, revision: Revision): void {
    if (this.#others.length === 0) return
    const data = encodeVolatile({ kind: 'lazy', term, before, revision, changes })
    for (const other of this.#others) this.node.sendVolatile(other, data)
  }
}

/** How late the end of somebody's patience may be noticed. */
const PATIENCE_CHECK_MS = 250

function closedError(): CodedError {
  return new CodedError('STORE_CLOSED', 'the store is closed')
}

function leaderlessError(): CodedError {
  return new CodedError('STORE_UNAVAILABLE', 'the cluster has no leader: too few of its servers are up, or this one cannot reach them; nothing was changed')
}

function unreadableError(cause?: unknown): CodedError {
  return new CodedError('STORE_UNAVAILABLE', 'no leader answers: too few servers of the cluster are up, or this one cannot reach them', { cause })
}

function unknownOutcome(): CodedError {
  return new CodedError('STORE_UNKNOWN', 'the answer of the leader got lost: the change may or may not have happened; read, and try again')
}
