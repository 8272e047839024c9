/** Proposals: into the leader's log, or on their way there (section 6.2). */
import { appendOwn } from './replication.ts'
import { send } from './state.ts'
import type { RaftState } from './state.ts'
import { NOBODY } from './types.ts'
import type { ForwardAnswerMessage, ForwardMessage, LogIndex, Refusal } from './types.ts'

export function onPropose(s: RaftState, id: number, data: readonly Buffer[]): void {
  if (s.leading) {
    const appended = append(s, data)
    s.out.proposals.push(typeof appended === 'number' ? { id, ok: true, term: s.term, index: appended } : { id, ok: false, why: appended })
  } else if (s.leader === NOBODY) {
    s.out.proposals.push({ id, ok: false, why: 'noLeader' })
  } else if (s.asked.proposals.size >= s.options.pendingMax) {
    s.out.proposals.push({ id, ok: false, why: 'overloaded' })
  } else {
    const wireId = s.asked.nextId++
    s.asked.proposals.set(wireId, { id, ticks: 0 })
    send(s, { kind: 'forward', from: s.options.id, to: s.leader, term: s.term, id: wireId, data })
  }
}

export function onForward(s: RaftState, m: ForwardMessage): void {
  const appended = append(s, m.data)
  const refused = typeof appended === 'number' ? undefined : appended
  send(s, { kind: 'forwardAnswer', from: s.options.id, to: m.from, term: s.term, id: m.id, refused, entryTerm: s.term, index: typeof appended === 'number' ? appended : 0 })
}

export function onForwardAnswer(s: RaftState, m: ForwardAnswerMessage): void {
  const asked = s.asked.proposals.get(m.id)
  if (!asked) return
  s.asked.proposals.delete(m.id)
  s.out.proposals.push(m.refused === undefined ? { id: asked.id, ok: true, term: m.entryTerm, index: m.index } : { id: asked.id, ok: false, why: m.refused })
}

/** What a leader did not answer within an election timeout is not waited for. */
export function tickAsked(s: RaftState): void {
  for (const [wireId, asked] of s.asked.proposals) {
    if (++asked.ticks < s.options.electionTicks) continue
    s.asked.proposals.delete(wireId)
    s.out.proposals.push({ id: asked.id, ok: false, why: 'unknown' })
  }
  for (const [wireId, asked] of s.asked.reads) {
    if (++asked.ticks < s.options.electionTicks) continue
    s.asked.reads.delete(wireId)
    s.asked.readCount -= asked.ids.length
    for (const id of asked.ids) s.out.reads.push({ id, ok: false, why: 'unknown' })
  }
}

/** Index of the first entry, or why not. */
function append(s: RaftState, data: readonly Buffer[]): LogIndex | Refusal {
  const leading = s.leading
  if (!leading) return 'noLeader'
  if (leading.transferee !== NOBODY) return 'transferring'
  if (s.diskFull) return 'diskFull'
  let bytes = 0
  for (const d of data) bytes += d.length
  // A single large proposal passes when nothing else is under way.
  if (leading.uncommittedBytes > 0 && leading.uncommittedBytes + bytes > s.options.uncommittedBytesMax) return 'overloaded'
  return appendOwn(s, leading, 'normal', data)
}
