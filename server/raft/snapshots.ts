/**
 * Snapshots travel in pieces, one at a time, and go on where they stopped (chapter 5, section 5.3): after a lost
 * message, a new connection, a restart of the follower, and with a new leader if it has the same bytes.
 * The driver reads and writes the bytes; here is only who has how much.
 */
import type { Progress } from './progress.ts'
import { becomeFollower, endTransfer, noteMembership, send, sendAfterPersist } from './state.ts'
import type { RaftState } from './state.ts'
import type { RaftEvent, SnapshotAnswerMessage, SnapshotMessage } from './types.ts'

// ---------------------------------------------------------------- the leader's side

export function beginTransfer(s: RaftState, follower: Progress): void {
  follower.becomeSnapshot()
  s.out.snapshotReads.push({ to: follower.member, snapshotId: undefined, offsetBytes: 0, bytesMax: s.options.snapshotChunkBytes })
}

export function onSnapshotRead(s: RaftState, event: Extract<RaftEvent, { kind: 'snapshotRead' }>): void {
  const follower = s.leading?.followers.get(event.to)
  const transfer = follower?.transfer
  if (!follower || !transfer?.reading) {
    s.out.snapshotsDone.push({ to: event.to, snapshotId: event.snapshot.id })
    return
  }
  const other = transfer.id !== event.snapshot.id
  if (other && transfer.id !== undefined) s.out.snapshotsDone.push({ to: event.to, snapshotId: transfer.id })
  transfer.reading = false
  transfer.idleTicks = 0
  transfer.id = event.snapshot.id
  transfer.index = event.snapshot.index
  // One that ends before the log begins would only lead to the next one; the driver is asked again later.
  if (event.snapshot.index < s.log.base.index || (other && event.offsetBytes !== 0)) {
    endTransfer(s, follower)
    follower.becomeSnapshot()
    if (follower.transfer) follower.transfer.reading = false
    return
  }
  transfer.offsetBytes = event.offsetBytes
  transfer.sentBytes = event.offsetBytes + event.data.length
  const { snapshot, offsetBytes, data, last } = event
  send(s, { kind: 'snapshot', from: s.options.id, to: event.to, term: s.term, snapshot, offsetBytes, data, last })
}

export function onSnapshotReadFailed(s: RaftState, to: number): void {
  const transfer = s.leading?.followers.get(to)?.transfer
  if (!transfer) return
  transfer.reading = false
  transfer.idleTicks = 0
}

export function onSnapshotAnswer(s: RaftState, m: SnapshotAnswerMessage): void {
  const follower = s.leading?.followers.get(m.from)
  if (!follower) return
  follower.silentTicks = 0
  const transfer = follower.transfer
  // A repeated answer names where the piece under way begins; it would only be sent twice.
  if (!transfer || transfer.reading || transfer.id !== m.snapshotId || m.offsetBytes === transfer.offsetBytes) return
  readOn(s, follower, m.offsetBytes)
}

/** Once per tick: asks again when nothing moved for an election timeout. */
export function tickTransfer(s: RaftState, follower: Progress): void {
  const transfer = follower.transfer
  if (!transfer || transfer.reading) return
  transfer.idleTicks++
  if (transfer.idleTicks >= s.options.electionTicks) readOn(s, follower, transfer.offsetBytes)
}

function readOn(s: RaftState, follower: Progress, offsetBytes: number): void {
  const transfer = follower.transfer
  if (!transfer) return
  transfer.reading = true
  transfer.idleTicks = 0
  transfer.offsetBytes = offsetBytes
  s.out.snapshotReads.push({ to: follower.member, snapshotId: transfer.id, offsetBytes, bytesMax: s.options.snapshotChunkBytes })
}

// ---------------------------------------------------------------- the follower's side

export function onSnapshot(s: RaftState, m: SnapshotMessage): void {
  const { snapshot } = m
  // What is here already is as good: all that is committed is in the leader's log, too.
  if (snapshot.index <= s.commit || s.log.term(snapshot.index) === snapshot.term) {
    s.commit = Math.max(s.commit, snapshot.index)
    noteMembership(s)
    sendAfterPersist(s, { kind: 'appendAnswer', from: s.options.id, to: m.from, term: s.term, accepted: true, index: Math.min(s.commit, s.log.lastIndex), hintIndex: 0, hintTerm: 0, round: 0 })
    return
  }
  if (s.incoming?.writing === true || s.log.persisted < s.log.base.index) return
  if (s.incoming?.snapshot.id !== snapshot.id) {
    if (m.offsetBytes !== 0) {
      answerOffset(s, snapshot.id, 0)
      return
    }
    s.incoming = { snapshot, offsetBytes: 0, writing: false, complete: false }
  }
  const incoming = s.incoming
  if (incoming.complete) {
    install(s)
  } else if (m.offsetBytes !== incoming.offsetBytes) {
    answerOffset(s, snapshot.id, incoming.offsetBytes)
  } else {
    incoming.writing = true
    s.out.snapshotWrites.push({ snapshot, offsetBytes: m.offsetBytes, data: m.data, last: m.last })
  }
}

export function onSnapshotWritten(s: RaftState, event: Extract<RaftEvent, { kind: 'snapshotWritten' }>): void {
  const incoming = s.incoming
  if (incoming?.snapshot.id !== event.snapshotId) return
  incoming.writing = false
  incoming.offsetBytes = event.offsetBytes
  incoming.complete = event.complete
  if (!event.complete) answerOffset(s, event.snapshotId, event.offsetBytes)
  else install(s)
}

export function onSnapshotWriteFailed(s: RaftState, snapshotId: string): void {
  if (s.incoming?.snapshot.id !== snapshotId) return
  s.incoming = undefined
  answerOffset(s, snapshotId, 0)
}

function answerOffset(s: RaftState, snapshotId: string, offsetBytes: number): void {
  if (s.role !== 'follower' || s.leader === 0) return
  send(s, { kind: 'snapshotAnswer', from: s.options.id, to: s.leader, term: s.term, snapshotId, offsetBytes })
}

/** Replaces log and state machine, unless the log has come that far meanwhile. */
function install(s: RaftState): void {
  const incoming = s.incoming
  if (!incoming) return
  s.incoming = undefined
  const { snapshot } = incoming
  if (snapshot.index <= s.commit || s.role === 'leader') return
  if (s.log.term(snapshot.index) === snapshot.term) {
    s.commit = snapshot.index
    return
  }
  if (s.role !== 'follower') becomeFollower(s, s.term, s.leader)
  s.log.resetTo({ index: snapshot.index, term: snapshot.term, configuration: snapshot.configuration })
  for (const write of s.writes.inFlight) write.lastIndex = 0
  s.writes.snapshot = snapshot
  s.commit = snapshot.index
  s.delivered = snapshot.index
  s.applied = snapshot.index
  noteMembership(s)
  if (s.leader !== 0) sendAfterPersist(s, { kind: 'appendAnswer', from: s.options.id, to: s.leader, term: s.term, accepted: true, index: snapshot.index, hintIndex: 0, hintTerm: 0, round: 0 })
}
