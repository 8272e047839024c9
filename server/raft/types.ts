/**
 * The Raft core's vocabulary: what is kept, what servers say to each other, what goes in and what comes out. The core
 * (`raft.ts`) is a pure state machine over these; driver, log storage and transport are built on them and may import
 * nothing else of this folder but `raft.ts`, `log-summary.ts` and `configuration.ts`.
 * Sections are those of Diego Ongaro's dissertation, "Consensus: Bridging Theory and Practice" (2014).
 */

/** A positive safe integer, chosen at random when a server is made and never used again: a server that lost its disk is a new member. */
export type MemberId = number
/** Where a member is wanted and there is none. */
export const NOBODY: MemberId = 0
/** Grows with each election; 0 before the first. */
export type Term = number
/** Position in the log; the first entry has 1. */
export type LogIndex = number

/**
 * `empty`: what a new leader begins its term with (section 6.4); the state machine only notes its index.
 * `configuration`: data is an encoded Configuration (`configuration.ts`); in force as soon as it is in the log (section 4.1).
 */
export type EntryKind = 'normal' | 'configuration' | 'empty'

export interface Entry {
  readonly term: Term
  readonly index: LogIndex
  readonly kind: EntryKind
  /** Never copied and never changed by the core, nor by who hands it in. */
  readonly data: Buffer
}

/**
 * Who belongs to the cluster. Lists are sorted and hold no member twice; `outgoing` may overlap with all others.
 * A decision takes a majority of `voters` and, while `outgoing` is not empty (joint consensus, section 4.3), one of `outgoing` too.
 */
export interface Configuration {
  readonly voters: readonly MemberId[]
  /** The voters before a change that is under way; empty otherwise. */
  readonly outgoing: readonly MemberId[]
  /** Get the log, do not vote (section 4.2.1). */
  readonly learners: readonly MemberId[]
  /** Learners that the leader makes voters as soon as they have caught up (section 4.2.1). */
  readonly joining: readonly MemberId[]
  /** Member id to what the driver needs to reach it; opaque here. */
  readonly addresses: Readonly<Record<string, string>>
}

/** What a log begins after: all up to `index` is in the state machine only. An empty store has index 0 and term 0. */
export interface LogBase {
  readonly index: LogIndex
  readonly term: Term
  /** In force at `index`. */
  readonly configuration: Configuration
}

/** A state machine's state at `index`, as bytes somewhere in the driver. */
export interface Snapshot extends LogBase {
  /** Equal only for equal bytes: a transfer is resumed, even from another leader, where this is the same. At most 128 characters. */
  readonly id: string
}

/** Must be durable before anything said under it leaves the server. */
export interface HardState {
  readonly term: Term
  /** Whom this server voted for in `term`, or NOBODY. */
  readonly vote: MemberId
}

// ---------------------------------------------------------------- what servers say to each other

interface Between {
  readonly from: MemberId
  readonly to: MemberId
  readonly term: Term
}

/** Entries, heartbeat (no entries) and the question "am I still leader" in one (sections 3.5, 6.4). */
export interface AppendMessage extends Between {
  readonly kind: 'append'
  /** What must be there before the entries. 0 and 0 always matches. */
  readonly prevIndex: LogIndex
  readonly prevTerm: Term
  /** Follow prevIndex without gaps. */
  readonly entries: readonly Entry[]
  readonly commit: LogIndex
  /** Grows within a term; the answer repeats it and so proves that the leader was one when it began this round. */
  readonly round: number
}

export interface AppendAnswerMessage extends Between {
  readonly kind: 'appendAnswer'
  readonly accepted: boolean
  /** Accepted: up to here the log is durable and the leader's. Refused: the prevIndex that did not match. */
  readonly index: LogIndex
  /** Refused: the highest index up to `index` that may match, and its term here (section 5.3 of the paper, back-tracking by terms). */
  readonly hintIndex: LogIndex
  readonly hintTerm: Term
  readonly round: number
}

export interface VoteMessage extends Between {
  readonly kind: 'vote'
  /** Only asks whether it would be worth while (section 9.6); `term` is then the one the sender would begin. */
  readonly pre: boolean
  /** The leader itself asked for this election (section 3.10): no one holds back for its sake. */
  readonly transfer: boolean
  readonly lastIndex: LogIndex
  readonly lastTerm: Term
}

export interface VoteAnswerMessage extends Between {
  readonly kind: 'voteAnswer'
  readonly pre: boolean
  /** For a granted pre-vote `term` is the one asked for, else the sender's own. */
  readonly granted: boolean
  /** The sender knows of a committed configuration that the asker is no longer part of. */
  readonly removed: boolean
}

/** Begin an election at once (section 3.10). */
export interface TimeoutNowMessage extends Between {
  readonly kind: 'timeoutNow'
}

/** A follower's proposal on its way to the leader. The transport must not deliver it twice (a TCP stream does not). */
export interface ForwardMessage extends Between {
  readonly kind: 'forward'
  readonly id: number
  readonly data: readonly Buffer[]
}

export interface ForwardAnswerMessage extends Between {
  readonly kind: 'forwardAnswer'
  readonly id: number
  /** Undefined: it is in the leader's log. */
  readonly refused: Refusal | undefined
  /** Term and index of the first entry. */
  readonly entryTerm: Term
  readonly index: LogIndex
}

/** A follower asks which index its reads must wait for (section 6.4). */
export interface ReadIndexMessage extends Between {
  readonly kind: 'readIndex'
  readonly id: number
}

export interface ReadIndexAnswerMessage extends Between {
  readonly kind: 'readIndexAnswer'
  readonly id: number
  readonly refused: Refusal | undefined
  readonly index: LogIndex
}

/** One piece of a snapshot (section 5.3). One is under way at a time per follower. */
export interface SnapshotMessage extends Between {
  readonly kind: 'snapshot'
  readonly snapshot: Snapshot
  readonly offsetBytes: number
  readonly data: Buffer
  /** Nothing follows after this piece. */
  readonly last: boolean
}

export interface SnapshotAnswerMessage extends Between {
  readonly kind: 'snapshotAnswer'
  readonly snapshotId: string
  /** Where to go on: what is before it is stored. */
  readonly offsetBytes: number
}

export type Message =
  | AppendMessage
  | AppendAnswerMessage
  | VoteMessage
  | VoteAnswerMessage
  | TimeoutNowMessage
  | ForwardMessage
  | ForwardAnswerMessage
  | ReadIndexMessage
  | ReadIndexAnswerMessage
  | SnapshotMessage
  | SnapshotAnswerMessage

// ---------------------------------------------------------------- what goes in

/** What `changeMembers` asks for. All changes of one request take effect together. */
export type MemberChange =
  /** New: a learner until it has caught up, then a voter. A learner: the same. A voter: stays one, its address is changed. */
  | { readonly kind: 'addVoter'; readonly member: MemberId; readonly address: string }
  /** A voter that is named becomes a learner. */
  | { readonly kind: 'addLearner'; readonly member: MemberId; readonly address: string }
  /** Fine where it is no member. The last voter cannot be removed. */
  | { readonly kind: 'remove'; readonly member: MemberId }

/** Ids of proposals, reads and changes are the driver's own: unique among those without an outcome. */
export type RaftEvent =
  /** A tick of `tickMs` is over. Late ones are dropped, never made up for: at most one per tickMs of the clock. */
  | { readonly kind: 'tick' }
  /** From an authenticated peer; `from` is who the transport knows it to be. Of any term and age. */
  | { readonly kind: 'message'; readonly message: Message }
  /** The transport lost messages to this member or cannot reach it: stop pipelining, ask where it is. */
  | { readonly kind: 'unreachable'; readonly member: MemberId }
  /** The connection to this member broke, or is there (again). */
  | { readonly kind: 'connection'; readonly member: MemberId; readonly isThere: boolean }
  /** All persists up to this sequence are durable, and their messages sent. */
  | { readonly kind: 'persisted'; readonly sequence: number }
  /** The state machine holds everything up to this index. */
  | { readonly kind: 'applied'; readonly index: LogIndex }
  /** Append these; a follower asks the leader to. They get consecutive indexes or none at all. */
  | { readonly kind: 'propose'; readonly id: number; readonly data: readonly Buffer[] }
  /** May a read be answered, and from which index on. */
  | { readonly kind: 'read'; readonly id: number }
  /** Leader only. The outcome comes as a proposal's; done when an entry that is not joint is committed at or after its index. */
  | { readonly kind: 'changeMembers'; readonly id: number; readonly changes: readonly MemberChange[] }
  /** Leader only: hand over, to the best follower where `to` is NOBODY (section 3.10). Given up after an election timeout. */
  | { readonly kind: 'transfer'; readonly to: MemberId }
  /** Begin an election without waiting for the random part of the timeout; ignored while a leader is heard of, or was promised loyalty before a restart. */
  | { readonly kind: 'campaign' }
  /** The disk has no room (or has it again): no proposals meanwhile, no candidacy, and a leader hands over. */
  | { readonly kind: 'diskFull'; readonly full: boolean }
  /** The driver is about to drop the log up to here, at most `compactIndexMax()`; once this is stepped it may. */
  | { readonly kind: 'compacted'; readonly index: LogIndex }
  /** Answer to a SnapshotRead. `snapshot` may be another one than asked for, then from offset 0. */
  | { readonly kind: 'snapshotRead'; readonly to: MemberId; readonly snapshot: Snapshot; readonly offsetBytes: number; readonly data: Buffer; readonly last: boolean }
  /** Answer to a SnapshotRead that failed; asked again after an election timeout. */
  | { readonly kind: 'snapshotReadFailed'; readonly to: MemberId }
  /** Answer to a SnapshotWrite: bytes before `offsetBytes` are durable; with `complete` all are, and they are what was sent. */
  | { readonly kind: 'snapshotWritten'; readonly snapshotId: string; readonly offsetBytes: number; readonly complete: boolean }
  /** Answer to a SnapshotWrite that failed, or a snapshot whose checksum is wrong: what was there is thrown away. */
  | { readonly kind: 'snapshotWriteFailed'; readonly snapshotId: string }

// ---------------------------------------------------------------- what comes out

/** Why something was not taken; nothing has happened and it may be tried again, except for `unknown`. */
export type Refusal =
  /** No leader is known, or the one asked is none any more. */
  | 'noLeader'
  /** Leadership is being handed over. */
  | 'transferring'
  /** Too much is not committed yet. */
  | 'overloaded'
  | 'diskFull'
  /** A membership change is under way, or the leader has not committed anything in its term yet. */
  | 'changing'
  /** It would leave no voter, too many members, or names a member or address that cannot be. */
  | 'invalidChange'
  /** A forwarded proposal's answer got lost: it may or may not be in the log. For reads it means: ask again. */
  | 'unknown'

/**
 * Each proposal gets exactly one. With `ok` the entries are in the leader's log from `index` on, not committed: the
 * proposal is done when the entry applied at `index` has `term`, lost for good when it has another one, and unknown
 * when a snapshot jumps over `index`.
 */
export type ProposalOutcome =
  | { readonly id: number; readonly ok: true; readonly term: Term; readonly index: LogIndex }
  | { readonly id: number; readonly ok: false; readonly why: Refusal }

/** Each read gets exactly one. With `ok` it may be answered from the state machine once that has applied `index`. */
export type ReadOutcome =
  | { readonly id: number; readonly ok: true; readonly index: LogIndex }
  | { readonly id: number; readonly ok: false; readonly why: Refusal }

/**
 * To be written in the order of `sequence`, as one atomic write, and synced. Several that wait may share one sync.
 * A write that failed or whose sync failed must not be tried again on the same open files: end and start anew from
 * what is on disk. Where only room is lacking (nothing was written) it may wait and try again.
 */
export interface Persist {
  readonly sequence: number
  /** Undefined: unchanged. Goes before the entries. */
  readonly hardState: HardState | undefined
  /**
   * The snapshot that was received whole becomes the state machine and the log's base, and the log is empty; this goes
   * before the entries. Atomic: after a crash either all or nothing of it.
   */
  readonly snapshot: Snapshot | undefined
  /** Consecutive. What the log holds at and after the first one's index is replaced. */
  readonly entries: readonly Entry[]
  /** Nothing to write: the messages only wait for the persists before. */
  readonly nothing: boolean
  /** To be sent once this is durable, and never before. */
  readonly messages: readonly Message[]
}

export interface SnapshotRead {
  readonly to: MemberId
  /** Undefined: of any snapshot with an index of at least the log's base; make one. The driver keeps it until the transfer ends. */
  readonly snapshotId: string | undefined
  readonly offsetBytes: number
  readonly bytesMax: number
}

export interface SnapshotWrite {
  readonly snapshot: Snapshot
  readonly offsetBytes: number
  readonly data: Buffer
  /** All bytes are there after this: verify, make durable, answer with `complete`. Do not install: that comes as a Persist. */
  readonly last: boolean
}

export type Role = 'follower' | 'preCandidate' | 'candidate' | 'leader'

/**
 * What is to be done after a step. Send `messages`; queue `persist`; hand `committed` to the state machine. These
 * three may run at the same time, each in its own order. Everything is a list that may be empty; the lists belong to
 * the driver.
 */
export interface Ready {
  /** Need no write of this step: send at once, in order per receiver. Losing any is fine. */
  readonly messages: readonly Message[]
  readonly persist: Persist | undefined
  /** To be applied in order, already durable here. No more come before `applied` tells the last one's index (bounded by applyBytesMax). */
  readonly committed: readonly Entry[]
  readonly proposals: readonly ProposalOutcome[]
  readonly reads: readonly ReadOutcome[]
  readonly snapshotReads: readonly SnapshotRead[]
  readonly snapshotWrites: readonly SnapshotWrite[]
  /** Transfers that ended (the follower has it, left, or leadership ended): the driver may let go of that snapshot. */
  readonly snapshotsDone: readonly { readonly to: MemberId; readonly snapshotId: string }[]
  /** Members that the leader found to have lost what they had said was on their disks. They get it again; their disks cannot be relied on. */
  readonly forgotten: readonly { readonly member: MemberId; readonly acknowledged: LogIndex; readonly has: LogIndex }[]
  /** Role, leader, term or configuration is another one than at the last step: see `status()`. */
  readonly changed: boolean
}

/** Where the log's older entries are read from: the driver's storage. */
export interface LogReader {
  /**
   * Durable entries from `low` up to, not including, `high`: at least one, then as many as fit `bytesMax` of data.
   * Synchronous, and only asked for what was reported durable and not compacted. Throws a CodedError for a damaged log.
   */
  entries(low: LogIndex, high: LogIndex, bytesMax: number): readonly Entry[]
}

/** What a server finds on its disk when it starts. `LogSummary` makes the log's part while the storage checks each entry. */
export interface Recovered {
  readonly hardState: HardState
  readonly base: LogBase
  readonly lastIndex: LogIndex
  /** First index of each run of entries of one term, after the base, ascending. */
  readonly terms: readonly { readonly term: Term; readonly firstIndex: LogIndex }[]
  /** Configuration entries after the base, ascending. */
  readonly configurations: readonly { readonly index: LogIndex; readonly configuration: Configuration }[]
  /** What the state machine durably holds: from base.index to lastIndex. */
  readonly applied: LogIndex
  /** A snapshot whose receiving was cut off, and the bytes of it that are there. */
  readonly partialSnapshot: { readonly snapshot: Snapshot; readonly offsetBytes: number; readonly complete: boolean } | undefined
}

export interface RaftOptions {
  readonly id: MemberId
  /** Length of a tick, for the lease only. */
  readonly tickMs: number
  /** Ticks between heartbeats. */
  readonly heartbeatTicks: number
  /** A follower waits this long for its leader, plus a random part of as much again; at least 3 heartbeats. */
  readonly electionTicks: number
  /**
   * `lease`: a leader answers reads by the clock (section 6.4.1). Right only while the monotonic clocks of any two members
   * run at rates that differ from true time by less than `clockDriftMax`, also through suspend (CLOCK_BOOTTIME).
   * `quorum`: by asking a majority each time; needs no clock.
   */
  readonly reads: 'lease' | 'quorum'
  /** A fraction, such as 0.01. */
  readonly clockDriftMax: number
  /** Data bytes of one append message; a single larger entry still goes. */
  readonly appendBytesMax: number
  /** Append messages to one follower without an answer, and their data bytes. */
  readonly inFlightMax: number
  readonly inFlightBytesMax: number
  /** Data bytes of proposals that are not committed; beyond it they are refused as `overloaded`. */
  readonly uncommittedBytesMax: number
  /** Data bytes of one Ready's `committed`. */
  readonly applyBytesMax: number
  /** Data bytes of durable, applied entries kept in memory for followers that are a little behind. */
  readonly cacheBytesMax: number
  readonly snapshotChunkBytes: number
  /** Reads and forwarded proposals without an outcome. */
  readonly pendingMax: number
}

/** A look inside, for health, metrics and tests; a copy. */
export interface RaftStatus {
  readonly id: MemberId
  readonly role: Role
  readonly term: Term
  readonly vote: MemberId
  readonly leader: MemberId
  readonly commit: LogIndex
  /** Handed out to be applied. */
  readonly delivered: LogIndex
  readonly persisted: LogIndex
  readonly base: LogIndex
  readonly lastIndex: LogIndex
  readonly configuration: Configuration
  /** Where the configuration entry is; committed when `commit` has reached it. */
  readonly configurationIndex: LogIndex
  /** This server knows that it is no member any more. */
  readonly removed: boolean
  readonly transferee: MemberId
  /** Of a leader only. */
  readonly followers: readonly FollowerStatus[]
}

export interface FollowerStatus {
  readonly member: MemberId
  readonly state: 'probe' | 'replicate' | 'snapshot'
  readonly match: LogIndex
  readonly next: LogIndex
  readonly inFlight: number
  /** Heard of within an election timeout (section 6.2); one that this leader never heard of counts for as long. */
  readonly active: boolean
}
