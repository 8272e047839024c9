/** A server asks to be taken in, or has another address: what the leader does about it. */
import type { Client } from '#api/client/client.ts'
import type { Clock } from '#base/clock.ts'
import { asError, hasCode } from '#base/errors.ts'
import type { Log } from '#base/log.ts'
import { membersOf } from '../raft/configuration.ts'
import { defaultRaftOptions } from '../raft/raft.ts'
import { NOBODY, type MemberChange, type RaftStatus } from '../raft/types.ts'
import type { ReplicaNode } from '../replication/contract.ts'
import type { Admission } from './join-endpoint.ts'
import type { MemberRequest } from './member-request.ts'
import { readServers, type ServerEntries } from './servers.ts'

/** Nothing has happened, or it is not known whether it has: asking again is right either way. */
const AGAIN = ['RAFT_NO_LEADER', 'RAFT_CHANGING', 'RAFT_TRANSFERRING', 'RAFT_OVERLOADED', 'RAFT_STOPPED', 'RAFT_UNKNOWN', 'RAFT_LOST', 'DISK_FULL', 'STORE_UNAVAILABLE', 'STORE_UNKNOWN']

/** Longer than an election timeout: who still counts as active then was heard of after the request came. */
export const SILENCE_MS = 1.5 * defaultRaftOptions.tickMs * defaultRaftOptions.electionTicks

export async function admit(request: MemberRequest, node: ReplicaNode, client: Client, { clock, log }: { clock: Clock; log: Log }): Promise<Admission> {
  const decide = async () => {
    const status = node.status()
    const { configuration, leader } = status
    if (status.role !== 'leader') return { ok: false, why: 'notLeader', leader: leader === NOBODY ? undefined : configuration.addresses[leader] } as const
    return decideAdmission(request, status, await readServers(client))
  }
  try {
    let decided = await decide()
    if (!Array.isArray(decided) && decided.why === 'refused') {
      // Whoever has that name or address may have ended a moment ago: a server whose disk was lost is back sooner than its silence is noticed.
      await clock.sleep(SILENCE_MS)
      decided = await decide()
    }
    if (!Array.isArray(decided)) return decided
    if (decided.length > 0) {
      log.info('a server joins, or has a new address', { member: request.member, name: request.name, address: request.address, removes: decided.filter((c) => c.kind === 'remove').map((c) => c.member).join(' ') || undefined })
      await node.changeMembers(decided)
    }
    return { ok: true }
  } catch (error) {
    if (!AGAIN.some((code) => hasCode(error, code))) throw error
    return { ok: false, why: 'busy', message: asError(error).message }
  }
}

const portOf = (address: string | undefined): string | undefined => /:(\d+)$/.exec(address ?? '')?.[1]

/** The changes to make, all at once; none: it is so already. Pure. */
export function decideAdmission(request: MemberRequest, { configuration, followers, id }: Pick<RaftStatus, 'configuration' | 'followers' | 'id'>, entries: ServerEntries): MemberChange[] | Extract<Admission, { ok: false }> {
  const { member, address, name } = request
  const members = new Set(membersOf(configuration))
  if (members.has(member) && configuration.addresses[member] === address) return []
  const port = portOf(configuration.addresses[id])
  // The `kubernetes` Service has one port for all of them.
  if (port !== undefined && portOf(address) !== port) return { ok: false, why: 'refused', message: `--https-listen-port: the servers of the cluster listen on ${port}, this one on ${portOf(address) ?? address}: start it with --https-listen-port ${port}` }
  const isThere = (other: number) => other === id || followers.some((f) => f.member === other && f.active)
  const changes: MemberChange[] = []
  for (const other of members) {
    if (other === member) continue
    const isSameName = entries.get(other)?.name === name
    const isSameAddress = configuration.addresses[other] === address
    if (!isSameName && !isSameAddress) continue
    // A machine whose disk was lost: nobody else can have its name and be well.
    if (!isThere(other)) changes.push({ kind: 'remove', member: other })
    else if (isSameName) return { ok: false, why: 'refused', message: `a server called ${name} is in the cluster and running: start this one with another --node-name` }
    else return { ok: false, why: 'refused', message: `the server at ${address} is in the cluster and running: start this one with another --advertise-address or --https-listen-port` }
  }
  changes.push({ kind: 'addVoter', member, address })
  return changes
}
