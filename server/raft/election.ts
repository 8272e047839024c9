/** Elections (section 3.4), with pre-vote (9.6) and respect for a leader that others hear (4.2.3). */
import { isAlone, isMember, isVoter } from './configuration.ts'
import { cannotHaveQuorum, hasQuorum } from './quorum.ts'
import { appendOwn, followConfiguration } from './replication.ts'
import { becomeFollower, heardOfLeader, isHardStateDurable, mayCampaign, resetElectionTimeout, send, sendAfterPersist, setHardState, stopAsking } from './state.ts'
import type { Leading, RaftState } from './state.ts'
import { NOBODY } from './types.ts'
import type { MemberId, VoteAnswerMessage, VoteMessage } from './types.ts'

/** One tick of a server that does not lead. */
export function tickElection(s: RaftState): void {
  s.electionTicks++
  s.heardTicks++
  if (s.electionTicks >= s.electionTimeoutTicks && !heardOfLeader(s)) campaign(s)
}

/**
 * A leader whose connection broke is mostly dead: it is not waited for as long as one that may only be slow, unless the
 * clock is trusted with that. Should it live, others that hear it refuse their pre-votes. A voter that is back is asked again.
 */
export function onConnection(s: RaftState, member: MemberId, isThere: boolean): void {
  if (isThere) {
    const asks = s.role === 'preCandidate' || s.role === 'candidate'
    if (asks && !s.votes.has(member) && isVoter(s.log.configuration, member)) askForVote(s, member, { pre: s.role === 'preCandidate', transfer: false })
  } else if (s.role === 'follower' && s.leader === member && s.options.reads === 'quorum') {
    s.heardTicks = Math.max(s.heardTicks, s.options.electionTicks)
    // Some time for it to connect again.
    beginWithin(s, s.options.electionTicks / 4, s.options.electionTicks / 2)
  }
}

/** Asks first whether an election could be won, so that a server that was cut off disturbs nobody when it is back (section 9.6). */
export function campaign(s: RaftState): void {
  if (s.role === 'leader') return
  resetElectionTimeout(s)
  if (!mayCampaign(s)) return
  stopAsking(s)
  s.role = 'preCandidate'
  s.leader = NOBODY
  s.votes.clear()
  s.votes.set(s.options.id, true)
  if (hasQuorum(s.log.configuration, (m) => s.votes.get(m) === true)) beginElection(s, false)
  else askForVotes(s, true, false)
}

/** `transfer`: the leader wants it, so nobody is asked first (section 3.10). */
export function beginElection(s: RaftState, transfer: boolean): void {
  if (s.role === 'leader' || !mayCampaign(s)) return
  if (s.role === 'follower') stopAsking(s)
  resetElectionTimeout(s)
  setHardState(s, s.term + 1, s.options.id)
  s.role = 'candidate'
  s.leader = NOBODY
  s.votes.clear()
  // Alone, what is written with the entries themselves is soon enough: nobody else can have heard of the term.
  if (isAlone(s.log.configuration, s.options.id)) becomeLeader(s)
  else askForVotes(s, false, transfer)
}

function askForVotes(s: RaftState, pre: boolean, transfer: boolean): void {
  const { configuration } = s.log
  for (const voter of new Set([...configuration.voters, ...configuration.outgoing])) if (voter !== s.options.id) askForVote(s, voter, { pre, transfer })
}

function askForVote(s: RaftState, voter: MemberId, { pre, transfer }: { pre: boolean; transfer: boolean }): void {
  const { lastIndex, lastTerm } = s.log
  send(s, { kind: 'vote', from: s.options.id, to: voter, term: pre ? s.term + 1 : s.term, pre, transfer, lastIndex, lastTerm })
}

/** A candidate's own vote counts once it cannot be forgotten. */
export function onHardStateDurable(s: RaftState): void {
  if (s.role !== 'candidate' || s.votes.has(s.options.id) || !isHardStateDurable(s)) return
  s.votes.set(s.options.id, true)
  countVotes(s)
}

/** Of any term: whether the sender's counts is part of the question. */
export function onVote(s: RaftState, m: VoteMessage): void {
  const upToDate = m.lastTerm > s.log.lastTerm || (m.lastTerm === s.log.lastTerm && m.lastIndex >= s.log.lastIndex)
  const holdBack = !m.transfer && heardOfLeader(s)
  if (m.pre) {
    const granted = m.term > s.term && upToDate && !holdBack
    if (granted) giveWay(s, m)
    answer(s, m, granted)
    return
  }
  // It must not even make this server leave its term (section 4.2.3).
  if (m.term > s.term && holdBack) return
  if (m.term > s.term) becomeFollower(s, m.term, NOBODY)
  const granted = m.term === s.term && upToDate && (s.vote === m.from || (s.vote === NOBODY && s.leader === NOBODY && !holdBack))
  if (granted) {
    setHardState(s, s.term, m.from)
    resetElectionTimeout(s)
  }
  answer(s, m, granted)
}

function answer(s: RaftState, m: VoteMessage, granted: boolean): void {
  const { configuration, configurationIndex } = s.log
  // The asker's log ends before the committed entry that removed it; ids are never used again.
  const removed = !granted && configurationIndex <= s.commit && configurationIndex > m.lastIndex && !isMember(configuration, m.from)
  const message = { kind: 'voteAnswer', from: s.options.id, to: m.from, term: granted ? m.term : s.term, pre: m.pre, granted, removed } as const
  if (granted && !m.pre) sendAfterPersist(s, message)
  else send(s, message)
}

/** Two that begin at once share the votes, and nobody is elected: the one that would lose, or has the lower id, lets the other one go first. */
function giveWay(s: RaftState, m: VoteMessage): void {
  if (s.role === 'preCandidate') {
    const isBetter = m.lastTerm > s.log.lastTerm || m.lastIndex > s.log.lastIndex || m.from > s.options.id
    if (isBetter) becomeFollower(s, s.term, NOBODY)
  }
  if (s.role === 'follower') s.electionTicks = Math.min(s.electionTicks, Math.floor(s.electionTimeoutTicks - s.options.electionTicks / 2))
}

/** Of the term that the election is for. */
export function onVoteAnswer(s: RaftState, m: VoteAnswerMessage): void {
  if (m.removed && s.role !== 'leader') {
    s.toldRemovedFrom = s.log.configurationIndex
    s.removed = true
    becomeFollower(s, s.term, NOBODY)
    return
  }
  if (s.role !== (m.pre ? 'preCandidate' : 'candidate') || s.votes.has(m.from)) return
  if (m.term !== (m.pre && m.granted ? s.term + 1 : s.term)) return
  s.votes.set(m.from, m.granted)
  countVotes(s)
}

function countVotes(s: RaftState): void {
  const { configuration } = s.log
  if (hasQuorum(configuration, (m) => s.votes.get(m) === true)) {
    if (s.role === 'preCandidate') beginElection(s, false)
    else becomeLeader(s)
  } else if (cannotHaveQuorum(configuration, (m) => s.votes.get(m) === false)) {
    // Asking again at once would not help; but nobody leads, and all that were asked have answered.
    becomeFollower(s, s.term, NOBODY)
    beginWithin(s, s.options.electionTicks / 4, s.options.electionTicks)
  }
}

/** Brings the next election forward: it begins after `min` ticks, and `spread` more at most. */
function beginWithin(s: RaftState, min: number, spread: number): void {
  const ticks = Math.ceil(min) + Math.floor(s.random.next() * spread)
  s.electionTicks = Math.max(s.electionTicks, s.electionTimeoutTicks - ticks)
}

function becomeLeader(s: RaftState): void {
  const leading: Leading = {
    followers: new Map(),
    followersOf: -1,
    heartbeatTicks: 0,
    quorumTicks: 0,
    round: 0,
    roundsSent: [],
    waitingReads: [],
    askingReads: undefined,
    transferee: NOBODY,
    transferTicks: 0,
    timeoutNowSent: false,
    leaseForfeited: false,
    uncommittedBytes: 0,
  }
  s.role = 'leader'
  s.leader = s.options.id
  s.leading = leading
  s.incoming = undefined
  followConfiguration(s, leading)
  // Commits with it what earlier terms left, and tells what is committed (sections 3.6.2, 6.4).
  appendOwn(s, leading, 'empty', [NOTHING])
}

const NOTHING = Buffer.alloc(0)

/** A server that has the only vote needs neither ticks nor messages; one whose leader just left it the only vote waits like others. */
export function leadAlone(s: RaftState): void {
  if (s.role !== 'leader' && !s.wasLed && isAlone(s.log.configuration, s.options.id) && mayCampaign(s)) beginElection(s, false)
}
