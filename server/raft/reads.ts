/**
 * Reads without writes to the log (section 6.4): a leader proves that it still was one after the read arrived, by a
 * round that a majority answers, or by the clock (6.4.1); then the read may be answered from the state machine as soon
 * as that has come to the leader's commit index. Followers ask the leader for that index.
 */
import { isAlone, isVoter } from './configuration.ts'
import { quorumValue } from './quorum.ts'
import { beginRound } from './replication.ts'
import { refuseRead, send } from './state.ts'
import type { Leading, RaftState, ReadRequest } from './state.ts'
import { NOBODY } from './types.ts'
import type { LogIndex, ReadIndexAnswerMessage } from './types.ts'

export function onRead(s: RaftState, id: number): void {
  if (s.leading) askLeader(s, s.leading, { from: s.options.id, id })
  else s.asked.newReads.push(id)
}

export function onReadIndex(s: RaftState, read: ReadRequest): void {
  if (s.leading) askLeader(s, s.leading, read)
  else refuseRead(s, read, 'noLeader')
}

function askLeader(s: RaftState, leading: Leading, read: ReadRequest): void {
  if (leading.waitingReads.length >= s.options.pendingMax) refuseRead(s, read, 'overloaded')
  else leading.waitingReads.push(read)
}

export function onReadIndexAnswer(s: RaftState, m: ReadIndexAnswerMessage): void {
  const asked = s.asked.reads.get(m.id)
  if (!asked) return
  s.asked.reads.delete(m.id)
  s.asked.readCount -= asked.ids.length
  for (const id of asked.ids) s.out.reads.push(m.refused === undefined ? { id, ok: true, index: m.index } : { id, ok: false, why: m.refused })
}

/** At the end of a step: all reads of a follower in one question. */
export function sendAskedReads(s: RaftState): void {
  const ids = s.asked.newReads
  if (ids.length === 0) return
  s.asked.newReads = []
  if (s.leading) {
    for (const id of ids) onRead(s, id)
    return
  }
  const why = s.leader === NOBODY ? 'noLeader' : s.asked.readCount + ids.length > s.options.pendingMax ? 'overloaded' : undefined
  if (why) {
    for (const id of ids) s.out.reads.push({ id, ok: false, why })
    return
  }
  const id = s.asked.nextId++
  s.asked.reads.set(id, { ids, ticks: 0 })
  s.asked.readCount += ids.length
  send(s, { kind: 'readIndex', from: s.options.id, to: s.leader, term: s.term, id })
}

/** At the end of a leader's step: answers what is proven, begins a round for what is not. */
export function answerReads(s: RaftState, leading: Leading): void {
  const quorumRound = answeredRound(s, leading)
  const asking = leading.askingReads
  if (asking && asking.round <= quorumRound) {
    leading.askingReads = undefined
    answerAll(s, asking.reads, asking.index)
  }
  // What earlier leaders committed is known only once something of this term is (step 1 of section 6.4).
  if (leading.waitingReads.length === 0 || s.log.term(s.commit) !== s.term) return
  if (isAlone(s.log.configuration, s.options.id) || hasLease(s, leading, quorumRound)) {
    answerAll(s, leading.waitingReads, s.commit)
    leading.waitingReads = []
  } else if (!leading.askingReads) {
    const reads = leading.waitingReads
    leading.waitingReads = []
    leading.askingReads = { round: beginRound(s, leading), index: s.commit, reads }
  }
}

function answerAll(s: RaftState, reads: readonly ReadRequest[], index: LogIndex): void {
  for (const { from, id } of reads) {
    if (from === s.options.id) s.out.reads.push({ id, ok: true, index })
    else send(s, { kind: 'readIndexAnswer', from: s.options.id, to: from, term: s.term, id, refused: undefined, index })
  }
}

/** The newest round that a quorum has answered; older ones are forgotten. */
function answeredRound(s: RaftState, leading: Leading): number {
  const round = quorumValue(s.log.configuration, (member) => (member === s.options.id ? leading.round : (leading.followers.get(member)?.round ?? 0)))
  while ((leading.roundsSent[1]?.round ?? Infinity) <= round) leading.roundsSent.shift()
  return round
}

/**
 * A quorum answered a round that began at `sentMs`, so none of them helps elect another leader before its own clock has
 * gone on by an election timeout. Ours may be slow and theirs fast, each by clockDriftMax.
 */
function hasLease(s: RaftState, leading: Leading, quorumRound: number): boolean {
  const newest = leading.roundsSent[0]
  // One that loses its vote with a change that is not committed may be replaced by a voter that is alone then and asks nobody.
  if (s.options.reads !== 'lease' || leading.leaseForfeited || !isVoter(s.log.configuration, s.options.id) || !newest || newest.round > quorumRound) return false
  const { electionTicks, tickMs, clockDriftMax } = s.options
  return s.nowMs - newest.sentMs < (electionTicks * tickMs * (1 - clockDriftMax)) / (1 + clockDriftMax)
}
