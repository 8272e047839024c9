/** Changes of membership by joint consensus (section 4.3), catching up of new members (4.2.1), and leaving (4.2.2). */
import { encodeConfiguration, isJoint, isVoter, leaveJoint, nextConfiguration, promoted } from './configuration.ts'
import { appendOwn, dismissLeaving, followConfiguration, isActive } from './replication.ts'
import { becomeFollower } from './state.ts'
import type { Leading, RaftState } from './state.ts'
import { bestSuccessor, sendTimeoutNow } from './transfer.ts'
import { NOBODY } from './types.ts'
import type { Configuration, MemberChange, Refusal } from './types.ts'

export function onChangeMembers(s: RaftState, id: number, changes: readonly MemberChange[]): void {
  const why = begin(s, changes)
  s.out.proposals.push(why === undefined ? { id, ok: true, term: s.term, index: s.log.lastIndex } : { id, ok: false, why })
}

function begin(s: RaftState, changes: readonly MemberChange[]): Refusal | undefined {
  const leading = s.leading
  if (!leading) return 'noLeader'
  if (leading.transferee !== NOBODY) return 'transferring'
  if (s.diskFull) return 'diskFull'
  if (!mayChange(s)) return 'changing'
  const next = nextConfiguration(s.log.configuration, changes)
  if (!next) return 'invalidChange'
  appendConfiguration(s, leading, next)
  return undefined
}

/** One change at a time, and none before this leader knows what is committed (errata of section 4.1). */
function mayChange(s: RaftState): boolean {
  return s.log.configurationIndex <= s.commit && s.log.term(s.commit) === s.term && !isJoint(s.log.configuration)
}

function appendConfiguration(s: RaftState, leading: Leading, configuration: Configuration): void {
  appendOwn(s, leading, 'configuration', [encodeConfiguration(configuration)])
  followConfiguration(s, leading)
}

/** At the end of a leader's step: the next part of a change that is under way, whoever began it. */
export function continueChange(s: RaftState, leading: Leading): void {
  const { configuration, configurationIndex } = s.log
  if (configurationIndex > s.commit || s.log.term(s.commit) !== s.term) return
  if (isJoint(configuration)) {
    appendConfiguration(s, leading, leaveJoint(configuration))
    return
  }
  dismissLeaving(s, leading)
  if (!isVoter(configuration, s.options.id)) {
    // Its last act: the next leader need not wait for a timeout.
    const successor = bestSuccessor(s, leading)
    if (successor) sendTimeoutNow(s, leading, successor)
    becomeFollower(s, s.term, NOBODY)
    return
  }
  const ready = configuration.joining.filter((member) => hasCaughtUp(s, leading, member))
  if (ready.length > 0 && leading.transferee === NOBODY && !s.diskFull) appendConfiguration(s, leading, promoted(configuration, ready))
}

/** A round ends when the follower has what the log had when it began; the last one must have been short. */
function hasCaughtUp(s: RaftState, leading: Leading, member: number): boolean {
  const follower = leading.followers.get(member)
  if (!follower || !isActive(s, follower) || follower.match < follower.catchUpTarget || follower.state !== 'replicate') return false
  if (follower.catchUpTicks < s.options.electionTicks) return true
  follower.catchUpTarget = s.log.lastIndex
  follower.catchUpTicks = 0
  return follower.match >= follower.catchUpTarget
}
