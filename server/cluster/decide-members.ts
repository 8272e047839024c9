/** What the server that leads does about who belongs to the cluster and who of them can be reached. Pure. */
import { isJoint, membersOf } from '../raft/configuration.ts'
import type { Configuration, MemberId } from '../raft/types.ts'
import type { ServerEntries, ServerEntry } from './servers.ts'

export interface MembersView {
  self: MemberId
  configuration: Configuration
  /** When each member was last known to be there, on this server's monotonic clock; itself always. */
  heardMs: ReadonlyMap<MemberId, number>
  entries: ServerEntries
  /** Uid of each Node by name; undefined: not known yet. */
  nodes: ReadonlyMap<string, string> | undefined
}

export type MembersAction =
  /** Out of the Raft configuration. */
  | { kind: 'removeMember'; member: MemberId; name: string; because: string }
  /** Another one has to remove this server. */
  | { kind: 'handOver'; because: string }
  | { kind: 'writeEntries'; changes: ReadonlyMap<MemberId, ServerEntry | undefined> }

/** As long as upstream's lease reconciler keeps a server that is silent. */
export const ENDPOINT_TTL_MS = 15_000

/** One removal at a time: the next look finds what is left. */
export function decideMembers(view: MembersView): MembersAction[] {
  const { configuration, entries, nodes, self } = view
  const members = new Set(membersOf(configuration))
  const actions: MembersAction[] = []
  const changes = new Map<MemberId, ServerEntry | undefined>()
  for (const [id, entry] of entries) {
    if (!members.has(id) && !isJoint(configuration)) changes.set(id, undefined)
    const uid = nodes?.get(entry.name)
    if (members.has(id) && entry.nodeUid === undefined && uid !== undefined) changes.set(id, { ...entry, nodeUid: uid })
  }
  if (changes.size > 0) actions.push({ kind: 'writeEntries', changes })
  const leaving = isJoint(configuration) ? [] : [...entries].flatMap(([id, entry]) => {
    const because = members.has(id) ? whyRemoved(entry, nodes) : undefined
    return because === undefined ? [] : [{ id, entry, because }]
  })
  // The last voter stays: there would be no cluster to remove it from.
  const next = leaving.find(({ id }) => id !== self) ?? leaving[0]
  if (next && (next.id !== self || configuration.voters.length > 1)) {
    actions.push(next.id === self ? { kind: 'handOver', because: next.because } : { kind: 'removeMember', member: next.id, name: next.entry.name, because: next.because })
  }
  return actions
}

function whyRemoved(entry: ServerEntry, nodes: ReadonlyMap<string, string> | undefined): string | undefined {
  if (entry.removing) return 'an admin asked for it'
  if (nodes === undefined || entry.nodeUid === undefined) return undefined
  const uid = nodes.get(entry.name)
  return uid === entry.nodeUid ? undefined : `its node ${entry.name} was deleted`
}

/** IP addresses that clients may use: of members that are there. In order, so that the same servers make the same objects. */
export function reachableAddresses(view: MembersView, nowMs: number): string[] {
  const members = new Set(membersOf(view.configuration))
  const addresses = [...view.entries].flatMap(([id, entry]) => {
    const isThere = id === view.self || nowMs - (view.heardMs.get(id) ?? -Infinity) < ENDPOINT_TTL_MS
    return members.has(id) && isThere && !entry.stopping ? [hostOf(entry.address)] : []
  })
  return [...new Set(addresses)].sort()
}

export const hostOf = (address: string): string => new URL(`https://${address}`).hostname.replace(/^\[|\]$/g, '')
