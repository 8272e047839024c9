/** What a majority says, and both majorities while two configurations overlap (joint consensus, section 4.3). */
import type { Configuration, MemberId } from './types.ts'

/** True when a majority of each half says yes. No voters: false, as nobody may decide there. */
export function hasQuorum(configuration: Configuration, says: (member: MemberId) => boolean): boolean {
  return hasMajority(configuration.voters, says) && (configuration.outgoing.length === 0 || hasMajority(configuration.outgoing, says))
}

/** True when so many say no that there can be no quorum any more. */
export function cannotHaveQuorum(configuration: Configuration, saysNo: (member: MemberId) => boolean): boolean {
  return !hasQuorum(configuration, (member) => !saysNo(member))
}

/** The highest value that a majority of each half has reached. No voters: 0. */
export function quorumValue(configuration: Configuration, valueOf: (member: MemberId) => number): number {
  const value = majorityValue(configuration.voters, valueOf)
  return configuration.outgoing.length === 0 ? value : Math.min(value, majorityValue(configuration.outgoing, valueOf))
}

function hasMajority(voters: readonly MemberId[], says: (member: MemberId) => boolean): boolean {
  let yes = 0
  for (const voter of voters) if (says(voter)) yes++
  return yes * 2 > voters.length
}

/** Without sorting or allocating: clusters have a handful of voters, and this runs for each answer. */
function majorityValue(voters: readonly MemberId[], valueOf: (member: MemberId) => number): number {
  let best = 0
  for (const candidate of voters) {
    const value = valueOf(candidate)
    if (value <= best) continue
    let reached = 0
    for (const voter of voters) if (valueOf(voter) >= value) reached++
    if (reached * 2 > voters.length) best = value
  }
  return best
}
