/** A follower's side of replication: compare, append, answer (section 3.5). */
import { assert } from '#base/errors.ts'
import { noteMembership, send, sendAfterPersist } from './state.ts'
import type { RaftState } from './state.ts'
import type { AppendAnswerMessage, AppendMessage } from './types.ts'

/** Of the present term, to a follower of the sender. */
export function onAppend(s: RaftState, m: AppendMessage): void {
  const { log } = s
  // What is at or before the commit index is the leader's, too (section 3.6.3); before the base its terms are forgotten.
  if (m.prevIndex > s.commit && log.term(m.prevIndex) !== m.prevTerm) {
    const hintIndex = log.lastIndexWithTermUpTo(Math.min(m.prevIndex, log.lastIndex), m.prevTerm)
    send(s, appendAnswer(s, m, { accepted: false, index: m.prevIndex, hintIndex, hintTerm: log.term(hintIndex) ?? 0 }))
    return
  }
  const lastMatch = m.prevIndex + m.entries.length
  appendNew(s, m)
  const commit = Math.min(m.commit, lastMatch)
  if (commit > s.commit) {
    s.commit = commit
    noteMembership(s)
  }
  acknowledge(s, m, lastMatch)
}

/** Replaces what differs; an old message that only repeats must not shorten the log. */
function appendNew(s: RaftState, m: AppendMessage): void {
  const { log } = s
  for (let i = 0; i < m.entries.length; i++) {
    const entry = m.entries[i]
    assert(entry, 'within the list')
    if (entry.index <= log.base.index || log.term(entry.index) === entry.term) continue
    if (entry.index <= log.lastIndex) {
      assert(entry.index > s.commit, `the leader of term ${m.term} would replace committed entry ${entry.index}`)
      log.truncateFrom(entry.index)
      for (const write of s.writes.inFlight) write.lastIndex = Math.min(write.lastIndex, log.lastIndex)
    }
    log.append(i === 0 ? m.entries : m.entries.slice(i))
    noteMembership(s)
    return
  }
}

/** What is durable is told at once, so that a round does not wait for the disk; the rest when it is. */
function acknowledge(s: RaftState, m: AppendMessage, lastMatch: number): void {
  const durable = Math.min(lastMatch, s.log.persisted)
  const { answered } = s
  // News of commits alone: what would be answered has been. Should that have got lost, the next round asks again.
  if (m.entries.length === 0 && durable === lastMatch && answered.term === m.term && answered.round === m.round && answered.index === lastMatch) return
  answered.term = m.term
  answered.round = m.round
  answered.index = lastMatch
  if (durable === lastMatch || m.entries.length === 0) send(s, appendAnswer(s, m, { accepted: true, index: durable, hintIndex: 0, hintTerm: 0 }))
  if (durable === lastMatch) return
  // One answer for all messages of a step.
  const waiting = s.out.afterPersist
  const before = waiting.at(-1)
  if (before?.kind === 'appendAnswer' && before.accepted && before.to === m.from && before.term === m.term && before.index <= lastMatch && before.round <= m.round) waiting.pop()
  sendAfterPersist(s, appendAnswer(s, m, { accepted: true, index: lastMatch, hintIndex: 0, hintTerm: 0 }))
}

function appendAnswer(s: RaftState, m: AppendMessage, answer: Pick<AppendAnswerMessage, 'accepted' | 'index' | 'hintIndex' | 'hintTerm'>): AppendAnswerMessage {
  return { kind: 'appendAnswer', from: s.options.id, to: m.from, term: s.term, accepted: answer.accepted, index: answer.index, hintIndex: answer.hintIndex, hintTerm: answer.hintTerm, round: m.round }
}
