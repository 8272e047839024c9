/**
 * A running member: hands all that comes in to the pure core, one step at a time, and does what each Ready says. The
 * core's README lists the nine duties; where each is done:
 *
 *   events --> #turn: step --> #execute --> transport (1)
 *                                      |--> LogWriter: one sync for all that waits, then messages, `persisted` (2, 4)
 *                                      |--> #apply: machine, then who waits for it, `applied` (3, 5)
 *                                      |--> OutgoingSnapshots, #receive (snapshots)
 *                                      '--> #maybeCompact (6), Ticker (7)
 *
 * Nothing here decides anything about Raft. All state changes in synchronous functions; after each await it is asked
 * whether the member still runs.
 */
import type { Clock } from '#base/clock.ts'
import { asError, assert, CodedError } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import type { Random } from '#base/random.ts'
import { isAlone, membersOf } from '../../raft/configuration.ts'
import { defaultRaftOptions, Raft } from '../../raft/raft.ts'
import { NOBODY } from '../../raft/types.ts'
import type { Entry, LogBase, LogIndex, LogReader, MemberChange, MemberId, Persist, RaftEvent, RaftOptions, RaftStatus, Ready, Recovered, SnapshotWrite, Term } from '../../raft/types.ts'
import type { LogStorage, ReplicaNode, StateMachine, Transport } from '../contract.ts'
import { LogWriter } from './log-writer.ts'
import { OutgoingSnapshots } from './outgoing-snapshots.ts'
import { ReadBarriers } from './read-barriers.ts'
import { refusalError, stoppedError, unknownError } from './refusal.ts'
import { RoomWatch } from './room-watch.ts'
import { Ticker } from './ticker.ts'
import { WaitingChanges } from './waiting-changes.ts'
import { WaitingProposals, type Made } from './waiting-proposals.ts'

export type RaftCore = Pick<Raft, 'step' | 'status' | 'term' | 'baseAt' | 'compactIndexMax'>

export interface ReplicaOptions {
  readonly raft: Partial<Omit<RaftOptions, 'id'>>
  /** The log is compacted when it is larger, and keeps about `logBytesKept` for followers that are behind. */
  readonly logBytesMax: number
  readonly logBytesKept: number
  /** The same for a server with no others: it keeps nothing, and the less is there the less ever leaves LevelDB's memory. */
  readonly aloneLogBytesMax: number
  /** What `close` spends on what is under way and on handing over. */
  readonly closeMsMax: number
  /** Collects what comes at the same time into one step. */
  readonly soon: (turn: () => void) => void
  /** For tests that look at each step. */
  readonly makeCore: (options: RaftOptions, recovered: Recovered, reader: LogReader, random: Random, nowMs: number) => RaftCore
}

export const defaultReplicaOptions: ReplicaOptions = {
  // Half as many heartbeats as ticks: an idle cluster's work is mostly these.
  raft: { heartbeatTicks: 2 },
  logBytesMax: 8 * 1024 * 1024,
  logBytesKept: 4 * 1024 * 1024,
  aloneLogBytesMax: 256 * 1024,
  closeMsMax: 2_000,
  soon: (turn) => { setImmediate(turn) },
  makeCore: (options, recovered, reader, random, nowMs) => new Raft(options, recovered, reader, random, nowMs),
}

export interface ReplicaParts {
  readonly id: MemberId
  /** Opened after the machine. Both belong to the caller's database, which is closed after the replica. */
  readonly storage: LogStorage
  /** Closed with the replica. */
  readonly machine: StateMachine
  /** Closed with the replica. */
  readonly transport: Transport
  readonly clock: Clock
  readonly random: Random
  readonly log: Log
  readonly options?: Partial<ReplicaOptions>
}

/** Starts a member. A server that has the only vote leads before this returns. Throws `RAFT_LOG_DAMAGED` where state and log do not belong together. */
export function openReplica(parts: ReplicaParts): ReplicaNode {
  const { storage, machine } = parts
  const { base, lastIndex } = storage.recovered
  if (machine.applied < base.index || machine.applied > lastIndex) {
    throw new CodedError('RAFT_LOG_DAMAGED', `the state on disk is that of entry ${machine.applied}, the replicated log has ${base.index + 1} to ${lastIndex}: they do not belong together. Where other servers of the cluster are well, remove this one (kubectl delete node), move its data directory away and join it again; where it is the only one, restore a snapshot (skiff snapshot restore)`)
  }
  return new Replica(parts)
}

class Replica implements ReplicaNode {
  readonly id: MemberId
  readonly failed: Promise<never>
  readonly #parts: ReplicaParts
  readonly #options: ReplicaOptions
  readonly #raftOptions: RaftOptions
  readonly #core: RaftCore
  readonly #writer: LogWriter
  readonly #ticker: Ticker
  readonly #room: RoomWatch
  readonly #snapshots: OutgoingSnapshots
  readonly #proposals = new WaitingProposals()
  readonly #changes = new WaitingChanges()
  readonly #barriers: ReadBarriers
  readonly #listeners = new Set<(status: RaftStatus) => void>()
  #volatileListener: ((from: MemberId, data: Buffer) => void) | undefined
  #connectionListener: ((member: MemberId, isThere: boolean) => void) | undefined
  #events: RaftEvent[] = []
  #turnDue = false
  #nextId = 1
  /** As of the last change of role, leader, term, configuration or base. */
  #status: RaftStatus
  #alone = false
  #peers: ReadonlyMap<MemberId, string> = new Map()
  /** Members on their way out are still told so. */
  #lingering = false
  /** Since anything was heard of the leader, for servers that may never begin an election themselves: learners, removed ones. */
  #quietTicks = 0
  #applied: LogIndex
  #appliedTerm: Term = 0
  #applying: Promise<void> = Promise.resolve()
  /** The state up to here went to the database before a sync that is done: the log may be dropped up to it. */
  #appliedDurable: LogIndex
  #appliedAtWrite: LogIndex
  #compacting: Promise<void> | undefined
  #installing = false
  /** Pieces of snapshots are received one after the other; only of the newest one the core wants to hear. */
  #receiving: Promise<void> = Promise.resolve()
  #newestWrite: SnapshotWrite | undefined
  #rejectFailed: (error: Error) => void = () => {}
  /** No new work is taken; no turn is made any more. */
  #closing: Promise<void> | undefined
  #stopped = false

  constructor(parts: ReplicaParts) {
    const { id, storage, machine, clock } = parts
    this.id = id
    this.#parts = parts
    this.#options = { ...defaultReplicaOptions, ...parts.options }
    this.#raftOptions = { ...defaultRaftOptions, ...this.#options.raft, id }
    this.failed = new Promise((_, reject) => { this.#rejectFailed = reject })
    // Who does not look at it hears of the end by every call.
    this.failed.catch(() => undefined)
    this.#applied = this.#appliedDurable = this.#appliedAtWrite = machine.applied
    const recovered: Recovered = { ...storage.recovered, applied: machine.applied, partialSnapshot: machine.partialSnapshot }
    this.#core = this.#options.makeCore(this.#raftOptions, recovered, storage, parts.random, clock.monotonicMs())
    this.#appliedTerm = this.#core.term(machine.applied) ?? 0
    this.#status = this.#core.status()
    this.#writer = new LogWriter(storage, clock, {
      writing: () => { this.#appliedAtWrite = machine.applied },
      written: (persists) => this.#written(persists),
      install: (persist) => this.#install(persist),
      full: (isFull, error) => this.#room.note({ writer: isFull }, error),
      failed: (error) => this.#fail(error),
    })
    this.#room = new RoomWatch({
      clock,
      assertRoom: () => storage.assertRoom(),
      changed: (isFull, error) => this.#noteFull(isFull, error),
      failed: (error) => this.#fail(error),
    })
    this.#ticker = new Ticker(clock, this.#raftOptions.tickMs, () => this.#tick())
    this.#barriers = new ReadBarriers(() => {
      const read = this.#nextId++
      this.#give({ kind: 'read', id: read })
      return read
    })
    this.#snapshots = new OutgoingSnapshots({
      machine,
      log: parts.log,
      baseAt: (index) => this.#core.baseAt(index),
      base: () => this.#status.base,
      isStale: (to, index) => index <= (storage.indexKeeping(2 * this.#options.logBytesMax, Infinity) ?? -1) && this.#core.status().followers.some((f) => f.member === to && !f.active),
      give: (event) => this.#give(event),
    })
    parts.transport.start({
      message: (message) => {
        if (message.from === this.#status.leader) this.#quietTicks = 0
        this.#give({ kind: 'message', message })
      },
      volatile: (from, data) => this.#volatileListener?.(from, data),
      unreachable: (member) => this.#give({ kind: 'unreachable', member }),
      reachable: (member) => this.#connected(member, true),
      disconnected: (member) => this.#connected(member, false),
    })
    machine.failed?.catch((error: unknown) => this.#fail(asError(error)))
    this.#noteChange()
    this.#turn()
  }

  status(): RaftStatus {
    return this.#core.status()
  }

  propose(data: readonly Buffer[]): Promise<Made> {
    assert(data.length > 0, 'a proposal has entries')
    if (!this.#stopped && this.#status.role === 'leader' && !this.#room.hasRoom()) return Promise.reject(refusalError('diskFull'))
    return this.#ask((id) => ({ kind: 'propose', id, data }), data.length)
  }

  readBarrier(): Promise<LogIndex> {
    if (this.#closing || this.#stopped) return Promise.reject(stoppedError())
    // Nobody else can commit anything. What is committed and not applied here, a member that just left may have shown.
    if (this.#alone && this.#status.role === 'leader' && this.#appliedTerm === this.#status.term && this.#core.status().commit === this.#applied) return Promise.resolve(this.#applied)
    return this.#barriers.wait()
  }

  async changeMembers(changes: readonly MemberChange[]): Promise<void> {
    const { index } = await this.#ask((id) => ({ kind: 'changeMembers', id, changes }), 1)
    const settled = this.#changes.wait(index)
    this.#settleChanges()
    await settled
  }

  transfer(to: MemberId): void {
    this.#give({ kind: 'transfer', to })
  }

  campaign(): void {
    this.#give({ kind: 'campaign' })
  }

  onChange(listener: (status: RaftStatus) => void): () => void {
    this.#listeners.add(listener)
    return () => this.#listeners.delete(listener)
  }

  sendVolatile(to: MemberId, data: Buffer): boolean {
    return !this.#stopped && to !== this.id && this.#parts.transport.sendVolatile(to, data)
  }

  onVolatile(listener: (from: MemberId, data: Buffer) => void): void {
    this.#volatileListener = listener
  }

  onConnection(listener: (member: MemberId, isThere: boolean) => void): void {
    this.#connectionListener = listener
  }

  close(): Promise<void> {
    this.#closing ??= this.#shutDown()
    return this.#closing
  }

  #connected(member: MemberId, isThere: boolean): void {
    this.#give({ kind: 'connection', member, isThere })
    this.#connectionListener?.(member, isThere)
  }

  #ask(event: (id: number) => RaftEvent, count: number): Promise<Made> {
    if (this.#closing || this.#stopped) return Promise.reject(stoppedError())
    const id = this.#nextId++
    return new Promise((resolve, reject) => {
      this.#proposals.add(id, { count, resolve, reject })
      this.#give(event(id))
    })
  }

  // -------------------------------------------------------------- turns

  #give(event: RaftEvent): void {
    if (this.#stopped) return
    this.#events.push(event)
    if (this.#turnDue) return
    this.#turnDue = true
    this.#options.soon(() => {
      this.#turnDue = false
      if (this.#events.length > 0) this.#turn()
    })
  }

  #turn(): void {
    if (this.#stopped) return
    const events = this.#events
    this.#events = []
    this.#barriers.stepping()
    try {
      this.#execute(this.#core.step(events, this.#parts.clock.monotonicMs()))
      this.#maybeCompact()
    } catch (error) {
      this.#fail(asError(error))
    }
  }

  #execute(ready: Ready): void {
    // First of all who there is to talk to.
    if (ready.changed) this.#noteChange()
    for (const message of ready.messages) this.#parts.transport.send(message)
    // Before the writer starts, so that what is applied does not queue up behind a sync.
    if (ready.committed.length > 0) this.#applying = this.#apply(ready.committed)
    if (ready.persist) this.#writer.add(ready.persist)
    for (const outcome of ready.proposals) this.#proposals.outcome(outcome, this.#applied, (index) => this.#core.term(index))
    for (const outcome of ready.reads) this.#barriers.outcome(outcome, this.#applied)
    for (const { member, acknowledged, has } of ready.forgotten) {
      this.#parts.log.error('another server has lost what it had said was on its disk: it gets all of it again, but a disk that does not keep what is synced can lose what clients were told is stored; replace it', { member, acknowledged, has })
    }
    for (const { to, snapshotId } of ready.snapshotsDone) this.#unlessFailed(this.#snapshots.done(to, snapshotId))
    for (const read of ready.snapshotReads) this.#unlessFailed(this.#snapshots.read(read))
    for (const write of ready.snapshotWrites) {
      this.#receiving = this.#receiving.then(() => this.#receive(write))
      this.#newestWrite = write
      this.#unlessFailed(this.#receiving)
    }
    if (ready.changed) for (const listener of this.#listeners) listener(this.#status)
  }

  #tick(): void {
    this.#give({ kind: 'tick' })
    this.#giveUp()
    if (this.#lingering && this.#core.status().commit >= this.#status.configurationIndex) this.#noteChange()
  }

  /** Nobody waits for ever for what may never be committed, or never come to be known here. */
  #giveUp(): void {
    const { term, leader } = this.#status
    const ticksMax = 2 * this.#raftOptions.electionTicks
    this.#quietTicks = leader === this.id ? 0 : this.#quietTicks + 1
    const isLed = leader !== 0 && this.#quietTicks <= ticksMax
    if (!this.#proposals.isEmpty) this.#proposals.tick(term, isLed, ticksMax)
    if (this.#quietTicks <= ticksMax) return
    this.#barriers.rejectDue(refusalError('noLeader'))
    this.#changes.rejectAll(unknownError())
  }

  #noteChange(): void {
    const status = this.#core.status()
    const { configuration } = status
    const before = this.#status
    this.#status = status
    if (status.leader !== before.leader && membersOf(configuration).length > 1) this.#logLeader(status)
    const members = membersOf(configuration)
    const peers = new Map(members.filter((m) => m !== this.id).map((m) => [m, configuration.addresses[m] ?? '']))
    // They learn from this server that they are removed, which is not committed yet.
    for (const { member } of status.commit < status.configurationIndex ? status.followers : []) if (!peers.has(member)) peers.set(member, this.#peers.get(member) ?? '')
    this.#lingering = peers.size > members.filter((m) => m !== this.id).length
    if (!isEqual(peers, this.#peers)) {
      this.#peers = peers
      this.#parts.transport.setPeers(peers)
    }
    this.#alone = isAlone(configuration, this.id) && peers.size === 0
    // One that was just left alone still has to be elected.
    this.#ticker.set(!this.#stopped && !(this.#alone && status.role === 'leader'))
  }

  #logLeader({ term, leader }: RaftStatus): void {
    if (leader === this.id) this.#parts.log.info('this server leads', { term })
    else if (leader === NOBODY) this.#parts.log.info('no server leads', { term })
    else this.#parts.log.info('another server leads', { term, leader })
  }

  // -------------------------------------------------------------- log

  #written(persists: readonly Persist[]): void {
    if (this.#stopped) return
    this.#appliedDurable = Math.max(this.#appliedDurable, this.#appliedAtWrite)
    const last = persists.at(-1)
    for (const { messages } of persists) for (const message of messages) this.#parts.transport.send(message)
    if (!last) return
    this.#events.push({ kind: 'persisted', sequence: last.sequence })
    this.#turn()
  }

  /** The core takes no proposals then, and hands over where it leads. */
  #noteFull(isFull: boolean, error: Error | undefined): void {
    if (isFull) this.#parts.log.error('nothing is written until there is room on the disk', { error })
    else this.#parts.log.info('there is room on the disk again')
    this.#give({ kind: 'diskFull', full: isFull })
  }

  /** Asked after each turn; the core forgets first, then the storage drops. */
  #maybeCompact(): void {
    const { storage } = this.#parts
    const { logBytesMax, logBytesKept, aloneLogBytesMax } = this.#options
    const [max, kept] = this.#alone ? [aloneLogBytesMax, 0] : [logBytesMax, logBytesKept]
    if (storage.sizeBytes <= max || this.#compacting || this.#installing || this.#snapshots.isOpening) return
    const index = storage.indexKeeping(kept, Math.min(this.#core.compactIndexMax(), this.#appliedDurable))
    // The core's base runs ahead of the storage's while a received snapshot is being installed.
    if (index === undefined || index <= this.#status.base) return
    const base = this.#core.baseAt(index)
    this.#compacting = this.#compact(base)
    this.#unlessFailed(this.#compacting)
  }

  async #compact(base: LogBase): Promise<void> {
    this.#execute(this.#core.step([{ kind: 'compacted', index: base.index }], this.#parts.clock.monotonicMs()))
    await this.#parts.storage.compact(base)
    this.#compacting = undefined
  }

  // -------------------------------------------------------------- state machine

  async #apply(entries: readonly Entry[]): Promise<void> {
    try {
      await this.#parts.machine.apply(entries)
    } catch (error) {
      this.#fail(asError(error))
      return
    }
    const last = entries.at(-1)
    if (this.#stopped || !last) return
    this.#applied = last.index
    this.#appliedTerm = last.term
    this.#proposals.applied(entries, (index) => this.#core.term(index))
    this.#barriers.applied(last.index)
    this.#events.push({ kind: 'applied', index: last.index })
    this.#turn()
    this.#settleChanges()
  }

  #settleChanges(): void {
    if (!this.#changes.isEmpty) this.#changes.settle(this.#applied, this.#core.status())
  }

  // -------------------------------------------------------------- snapshots

  async #receive(write: SnapshotWrite): Promise<void> {
    const { snapshot, offsetBytes, data, last } = write
    try {
      await this.#parts.machine.receive(snapshot, offsetBytes, data, last)
    } catch (error) {
      if (this.#stopped) return
      this.#parts.log.warn('a snapshot cannot be received; it is asked for again', { snapshot: snapshot.id, from: offsetBytes, error: asError(error) })
      await this.#parts.machine.discard(snapshot.id)
      if (this.#newestWrite === write) this.#give({ kind: 'snapshotWriteFailed', snapshotId: snapshot.id })
      return
    }
    // The core may have begun anew while a slow disk wrote this piece.
    if (this.#newestWrite === write) this.#give({ kind: 'snapshotWritten', snapshotId: snapshot.id, offsetBytes: offsetBytes + data.length, complete: last })
  }

  async #install({ snapshot }: Persist): Promise<void> {
    if (!snapshot) return
    const { storage, machine, log } = this.#parts
    const { index, term, configuration } = snapshot
    this.#installing = true
    try {
      await this.#applying
      await this.#compacting
      await this.#receiving
      if (this.#stopped) throw stoppedError()
      const base: LogBase = { index, term, configuration }
      await machine.install(snapshot, storage.resetOps(base))
      storage.wasReset(base)
    } finally {
      this.#installing = false
    }
    log.info('the state of the leader was received as a whole', { index, snapshot: snapshot.id })
    this.#applied = this.#appliedDurable = index
    this.#appliedTerm = term
    this.#proposals.jumped(index, term)
    this.#barriers.applied(index)
    this.#settleChanges()
  }

  // -------------------------------------------------------------- the end

  #unlessFailed(work: Promise<unknown>): void {
    work.catch((error: unknown) => this.#fail(asError(error)))
  }

  #fail(error: Error): void {
    if (this.#stopped) return
    this.#parts.log.error('this server cannot go on and must start again from its disk', { error })
    this.#stop()
    this.#rejectFailed(error)
  }

  /** From here on nothing is said, written or applied. */
  #stop(): void {
    this.#stopped = true
    this.#ticker.set(false)
    this.#room.stop()
    this.#events = []
    this.#proposals.rejectAll(unknownError())
    this.#barriers.rejectAll(stoppedError())
    this.#changes.rejectAll(unknownError())
  }

  async #shutDown(): Promise<void> {
    if (!this.#stopped) await this.#finish()
    if (!this.#stopped) this.#stop()
    await this.#writer.stop()
    await this.#applying
    await this.#compacting?.catch(() => undefined)
    await this.#receiving.catch(() => undefined)
    await this.#snapshots.close()
    await this.#parts.transport.close()
    await this.#parts.machine.close()
  }

  /** What is under way gets its time, and the cluster another leader, so that it need not wait for a timeout. */
  async #finish(): Promise<void> {
    const { clock } = this.#parts
    const untilMs = clock.monotonicMs() + this.#options.closeMsMax
    if (this.#status.role === 'leader' && this.#core.status().followers.some((f) => f.active)) this.transfer(0)
    const isQuiet = () => this.#proposals.isEmpty && this.#barriers.isEmpty && (this.#alone || this.#status.role !== 'leader' || !this.#core.status().followers.some((f) => f.active))
    while (!this.#stopped && !isQuiet() && clock.monotonicMs() < untilMs) await clock.sleep(CLOSE_POLL_MS)
  }
}

/** How often a closing server looks whether it is done; only then. */
const CLOSE_POLL_MS = 10

function isEqual(a: ReadonlyMap<MemberId, string>, b: ReadonlyMap<MemberId, string>): boolean {
  return a.size === b.size && Array.from(a).every(([member, address]) => b.get(member) === address)
}
