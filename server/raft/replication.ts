/** The leader's main work: appending, sending, counting answers, committing (sections 3.5, 3.6, 10.2.1). */
import { hasQuorum, quorumValue } from './quorum.ts'
import { Progress } from './progress.ts'
import { isMember, membersOf } from './configuration.ts'
import { beginTransfer, tickTransfer } from './snapshots.ts'
import { endTransfer, send } from './state.ts'
import type { Leading, RaftState } from './state.ts'
import type { AppendAnswerMessage, Entry, EntryKind, LogIndex } from './types.ts'

/** Appends to the leader's own log; it goes out with the end of the step. Returns the first index. */
export function appendOwn(s: RaftState, leading: Leading, kind: EntryKind, data: readonly Buffer[]): LogIndex {
  const first = s.log.lastIndex + 1
  const entries: Entry[] = []
  for (const bytes of data) {
    entries.push({ term: s.term, index: first + entries.length, kind, data: bytes })
    leading.uncommittedBytes += bytes.length
  }
  s.log.append(entries)
  return first
}

/** Keeps one Progress for each other member of the newest configuration. */
export function followConfiguration(s: RaftState, leading: Leading): void {
  if (leading.followersOf === s.log.configurationIndex) return
  leading.followersOf = s.log.configurationIndex
  const { configuration } = s.log
  for (const member of membersOf(configuration)) {
    const known = leading.followers.get(member)
    if (known) known.leaving = false
    else if (member !== s.options.id) leading.followers.set(member, new Progress(member, s.log.lastIndex + 1, s.log.lastIndex))
  }
  for (const follower of leading.followers.values()) if (!isMember(configuration, follower.member)) follower.leaving = true
}

/** Members that left are told that their removal is committed, as well as one message can, and then forgotten. */
export function dismissLeaving(s: RaftState, leading: Leading): void {
  for (const follower of leading.followers.values()) {
    if (!follower.leaving) continue
    if (follower.state === 'replicate') sendAppend(s, leading, follower)
    endTransfer(s, follower)
    leading.followers.delete(follower.member)
  }
}

/** A new round: who answers it has followed this leader since now (section 6.4). */
export function beginRound(s: RaftState, leading: Leading): number {
  leading.round++
  leading.roundsSent.push({ round: leading.round, sentMs: s.nowMs })
  // Forgetting an old one only makes a lease end earlier.
  if (leading.roundsSent.length > ROUNDS_MAX) leading.roundsSent.shift()
  for (const follower of leading.followers.values()) sendHeartbeat(s, leading, follower)
  return leading.round
}

/** Rounds remembered that no quorum answered: several seconds of heartbeats. */
const ROUNDS_MAX = 64

/** Sends what may be sent: new entries, and the commit index where it is news. */
export function sendAppends(s: RaftState, leading: Leading): void {
  for (const follower of leading.followers.values()) {
    sendNew(s, leading, follower)
    if (follower.state === 'replicate' && follower.commitSent < Math.min(s.commit, follower.next - 1)) sendAppend(s, leading, follower)
  }
}

function sendNew(s: RaftState, leading: Leading, follower: Progress): void {
  while (follower.state !== 'snapshot') {
    if (follower.state === 'probe' ? follower.probeSent : follower.isFull(s.options) || follower.next > s.log.lastIndex) return
    if (follower.next - 1 < s.log.base.index) {
      beginTransfer(s, follower)
      return
    }
    const entries = follower.next > s.log.lastIndex ? NO_ENTRIES : s.log.slice(follower.next, s.log.lastIndex, s.options.appendBytesMax)
    sendAppend(s, leading, follower, entries)
    if (follower.state === 'probe') {
      follower.probeSent = true
      return
    }
    let bytes = 0
    for (const entry of entries) bytes += entry.data.length
    follower.next += entries.length
    follower.sent(follower.next - 1, bytes, s.options.inFlightMax)
  }
}

const NO_ENTRIES: readonly Entry[] = []

function sendAppend(s: RaftState, leading: Leading, follower: Progress, entries: readonly Entry[] = NO_ENTRIES): void {
  const prevIndex = follower.next - 1
  const prevTerm = s.log.term(prevIndex)
  // Its log ends before ours begins: nothing to compare, but it must hear that there is a leader.
  const prev = follower.state === 'snapshot' || prevTerm === undefined ? { index: 0, term: 0 } : { index: prevIndex, term: prevTerm }
  follower.commitSent = Math.max(follower.commitSent, Math.min(s.commit, prev.index + entries.length))
  send(s, { kind: 'append', from: s.options.id, to: follower.member, term: s.term, prevIndex: prev.index, prevTerm: prev.term, entries, commit: s.commit, round: leading.round })
}

/** An append without entries; in passing it finds out whether what was sent before got lost. */
function sendHeartbeat(s: RaftState, leading: Leading, follower: Progress): void {
  // The log was compacted under what is in flight to it: whether that got lost cannot be asked any more.
  if (follower.state !== 'snapshot' && follower.next - 1 < s.log.base.index) beginTransfer(s, follower)
  sendAppend(s, leading, follower)
  if (follower.state === 'probe') follower.probeSent = true
}

export function onAppendAnswer(s: RaftState, m: AppendAnswerMessage): void {
  const leading = s.leading
  const follower = leading?.followers.get(m.from)
  if (!leading || !follower) return
  follower.silentTicks = 0
  follower.round = Math.max(follower.round, m.round)
  if (m.accepted) accepted(s, leading, follower, m.index)
  else refused(s, leading, follower, m)
}

function accepted(s: RaftState, leading: Leading, follower: Progress, index: LogIndex): void {
  if (index > follower.match) {
    follower.match = index
    follower.matchRound = leading.round
    follower.next = Math.max(follower.next, index + 1)
  }
  if (follower.state === 'replicate') follower.answered(index, s.options.inFlightMax)
  else if (follower.state === 'probe') follower.becomeReplicate()
  else if (follower.match >= s.log.base.index) {
    endTransfer(s, follower)
    follower.becomeProbe(follower.match + 1)
  }
  maybeCommit(s, leading)
}

/** Goes back to where the logs may agree, a whole term at a time (section 5.3 of the paper). */
function refused(s: RaftState, leading: Leading, follower: Progress, m: AppendAnswerMessage): void {
  if (follower.state === 'snapshot') return
  if (m.index <= follower.match) {
    // What is known to match was refused before it did, unless it was asked after that was known: then it has lost what it
    // had acknowledged, which no disk may that keeps what is synced. It gets it again, and counts for nothing until then.
    if (m.round <= follower.matchRound) return
    s.out.forgotten.push({ member: follower.member, acknowledged: follower.match, has: m.hintIndex })
    follower.forgot(leading.round)
  } else if (!isAskedOf(follower, m.index)) return
  follower.becomeProbe(s.log.lastIndexWithTermUpTo(Math.min(m.index - 1, m.hintIndex), m.hintTerm) + 1)
}

/** Only the question that is out counts. */
function isAskedOf(follower: Progress, index: LogIndex): boolean {
  return follower.state === 'probe' ? index === follower.next - 1 : index < follower.next
}

/** Entries of earlier terms are committed by one of the own term only (section 3.6.2). */
export function maybeCommit(s: RaftState, leading: Leading): void {
  const index = quorumValue(s.log.configuration, (member) => matchOf(s, leading, member))
  if (index <= s.commit || s.log.term(index) !== s.term) return
  leading.uncommittedBytes = Math.max(0, leading.uncommittedBytes - s.log.bytesInMemory(s.commit + 1, index))
  s.commit = index
}

function matchOf(s: RaftState, leading: Leading, member: number): LogIndex {
  return member === s.options.id ? s.log.persisted : (leading.followers.get(member)?.match ?? 0)
}

/** A leader that no quorum heard of during an election timeout is one no more (section 6.2). */
export function stillHasQuorum(s: RaftState, leading: Leading): boolean {
  return hasQuorum(s.log.configuration, (member) => member === s.options.id || isActive(s, leading.followers.get(member)))
}

/** Heard of within an election timeout; one that this leader never heard of counts for as long. */
export function isActive(s: RaftState, follower: Progress | undefined): boolean {
  return follower !== undefined && follower.silentTicks <= s.options.electionTicks
}

export function tickFollowers(s: RaftState, leading: Leading): void {
  for (const follower of leading.followers.values()) {
    follower.silentTicks++
    tickTransfer(s, follower)
    follower.catchUpTicks++
  }
}
