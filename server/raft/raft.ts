/**
 * One server's Raft, as a machine that touches nothing: events and the time go in, one `Ready` with all there is to do
 * comes out, the same for the same input. No I/O, no clock, no randomness but what is given. See README.md for the
 * picture, `types.ts` for the contract.
 */
import { assert, unreachable } from '#base/errors.ts'
import type { Random } from '#base/random.ts'
import { beginElection, campaign, leadAlone, onConnection, onHardStateDurable, onVote, onVoteAnswer, tickElection } from './election.ts'
import { onAppend } from './follow.ts'
import { RaftLog } from './log.ts'
import { continueChange, onChangeMembers } from './membership.ts'
import { onForward, onForwardAnswer, onPropose, tickAsked } from './proposals.ts'
import { answerReads, onRead, onReadIndex, onReadIndexAnswer, sendAskedReads } from './reads.ts'
import { beginRound, isActive, maybeCommit, onAppendAnswer, sendAppends, stillHasQuorum, tickFollowers } from './replication.ts'
import { onSnapshot, onSnapshotAnswer, onSnapshotRead, onSnapshotReadFailed, onSnapshotWriteFailed, onSnapshotWritten } from './snapshots.ts'
import { becomeFollower, emptyOut, heardOfLeader, noteMembership, resetElectionTimeout, send } from './state.ts'
import type { RaftState } from './state.ts'
import { continueTransfer, onTransfer, tickTransferOfLeadership } from './transfer.ts'
import { NOBODY } from './types.ts'
import type { AppendMessage, Entry, FollowerStatus, LogBase, LogIndex, LogReader, Message, Persist, RaftEvent, RaftOptions, RaftStatus, Ready, Recovered, SnapshotMessage, Term } from './types.ts'

/** Defaults for servers on one site with slow flash; tickMs times electionTicks is the time a lost leader is noticed in. */
export const defaultRaftOptions: Omit<RaftOptions, 'id'> = {
  tickMs: 100,
  heartbeatTicks: 1,
  electionTicks: 8,
  reads: 'quorum',
  clockDriftMax: 0.01,
  appendBytesMax: 256 * 1024,
  inFlightMax: 64,
  inFlightBytesMax: 4 * 1024 * 1024,
  uncommittedBytesMax: 16 * 1024 * 1024,
  applyBytesMax: 1024 * 1024,
  cacheBytesMax: 1024 * 1024,
  snapshotChunkBytes: 256 * 1024,
  pendingMax: 10_000,
}

export class Raft {
  readonly #s: RaftState
  #last: { role: string; leader: number; term: Term; configurationIndex: LogIndex; base: LogIndex; removed: boolean }

  /** `reader` is the storage that `recovered` was found in; `nowMs` is monotonic. */
  constructor(options: RaftOptions, recovered: Recovered, reader: LogReader, random: Random, nowMs: number) {
    assert(options.electionTicks >= 3 * options.heartbeatTicks && options.heartbeatTicks >= 1, 'an election timeout of at least three heartbeats')
    assert(recovered.applied >= recovered.base.index && recovered.applied <= recovered.lastIndex, `applied ${recovered.applied} lies in the log, ${recovered.base.index} to ${recovered.lastIndex}`)
    const partial = recovered.partialSnapshot
    const s: RaftState = {
      options,
      random,
      log: new RaftLog(recovered, reader),
      nowMs,
      term: recovered.hardState.term,
      vote: recovered.hardState.vote,
      role: 'follower',
      leader: NOBODY,
      commit: recovered.applied,
      delivered: recovered.applied,
      applied: recovered.applied,
      electionTicks: 0,
      electionTimeoutTicks: 0,
      heardMs: nowMs,
      heardTicks: options.electionTicks,
      wasLed: false,
      diskFull: false,
      wasMember: false,
      removed: false,
      toldRemovedFrom: -1,
      answered: { term: 0, round: 0, index: 0 },
      votes: new Map(),
      leading: undefined,
      incoming: partial && partial.snapshot.index > recovered.applied ? { ...partial, writing: false } : undefined,
      asked: { nextId: 1 + Math.floor(random.next() * FIRST_ID_MAX), newReads: [], reads: new Map(), readCount: 0, proposals: new Map() },
      writes: { sequence: 0, durable: 0, hardStateChanged: false, hardStateSequence: 0, snapshot: undefined, inFlight: [] },
      out: emptyOut(),
    }
    this.#s = s
    resetElectionTimeout(s)
    noteMembership(s)
    this.#last = this.#summary()
  }

  /** Takes the events in order, then says what is to be done. Throws only for bugs and for what `LogReader` throws: then end. */
  step(events: readonly RaftEvent[], nowMs: number): Ready {
    const s = this.#s
    s.nowMs = nowMs
    leadAlone(s)
    for (const event of events) take(s, event)
    return this.#finish()
  }

  status(): RaftStatus {
    const s = this.#s
    const followers: FollowerStatus[] = []
    if (s.leading) for (const f of s.leading.followers.values()) followers.push({ member: f.member, state: f.state, match: f.match, next: f.next, inFlight: f.inFlight, active: isActive(s, f) })
    return {
      id: s.options.id,
      role: s.role,
      term: s.term,
      vote: s.vote,
      leader: s.leader,
      commit: s.commit,
      delivered: s.delivered,
      persisted: s.log.persisted,
      base: s.log.base.index,
      lastIndex: s.log.lastIndex,
      configuration: s.log.configuration,
      configurationIndex: s.log.configurationIndex,
      removed: s.removed,
      transferee: s.leading?.transferee ?? NOBODY,
      followers,
    }
  }

  /** Undefined where the log does not reach. */
  term(index: LogIndex): Term | undefined {
    return this.#s.log.term(index)
  }

  /** What must be kept with a snapshot at `index`, or with a log that begins after it; from the log's base to its end. */
  baseAt(index: LogIndex): LogBase {
    return this.#s.log.baseAt(index)
  }

  /** How far the log may be compacted: to what is applied, and not beyond a snapshot that is being sent. Keep some more for followers. */
  compactIndexMax(): LogIndex {
    let max = this.#s.applied
    for (const { transfer } of this.#s.leading?.followers.values() ?? []) if (transfer?.id !== undefined) max = Math.min(max, transfer.index)
    return max
  }

  #finish(): Ready {
    const s = this.#s
    leadAlone(s)
    sendAskedReads(s)
    lead(s)
    const persist = takePersist(s)
    const committed = takeCommitted(s)
    const { out } = s
    s.out = emptyOut()
    const now = this.#summary()
    const last = this.#last
    const changed = now.role !== last.role || now.leader !== last.leader || now.term !== last.term || now.configurationIndex !== last.configurationIndex || now.base !== last.base || now.removed !== last.removed
    this.#last = now
    return {
      messages: out.messages,
      persist,
      committed,
      proposals: out.proposals,
      reads: out.reads,
      snapshotReads: out.snapshotReads,
      snapshotWrites: out.snapshotWrites,
      snapshotsDone: out.snapshotsDone,
      forgotten: out.forgotten,
      changed,
    }
  }

  #summary() {
    const s = this.#s
    return { role: s.role, leader: s.leader, term: s.term, configurationIndex: s.log.configurationIndex, base: s.log.base.index, removed: s.removed }
  }
}

/** Ids on the wire begin below this and have room to grow. */
const FIRST_ID_MAX = 2 ** 48

function take(s: RaftState, event: RaftEvent): void {
  switch (event.kind) {
    case 'tick': return tick(s)
    case 'message': return onMessage(s, event.message)
    case 'persisted': return onPersisted(s, event.sequence)
    case 'applied':
      s.applied = Math.max(s.applied, event.index)
      return
    case 'propose': return onPropose(s, event.id, event.data)
    case 'read': return onRead(s, event.id)
    case 'changeMembers': return onChangeMembers(s, event.id, event.changes)
    case 'transfer': return onTransfer(s, event.to)
    case 'campaign':
      // Its own vote, too, is promised to a leader that it hears.
      if (!heardOfLeader(s)) campaign(s)
      return
    case 'unreachable': {
      const follower = s.leading?.followers.get(event.member)
      if (follower?.state === 'replicate') {
        follower.becomeProbe(follower.match + 1)
        follower.probeSent = true
      }
      return
    }
    case 'connection': return onConnection(s, event.member, event.isThere)
    case 'diskFull':
      s.diskFull = event.full
      if (event.full) onTransfer(s, NOBODY)
      return
    case 'compacted':
      assert(event.index <= s.applied, `the log may be compacted to ${s.applied}, not to ${event.index}`)
      return s.log.compactTo(event.index)
    case 'snapshotRead': return onSnapshotRead(s, event)
    case 'snapshotReadFailed': return onSnapshotReadFailed(s, event.to)
    case 'snapshotWritten': return onSnapshotWritten(s, event)
    case 'snapshotWriteFailed': return onSnapshotWriteFailed(s, event.snapshotId)
    default: return unreachable(event)
  }
}

function tick(s: RaftState): void {
  tickAsked(s)
  const { leading } = s
  if (!leading) return tickElection(s)
  tickFollowers(s, leading)
  tickTransferOfLeadership(s, leading)
  if (++leading.quorumTicks >= s.options.electionTicks) {
    leading.quorumTicks = 0
    if (!stillHasQuorum(s, leading)) return becomeFollower(s, s.term, NOBODY)
  }
  if (++leading.heartbeatTicks >= s.options.heartbeatTicks) {
    leading.heartbeatTicks = 0
    beginRound(s, leading)
  }
}

/** Terms first (section 3.3): a newer one makes a follower, an older one is told the news. */
function onMessage(s: RaftState, m: Message): void {
  if (m.to !== s.options.id) return
  if (m.kind === 'vote') return onVote(s, m)
  // The term of a granted pre-vote is one that need not come.
  if (m.kind === 'voteAnswer' && m.pre && m.granted) return onVoteAnswer(s, m)
  if (m.term < s.term) return onStale(s, m)
  const isFromLeader = m.kind === 'append' || m.kind === 'snapshot'
  if (m.term > s.term) becomeFollower(s, m.term, isFromLeader ? m.from : NOBODY)
  if (isFromLeader) return onLeaderMessage(s, m)
  switch (m.kind) {
    case 'appendAnswer': return onAppendAnswer(s, m)
    case 'voteAnswer': return onVoteAnswer(s, m)
    case 'timeoutNow': return beginElection(s, true)
    case 'forward': return onForward(s, m)
    case 'forwardAnswer': return onForwardAnswer(s, m)
    case 'readIndex': return onReadIndex(s, m)
    case 'readIndexAnswer': return onReadIndexAnswer(s, m)
    case 'snapshotAnswer': return onSnapshotAnswer(s, m)
    default: return unreachable(m)
  }
}

function onLeaderMessage(s: RaftState, m: AppendMessage | SnapshotMessage): void {
  assert(s.role !== 'leader', `two leaders in term ${m.term}: ${m.from} and ${s.options.id}`)
  if (s.role !== 'follower' || s.leader !== m.from) becomeFollower(s, m.term, m.from)
  s.electionTicks = 0
  s.heardTicks = 0
  s.heardMs = s.nowMs
  s.wasLed = true
  if (m.kind === 'append') onAppend(s, m)
  else onSnapshot(s, m)
}

function onStale(s: RaftState, m: Message): void {
  const between = { from: s.options.id, to: m.from, term: s.term } as const
  if (m.kind === 'append') send(s, { kind: 'appendAnswer', ...between, accepted: false, index: m.prevIndex, hintIndex: 0, hintTerm: 0, round: 0 })
  else if (m.kind === 'snapshot') send(s, { kind: 'appendAnswer', ...between, accepted: false, index: 0, hintIndex: 0, hintTerm: 0, round: 0 })
  else if (m.kind === 'forward') send(s, { kind: 'forwardAnswer', ...between, id: m.id, refused: 'noLeader', entryTerm: 0, index: 0 })
  else if (m.kind === 'readIndex') send(s, { kind: 'readIndexAnswer', ...between, id: m.id, refused: 'noLeader', index: 0 })
}

function onPersisted(s: RaftState, sequence: number): void {
  const { writes, log } = s
  assert(sequence <= writes.sequence, `persist ${sequence} was not asked for`)
  writes.durable = Math.max(writes.durable, sequence)
  let done = 0
  for (const write of writes.inFlight) {
    if (write.sequence > sequence) break
    log.persisted = Math.max(log.persisted, write.lastIndex)
    done++
  }
  writes.inFlight.splice(0, done)
  onHardStateDurable(s)
}

/** The end of a leader's step: commit, go on with what is under way, then send once for all that came in. */
function lead(s: RaftState): void {
  if (s.leading) maybeCommit(s, s.leading)
  if (s.leading) continueChange(s, s.leading)
  noteMembership(s)
  if (!s.leading) return
  // Alone in the configuration that was just appended, it is committed when it is written.
  if (s.leading.transferee !== NOBODY) continueTransfer(s, s.leading)
  answerReads(s, s.leading)
  sendAppends(s, s.leading)
}

function takePersist(s: RaftState): Persist | undefined {
  const { writes, log, out } = s
  const entries: readonly Entry[] = log.queued < log.lastIndex ? log.slice(log.queued + 1, log.lastIndex, Infinity) : []
  const nothing = entries.length === 0 && !writes.hardStateChanged && writes.snapshot === undefined
  if (nothing && out.afterPersist.length === 0) return undefined
  const sequence = ++writes.sequence
  const persist: Persist = {
    sequence,
    hardState: writes.hardStateChanged ? { term: s.term, vote: s.vote } : undefined,
    snapshot: writes.snapshot,
    entries,
    nothing,
    messages: out.afterPersist,
  }
  if (writes.hardStateChanged) writes.hardStateSequence = sequence
  writes.inFlight.push({ sequence, lastIndex: entries.length > 0 || writes.snapshot !== undefined ? log.lastIndex : 0 })
  writes.hardStateChanged = false
  writes.snapshot = undefined
  log.queued = log.lastIndex
  return persist
}

/** Only what is on this disk is applied, so that a state machine is never ahead of its log. */
function takeCommitted(s: RaftState): readonly Entry[] {
  const { log, options } = s
  const until = Math.min(s.commit, log.persisted)
  if (s.delivered !== s.applied || s.delivered >= until) {
    log.shrink(s.delivered, options.cacheBytesMax)
    return []
  }
  const committed = log.slice(s.delivered + 1, until, options.applyBytesMax)
  s.delivered += committed.length
  log.shrink(s.delivered, options.cacheBytesMax)
  return committed
}
