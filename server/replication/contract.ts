/**
 * What the parts of a replicated server are to each other. The driver turns the pure core (`../raft`) into a running
 * member; the transport carries its messages; the state machine is what the log is about (the store); the log storage
 * keeps the log. Log and state machine share one LevelDB, so that one sync is the only one on the write path and what
 * was written before it is durable with it.
 *
 *   store --propose--> driver --Ready--> log storage (sync) --committed--> state machine (later) --shown--> watches
 *                         |  ^
 *                  messages  messages
 *                         v  |
 *                       transport <--TLS--> other servers
 */
import type { Entry, LogBase, LogIndex, LogReader, MemberChange, MemberId, Message, Persist, RaftStatus, Recovered, Snapshot, Term } from '../raft/types.ts'

/** What goes into the shared database, as `classic-level` takes it. Keys of the log storage begin with its own prefix. */
export type BatchOp = { type: 'put'; key: string; value: Buffer } | { type: 'del'; key: string }

/**
 * The log and the hard state on disk. Entries are checksummed; a torn tail (never acknowledged) is cut at the opening,
 * damage elsewhere is refused with `RAFT_LOG_DAMAGED`, which names the index and the way out.
 */
export interface LogStorage extends LogReader {
  /** As found at the opening; all of `Recovered` that the log knows. */
  readonly recovered: Omit<Recovered, 'applied' | 'partialSnapshot'>
  /**
   * All of them in one atomic write with one sync, in order; none holds a snapshot. Rejects with `DISK_FULL` when only
   * room was lacking and nothing was written; any other failure ends the use of these files.
   */
  write(persists: readonly Persist[]): Promise<void>
  /** Throws `DISK_FULL` where nothing new had better be begun: some time before `write` does. */
  assertRoom(): void
  /** Drops what is up to `base.index` and notes the base, in one write without a sync of its own. */
  compact(base: LogBase): Promise<void>
  /** Puts a received snapshot's base in place of the whole log: to be part of the batch that makes the new state the state. */
  resetOps(base: LogBase): readonly BatchOp[]
  /** After that batch. */
  wasReset(base: LogBase): void
  /** Bytes after the base, data and what it costs to keep: what compaction by size looks at. */
  readonly sizeBytes: number
  /** The highest index that has about `bytes` or more after it and is at most `indexMax`; undefined where there is none. */
  indexKeeping(bytes: number, indexMax: LogIndex): LogIndex | undefined
}

/** A snapshot being read by a transfer. Does not change while it is open, whatever is applied meanwhile. */
export interface SnapshotSource {
  readonly snapshot: Snapshot
  /** Fewer bytes than asked for only at the end, which `last` tells. */
  read(offsetBytes: number, bytesMax: number): Promise<{ data: Buffer; last: boolean }>
  close(): Promise<void>
}

/**
 * What committed entries are applied to. Its batch of one application holds the applied index, and is written after the
 * log that it came from, synced: LevelDB does not sync what it wrote to a file before, when it goes on in another.
 */
export interface StateMachine {
  /** What the database durably holds of it: that part of the log may go. Grows while it runs. */
  readonly applied: LogIndex
  /** In order, each entry once, `configuration` and `empty` ones too. Visible to readers when it resolves. */
  apply(entries: readonly Entry[]): Promise<void>
  /** A consistent state with the base it belongs to, without stopping writes. */
  openSnapshot(baseAt: (index: LogIndex) => LogBase): Promise<SnapshotSource>
  /** Received pieces; `offsetBytes` resumes where the last start broke off. `last`: verify all, make durable. Rejects with `SNAPSHOT_DAMAGED`. */
  receive(snapshot: Snapshot, offsetBytes: number, data: Buffer, last: boolean): Promise<void>
  /** A transfer that a crash or a stop cut off. */
  readonly partialSnapshot: Recovered['partialSnapshot']
  /** Rejects when the database could not be written: it is good only for being opened anew, and the member ends. */
  readonly failed?: Promise<never>
  /** Throws away what was received of it. */
  discard(snapshotId: string): Promise<void>
  /**
   * A snapshot received whole becomes the state, `logReset` goes into the batch that ends it. All or nothing, also
   * after a crash: a note of what is under way, and the received file, are enough to do it again at the next opening.
   */
  install(snapshot: Snapshot, logReset: readonly BatchOp[]): Promise<void>
  close(): Promise<void>
}

/**
 * Between members over TLS, or in memory. Ordered per pair, at most once; what cannot be sent is dropped, told by
 * `unreachable`, and never waits without a bound.
 */
export interface Transport {
  start(handlers: TransportHandlers): void
  /** To whom it connects, and where: the addresses of the configuration. Others are hung up on. */
  setPeers(peers: ReadonlyMap<MemberId, string>): void
  send(message: Message): void
  /** Bytes for the store of another member, outside the log: in order with `send`, lost with the connection. False: nothing of it was or will be sent. */
  sendVolatile(to: MemberId, data: Buffer): boolean
  close(): Promise<void>
}

export interface TransportHandlers {
  /** `from` has been proven to be who it says. */
  message(message: Message): void
  volatile(from: MemberId, data: Buffer): void
  /** Messages to it were lost. */
  unreachable(member: MemberId): void
  /** A connection to it is there (again). */
  reachable(member: MemberId): void
  /** The connection to it is gone: what was sent on it may or may not have come, and no answer to that is on its way any more. */
  disconnected(member: MemberId): void
}

/**
 * A running member. Rejections are CodedErrors: `RAFT_NO_LEADER`, `RAFT_TRANSFERRING`, `RAFT_OVERLOADED`, `RAFT_CHANGING`,
 * `RAFT_INVALID_CHANGE`, `DISK_FULL` (nothing has happened, may be tried again), `RAFT_LOST` (it never was and never will
 * be), `RAFT_UNKNOWN` (it may or may not have happened), `RAFT_STOPPED`.
 */
export interface ReplicaNode {
  readonly id: MemberId
  status(): RaftStatus
  /** Resolves when all of them are applied here. Consecutive or not at all. */
  propose(data: readonly Buffer[]): Promise<{ term: Term; index: LogIndex }>
  /** Resolves when this server has applied all that was committed anywhere when it was called. */
  readBarrier(): Promise<LogIndex>
  /** Resolves when the change is committed and not joint any more. Leader only; followers reject with `RAFT_NO_LEADER`. */
  changeMembers(changes: readonly MemberChange[]): Promise<void>
  /** To the best follower where `to` is NOBODY. */
  transfer(to: MemberId): void
  campaign(): void
  /** Called with each change of role, leader, term or configuration. Returns the end of it. */
  onChange(listener: (status: RaftStatus) => void): () => void
  /** False: nothing of it was or will be sent. */
  sendVolatile(to: MemberId, data: Buffer): boolean
  onVolatile(listener: (from: MemberId, data: Buffer) => void): void
  /** Called when the connection to another member has come (`isThere`) or gone. */
  onConnection(listener: (member: MemberId, isThere: boolean) => void): void
  /** Rejects when the member can no longer go on (a failed sync): the process must end and start from its disk. */
  readonly failed: Promise<never>
  /** Hands leadership over where that is quick, then stops. Twice is fine. */
  close(): Promise<void>
}
