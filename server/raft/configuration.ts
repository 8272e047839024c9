/** Who belongs to the cluster: how one configuration follows from another, and how it is written into the log (chapter 4). */
import { CodedError } from '#base/errors.ts'
import type { Configuration, MemberChange, MemberId } from './types.ts'

/** More would only make each write wait for more disks; learners count too. */
export const MEMBERS_MAX = 64
const ADDRESS_CHARS_MAX = 1024

/** What a server that waits to be added begins with: it votes for nobody's change and never begins an election. */
export const emptyConfiguration: Configuration = { voters: [], outgoing: [], learners: [], joining: [], addresses: {} }

/** What the first servers of a cluster begin with, at index 0. */
export function initialConfiguration(addresses: Readonly<Record<string, string>>): Configuration {
  return { ...emptyConfiguration, voters: sorted(Object.keys(addresses).map(Number)), addresses: { ...addresses } }
}

export function isJoint(configuration: Configuration): boolean {
  return configuration.outgoing.length > 0
}

export function isVoter(configuration: Configuration, member: MemberId): boolean {
  return configuration.voters.includes(member) || configuration.outgoing.includes(member)
}

export function isMember(configuration: Configuration, member: MemberId): boolean {
  return isVoter(configuration, member) || configuration.learners.includes(member)
}

/** The only one who decides: needs no network. */
export function isAlone(configuration: Configuration, member: MemberId): boolean {
  return configuration.voters.length === 1 && configuration.voters[0] === member && configuration.outgoing.length === 0
}

export function membersOf(configuration: Configuration): MemberId[] {
  return sorted([...configuration.voters, ...configuration.outgoing, ...configuration.learners])
}

/**
 * The configuration that a request leads to: joint when voters change, else at once the final one. `current` must not
 * be joint. Undefined when the request is not possible: no voter would be left, too many members, a bad id or address.
 */
export function nextConfiguration(current: Configuration, changes: readonly MemberChange[]): Configuration | undefined {
  const voters = new Set(current.voters)
  const learners = new Set(current.learners)
  const joining = new Set(current.joining)
  const addresses = { ...current.addresses }
  for (const change of changes) {
    const { member } = change
    if (!Number.isSafeInteger(member) || member <= 0) return undefined
    if (change.kind === 'remove') {
      voters.delete(member)
      learners.delete(member)
      joining.delete(member)
      continue
    }
    if (change.address.length > ADDRESS_CHARS_MAX) return undefined
    addresses[member] = change.address
    if (change.kind === 'addLearner') {
      voters.delete(member)
      learners.add(member)
      joining.delete(member)
    } else if (!voters.has(member)) {
      learners.add(member)
      joining.add(member)
    }
  }
  if (voters.size === 0 || voters.size + learners.size > MEMBERS_MAX) return undefined
  return withVoters(current, { voters: [...voters], learners: [...learners], joining: [...joining], addresses })
}

/** Makes voters of those that have caught up. */
export function promoted(current: Configuration, members: readonly MemberId[]): Configuration {
  return withVoters(current, {
    voters: [...current.voters, ...members],
    learners: current.learners.filter((m) => !members.includes(m)),
    joining: current.joining.filter((m) => !members.includes(m)),
    addresses: current.addresses,
  })
}

/** What a joint configuration ends in. */
export function leaveJoint(joint: Configuration): Configuration {
  return normal({ ...joint, outgoing: [] })
}

function withVoters(current: Configuration, next: Omit<Configuration, 'outgoing'>): Configuration {
  const same = next.voters.length === current.voters.length && next.voters.every((m) => current.voters.includes(m))
  return normal({ ...next, outgoing: same ? [] : current.voters })
}

/** Lists sorted, addresses of members only. */
function normal(configuration: Configuration): Configuration {
  const members = membersOf(configuration)
  return {
    voters: sorted(configuration.voters),
    outgoing: sorted(configuration.outgoing),
    learners: sorted(configuration.learners),
    joining: sorted(configuration.joining),
    addresses: Object.fromEntries(members.map((m) => [String(m), configuration.addresses[m] ?? ''])),
  }
}

export function encodeConfiguration(configuration: Configuration): Buffer {
  return Buffer.from(JSON.stringify(configuration))
}

/** Throws CodedError `RAFT_CONFIGURATION_INVALID`. */
export function decodeConfiguration(data: Buffer): Configuration {
  let value: unknown
  try {
    value = JSON.parse(data.toString())
  } catch (cause) {
    throw invalid('it is not JSON', cause)
  }
  if (typeof value !== 'object' || value === null) throw invalid('it is not an object')
  const from = value as Record<string, unknown>
  const addresses = from.addresses
  if (typeof addresses !== 'object' || addresses === null || Object.values(addresses).some((a) => typeof a !== 'string')) throw invalid('addresses are not strings')
  return {
    voters: memberList(from.voters, 'voters'),
    outgoing: memberList(from.outgoing, 'outgoing'),
    learners: memberList(from.learners, 'learners'),
    joining: memberList(from.joining, 'joining'),
    addresses: { ...(addresses as Record<string, string>) },
  }
}

function memberList(value: unknown, name: string): MemberId[] {
  if (!Array.isArray(value)) throw invalid(`${name} is not a list`)
  return value.map((id: unknown) => {
    if (typeof id !== 'number' || !Number.isSafeInteger(id) || id <= 0) throw invalid(`${name} holds ${JSON.stringify(id)}, which is no member id`)
    return id
  })
}

function invalid(why: string, cause?: unknown): CodedError {
  return new CodedError('RAFT_CONFIGURATION_INVALID', `a cluster configuration in the Raft log cannot be read: ${why}`, { cause })
}

function sorted(members: readonly MemberId[]): MemberId[] {
  return [...new Set(members)].sort((a, b) => a - b)
}
