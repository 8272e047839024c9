/**
 * All that a core remembers, as plain data, and the few ways in which every part changes it: terms, roles and what goes
 * out. The parts (`election.ts`, `replication.ts`, ...) are functions over it; nothing else holds state.
 */
import type { Random } from '#base/random.ts'
import { isMember, isVoter } from './configuration.ts'
import type { RaftLog } from './log.ts'
import type { Progress } from './progress.ts'
import { NOBODY } from './types.ts'
import type { LogIndex, MemberId, Message, ProposalOutcome, RaftOptions, ReadOutcome, Refusal, Role, Snapshot, SnapshotRead, SnapshotWrite, Term } from './types.ts'

export interface RaftState {
  readonly options: RaftOptions
  readonly random: Random
  readonly log: RaftLog
  /** Monotonic, as given with the step. */
  nowMs: number
  term: Term
  vote: MemberId
  role: Role
  /** Whom this server follows in this term, itself if it leads, NOBODY if it does not know. */
  leader: MemberId
  commit: LogIndex
  /** Handed out to be applied, and reported as applied. */
  delivered: LogIndex
  applied: LogIndex
  /** Since the last heartbeat, vote or own campaign; the election begins at `electionTimeoutTicks`. */
  electionTicks: number
  electionTimeoutTicks: number
  /** When this server last heard of a leader that others may rely on not to be replaced (sections 4.2.3, 6.4.1). */
  heardMs: number
  heardTicks: number
  /** Another server has led this one since it was started. */
  wasLed: boolean
  diskFull: boolean
  /** It was a member, as far as this process knows. */
  wasMember: boolean
  removed: boolean
  /** The configuration that others say it is no longer part of; -1 if nobody does. */
  toldRemovedFrom: LogIndex
  /** What the leader of this term was told last. */
  readonly answered: { term: Term; round: number; index: LogIndex }
  /** Of a candidate or pre-candidate: who answered what. */
  readonly votes: Map<MemberId, boolean>
  leading: Leading | undefined
  /** A snapshot that is being received. */
  incoming: Incoming | undefined
  readonly asked: Asked
  readonly writes: Writes
  out: Out
}

/** What only a leader has. */
export interface Leading {
  readonly followers: Map<MemberId, Progress>
  /** The configuration that `followers` was made for. */
  followersOf: LogIndex
  heartbeatTicks: number
  quorumTicks: number
  /** Sent with each message; see AppendMessage. */
  round: number
  /** When rounds began that no quorum has answered yet, and the newest that one has. */
  readonly roundsSent: { round: number; sentMs: number }[]
  /** Reads that wait for a round to begin, and those that wait for its answers. */
  waitingReads: ReadRequest[]
  askingReads: { round: number; index: LogIndex; reads: ReadRequest[] } | undefined
  transferee: MemberId
  transferTicks: number
  /** The successor was told since the last tick. */
  timeoutNowSent: boolean
  /** Someone was told to begin an election without regard for this leader: the clock proves nothing in this term any more (section 6.4.1). */
  leaseForfeited: boolean
  uncommittedBytes: number
}

export interface ReadRequest {
  readonly from: MemberId
  readonly id: number
}

/** What a follower asked of its leader and has no answer to. */
export interface Asked {
  /** Next id on the wire; begins at a random number, so that answers to a former life mean nothing. */
  nextId: number
  /** Reads of this step, to be asked with one message. */
  newReads: number[]
  readonly reads: Map<number, { readonly ids: number[]; ticks: number }>
  readCount: number
  readonly proposals: Map<number, { readonly id: number; ticks: number }>
}

/** What was handed out to be written. */
export interface Writes {
  sequence: number
  /** All persists up to here are durable. */
  durable: number
  hardStateChanged: boolean
  /** The persist that carries the present term and vote. */
  hardStateSequence: number
  snapshot: Snapshot | undefined
  /** Oldest first; up to `lastIndex` the log is as written there, 0 if nothing of it counts any more. */
  readonly inFlight: { readonly sequence: number; lastIndex: LogIndex }[]
}

export interface Incoming {
  snapshot: Snapshot
  /** Stored. */
  offsetBytes: number
  writing: boolean
  complete: boolean
}

export interface Out {
  messages: Message[]
  afterPersist: Message[]
  proposals: ProposalOutcome[]
  reads: ReadOutcome[]
  snapshotReads: SnapshotRead[]
  snapshotWrites: SnapshotWrite[]
  snapshotsDone: { to: MemberId; snapshotId: string }[]
  forgotten: { member: MemberId; acknowledged: LogIndex; has: LogIndex }[]
}

export function emptyOut(): Out {
  return { messages: [], afterPersist: [], proposals: [], reads: [], snapshotReads: [], snapshotWrites: [], snapshotsDone: [], forgotten: [] }
}

/** True when the present term and vote are on disk. */
export function isHardStateDurable(s: RaftState): boolean {
  return !s.writes.hardStateChanged && s.writes.hardStateSequence <= s.writes.durable
}

/** What needs no write of its own. Nothing is said in a term that this server could forget it was in (section 3.8). */
export function send(s: RaftState, message: Message): void {
  if (isHardStateDurable(s)) s.out.messages.push(message)
  else s.out.afterPersist.push(message)
}

/** What is only true once this step's and all earlier writes are durable. */
export function sendAfterPersist(s: RaftState, message: Message): void {
  if (!s.writes.hardStateChanged && s.log.queued === s.log.lastIndex && s.writes.snapshot === undefined && s.writes.durable === s.writes.sequence) s.out.messages.push(message)
  else s.out.afterPersist.push(message)
}

export function setHardState(s: RaftState, term: Term, vote: MemberId): void {
  if (s.term === term && s.vote === vote) return
  s.term = term
  s.vote = vote
  s.writes.hardStateChanged = true
}

/** Follows `leader`, or nobody yet, in `term`. */
export function becomeFollower(s: RaftState, term: Term, leader: MemberId): void {
  const sameLeader = s.role === 'follower' && s.term === term && (s.leader === leader || s.leader === NOBODY)
  if (s.term !== term) setHardState(s, term, NOBODY)
  if (!sameLeader) stopAsking(s)
  if (s.role === 'leader') stopLeading(s)
  s.role = 'follower'
  s.leader = leader
  s.votes.clear()
  resetElectionTimeout(s)
}

/** Between 1 and 2 electionTicks, so that servers seldom begin at once (section 3.4). */
export function resetElectionTimeout(s: RaftState): void {
  s.electionTicks = 0
  s.electionTimeoutTicks = s.options.electionTicks + Math.floor(s.random.next() * s.options.electionTicks)
}

/**
 * Members that may begin an election: a disk to write to, no reason to believe they were removed, and a vote. One that
 * is losing its vote may be the only one that can be elected until the change is committed (section 4.2.2).
 */
export function mayCampaign(s: RaftState): boolean {
  return s.log.configurationsFrom(s.commit).some((c) => isVoter(c, s.options.id)) && !s.diskFull && !s.removed && s.log.persisted >= s.log.base.index
}

/**
 * True while a leader may rely on this server not to help replace it: since it was last heard of, less than the shortest
 * election timeout has passed (sections 4.2.3, 6.4.1). A server that was just started may have promised that before.
 */
export function heardOfLeader(s: RaftState): boolean {
  if (s.role === 'leader') return true
  return s.options.reads === 'lease' ? s.nowMs - s.heardMs < s.options.electionTicks * s.options.tickMs : s.heardTicks < s.options.electionTicks
}

/** Gives up what was asked of a leader that is none any more; what was forwarded may have arrived. */
export function stopAsking(s: RaftState): void {
  for (const { ids } of s.asked.reads.values()) for (const id of ids) s.out.reads.push({ id, ok: false, why: 'unknown' })
  for (const { id } of s.asked.proposals.values()) s.out.proposals.push({ id, ok: false, why: 'unknown' })
  s.asked.reads.clear()
  s.asked.readCount = 0
  s.asked.proposals.clear()
}

export function refuseRead(s: RaftState, read: ReadRequest, why: Refusal): void {
  if (read.from === s.options.id) s.out.reads.push({ id: read.id, ok: false, why })
  else send(s, { kind: 'readIndexAnswer', from: s.options.id, to: read.from, term: s.term, id: read.id, refused: why, index: 0 })
}

function stopLeading(s: RaftState): void {
  const leading = s.leading
  if (!leading) return
  s.leading = undefined
  for (const read of leading.waitingReads) if (read.from === s.options.id) refuseRead(s, read, 'noLeader')
  for (const read of leading.askingReads?.reads ?? []) if (read.from === s.options.id) refuseRead(s, read, 'noLeader')
  for (const follower of leading.followers.values()) endTransfer(s, follower)
}

/** Tells the driver that the snapshot a follower was being sent is not needed for it any more. */
export function endTransfer(s: RaftState, follower: Progress): void {
  const id = follower.transfer?.id
  if (id !== undefined) s.out.snapshotsDone.push({ to: follower.member, snapshotId: id })
  follower.transfer = undefined
}

/** After the log or the commit index changed: is this server still, or not any more, part of the cluster. */
export function noteMembership(s: RaftState): void {
  const { configuration, configurationIndex } = s.log
  if (isMember(configuration, s.options.id)) {
    s.wasMember = true
    s.removed = s.toldRemovedFrom === configurationIndex
  } else if (s.wasMember && configurationIndex <= s.commit) s.removed = true
}
