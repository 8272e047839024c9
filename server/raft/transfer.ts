/** Handing over leadership (section 3.10): no more proposals, bring the successor up to date, tell it to begin an election. */
import { isVoter } from './configuration.ts'
import type { Progress } from './progress.ts'
import { isActive } from './replication.ts'
import { send } from './state.ts'
import type { Leading, RaftState } from './state.ts'
import { NOBODY } from './types.ts'
import type { MemberId } from './types.ts'

export function onTransfer(s: RaftState, to: MemberId): void {
  const leading = s.leading
  if (!leading || to === s.options.id) return
  const successor = to === NOBODY ? bestSuccessor(s, leading) : leading.followers.get(to)
  if (!successor || !s.log.configuration.voters.includes(successor.member)) return
  leading.transferee = successor.member
  leading.transferTicks = 0
  leading.timeoutNowSent = false
}

/** At the end of a leader's step. */
export function continueTransfer(s: RaftState, leading: Leading): void {
  const successor = leading.followers.get(leading.transferee)
  if (successor?.match === s.log.lastIndex && !successor.leaving && !leading.timeoutNowSent) sendTimeoutNow(s, leading, successor)
}

/** Once per tick. Given up after an election timeout; the clock stays forfeited, as the message may still arrive. */
export function tickTransferOfLeadership(s: RaftState, leading: Leading): void {
  leading.timeoutNowSent = false
  if (leading.transferee !== NOBODY && ++leading.transferTicks >= s.options.electionTicks) leading.transferee = NOBODY
}

export function sendTimeoutNow(s: RaftState, leading: Leading, successor: Progress): void {
  leading.leaseForfeited = true
  leading.timeoutNowSent = true
  send(s, { kind: 'timeoutNow', from: s.options.id, to: successor.member, term: s.term })
}

/** The voter with the longest log among those that answer. */
export function bestSuccessor(s: RaftState, leading: Leading): Progress | undefined {
  let best: Progress | undefined
  for (const follower of leading.followers.values()) {
    if (follower.leaving || !isActive(s, follower) || !isVoter(s.log.configuration, follower.member)) continue
    if (!best || follower.match > best.match) best = follower
  }
  return best
}
